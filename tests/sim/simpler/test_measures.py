"""Partial scores: each stage from an episode that failed there; the expert's choice of grasp."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from robowm.sim.simpler.expert import grasp_axes, reach_m
from robowm.sim.simpler.measures import Tally
from robowm.sim.simpler.scene import Frame, Privileged

AWAY = Frame(np.array([0.3, 0.1, 0.2]), np.eye(3))
AT = Frame(np.array([0.3, 0.0, 0.0]), np.eye(3))
START = Privileged(AWAY, AWAY, AT, AT, 0.05, 0.0, 0.07, 0, False, False)
NEAR = replace(START, hand=AT)
HELD = replace(NEAR, grasped_steps=1)


def stage(*steps: tuple[float, Privileged]) -> str:
    tally, before = Tally(), START
    for gripper, after in steps:
        tally.before(before, gripper)
        tally.after(after)
        before = after
    return tally.stage(success=False)


def test_stages() -> None:
    assert stage((1, START), (-1, START)) == "never reached"
    assert stage((1, NEAR), (-1, NEAR), (-1, START)) == "missed grasp"
    assert stage((1, NEAR), (-1, HELD), (-1, NEAR)) == "dropped"
    assert stage((-1, HELD), (1, NEAR)) == "misplaced"
    assert stage((-1, HELD), (-1, HELD)) == "misplaced"  # never let go
    assert stage((-1, HELD), (-1, NEAR), (-1, HELD), (1, NEAR)) == "misplaced"
    assert Tally().stage(success=True) == "success"


def test_partial_scores_stay_once_they_are_reached() -> None:
    tally = Tally()
    assert "first_close_off_m" not in tally.partial()
    for steps, moved in ((4, False), (5, True), (0, False)):
        tally.before(NEAR, -1)
        tally.after(replace(NEAR, grasped_steps=steps, moved=moved))
    found = tally.partial()
    assert found["grasped"] and found["grasped_5_steps"] and found["moved"]
    assert found["first_close_off_m"] == 0


def test_distance_is_to_the_long_axis() -> None:
    along = replace(START, hand=Frame(np.array([0.34, 0.0, 0.02]), np.eye(3)))
    beyond = replace(START, hand=Frame(np.array([0.38, 0.0, 0.0]), np.eye(3)))
    assert reach_m(along) == pytest.approx(0.02)
    assert reach_m(beyond) == pytest.approx(0.03)


@pytest.mark.parametrize("square", [False, True])
def test_the_grasp_depends_on_the_object_alone_and_crosses_it(square: bool) -> None:
    period, least = (90, -45) if square else (180, -60)
    for yaw_deg in range(-172, 180, 10):
        source = Frame(np.zeros(3), Rotation.from_euler("z", yaw_deg, degrees=True).as_matrix())
        axes = grasp_axes(source, square)
        np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
        assert np.linalg.det(axes) == pytest.approx(1)
        np.testing.assert_allclose(axes[:, 0], [0, 0, -1])
        closing = np.degrees(np.arctan2(-axes[0, 1], axes[1, 1]))  # from the base's y axis
        assert least <= closing < least + period
        crossing = source.axes[:, 0] @ axes[:, 1]
        assert min(abs(crossing), abs(abs(crossing) - 1) if square else 2) < 1e-9
        turned = Rotation.from_euler("z", yaw_deg + period, degrees=True).as_matrix()
        np.testing.assert_allclose(grasp_axes(Frame(np.zeros(3), turned), square), axes, atol=1e-9)
