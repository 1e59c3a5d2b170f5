"""What a recording's worker process does: play episodes, and leave each as one whole file.

Imports little, for every worker pays for it.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from robowm.sim.film import write_mp4

VIDEO_CRF = 12


def film(make_env: Callable[[], Any], noise: float, fps: int, paths: dict[int, Path]) -> list[int]:
    """Play the seeds and write their frames, nothing else, as mp4. Returns the seeds."""
    env = make_env()
    for seed, path in paths.items():
        frames = [step["frame"] for step in episode(env, seed, noise)]
        write_mp4(path, np.stack(frames), fps, crf=VIDEO_CRF)
    env.close()
    return list(paths)


def demonstrate(
    make_env: Callable[[], Any], shards: Path, noise: float, seeds: Sequence[int]
) -> list[int]:
    """Play the seeds and write a shard for each, success or not. Returns the seeds."""
    env = make_env()
    for seed in seeds:
        steps = episode(env, seed, noise)
        success = steps.pop()["success"]  # the last observation has no action after it
        path = shard(shards, seed)
        temporary = path.with_suffix(".tmp.npz")
        columns = {k: np.stack([step[k] for step in steps]) for k in ("frame", "state", "action")}
        np.savez(temporary, allow_pickle=False, success=success, **columns)
        temporary.replace(path)
    env.close()
    return list(seeds)


def episode(env: Any, seed: int, noise: float) -> list[dict[str, Any]]:
    """The expert's episode, disturbed: each step's observation with the `action` it asked for.

    Args:
        env: an environment with `expert_action()`.
        seed: of the layout and the noise.
        noise: standard deviation, in action units, of what is added before the action is executed;
            the last element, the gripper's, is left alone.

    Returns:
        a dictionary a step, and after them the last observation with the episode's `success`.
    """
    rng = np.random.default_rng([seed, 2])
    observation, info = env.reset(seed=seed)
    steps, ended = [], False
    while not ended:
        asked = env.expert_action()
        steps.append(observation | {"action": asked})
        disturbed = asked.copy()
        disturbed[:-1] += rng.normal(0, noise, len(asked) - 1)
        observation, _, success, cut_off, info = env.step(np.clip(disturbed, -1, 1))
        ended = success or cut_off or info.get("expert_done", False)
    return [*steps, observation | {"success": info["success"]}]


def shard(folder: Path, seed: int) -> Path:
    """Where the episode of a seed is kept until the dataset is put together."""
    return folder / f"{seed}.npz"


def read_shard(folder: Path, seed: int) -> dict[str, np.ndarray]:
    """`frame`, `state`, `action`, each with T on its first axis, and `success`."""
    with np.load(shard(folder, seed), allow_pickle=False) as file:
        return dict(file)
