"""Scripted experts: closed-loop, from the simulator's true state, one phase after another."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from robowm.sim.scene import Body, Privileged

POSITION_GAIN = 2.0  # action units of 5 cm asked for each 5 cm still to go
ROTATION_GAIN = 1.5
OPEN, CLOSE = -1.0, 1.0
UP = np.array([0.0, 0.0, 1.0])
ABOVE_M = 0.07  # how far over an object the hand waits until it stands right
LIFT_M = 0.12
STACKED_M = 0.045  # between the cubes' centres when one stands on the other
NEAR_M = 0.012
NEAR_RAD = 0.15


class Expert(Protocol):
    """Acts in one episode."""

    def act(self, now: Privileged) -> np.ndarray:
        """The next action: float32 (7,) in [-1, 1]."""


class LiftExpert:
    """Above the cube, down, close, up; back to the start when the cube was lost."""

    def __init__(self) -> None:
        self._grasp = Grasp("cube")

    def act(self, now: Privileged) -> np.ndarray:
        """The next action."""
        action = self._grasp.act(now)
        if action is not None:
            return action
        return move(now, self._grasp.picked_at_m + LIFT_M * UP, CLOSE)


class StackExpert:
    """Grasps cube A, carries it over cube B, lowers it, opens, and draws back."""

    def __init__(self) -> None:
        self._grasp = Grasp("cubeA")
        self._phase = "raise"
        self._waited_steps = 0

    def act(self, now: Privileged) -> np.ndarray:
        """The next action."""
        if self._phase in ("raise", "carry") and (action := self._grasp.act(now)) is not None:
            self._phase = "raise"
            return action
        cube, base = now.objects["cubeA"].pos_m, now.objects["cubeB"].pos_m
        hand_over_cube = now.hand.pos_m - cube
        over = base + (STACKED_M + 0.04) * UP + hand_over_cube
        if self._phase == "raise":
            up = np.array([*self._grasp.picked_at_m[:2], over[2]])
            if cube[2] > base[2] + 0.06:
                self._phase = "carry"
            return move(now, up, CLOSE)
        if self._phase == "carry":
            if np.linalg.norm((cube - base)[:2]) < 0.008:
                self._phase = "lower"
            return move(now, over, CLOSE)
        if self._phase == "lower":
            if cube[2] - base[2] < STACKED_M + 0.0025:
                self._phase = "open"
            return move(now, base + STACKED_M * UP + hand_over_cube, CLOSE)
        self._waited_steps += 1
        rise_m = 0.0 if self._waited_steps <= 4 else 0.05
        return move(now, now.hand.pos_m + rise_m * UP, OPEN)


class Grasp:
    """The common beginning: over the object, down, close. None from `act` means it is held."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._begin()

    def _begin(self) -> None:
        self._phase = "above"
        self._closing_steps = 0
        self._last_gap_m = np.inf
        self.picked_at_m = np.zeros(3)

    def act(self, now: Privileged) -> np.ndarray | None:
        """The next action, or None once the object is between the fingers."""
        cube = now.objects[self._name]
        if self._phase == "held":
            if np.linalg.norm(now.hand.pos_m - cube.pos_m) < 0.05:
                return None
            self._begin()
        yaw_rad = yaw_error(now, cube)
        error = cube.pos_m - now.hand.pos_m
        if self._phase == "above":
            if np.linalg.norm(error[:2]) < NEAR_M and abs(yaw_rad) < NEAR_RAD:
                self._phase = "down"
            return move(now, cube.pos_m + ABOVE_M * UP, OPEN, yaw_rad)
        if self._phase == "down":
            if np.linalg.norm(error) < NEAR_M:
                self._phase = "close"
            return move(now, cube.pos_m, OPEN, yaw_rad)
        self._closing_steps += 1
        if self._closing_steps > 3 and self._last_gap_m - now.gap_m < 0.001:
            self._phase = "held"
        self._last_gap_m = now.gap_m
        self.picked_at_m = cube.pos_m.copy()
        return move(now, cube.pos_m, CLOSE)


def move(now: Privileged, to_m: np.ndarray, gripper: float, yaw_rad: float = 0.0) -> np.ndarray:
    """The action that brings the hand towards `to_m`, upright, turned by `yaw_rad` about z."""
    position = POSITION_GAIN * (to_m - now.hand.pos_m) / 0.05
    upright = np.cross(now.hand.axes[:, 2], -UP)  # brings the fingers' axis down
    rotation = ROTATION_GAIN * (upright + yaw_rad * UP) / 0.5
    return np.clip([*position, *rotation, gripper], -1, 1).astype(np.float32)


def yaw_error(now: Privileged, cube: Body) -> float:
    """The least turn about z, rad, that makes the fingers close on two of the cube's faces."""
    fingers = np.arctan2(now.finger_axis[1], now.finger_axis[0])
    faces = np.arctan2(cube.axes[1, 0], cube.axes[0, 0])
    quarter = np.pi / 2
    return float((faces - fingers + quarter / 2) % quarter - quarter / 2)


EXPERTS: dict[str, Callable[[], Expert]] = {"Lift": LiftExpert, "Stack": StackExpert}
