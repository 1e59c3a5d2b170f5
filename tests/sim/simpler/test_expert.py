"""The expert's law, in a world without physics: what is held moves with the hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robowm.sim.simpler.expert import NEAR_M, RECIPES, STEP_M, Expert
from robowm.sim.simpler.scene import Frame, Privileged

LAW = 4.0  # an action changes by at most so much more than the pose it is asked at
TABLE_Z_M = 0.02


def scene(rng: np.random.Generator) -> Privileged:
    hand = Frame(np.array([0.3, 0.0, 0.2]), Rotation.from_euler("y", 90, True).as_matrix())
    yaw = Rotation.from_euler("z", rng.uniform(-180, 180), True).as_matrix()
    source_m, target_m = rng.uniform([0.2, -0.2, 0.04], [0.4, 0.2, 0.04], (2, 3))
    return Privileged(
        hand=hand,
        commanded=hand,
        source=Frame(source_m, yaw),
        target=Frame(target_m, np.eye(3)),
        half_length_m=0.05,
        table_z_m=TABLE_Z_M,
        fingers_m=0.076,
        grasped_steps=0,
        moved=False,
        success=False,
    )


def moved(now: Privileged, action: np.ndarray) -> Privileged:
    """The command is followed at once; closed fingers carry what is between them."""
    axes = Rotation.from_euler("XYZ", action[3:6]).as_matrix() @ now.hand.axes
    hand = Frame(now.hand.pos_m + action[:3], axes)
    closed = action[-1] < 0
    near = np.linalg.norm(now.source.pos_m - now.hand.pos_m) < 0.03
    source = now.source
    if closed and near:
        source = Frame(source.pos_m + action[:3], source.axes)
    over = np.linalg.norm((source.pos_m - now.target.pos_m)[:2]) < 0.03
    return replace(now, hand=hand, commanded=hand, source=source, success=bool(over and not closed))


@pytest.mark.parametrize("task", RECIPES)
def test_it_brings_the_source_to_the_target_from_above(task: str) -> None:
    for seed in range(8):
        now, expert = scene(np.random.default_rng(seed)), Expert(task)
        start_m, closed = now.source.pos_m, False
        for _ in range(60):
            action = expert.act(now)
            closed = closed or action[-1] < 0
            if not closed:
                off_m = np.linalg.norm((now.hand.pos_m - start_m)[:2])
                assert off_m < 0.05 or now.hand.pos_m[2] > start_m[2] + 0.03
            now = moved(now, action)
            if expert.done:
                break
        assert expert.done and now.success


def test_near_poses_ask_for_near_actions() -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        now = scene(rng)
        pos_m = now.source.pos_m + rng.uniform([-0.1, -0.1, 0], [0.1, 0.1, 0.1])
        step_m = rng.normal(0, 0.001, 3)
        actions = []
        for at in (pos_m, pos_m + step_m):
            hand = Frame(at, now.hand.axes)
            actions.append(Expert("carrot").act(replace(now, hand=hand, commanded=hand)))
        change_m = np.linalg.norm(actions[1][:3] - actions[0][:3])
        assert change_m <= LAW * np.linalg.norm(step_m) + 1e-9
        assert np.linalg.norm(actions[0][:3]) <= STEP_M + 1e-9


def test_it_closes_only_where_it_shall() -> None:
    now = scene(np.random.default_rng(3))
    expert = Expert("stack")
    for _ in range(40):
        action = expert.act(now)
        if action[-1] < 0:
            break
        now = moved(now, action)
    assert action[-1] < 0
    assert np.linalg.norm((now.hand.pos_m - now.source.pos_m)[:2]) < NEAR_M
