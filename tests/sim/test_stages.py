"""How far an episode came, told from true states along courses that end in each way."""

import numpy as np
import pytest

from robowm.sim.robosuite_env import TASKS
from robowm.sim.scene import Body, Privileged
from robowm.sim.stages import COURSES, StageTracker


def state(hand: tuple[float, ...], **objects: tuple[float, ...]) -> Privileged:
    """A hand and objects at places in metres."""
    bodies = {name: Body(np.array(at), np.eye(3)) for name, at in objects.items()}
    return Privileged(Body(np.array(hand), np.eye(3)), np.array([0.0, 1.0, 0.0]), 0.05, bodies)


FAR, ON_IT, UP_HIGH = (0.3, 0, 1.0), (0, 0, 0.83), (0, 0, 0.95)


@pytest.mark.parametrize(
    ("course", "stage"),
    [
        ([(FAR, (0, 0, 0.9)), (FAR, ON_IT)], "never reached"),
        ([(FAR, ON_IT), (ON_IT, ON_IT), (FAR, ON_IT)], "missed grasp"),
        ([((0, 0, 0.87), (0, 0, 0.9)), (ON_IT, ON_IT)], "missed grasp"),  # it fell to rest
        ([(ON_IT, ON_IT), (UP_HIGH, UP_HIGH), (UP_HIGH, ON_IT)], "dropped"),
        ([(ON_IT, ON_IT), (UP_HIGH, UP_HIGH), (FAR, (0.33, 0, 0.83))], "misplaced"),
        ([(ON_IT, ON_IT), (UP_HIGH, UP_HIGH)], "misplaced"),  # still in the hand
    ],
)
def test_a_can_on_its_way(course: list[tuple[tuple[float, ...], ...]], stage: str) -> None:
    tracker = StageTracker(COURSES["PickPlaceCan"])
    for hand, can in course:
        tracker.see(state(hand, Can=can, goal=(0.3, 0, 0.83)), success=False)
    assert tracker.stage == stage


def test_success_is_success_and_a_door_is_not_lifted() -> None:
    tracker = StageTracker(COURSES["Door"])
    tracker.see(state(FAR, handle=ON_IT), success=False)
    assert tracker.stage == "never reached"
    tracker.see(state(UP_HIGH, handle=UP_HIGH), success=False)
    assert tracker.stage == "missed grasp"
    tracker.see(state(FAR, handle=ON_IT), success=True)
    assert tracker.stage == "success"


def test_every_task_has_a_course() -> None:
    assert set(COURSES) == set(TASKS)
