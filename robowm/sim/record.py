"""Recordings of scripted experts: labelled demonstrations, and video without any actions."""

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

from robowm.artefact import open_stage
from robowm.episodes import IMAGE_PREFIX, EpisodeWriter, image_feature, vector_feature
from robowm.errors import UserError
from robowm.progress import progress
from robowm.sim.film import write_mp4
from robowm.sim.rollout import one_thread_each
from robowm.sim.seeds import DEMONSTRATION, VIDEO, take
from robowm.sim.suite import Task

CAMERA = f"{IMAGE_PREFIX}agentview"
CHUNK_EPISODES = 5
VIDEO_CRF = 12


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
    size_px: int = 64


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
        UserError: no such robot, seeds outside their block, or `out` is taken.
    """
    config = config or RecordConfig()
    if config.episodes < 1:
        raise UserError(f"--episodes {config.episodes}: expected 1 or more.")
    robot = task.robot(config.robot)
    seeds = take(DEMONSTRATION, config.seed, 10 * config.episodes)
    settings = asdict(config) | {"suite": task.name, "robot": robot}
    stage = open_stage(out, "demonstrations", settings)
    if stage.done:
        return stage.card
    shards = stage.work / "shards"
    shards.mkdir(exist_ok=True)
    make_env = partial(task.make_env, robot=robot, size_px=config.size_px)
    job = partial(_demonstrate, make_env, shards, config.action_noise)
    kept: list[int] = []
    attempts = 0
    with progress(f"record {task.name}", config.episodes) as advance:
        while len(kept) < config.episodes:
            batch = list(seeds[attempts : attempts + config.episodes - len(kept)])
            if not batch:
                raise UserError(
                    f"the expert succeeded in {len(kept)} of {attempts} attempts on {task.name} "
                    f"with {robot}; expected {config.episodes} successes. Allowed: another --robot."
                )
            _run_in_chunks(job, [s for s in batch if not _shard(shards, s).exists()], workers)
            attempts += len(batch)
            new = [seed for seed in batch if bool(_read(shards, seed)["success"])]
            kept += new
            advance(len(new))
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
    pairs = [(robot, task) for task in spec.tasks for robot in spec.robots]
    with progress("film", episodes) as advance:
        jobs = []
        for index, (robot, task) in enumerate(pairs):
            paths = {s: stage.work / f"{task}_{robot}_{s}.mp4" for s in seeds[index :: len(pairs)]}
            missing = {s: path for s, path in paths.items() if not path.exists()}
            advance(len(paths) - len(missing))
            jobs.append(partial(_film, spec, robot, task, missing))
        _run_jobs([j for j in jobs if j.args[-1]], workers, lambda done: advance(len(done)))
    for leftover in stage.work.glob(".*.tmp.mp4"):
        leftover.unlink()
    stage.finish()


def _film(spec: VideoSpec, robot: str, task: str, paths: dict[int, Path]) -> list[int]:
    env: Any = spec.make_env(
        task=task, robot=robot, size_px=spec.size_px, camera_jitter=spec.camera_jitter
    )
    for seed, path in paths.items():
        frames = [step["frame"] for step in _episode(env, seed, spec.action_noise)]
        write_mp4(path, np.stack(frames), spec.fps, crf=VIDEO_CRF)
    env.close()
    return list(paths)


def _demonstrate(
    make_env: Callable[..., Any], shards: Path, noise: float, seeds: Sequence[int]
) -> list[int]:
    env = make_env()
    for seed in seeds:
        steps = list(_episode(env, seed, noise))
        success = steps.pop()["success"]  # the last observation has no action after it
        path = _shard(shards, seed)
        temporary = path.with_suffix(".tmp.npz")
        np.savez(
            temporary,
            frame=np.stack([step["frame"] for step in steps]),
            state=np.stack([step["state"] for step in steps]),
            action=np.stack([step["action"] for step in steps]),
            success=success,
        )
        temporary.replace(path)
    env.close()
    return list(seeds)


def _episode(env: Any, seed: int, noise: float) -> list[dict[str, Any]]:
    rng = np.random.default_rng([seed, 2])
    observation, info = env.reset(seed=seed)
    steps, ended = [], False
    while not ended:
        asked = env.expert_action()
        steps.append(observation | {"action": asked})
        disturbed = asked.copy()
        disturbed[:-1] += rng.normal(0, noise, len(asked) - 1)  # the gripper is left alone
        observation, _, success, cut_off, info = env.step(np.clip(disturbed, -1, 1))
        ended = success or cut_off
    return [*steps, observation | {"success": info["success"]}]


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
        shard = _read(shards, seed)
        columns = {
            CAMERA: shard["frame"],
            "observation.state": shard["state"],
            "action": shard["action"],
            "capture_time_s": np.arange(len(shard["action"])) / task.control_hz,
        }
        writer.add(columns, task.text)
    writer.close()
    for part in dataset.iterdir():
        part.rename(work / part.name)
    dataset.rmdir()


def _shard(shards: Path, seed: int) -> Path:
    return shards / f"{seed}.npz"


def _read(shards: Path, seed: int) -> dict[str, np.ndarray]:
    with np.load(_shard(shards, seed), allow_pickle=False) as file:
        return dict(file)


def _run_in_chunks(
    job: Callable[[Sequence[int]], list[int]], seeds: list[int], workers: int
) -> None:
    size = max(1, min(CHUNK_EPISODES, -(-len(seeds) // workers)))
    chunks = [seeds[at : at + size] for at in range(0, len(seeds), size)]
    _run_jobs([partial(job, chunk) for chunk in chunks], workers, lambda done: None)


def _run_jobs(
    jobs: Sequence[Callable[[], list[int]]], workers: int, on_done: Callable[[list[int]], None]
) -> None:
    if workers == 1:
        for job in jobs:
            on_done(job())
        return
    with one_thread_each(), ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        for future in as_completed([pool.submit(job) for job in jobs]):
            on_done(future.result())
