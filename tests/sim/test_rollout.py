"""Rollouts: one result a seed, whatever runs beside it."""

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from robowm import recipes
from robowm.batch import Observation
from robowm.errors import UserError
from robowm.policy.controller import RandomController
from robowm.sim.pool import EnvPool
from robowm.sim.rollout import EpisodeResult, ExpertController, open_envs, rollout
from robowm.sim.suite import Task

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def lift() -> Task:
    """Lift, cut off after 35 steps."""
    task: Task = recipes.load("sim_eval/robosuite").SUITE.task("Lift")
    return replace(task, make_env=partial(task.make_env, max_steps=35))


@pytest.fixture(scope="module")
def glimpse(lift: Task) -> Task:
    """Lift, cut off after six steps."""
    return replace(lift, make_env=partial(lift.make_env, max_steps=6))


@pytest.fixture(scope="module")
def pair(lift: Task) -> Iterator[EnvPool]:
    """Two worker processes."""
    with open_envs(lift, num_envs=2, size_px=32) as envs:
        yield envs


def test_results_do_not_depend_on_how_many_run_side_by_side(lift: Task, pair: EnvPool) -> None:
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


def test_fewer_seeds_than_slots(pair: EnvPool) -> None:
    missed = rollout(pair, RandomController(-np.ones(7), np.ones(7)), [8])
    assert missed == [EpisodeResult(seed=8, success=False, length=35, stage="never reached")]


class Interrupter(RandomController):
    """Chance, until `kill(seed, step)` says that the simulator's process be killed."""

    def __init__(self, envs: EnvPool, kill: Callable[[int, int], bool]) -> None:
        super().__init__(-np.ones(7), np.ones(7))
        self._envs, self._kill = envs, kill

    def reset(self, slot: int, seed: int) -> None:
        super().reset(slot, seed)
        self._seeds = getattr(self, "_seeds", {}) | {slot: [seed, 0]}

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        for slot in slots:
            seed, step = self._seeds[slot]
            self._seeds[slot][1] += 1
            if self._kill(seed, step):
                pid = self._envs.pid(slot)
                assert pid and pid != os.getpid()
                os.kill(pid, signal.SIGKILL)
        return super().act(slots, observations)


def test_a_killed_worker_costs_no_episode(pair: EnvPool, lift: Task) -> None:
    kills: list[int] = []

    def once(seed: int, step: int) -> bool:
        dies = step == 3 and seed == 6 and not kills
        kills.extend([seed] * dies)
        return dies

    disturbed = rollout(pair, Interrupter(pair, once), [6, 7], keep_frames_of=[6])
    with open_envs(lift, num_envs=1, size_px=32) as single:
        (alone,) = rollout(single, RandomController(-np.ones(7), np.ones(7)), [6], "", [6])
    assert kills == [6]
    assert disturbed[0] == replace(alone, retries=1)
    assert disturbed[0].frames is not None and alone.frames is not None
    np.testing.assert_array_equal(disturbed[0].frames, alone.frames)
    assert (disturbed[1].seed, disturbed[1].length, disturbed[1].retries) == (7, 35, 0)


def test_after_so_many_tries_the_episode_is_a_failure_with_a_reason(pair: EnvPool) -> None:
    always = Interrupter(pair, lambda seed, step: seed == 5 and step == 3)
    hopeless, beside = rollout(pair, always, [5, 8], max_retries=0)
    assert hopeless.error == "the simulator's process died of SIGKILL"
    assert (hopeless.success, hopeless.retries, hopeless.length) == (False, 0, 3)
    assert (beside.error, beside.length) == (None, 35)


class Lost(RandomController):
    """Chance, whose third action is not a number."""

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        self.asked = getattr(self, "asked", 0) + 1
        actions = super().act(slots, observations)
        return np.where(self.asked == 3, np.float32("nan"), actions)


def test_a_policy_that_answers_nan_fails_its_episode_only(glimpse: Task) -> None:
    with open_envs(glimpse, num_envs=1, size_px=16) as envs:
        lost, well = rollout(envs, Lost(-np.ones(7), np.ones(7)), [1, 2])
    assert not lost.success and lost.length == 2
    assert lost.error and lost.error.startswith("the policy's action is not finite: [nan nan")
    assert well == EpisodeResult(seed=2, success=False, length=6, stage="never reached")


def test_what_a_simulator_raises_is_the_reason(glimpse: Task) -> None:
    broken = replace(glimpse, make_env=partial(glimpse.make_env, max_steps="many"))
    with open_envs(broken, num_envs=1, size_px=16) as envs:
        (result,) = rollout(envs, RandomController(-np.ones(7), np.ones(7)), [1], max_retries=1)
    assert result.error and result.error.startswith("the simulator raised TypeError: '>=' not")
    assert (result.retries, result.length) == (1, 0)


def test_an_unknown_robot_is_refused_before_anything_starts(lift: Task) -> None:
    with pytest.raises(UserError, match=r"no robot 'UR5'.*Did you mean 'UR5e'"):
        with open_envs(lift, robot="UR5"):
            pass
