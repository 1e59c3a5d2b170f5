"""Rollouts: one result a seed, whatever runs beside it."""

import json
from collections.abc import Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from robowm import recipes
from robowm.errors import UserError
from robowm.policy.controller import RandomController
from robowm.sim.rollout import EpisodeResult, ExpertController, open_envs, rollout
from robowm.sim.suite import Task


@pytest.fixture(scope="module")
def lift() -> Task:
    task: Task = recipes.load("sim_eval/robosuite").SUITE.task("Lift")
    return task


@pytest.fixture(scope="module")
def pair(lift: Task) -> Iterator[VectorEnv]:
    """Two worker processes."""
    with open_envs(lift, num_envs=2, size_px=32) as envs:
        yield envs


def test_results_do_not_depend_on_how_many_run_side_by_side(lift: Task, pair: VectorEnv) -> None:
    seeds = [4, 9, 2]
    with open_envs(lift, num_envs=1, size_px=32) as single:
        alone = rollout(single, ExpertController(single, 7), seeds, keep_frames_of=[9, 2])
    ended: list[EpisodeResult] = []
    together = rollout(
        pair, ExpertController(pair, 7), seeds, keep_frames_of=[9, 2], on_episode=ended.append
    )
    assert alone == together
    assert [result.seed for result in together] == seeds
    assert sorted(result.seed for result in ended) == sorted(seeds)
    assert all(result.success and result.length < 35 for result in together)
    assert together[0].frames is None
    for one, other in zip(alone[1:], together[1:], strict=True):
        assert one.frames is not None and other.frames is not None
        assert one.frames.shape == (one.length + 1, 32, 32, 3)
        np.testing.assert_array_equal(one.frames, other.frames)


def test_fewer_seeds_than_slots(pair: VectorEnv) -> None:
    missed = rollout(pair, RandomController(-np.ones(7), np.ones(7)), [8])
    assert missed == [EpisodeResult(seed=8, success=False, length=50)]


class Telling(gymnasium.Env):
    """Ends after one step, and says how it went when its seed is odd."""

    observation_space = gymnasium.spaces.Dict(
        {"frame": gymnasium.spaces.Box(0, 255, (8, 8, 3), np.uint8)}
        | {"state": gymnasium.spaces.Box(-1, 1, (2,))}
    )
    action_space = gymnasium.spaces.Box(-1, 1, (7,))

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple:
        self.seed = seed or 0
        return self._see(), {}

    def step(self, action: np.ndarray) -> tuple:
        info: dict = {"success": False}
        if self.seed % 2:
            moved = {"moved": np.bool_(True), "lift_m": np.float32(0.5)}
            info |= {"layout": self.seed, "stage": "dropped", "partial": moved}
        return self._see(), 0.0, False, True, info

    def _see(self) -> dict[str, np.ndarray]:
        return {"frame": np.zeros((8, 8, 3), np.uint8), "state": np.zeros(2, np.float32)}


def test_what_an_environment_says_at_the_end_is_in_the_result() -> None:
    envs = SyncVectorEnv([Telling] * 2, autoreset_mode=AutoresetMode.DISABLED)
    silent, told = rollout(envs, RandomController(-np.ones(7), np.ones(7)), [4, 3])
    assert silent == EpisodeResult(4, False, 1)
    assert told == EpisodeResult(
        3, False, 1, layout=3, stage="dropped", partial={"moved": True, "lift_m": 0.5}
    )
    assert json.dumps(told.partial) == '{"moved": true, "lift_m": 0.5}'


def test_an_unknown_robot_is_refused_before_anything_starts(lift: Task) -> None:
    with pytest.raises(UserError, match=r"no robot 'UR5'.*Did you mean 'UR5e'"):
        with open_envs(lift, robot="UR5"):
            pass
