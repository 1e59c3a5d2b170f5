"""Recordings of scripted experts: labelled demonstrations, and video without any actions."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from robowm.artefact import open_stage
from robowm.episodes import IMAGE_PREFIX, EpisodeWriter, image_feature, vector_feature
from robowm.errors import UserError
from robowm.progress import progress
from robowm.sim.perform import demonstrate, film, read_shard, shard
from robowm.sim.seeds import DEMONSTRATION, VIDEO, take
from robowm.sim.suite import Task
from robowm.sim.workers import run_jobs

CAMERA = f"{IMAGE_PREFIX}agentview"
CHUNK_EPISODES = 5


@dataclass(frozen=True)
class RecordConfig:
    """Demonstrations to record.

    Attributes:
        episodes: successful ones to keep.
        seed: 0 for the first of the block of seeds for demonstrations.
        robot: arm; None: the task's default.
        action_noise: standard deviation of what is added to the motion the expert asks for (in
            action units, [-1, 1]) before it is executed, so that demonstrations show how one gets
            back. The dataset holds what the expert asked for, without the noise.
        size_px: height and width of the frames.
    """

    episodes: int = 10
    seed: int = 0
    robot: str | None = None
    action_noise: float = 0.1
    size_px: int = 128


@dataclass(frozen=True)
class VideoSpec:
    """Action-free video to record: every arm does every task under a camera moved at random.

    Attributes:
        make_env: `make_env(task=..., robot=..., size_px=..., camera_jitter=...)`, importable.
        tasks, robots: every pair of them has its share of the episodes.
        fps: frames a second, the environment's control rate.
        size_px: height and width of the video; larger than what is trained on, for the codec.
        camera_jitter: 0 for a camera that stands still between episodes, 1 for 15 cm.
        action_noise: as in RecordConfig.
    """

    make_env: Callable[..., gymnasium.Env]
    tasks: tuple[str, ...]
    robots: tuple[str, ...]
    fps: int = 10
    size_px: int = 96
    camera_jitter: float = 1.0
    action_noise: float = 0.2


def record(
    task: Task, out: Path, config: RecordConfig | None = None, workers: int = 2
) -> dict[str, Any]:
    """Record the expert as a LeRobotDataset v3; only episodes that succeed are kept.

    Columns: `observation.images.agentview`, `observation.state`, `action`, `capture_time_s`. The
    card's `attempts` and `seeds` say how many were tried and which were kept. Run again after a
    kill, it goes on from the last whole episode.

    Returns:
        the card.

    Raises:
        UserError: no such robot, no expert, seeds outside their block, or `out` is taken.
    """
    config = config or RecordConfig()
    if config.episodes < 1:
        raise UserError(f"--episodes {config.episodes}: expected 1 or more.")
    task.require_expert()
    robot = task.robot(config.robot)
    seeds = take(DEMONSTRATION, config.seed, 10 * config.episodes)
    settings = asdict(config) | {"suite": task.name, "robot": robot, **task.prepare()}
    stage = open_stage(out, "demonstrations", settings)
    if stage.done:
        return stage.card
    shards = stage.work / "shards"
    shards.mkdir(exist_ok=True)
    make_env = partial(task.make_env, robot=robot, size_px=config.size_px)
    job = partial(demonstrate, make_env, shards, config.action_noise)
    kept: list[int] = []
    attempts = 0
    with progress(f"record {task.name}", config.episodes) as advance:

        def count(done: Sequence[int]) -> None:
            advance(len(_successes(shards, done)))

        while len(kept) < config.episodes:
            batch = seeds[attempts : attempts + config.episodes - len(kept)]
            if not batch:
                raise UserError(
                    f"the expert succeeded in {len(kept)} of {attempts} attempts on {task.name} "
                    f"with {robot}; expected {config.episodes} successes. Allowed: another --robot."
                )
            missing = [seed for seed in batch if not shard(shards, seed).exists()]
            count([seed for seed in batch if seed not in missing])
            chunks = [
                missing[at : at + CHUNK_EPISODES] for at in range(0, len(missing), CHUNK_EPISODES)
            ]
            run_jobs([partial(job, chunk) for chunk in chunks], workers, count)
            attempts += len(batch)
            kept += _successes(shards, batch)
    _assemble(stage.work, shards, kept, task, robot, config)
    shutil.rmtree(shards)
    facts = {"attempts": attempts, "seeds": kept}
    stage.finish(**facts)
    return stage.card | facts


def record_video(
    spec: VideoSpec, out: Path, episodes: int, seed: int = 0, workers: int = 2
) -> None:
    """Film `episodes` episodes into a folder of mp4 files. Actions never reach the disk.

    Arms and tasks take turns. Run again after a kill, it films what is missing.

    Raises:
        UserError: seeds outside their block, or `out` is taken.
    """
    if episodes < 1:
        raise UserError(f"--episodes {episodes}: expected 1 or more.")
    seeds = take(VIDEO, seed, episodes)
    said = {k: v for k, v in asdict(spec).items() if k != "make_env"}
    stage = open_stage(out, "video", said | {"episodes": episodes, "seed": seed})
    if stage.done:
        return
    pairs = [(robot, task) for robot in spec.robots for task in spec.tasks]
    jobs = []
    for index, (robot, task) in enumerate(pairs):
        make_env = partial(
            spec.make_env,
            task=task,
            robot=robot,
            size_px=spec.size_px,
            camera_jitter=spec.camera_jitter,
        )
        paths = {s: stage.work / f"{task}_{robot}_{s}.mp4" for s in seeds[index :: len(pairs)]}
        missing = {s: path for s, path in paths.items() if not path.exists()}
        if missing:
            jobs.append(partial(film, make_env, spec.action_noise, spec.fps, missing))
    done = len(list(stage.work.glob("[!.]*.mp4")))
    with progress("film", episodes, done) as advance:
        run_jobs(jobs, workers, lambda seeds: advance(len(seeds)))
    for leftover in stage.work.glob(".*.tmp.mp4"):
        leftover.unlink()
    stage.finish()


def _assemble(
    work: Path, shards: Path, seeds: list[int], task: Task, robot: str, config: RecordConfig
) -> None:
    dataset = work / "dataset"
    for leftover in (dataset, *(work / name for name in ("meta", "data", "images"))):
        shutil.rmtree(leftover, ignore_errors=True)
    features = {
        CAMERA: image_feature(config.size_px),
        "observation.state": vector_feature("float32", list(task.state_names)),
        "action": vector_feature("float32", list(task.action_names)),
        "capture_time_s": vector_feature("float64", ["s"]),
    }
    writer = EpisodeWriter(dataset, task.control_hz, features, robot_type=robot)
    for seed in seeds:
        played = read_shard(shards, seed)
        columns = {
            CAMERA: played["frame"],
            "observation.state": played["state"],
            "action": played["action"],
            "capture_time_s": np.arange(len(played["action"])) / task.control_hz,
        }
        writer.add(columns, task.text)
    writer.close()
    for part in dataset.iterdir():
        part.rename(work / part.name)
    dataset.rmdir()


def _successes(shards: Path, seeds: Sequence[int]) -> list[int]:
    return [seed for seed in seeds if read_shard(shards, seed)["success"]]
