"""The stage `finetune`: a policy from a world model (or from nothing) and demonstrations."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from robowm.artefact import directory_sha256, open_stage, plain
from robowm.episodes import DEFAULT_LABELS, Episodes
from robowm.errors import UserError
from robowm.latent.reality.truth import column_names
from robowm.nn.directory import fingerprint, resolve
from robowm.policy.control_map import DECODER
from robowm.policy.turning import Turning
from robowm.train.astray import Astray
from robowm.train.begins import open_until_told
from robowm.train.build_policy import (
    LEAST_DEVIATION,
    PRETRAINED,
    PolicyConfig,
    build_policy,
    carry_over,
    choose_head,
    know_actions,
    know_scale,
    read_world_model,
    with_pretrained,
)
from robowm.train.control import fit_control_map
from robowm.train.demonstrations import (
    check_actions,
    check_alike,
    check_video,
    demonstration_batch,
    level_vectors,
    read_stats,
)
from robowm.train.foresight import foretold, know_latents, latent_columns, with_latent_shape
from robowm.train.frames import Frames, held_out, load_frames
from robowm.train.from_latents import read_emitter, set_out, shaped_alike
from robowm.train.goals import Goals, find_goals, whose_hand_is_seen
from robowm.train.labels_on_disk import labeller_of
from robowm.train.loop import TrainConfig, drop_checkpoints, train
from robowm.train.practice import draw, practise, turning_of
from robowm.train.pseudo_labels import decoder_for
from robowm.world.backbone import load_pretrained

if TYPE_CHECKING:
    from robowm.policy.modeling_vipra import VipraPolicy

SCRATCH = "scratch"
# small and plain, of numbers that are not seen but known: at the rate of what sees, the height of a
# grasp was still 2 cm off on its own demonstration when training ended
RATES = {"decoder.head.": 3.0, "decoder.reader.known.": 5.0}


@dataclass(frozen=True)
class FinetuneConfig:
    """What the policy is and how it is trained."""

    policy: PolicyConfig = field(default_factory=PolicyConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    from_start: float = 0.5
    """share of samples that are among an episode's first tenth, where what is to be grasped must be
    found by its looks; the hand, on its way, gives it away later"""
    practice: int = 512
    """moments a step on which the head `goals` practises, without their pictures"""
    video: tuple[Path, ...] = ()
    """datasets of the same arm, camera and tasks, of which only pictures and instructions are read:
    where the hand goes is seen in them, and teaches the head `goals` what to go for"""
    other_video: tuple[Path, ...] = ()
    """the same, but of other hands, a robot's or a person's: what they take is known by the gap it
    leaves, so it must be carried off, and the camera must stand still"""
    video_share: float = 0.75
    """share of samples that are from video, where there is some"""
    hand_steps: int = 900
    """optimiser steps of the network that sees the hand in video"""
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
        model: world model directory or Hub id, one of a policy that emits latent actions, or
            "scratch".
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
    if not 0 <= config.video_share < 1:
        raise UserError(
            f"--video-share {config.video_share}: expected a share from 0 to less than 1; how to "
            "act is learnt from demonstrations."
        )
    demos = [Episodes(path) for path in paths]
    for some in demos:
        check_actions(some)
    check_alike(demos, config.policy.use_state)
    directory = None if model == SCRATCH else resolve(model)
    emitter = None if directory is None else read_emitter(directory)
    policy_config, world = config.policy, None
    if emitter is not None:
        policy_config = shaped_alike(policy_config, emitter)
    elif directory is not None:
        world = directory, read_world_model(directory)
        policy_config = replace(policy_config, backbone=world[1].backbone)
    weights = config.policy.backbone.pretrained
    policy_config = with_pretrained(policy_config, weights, directory)
    head = choose_head(demos[0], policy_config)
    policy_config = replace(policy_config, action_head=head)
    policy_config = with_latent_shape(demos, config.labels, policy_config, world)
    config = replace(config, policy=policy_config)
    films, others = (
        [Episodes(path) for path in some] for some in (config.video, config.other_video)
    )
    check_video(demos, films, head)
    check_video(demos, others, head, "--other-video")
    decoder = None if config.decoder is None else decoder_for(demos, config.decoder)
    settings = {
        "config": plain(config),
        "model": fingerprint(directory) if directory else SCRATCH,
        "datasets": [str(path) for path in paths],
        "frames": [int(some.lengths.sum()) for some in demos],
        "video_frames": [int(some.lengths.sum()) for some in [*films, *others]],
        "labellers": [labeller_of(some, config.labels) for some in demos],
    }
    if config.decoder is not None:
        settings["decoder_sha256"] = directory_sha256(config.decoder)
    stage = open_stage(out, "policy", settings)
    if stage.done:
        return FinetuneResult(stage.out, **stage.card["result"])

    from robowm.policy.goal_decoder import GoalDecoder
    from robowm.policy.processor_vipra import make_vipra_pre_post_processors

    torch.manual_seed(config.train.seed)
    policy = build_policy(demos[0], config.policy)
    stats = read_stats(demos)
    turning = turning_of(demos[0]) if isinstance(policy.decoder, GoalDecoder) else None
    if turning is not None:
        level_vectors(stats["action"], turning.action)
    pre, post = make_vipra_pre_post_processors(policy.config, dataset_stats=stats)
    states = ["observation.state"] if policy.config.use_state else []
    columns = {name: name for name in ("action", *states)}
    columns |= latent_columns(config.policy, config.labels)
    frames = load_frames(
        demos, config.policy.backbone.size_px, columns, stage.work / "frames", None, films, others
    )
    policy.config.closes_upwards = frames.closes_upwards
    demonstrated = sum(int(some.lengths.sum()) for some in demos)
    kept_back = held_out(
        int(frames.episode[demonstrated - 1]) + 1, config.held_out, config.train.seed
    )
    rows = np.flatnonzero(~(kept_back & (config.held_out > 0))[frames.episode[:demonstrated]])
    know_actions(policy, stats["action"], frames.columns["action"][rows])
    know_latents(policy, frames, rows)
    carried = 0
    if directory is not None and emitter is not None:
        carried = set_out(directory, policy, stats["action"])
    elif directory is not None:
        carried = carry_over(directory, policy)
    else:
        load_pretrained(policy.decoder.backbone, weights, PRETRAINED)
    names = column_names(demos[0], "observation.state") if policy.config.use_state else None
    scale = None
    if policy.config.use_state:
        mean, deviation = (stats["observation.state"][k].numpy() for k in ("mean", "std"))
        scale = mean, np.maximum(deviation, LEAST_DEVIATION)
        know_scale(policy, scale, stats["action"], frames.columns["action"][rows])
        if isinstance(policy.decoder, GoalDecoder) and policy.config.state_places:
            width = open_until_told(frames, np.arange(demonstrated))
            known = None if width is None else float((width - scale[0][-1]) / scale[1][-1])
            policy.config.open_gripper = known
    hand = config.hand_steps, config.train.seed
    goals = find_goals(frames, policy.config, names, hand)
    seen = None if goals is None else goals.eyes
    if isinstance(policy.decoder, GoalDecoder) and seen is not None and scale is not None:
        policy.decoder.reader.know_cameras(seen.cameras(*scale), seen.looks, scale)
    filmed = np.arange(demonstrated, len(frames.episode))
    if goals is not None:
        filmed = whose_hand_is_seen(goals, frames, filmed)
    loss_of = batches(policy, pre, frames, (rows, filmed), goals, turning, config)
    title = f"policy from {Path(model).name}"
    curves = train(policy, loss_of, config.train, stage.work, title, rates=RATES)
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
        eye_error=None if goals is None or goals.eyes is None else goals.eyes.error,
        outlined=None if goals is None or goals.taken is None else goals.taken.share(),
        result={k: v for k, v in asdict(result).items() if k != "directory"},
        dataset_sha256=[directory_sha256(some.root) for some in demos],
    )
    return result


def batches(
    policy: "VipraPolicy",
    pre: Any,
    frames: Frames,
    rows: tuple[np.ndarray, np.ndarray],
    goals: Goals | None,
    turning: Turning | None,
    config: FinetuneConfig,
) -> Callable[[torch.nn.Module, np.random.Generator, float], tuple[torch.Tensor, dict[str, float]]]:
    """What `robowm.train.loop.train` asks for: the loss of a batch drawn among `rows`, those of
    demonstrations and those of video."""
    from robowm.policy.goal_decoder import GoalDecoder
    from robowm.policy.modeling_vipra import FILMED, PLACES, PRACTICE, RELEASED, SUBGOALS, TAKEN
    from robowm.policy.way_head import WayHead

    demonstrated, filmed = rows
    size = config.train.batch_size
    seen = min(round(config.video_share * size), size - 1) if len(filmed) else 0
    pools: list[tuple[np.ndarray, int]] = []
    for some, count in ((demonstrated, size - seen), (filmed, seen)):
        begun = (some - frames.start[some]) / (frames.end[some] - frames.start[some])
        early = round(config.from_start * count)
        pools += [(some[begun < 0.1], early), (some, count - early)] if count else []
    lengths = (policy.config.n_obs_steps, policy.config.chunk_size)
    practises = isinstance(policy.decoder, GoalDecoder)
    ways = practises and isinstance(policy.decoder.head, WayHead)
    hz, astray = policy.config.control_hz, None
    if ways and turning is not None:
        astray = Astray.of(frames, demonstrated, turning, hz)

    def loss_of(
        ready: torch.nn.Module, rng: np.random.Generator, share: float
    ) -> tuple[torch.Tensor, dict[str, float]]:
        chosen = np.concatenate([rng.choice(some, count) for some, count in pools])
        batch = pre(demonstration_batch(frames, chosen, policy))
        batch |= foretold(frames, chosen, policy)
        if goals is not None:
            states = torch.from_numpy(goals.states[chosen])
            batch[SUBGOALS] = pre({"observation.state": states})["observation.state"]
            if goals.released is not None:
                batch[RELEASED] = torch.from_numpy(goals.released[chosen])
            if goals.places is not None:
                batch[PLACES] = torch.from_numpy(goals.places[chosen])
            if goals.taken is not None:
                batch[TAKEN] = goals.taken.of(chosen)
            if seen:
                batch[FILMED] = torch.arange(size) >= size - seen
            if practises:
                some = draw(rng, demonstrated, goals, config.practice, hz)
                batch[PRACTICE] = practise(
                    frames, goals, some, lengths, turning, pre, astray=astray
                )
        return ready(batch)

    return loss_of
