"""Simulated video with its true actions beside it, to ask what latent actions know.

    python benchmarks/record_truth.py --out runs/truth/still
    python benchmarks/record_truth.py --out runs/truth/shaken --camera-shake 1

Scripted experts on five arms, a camera that stands elsewhere in each episode; with
`--camera-shake` it is moved like a camera held in a hand. The dataset holds what was executed
(`action`, disturbance included), how far the hand then moved (`ee_delta`, metres in the world
frame, fingers' gap last) and how the camera moved (`camera_delta`): row t is about t→t+1, and an
episode's last row is zero. A labeller must be shown the frames only.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from robowm.artefact import open_stage
from robowm.episodes import IMAGE_PREFIX, EpisodeWriter, image_feature, vector_feature
from robowm.progress import progress
from robowm.sim.robosuite_env import ACTION_NAMES, CONTROL_HZ, TASKS, RobosuiteEnv
from robowm.sim.seeds import VIDEO, take
from robowm.sim.workers import run_jobs

CAMERA = f"{IMAGE_PREFIX}main"
ARMS = ("Panda", "UR5e", "Kinova3", "IIWA", "Jaco")
FILMED = ("Lift", "Stack")
EE_NAMES = ["dx_m", "dy_m", "dz_m", "dgap_m"]
CAMERA_NAMES = ["dx_m", "dy_m", "dz_m", "turn_x_rad", "turn_y_rad", "turn_z_rad"]


@dataclass(frozen=True)
class Args:
    """Flags of the benchmark."""

    out: Path
    """directory to create"""
    episodes: int = 200
    """episodes; arms and tasks take turns"""
    seed: int = 500_000
    """first of the block of seeds for video; far from those of the quickstart"""
    size_px: int = 64
    """side of the frames, pixels"""
    camera_jitter: float = 1.0
    """how far the camera stands from its place, anew in each episode: 1 is up to 15 cm"""
    camera_shake: float = 0.0
    """how much the camera is moved during an episode: 1 is like a hand"""
    action_noise: float = 0.2
    """standard deviation of what disturbs the expert, action units"""
    workers: int = 2
    """processes that simulate"""


def main(args: Args) -> None:
    """Record, resumable by episode."""
    stage = open_stage(args.out, "truth", vars(args) | {"out": "", "workers": 0})
    if stage.done:
        return
    shards = stage.work / "shards"
    shards.mkdir(exist_ok=True)
    seeds = take(VIDEO, args.seed, args.episodes)
    pairs = [(robot, task) for robot in ARMS for task in FILMED]
    jobs = [
        partial(play, robot, task, args, shards, [*seeds[n :: len(pairs)]])
        for n, (robot, task) in enumerate(pairs)
    ]
    with progress("truth", args.episodes) as advance:
        run_jobs(jobs, args.workers, lambda done: advance(done))
    features = {
        CAMERA: image_feature(args.size_px),
        "action": vector_feature("float32", list(ACTION_NAMES)),
        "ee_delta": vector_feature("float32", EE_NAMES),
        "camera_delta": vector_feature("float32", CAMERA_NAMES),
    }
    writer = EpisodeWriter(stage.work / "dataset", CONTROL_HZ, features)
    for seed in seeds:
        with np.load(shards / f"{seed}.npz", allow_pickle=False) as columns:
            task = str(columns["task"])
            writer.add({name: columns[name] for name in features}, task)
    writer.close()
    for part in (stage.work / "dataset").iterdir():
        part.rename(stage.work / part.name)
    (stage.work / "dataset").rmdir()
    for path in shards.iterdir():
        path.unlink()
    shards.rmdir()
    stage.finish()


def play(robot: str, task: str, args: Args, shards: Path, seeds: list[int]) -> int:
    """One arm and task, a shard an episode; how many there are."""
    env = RobosuiteEnv(
        task=task,
        robot=robot,
        size_px=args.size_px,
        camera_jitter=args.camera_jitter,
        camera_shake=args.camera_shake,
    )
    for seed in seeds:
        path = shards / f"{seed}.npz"
        if not path.exists():
            columns = episode(env, seed, args.action_noise)
            temporary = path.with_suffix(".tmp.npz")
            np.savez(temporary, allow_pickle=False, task=TASKS[task], **columns)
            temporary.replace(path)
    env.close()
    return len(seeds)


def episode(env: RobosuiteEnv, seed: int, noise: float) -> dict[str, np.ndarray]:
    """The disturbed expert's frames, what was executed and what came of it."""
    rng = np.random.default_rng([seed, 2])
    observation, info = env.reset(seed=seed)
    frames, states, sways, actions = [], [], [], []
    ended = False

    def keep(seen: dict[str, np.ndarray], facts: dict[str, Any]) -> None:
        frames.append(seen["frame"])
        states.append(seen["state"])
        sways.append(facts["camera_sway"])

    keep(observation, info)
    while not ended:
        action = env.expert_action()
        action[:-1] += rng.normal(0, noise, len(action) - 1)
        action = np.clip(action, -1, 1)
        observation, _, success, cut_off, info = env.step(action)
        actions.append(action)
        keep(observation, info)
        ended = success or cut_off
    return {
        CAMERA: np.stack(frames),
        "action": np.stack([*actions, np.zeros_like(actions[0])]).astype(np.float32),
        "ee_delta": _steps(np.stack(states)[:, [0, 1, 2, 9]]),
        "camera_delta": _steps(np.stack(sways)),
    }


def _steps(values: np.ndarray) -> np.ndarray:
    return np.diff(values, axis=0, append=values[-1:]).astype(np.float32)


if __name__ == "__main__":
    main(tyro.cli(Args))
