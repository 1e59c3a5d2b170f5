"""The stage `finetune`: a policy from a world model (or from nothing) and demonstrations."""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch

from robowm.artefact import directory_sha256, open_stage, plain
from robowm.episodes import DEFAULT_LABELS, Episodes
from robowm.errors import UserError
from robowm.latent.reality.truth import column_names
from robowm.nn.directory import fingerprint, load_weights, read_config, resolve
from robowm.policy.control_map import DECODER
from robowm.policy.eye import place_columns
from robowm.train.control import fit_control_map
from robowm.train.frames import Frames, held_out, load_frames
from robowm.train.goals import find_goals
from robowm.train.labels_on_disk import labeller_of
from robowm.train.loop import TrainConfig, drop_checkpoints, train
from robowm.train.practice import practise, turning_of
from robowm.train.pretrain import KIND
from robowm.train.pseudo_labels import decoder_for
from robowm.world.backbone import BackboneConfig
from robowm.world.vipra import ViPRAConfig, ViPRAWorldModel

if TYPE_CHECKING:
    from robowm.policy.modeling_vipra import VipraPolicy

SCRATCH = "scratch"
GRIPPER = r"grip|finger|jaw|claw"


@dataclass(frozen=True)
class PolicyConfig:
    """What is the policy's own; the backbone's shape comes from the world model."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    """used by `scratch`; a world model brings its own"""
    action_head: Literal["auto", "goals", "flow"] = "auto"
    """goals: what is seen tells where the hand will be at the next keyframes, and these and
    proprioception alone what to do. flow: flow matching beside what is seen (ViPRA), for tasks in
    which the way between keyframes depends on what is seen. auto: goals for an arm whose state
    names the hand's place (x, y, z) and whose last action is named as a gripper's, else flow"""
    state_frames: int = 3
    """moments of proprioception, the present one the last; at least the context frames are read"""
    chunk_size: int = 8
    """H, actions predicted at once, control steps"""
    n_action_steps: int = 4
    """actions executed before the next chunk is asked for"""
    flow_steps: int = 10
    """Euler steps per chunk"""
    subgoals: int = 2
    """keyframes whose proprioception is foretold before the actions; 0 leaves them out (ViPRA)"""
    subgoal_weight: float = 1.0
    """weight of the subgoals' L1 beside the flow-matching loss"""
    place_weight: float = 0.3
    """weight of the cross-entropy of where in the picture the keyframes will be; 0 leaves it out"""
    causal_actions: bool = False
    """True: action tokens see only earlier ones, as ViPRA does"""
    use_state: bool = True
    """give the policy proprioception"""
    shift_px: int = 4
    """training crops are shifted by up to this many pixels"""
    colour_jitter: float = 0.15
    """training brightness and contrast vary by up to this share"""


@dataclass(frozen=True)
class FinetuneConfig:
    """What the policy is and how it is trained."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    from_start: float = 0.5
    """share of samples that are among an episode's first tenth, where what is to be grasped must be
    found by its looks; the hand, on its way, gives it away later"""
    practice: int = 256
    """moments a step on which the head `goals` practises, without their pictures"""
    held_out: float = 0.0
    """share of demonstrations kept to measure the loss on; 0 trains on all of them"""
    labels: str = DEFAULT_LABELS
    """label set of the demonstrations to which the map from latent actions to controls is fitted,
    where they have it"""
    decoder: Path | None = None
    """policy directory whose map to controls shall decode what this policy emits: the datasets are
    then views in which `action` is the latent action (`robowm label --as-action`)"""


@dataclass(frozen=True)
class FinetuneResult:
    """Where the policy is, and the last losses."""

    directory: Path
    train_loss: float
    parameters: int
    pretrained_tensors: int


def finetune(
    model: str, datasets: Sequence[Path] | Path, out: Path, config: FinetuneConfig
) -> FinetuneResult:
    """Train a LeRobot policy on demonstrations.

    Args:
        model: world model directory or Hub id, or "scratch".
        datasets: LeRobotDataset v3 directories with `action` and a camera, of one robot.
        out: LeRobot policy directory to write.
        config: see FinetuneConfig.

    Raises:
        UserError: no actions in a dataset, actions that are not finite, datasets that do not fit
            together, or not a world model.
    """
    paths = [datasets] if isinstance(datasets, Path) else list(datasets)
    if not paths:
        raise UserError("no dataset was named; expected one or more with demonstrations.")
    if not 0 <= config.from_start <= 1:
        raise UserError(f"--from-start {config.from_start}: expected a share from 0 to 1.")
    demos = [Episodes(path) for path in paths]
    for some in demos:
        check_actions(some)
    check_alike(demos, config.policy.use_state)
    directory = None if model == SCRATCH else resolve(model)
    if directory is not None:
        shape = read_world_model(directory)
        config = replace(config, policy=replace(config.policy, backbone=shape.backbone))
    head = choose_head(demos[0], config.policy)
    config = replace(config, policy=replace(config.policy, action_head=head))
    decoder = None if config.decoder is None else decoder_for(demos, config.decoder)
    settings = {
        "config": plain(config),
        "model": fingerprint(directory) if directory else SCRATCH,
        "datasets": [str(path) for path in paths],
        "frames": [int(some.lengths.sum()) for some in demos],
        "labellers": [labeller_of(some, config.labels) for some in demos],
    }
    if config.decoder is not None:
        settings["decoder_sha256"] = directory_sha256(config.decoder)
    stage = open_stage(out, "policy", settings)
    if stage.done:
        return FinetuneResult(stage.out, **stage.card["result"])

    from robowm.policy.goal_decoder import GoalDecoder
    from robowm.policy.modeling_vipra import PLACES, PRACTICE, SUBGOALS
    from robowm.policy.processor_vipra import make_vipra_pre_post_processors

    torch.manual_seed(config.train.seed)
    policy = build_policy(demos[0], config.policy)
    carried = carry_over(directory, policy) if directory else 0
    stats = read_stats(demos)
    pre, post = make_vipra_pre_post_processors(policy.config, dataset_stats=stats)
    columns = ["action", *(["observation.state"] if policy.config.use_state else [])]
    frames = load_frames(
        demos, config.policy.backbone.size_px, columns, stage.work / "frames", None
    )
    kept_back = held_out(int(frames.episode[-1]) + 1, config.held_out, config.train.seed)
    rows = np.flatnonzero(~(kept_back & (config.held_out > 0))[frames.episode])
    begun = (rows - frames.start[rows]) / (frames.end[rows] - frames.start[rows])
    early_rows, early = rows[begun < 0.1], round(config.from_start * config.train.batch_size)
    names = column_names(demos[0], "observation.state") if policy.config.use_state else None
    goals = find_goals(frames, policy.config, names)
    practises = isinstance(policy.decoder, GoalDecoder)
    if isinstance(policy.decoder, GoalDecoder) and goals is not None and goals.eye is not None:
        mean, deviation = (stats["observation.state"][k].numpy() for k in ("mean", "std"))
        policy.decoder.know_camera(goals.eye.camera(mean, deviation))
    turning = turning_of(demos[0]) if practises else None
    lengths = (policy.config.n_obs_steps, policy.config.chunk_size)

    def loss_of(
        ready: torch.nn.Module, rng: np.random.Generator, share: float
    ) -> tuple[torch.Tensor, dict[str, float]]:
        late = config.train.batch_size - early
        chosen = np.concatenate([rng.choice(early_rows, early), rng.choice(rows, late)])
        batch = pre(demonstration_batch(frames, chosen, policy))
        if goals is not None:
            states = torch.from_numpy(goals.states[chosen])
            batch[SUBGOALS] = pre({"observation.state": states})["observation.state"]
            if goals.places is not None:
                batch[PLACES] = torch.from_numpy(goals.places[chosen])
            if practises:
                some = rng.choice(rows, config.practice)
                batch[PRACTICE] = practise(frames, goals, some, lengths, turning, pre)
        return ready(batch)

    curves = train(policy, loss_of, config.train, stage.work, f"policy from {Path(model).name}")
    policy.save_pretrained(stage.work)
    controls = fit_control_map(demos, config.labels)
    if controls is not None:
        controls.save(stage.work)
    if decoder is not None:
        (stage.work / DECODER).mkdir(exist_ok=True)
        decoder.save(stage.work / DECODER)
    pre.save_pretrained(stage.work)
    post.save_pretrained(stage.work)
    drop_checkpoints(stage.work)
    (stage.work / "frames" / "frames.npy").unlink()
    (stage.work / "frames").rmdir()
    last = curves["series"]["loss"][-10:]
    result = FinetuneResult(
        directory=stage.out,
        train_loss=float(np.mean([value for _, value in last])),
        parameters=sum(p.numel() for p in policy.parameters()),
        pretrained_tensors=carried,
    )
    stage.finish(
        eye_error=None if goals is None or goals.eye is None else goals.eye.error,
        result={k: v for k, v in asdict(result).items() if k != "directory"},
        dataset_sha256=[directory_sha256(some.root) for some in demos],
    )
    return result


def check_actions(demos: Episodes) -> None:
    """Refuse demonstrations that a policy cannot be trained on.

    Raises:
        UserError: no `action` column, a number in it that is not finite, or no episode.
    """
    if "action" not in demos.features:
        raise UserError(
            f"{demos.root} has no actions; expected a column 'action'. It has: "
            f"{', '.join(demos.features)}. Video without actions is for `robowm pretrain`."
        )
    if not len(demos):
        raise UserError(f"{demos.root} has no episodes; expected at least one demonstration.")
    demos.camera()
    for name in ("action", "observation.state"):
        for i in range(len(demos)) if name in demos.features else ():
            wrong = ~np.isfinite(demos.column(name, i))
            if wrong.any():
                frame = int(np.argwhere(wrong)[0][0])
                raise UserError(
                    f"{demos.root}: {name} of episode {i}, frame {frame} is not finite; expected "
                    "numbers only. Delete the episode with lerobot-edit-dataset, or mend it."
                )


def check_alike(demos: Sequence[Episodes], use_state: bool = True) -> None:
    """Refuse datasets that one policy cannot be trained on.

    Raises:
        UserError: they differ in rate, camera, or the names of action or (if used) state.
    """
    first = demos[0]
    for other in demos[1:]:
        for what, one, two in (
            ("frames a second", first.fps, other.fps),
            ("camera", first.camera(), other.camera()),
            *(
                (name, *(d.features.get(name, {}).get("names") for d in (first, other)))
                for name in ("action", *(["observation.state"] if use_state else []))
            ),
        ):
            if one != two:
                raise UserError(
                    f"{first.root} and {other.root} differ in {what}: {one} and {two}; expected "
                    "demonstrations of one robot, recorded alike."
                )


def choose_head(demos: Episodes, policy: PolicyConfig) -> Literal["goals", "flow"]:
    """The head that `auto` stands for, or the one asked for.

    Raises:
        UserError: `goals` was asked for, and there is nothing to set them with.
    """
    has_state = policy.use_state and "observation.state" in demos.features
    possible = has_state and 0 < policy.subgoals <= policy.backbone.points
    if policy.action_head == "goals" and not possible:
        raise UserError(
            "--policy.action-head goals needs proprioception, subgoals and as many points; got "
            f"{'proprioception' if has_state else 'no proprioception'}, {policy.subgoals} subgoals "
            f"and {policy.backbone.points} points. Take --policy.action-head auto."
        )
    if policy.action_head == "auto":
        arm = possible and place_columns(column_names(demos, "observation.state"))
        gripper = re.search(GRIPPER, column_names(demos, "action")[-1].lower())
        return "goals" if arm and gripper else "flow"
    return policy.action_head


def read_world_model(directory: Path) -> ViPRAConfig:
    """The configuration of a world model directory."""
    return read_config(directory, KIND, ViPRAConfig)


def build_policy(demos: Episodes, config: PolicyConfig) -> "VipraPolicy":
    """An untrained policy whose inputs and outputs are the dataset's."""
    from lerobot.utils.feature_utils import dataset_to_policy_features

    from robowm.policy.configuration_vipra import VipraConfig
    from robowm.policy.modeling_vipra import VipraPolicy

    camera = demos.camera()
    use_state = config.use_state and "observation.state" in demos.features
    names = column_names(demos, "observation.state") if use_state else None
    wanted = {camera, "action", *(["observation.state"] if config.use_state else [])}
    features = dataset_to_policy_features({k: f for k, f in demos.features.items() if k in wanted})
    b = config.backbone
    return VipraPolicy(
        VipraConfig(
            device="cuda" if torch.cuda.is_available() else "cpu",
            n_obs_steps=max(b.context_frames, config.state_frames if config.use_state else 1),
            context_frames=b.context_frames,
            action_head=choose_head(demos, config),
            state_places=list(place_columns(names)),
            input_features={k: f for k, f in features.items() if k != "action"},
            output_features={"action": features["action"]},
            chunk_size=config.chunk_size,
            n_action_steps=config.n_action_steps,
            control_hz=demos.fps,
            flow_steps=config.flow_steps,
            subgoals=config.subgoals if config.use_state else 0,
            subgoal_weight=config.subgoal_weight,
            place_weight=config.place_weight,
            causal_actions=config.causal_actions,
            use_state=use_state,
            size_px=b.size_px,
            grid=b.grid,
            points=b.points,
            channels=b.channels,
            width=b.width,
            depth=b.depth,
            heads=b.heads,
            text_buckets=b.text_buckets,
            shift_px=config.shift_px,
            colour_jitter=config.colour_jitter,
        )
    )


def carry_over(directory: Path, policy: "VipraPolicy") -> int:
    """Copy the world model's backbone into the policy; returns how many tensors."""
    world = ViPRAWorldModel(read_world_model(directory))
    load_weights(directory, world)
    policy.decoder.backbone.load_state_dict(world.backbone.state_dict())
    return len(world.backbone.state_dict())


def read_stats(demos: Sequence[Episodes]) -> dict[str, dict[str, torch.Tensor]]:
    """LeRobot's statistics of state and action over all datasets, as tensors."""
    from lerobot.datasets.compute_stats import aggregate_stats

    names = ("action", "observation.state")
    each = []
    for some in demos:
        stats = json.loads((some.root / "meta" / "stats.json").read_text())
        each.append(
            {
                name: {key: np.array(value) for key, value in stats[name].items()}
                for name in names
                if name in stats
            }
        )
    whole = aggregate_stats(each)
    return {
        name: {key: torch.tensor(value, dtype=torch.float32) for key, value in stats.items()}
        for name, stats in whole.items()
    }


def demonstration_batch(frames: Frames, rows: np.ndarray, policy: "VipraPolicy") -> dict[str, Any]:
    """LeRobot's training dictionary for windows that begin at `rows`, before normalisation."""
    config = policy.config
    moments, steps, valid = frames.around(rows, config.n_obs_steps, config.chunk_size)
    looked_at = policy.decoder.config.backbone.context_frames
    batch: dict[str, Any] = {
        config.camera: frames.pictures(moments[:, -looked_at:]),
        "action": torch.from_numpy(frames.columns["action"][steps]),
        "action_is_pad": torch.from_numpy(~valid),
        "task": frames.instructions(rows),
    }
    if config.use_state:
        batch["observation.state"] = torch.from_numpy(frames.columns["observation.state"][moments])
    return batch
