"""SIMPLER's scripted expert: closed loop from the simulator's true state, no planner.

To the object, close, to the target, open, up, stay. What it asks for leads from the *commanded*
pose, for that is what the controller adds actions to. On its way it is high where it is not over
its goal, and the change from one to the other is continuous, so that near poses ask for near
actions: a policy cannot learn a sequence of waypoints that it does not see. When the object is not
between the fingers any more, it begins again.
"""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from robowm.sim.simpler.scene import Frame, Privileged

OPEN, CLOSE = 1.0, -1.0
STEP_M, STEP_RAD = 0.035, 0.35  # at most, in a control step
NEAR_M, NEAR_RAD = 0.008, 0.12
NEAR_OVER_M = 0.015  # where precision is not needed yet
ABOVE_M = 0.06
FUNNEL = 2.5  # metres up for a metre away
TURN_M = 0.03  # a radian away from the goal's heading counts as so much
SIDEWAYS_BELOW_M = 0.03  # no motion sideways when it must rise by more
UP_M = 0.05
GRIPPER_STEPS = 2
HOLD_STEPS = 3
HELD_M = 0.05  # the object's axis is nearer than this to the hand, or it was lost
DOWN = np.array([0.0, 0.0, -1.0])


@dataclass(frozen=True)
class Recipe:
    """What differs between the tasks, metres.

    Attributes:
        grasp_m: the grasped point, in the source's own axes.
        raise_m: this much higher than the point.
        least_m: the hand stays this high over the table; None: the source lies in a sink.
        lift_m: how high the source is lifted before it is carried.
        release_m: the hand opens this much over the target's origin, besides the height over the
            table at which it has grasped.
        square: the source looks the same after a quarter turn.
    """

    grasp_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    raise_m: float = 0.0
    least_m: float | None = 0.008
    lift_m: float = 0.07
    release_m: float = 0.008
    square: bool = False


RECIPES = {
    "spoon": Recipe(grasp_m=(0.02, 0.0, 0.0)),
    "carrot": Recipe(raise_m=0.002),
    "stack": Recipe(release_m=0.031, square=True),
    "eggplant": Recipe(least_m=None, lift_m=0.10, release_m=0.06),
}


class Expert:
    """Acts in one episode.

    Attributes:
        done: the task is done and the hand has drawn back and stayed for some steps.
    """

    def __init__(self, task: str) -> None:
        self._recipe = RECIPES[task]
        self.done = False
        self._begin()

    def act(self, now: Privileged) -> np.ndarray:
        """The next action, float64 (7,): metres, XYZ Euler angles in rad, gripper.

        Everything in the frame of the robot's base.
        """
        if self._phase == "bring" and reach_m(now) > HELD_M:
            self._begin()
        if self._phase == "reach":
            self._upright = grasp_axes(now.source, self._recipe.square)
            self._grasp_m = grasp_point(self._recipe, now)
            action, there = self._towards(now, self._grasp_m, OPEN, ABOVE_M)
            self._next("close", there)
        elif self._phase == "close":
            action, _ = self._straight(now, self._grasp_m, CLOSE)
            self._next("bring", self._steps >= GRIPPER_STEPS)
        elif self._phase == "bring":
            self._release_m = release_point(self._recipe, now, self._grasp_m)
            action, there = self._towards(now, self._release_m, CLOSE, self._recipe.lift_m)
            self._next("open", there)
        elif self._phase == "open":
            action, _ = self._straight(now, self._release_m, OPEN)
            self._next("retreat", self._steps >= GRIPPER_STEPS)
        else:
            away_m = self._release_m - UP_M * DOWN
            action, there = self._straight(now, away_m, OPEN, NEAR_OVER_M)
            self._next("stay", there and self._phase == "retreat")
            if self._phase == "stay" and self._steps >= HOLD_STEPS:
                self.done = now.success
                if not self.done:
                    self._begin()
        return action

    def _begin(self) -> None:
        self._phase, self._steps = "reach", 0
        self._upright = np.eye(3)
        self._grasp_m = self._release_m = np.zeros(3)

    def _next(self, phase: str, when: bool) -> None:
        self._steps += 1
        if when:
            self._phase, self._steps = phase, 0

    def _towards(
        self, now: Privileged, to_m: np.ndarray, gripper: float, above_m: float
    ) -> tuple[np.ndarray, bool]:
        """Through a funnel: high while away from it or turned, and sideways only when high."""
        way_m = to_m - now.commanded.pos_m
        turn_rad = np.linalg.norm(self._turn(now))
        off_m = np.linalg.norm(way_m[:2]) + turn_rad * TURN_M
        rise_m = way_m[2] + np.clip(FUNNEL * (off_m - NEAR_M), 0, above_m)
        free = np.clip((SIDEWAYS_BELOW_M - rise_m) / SIDEWAYS_BELOW_M, 0, 1)
        there = off_m - TURN_M * turn_rad < NEAR_M and turn_rad < NEAR_RAD and abs(rise_m) < NEAR_M
        return self._action(now, np.array([*(free * way_m[:2]), rise_m]), gripper), bool(there)

    def _straight(
        self, now: Privileged, to_m: np.ndarray, gripper: float, near_m: float = NEAR_M
    ) -> tuple[np.ndarray, bool]:
        """The shortest way; and whether the command will then be there."""
        way_m = to_m - now.commanded.pos_m
        there = np.linalg.norm(way_m) < near_m + STEP_M
        return self._action(now, way_m, gripper), bool(there)

    def _turn(self, now: Privileged) -> np.ndarray:
        return Rotation.from_matrix(self._upright @ now.commanded.axes.T).as_rotvec()

    def _action(self, now: Privileged, way_m: np.ndarray, gripper: float) -> np.ndarray:
        turn = Rotation.from_rotvec(_at_most(self._turn(now), STEP_RAD)).as_euler("XYZ")
        return np.array([*_at_most(way_m, STEP_M), *turn, gripper])


def grasp_point(recipe: Recipe, now: Privileged) -> np.ndarray:
    """Where the hand closes, (3,) metres."""
    point = now.source.pos_m + now.source.axes @ np.array(recipe.grasp_m)
    point[2] += recipe.raise_m
    if recipe.least_m is not None:
        point[2] = max(point[2], now.table_z_m + recipe.least_m)
    return point


def release_point(recipe: Recipe, now: Privileged, grasp_m: np.ndarray) -> np.ndarray:
    """Where the hand opens, (3,) metres, after it has closed at `grasp_m`."""
    height = float(now.target.pos_m[2]) + recipe.release_m
    if recipe.least_m is not None:
        height += float(grasp_m[2]) - now.table_z_m
    return np.array([*now.target.pos_m[:2], height])


def grasp_axes(source: Frame, square: bool) -> np.ndarray:
    """The hand's axes (3, 3) for a grasp from above, in the base frame.

    Its x axis points down, its y axis (in which the fingers close) is horizontal and crosses the
    source's long axis. Of the two or four ways to do that, the object alone decides, never the
    hand: y is turned from the base's by -60 to 120 degrees, or by -45 to 45 if `square`. The jump
    from one end to the other is far from SIMPLER's own headings, multiples of 90 degrees.
    """
    along = source.axes[:, 0]
    period, least = (np.pi / 2, -np.pi / 4) if square else (np.pi, -np.pi / 3)
    from_y = (np.arctan2(along[1], along[0]) - least) % period + least
    y = np.array([-np.sin(from_y), np.cos(from_y), 0.0])
    return np.stack([DOWN, y, np.cross(DOWN, y)], axis=1)


def reach_m(now: Privileged, from_above: bool = False) -> float:
    """Distance of the point between the finger tips from the source's long axis, metres.

    Args:
        from_above: as seen from above, heights left out.
    """
    offset = now.hand.pos_m - now.source.pos_m
    along = now.source.axes[:, 0]
    nearest = np.clip(offset @ along, -now.half_length_m, now.half_length_m)
    return float(np.linalg.norm((offset - nearest * along)[: 2 if from_above else 3]))


def _at_most(vector: np.ndarray, length: float) -> np.ndarray:
    size = float(np.linalg.norm(vector))
    return vector if size <= length else vector * (length / size)
