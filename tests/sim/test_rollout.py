"""Rollouts: one result a seed, whatever runs beside it."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from robowm import recipes
from robowm.errors import UserError
from robowm.policy.controller import RandomController
from robowm.sim.rollout import EpisodeResult, ExpertController, open_envs, rollout
from robowm.sim.suite import Task


@pytest.fixture(scope="module")
def lift() -> Task:
    task: Task = recipes.load("sim_eval/robosuite").SUITE.task("Lift")
    return task


def short(task: Task, steps: int) -> Task:
    return replace(task, make_env=partial(task.make_env, max_steps=steps))


def chance() -> RandomController:
    return RandomController(-np.ones(7), np.ones(7))


def test_results_do_not_depend_on_how_many_run_side_by_side(lift: Task) -> None:
    seeds = [4, 9, 2]
    results = []
    for num_envs in (1, 2):
        with open_envs(short(lift, 5), num_envs=num_envs, size_px=32) as envs:
            results.append(rollout(envs, chance(), seeds, keep_frames_of=seeds))
    alone, together = results
    assert alone == together
    assert [result.seed for result in together] == seeds
    for one, other in zip(alone, together, strict=True):
        assert one.frames is not None and other.frames is not None
        assert one.frames.shape == (6, 32, 32, 3)
        np.testing.assert_array_equal(one.frames, other.frames)


def test_one_pool_serves_several_controllers_and_few_seeds(lift: Task) -> None:
    ended: list[EpisodeResult] = []
    with open_envs(lift, num_envs=2, size_px=16) as envs:
        (solved,) = rollout(envs, ExpertController(envs, 7), [8], on_episode=ended.append)
        missed = rollout(envs, chance(), [8], keep_frames_of=[1])
    assert solved.success and solved.length < 35
    assert ended == [solved]
    assert missed == [EpisodeResult(seed=8, success=False, length=50)]
    assert missed[0].frames is None


def test_an_unknown_robot_is_refused_before_anything_starts(lift: Task) -> None:
    with pytest.raises(UserError, match=r"no robot 'UR5'.*Did you mean 'UR5e'"):
        with open_envs(lift, robot="UR5"):
            pass
