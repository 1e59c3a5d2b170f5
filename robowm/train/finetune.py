"""The stage `finetune`: a policy from a world model (or from nothing) and demonstrations."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from robowm.artefact import directory_sha256, open_stage
from robowm.latent.reality.truth import column_names
from robowm.policy.control_map import DECODER
from robowm.train.batches import batches
from robowm.train.begins import empty_from, open_until_told
from robowm.train.build_policy import (
    LEAST_DEVIATION,
    PRETRAINED,
    build_policy,
    carry_over,
    know_actions,
    know_scale,
)
from robowm.train.control import fit_control_map
from robowm.train.demonstrations import level_vectors, read_stats
from robowm.train.finetune_plan import FinetuneConfig, Plan, plan_policy
from robowm.train.foresight import know_latents, latent_columns
from robowm.train.frames import Frames, held_out, load_frames
from robowm.train.from_latents import set_out
from robowm.train.goals import Goals, find_goals, whose_hand_is_seen
from robowm.train.loop import drop_checkpoints, train
from robowm.train.practice import turning_of
from robowm.world.backbone import load_pretrained

if TYPE_CHECKING:
    from robowm.policy.modeling_vipra import VipraPolicy

type Stats = dict[str, dict[str, torch.Tensor]]  # LeRobot's

# small and plain, of numbers that are not seen but known: at the rate of what sees, the height of a
# grasp was still 2 cm off on its own demonstration when training ended
RATES = {"decoder.head.": 3.0, "decoder.reader.known.": 5.0}


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
    plan = plan_policy(model, paths, config)
    config = plan.config
    stage = open_stage(out, "policy", plan.settings)
    if stage.done:
        return FinetuneResult(stage.out, **stage.card["result"])

    from robowm.policy.goal_decoder import GoalDecoder
    from robowm.policy.processor_vipra import make_vipra_pre_post_processors

    torch.manual_seed(config.train.seed)
    policy = build_policy(plan.demos[0], config.policy)
    stats = read_stats(plan.demos)
    turning = turning_of(plan.demos[0]) if isinstance(policy.decoder, GoalDecoder) else None
    if turning is not None:
        level_vectors(stats["action"], turning.action)
    pre, post = make_vipra_pre_post_processors(policy.config, dataset_stats=stats)
    frames = read_frames(plan, policy, stage.work / "frames")
    rows = trained_on(plan, frames)
    know_actions(policy, stats["action"], frames.columns["action"][rows])
    know_latents(policy, frames, rows)
    carried = set_out_from(plan, policy, stats)
    goals = look_ahead(plan, policy, stats, frames, rows)
    filmed = np.arange(plan.demonstrated, len(frames.episode))
    if goals is not None:
        filmed = whose_hand_is_seen(goals, frames, filmed)
    loss_of = batches(policy, pre, frames, (rows, filmed), goals, turning, config)
    title = f"policy from {Path(model).name}"
    curves = train(policy, loss_of, config.train, stage.work, title, rates=RATES)
    policy.save_pretrained(stage.work)
    pre.save_pretrained(stage.work)
    post.save_pretrained(stage.work)
    save_maps(plan, stage.work)
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
        righted=None if goals is None else goals.righted,
        outlined=None if goals is None or goals.taken is None else goals.taken.share(),
        result={k: v for k, v in asdict(result).items() if k != "directory"},
        dataset_sha256=[directory_sha256(some.root) for some in plan.demos],
    )
    return result


def read_frames(plan: Plan, policy: "VipraPolicy", work: Path) -> Frames:
    """Demonstrations, then video; the policy is told which way its gripper closes."""
    states = ["observation.state"] if policy.config.use_state else []
    columns = {name: name for name in ("action", *states)}
    columns |= latent_columns(plan.config.policy, plan.config.labels)
    size_px = plan.config.policy.backbone.size_px
    frames = load_frames(plan.demos, size_px, columns, work, None, plan.films, plan.others)
    policy.config.closes_upwards = frames.closes_upwards
    return frames


def trained_on(plan: Plan, frames: Frames) -> np.ndarray:
    """Rows of demonstrations that are not held out."""
    count, config = plan.demonstrated, plan.config
    episodes = int(frames.episode[count - 1]) + 1
    kept_back = held_out(episodes, config.held_out, config.train.seed) & (config.held_out > 0)
    return np.flatnonzero(~kept_back[frames.episode[:count]])


def set_out_from(plan: Plan, policy: "VipraPolicy", stats: Stats) -> int:
    """Take over what the model knows; the number of tensors."""
    if plan.directory is None:
        load_pretrained(policy.decoder.backbone, plan.weights, PRETRAINED)
        return 0
    if plan.emitter is not None:
        return set_out(plan.directory, policy, stats["action"])
    return carry_over(plan.directory, policy)


def look_ahead(
    plan: Plan, policy: "VipraPolicy", stats: Stats, frames: Frames, rows: np.ndarray
) -> Goals | None:
    """What each moment leads to, and what the policy must know of proprioception for it."""
    from robowm.policy.goal_decoder import GoalDecoder

    config, decoder, names, scale = policy.config, policy.decoder, None, None
    if config.use_state:
        names = column_names(plan.demos[0], "observation.state")
        mean, deviation = (stats["observation.state"][k].numpy() for k in ("mean", "std"))
        scale = mean, np.maximum(deviation, LEAST_DEVIATION)
        know_scale(policy, scale, stats["action"], frames.columns["action"][rows])
        if isinstance(decoder, GoalDecoder) and config.state_places:
            know_gripper(policy, frames, np.arange(plan.demonstrated), scale)
    hand = plan.config.hand_steps, plan.config.train.seed
    goals = find_goals(frames, config, names, hand)
    seen = None if goals is None else goals.eyes
    if isinstance(decoder, GoalDecoder) and seen is not None and scale is not None:
        decoder.reader.know_cameras(seen.cameras(*scale), seen.looks, scale, seen.rooms)
    return goals


def know_gripper(
    policy: "VipraPolicy",
    frames: Frames,
    rows: np.ndarray,
    scale: tuple[np.ndarray, np.ndarray],
) -> None:
    """How wide the gripper of demonstrations is, open and empty, normalised by `scale`."""
    config = policy.config
    open_ = open_until_told(frames, rows)
    if open_ is not None:
        empty = empty_from(frames, rows, open_, config.control_hz)
        mean, deviation = (float(numbers[-1]) for numbers in scale)
        config.open_gripper = (open_ - mean) / deviation
        config.empty_gripper = None if empty is None else (empty - mean) / deviation


def save_maps(plan: Plan, work: Path) -> None:
    """From latent actions to controls, beside the policy."""
    controls = fit_control_map(plan.demos, plan.config.labels)
    if controls is not None:
        controls.save(work)
    if plan.decoder is not None:
        (work / DECODER).mkdir(exist_ok=True)
        plan.decoder.save(work / DECODER)
