"""The scripted experts do what they are for, on every arm that is offered."""

import numpy as np
import pytest

from robowm.sim.robosuite_env import ROBOTS, RobosuiteEnv
from robowm.sim.seeds import DEMONSTRATION, VIDEO


def solve(env: RobosuiteEnv, seed: int, noise: float = 0.0) -> tuple[bool, int]:
    rng = np.random.default_rng(seed)
    env.reset(seed=seed)
    for step in range(1, env.max_steps + 1):
        action = env.expert_action()
        assert env.action_space.contains(action)
        action[:6] += rng.normal(0, noise, 6)
        *_, success, _, _ = env.step(np.clip(action, -1, 1))
        if success:
            return True, step
    return False, env.max_steps


def test_panda_lifts_in_about_two_seconds() -> None:
    env = RobosuiteEnv(task="Lift", size_px=16)
    results = [solve(env, seed) for seed in DEMONSTRATION[:3]]
    env.close()
    assert all(success for success, _ in results)
    assert np.mean([steps for _, steps in results]) < 28


def test_panda_lifts_through_noise() -> None:
    env = RobosuiteEnv(task="Lift", size_px=16)
    results = [solve(env, seed, noise=0.2) for seed in DEMONSTRATION[:2]]
    env.close()
    assert all(success for success, _ in results)


def test_panda_stacks() -> None:
    env = RobosuiteEnv(task="Stack", size_px=16)
    success, steps = solve(env, DEMONSTRATION[6])  # the cubes touch
    env.close()
    assert success and steps < 60


@pytest.mark.parametrize("task", ["PickPlaceCan", "NutAssemblySquare", "Door"])
def test_panda_carries_assembles_and_opens(task: str) -> None:
    env = RobosuiteEnv(task=task, size_px=16)
    success, steps = solve(env, VIDEO[0])
    env.close()
    assert success and steps < env.max_steps


def test_a_can_is_let_go_where_it_stands_by_an_upright_hand() -> None:
    env = RobosuiteEnv(task="PickPlaceCan", size_px=16)
    env.reset(seed=VIDEO[1])
    tilt_rad, carried, heights_m = [], False, []
    for _ in range(env.max_steps):
        action, now = env.expert_action(), env._now
        tilt_rad.append(np.arccos(-now.hand.axes[2, 2]))
        carried |= action[-1] > 0
        if carried and action[-1] < 0:
            heights_m.append(now.objects["Can"].pos_m[2] - now.objects["goal"].pos_m[2])
        *_, success, _, _ = env.step(action)
        if success:
            break
    env.close()
    assert success
    assert max(tilt_rad) < 0.2  # at the end of its reach it tumbled
    assert max(heights_m) < 0.03


@pytest.mark.parametrize("robot", [robot for robot in ROBOTS if robot != "Panda"])
def test_every_other_arm_lifts(robot: str) -> None:
    env = RobosuiteEnv(task="Lift", robot=robot, size_px=16)
    success, _ = solve(env, DEMONSTRATION[0])
    env.close()
    assert success
