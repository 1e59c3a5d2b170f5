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
CLEARANCE_M = 0.04  # between a carried cube and the one it passes over
OBSTACLE_M = 0.09  # nearer than this, another cube is in the way of a finger
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
        self._grasp = Grasp("cubeA", beside="cubeB")
        self._phase = "raise"
        self._last_offset_m = np.full(3, np.inf)
        self._opened_at_m = np.zeros(3)
        self._held_gap_m = 0.0

    def act(self, now: Privileged) -> np.ndarray:
        """The next action."""
        if self._phase != "open" and (action := self._grasp.act(now)) is not None:
            self._phase = "raise"
            return action
        cube, base = now.objects["cubeA"].pos_m, now.objects["cubeB"].pos_m
        offset = cube - base
        speed_m, self._last_offset_m = offset - self._last_offset_m, offset
        hand_over_cube = now.hand.pos_m - cube
        over = base + (STACKED_M + CLEARANCE_M) * UP + hand_over_cube
        if self._phase == "raise":
            if offset[2] > STACKED_M + 0.015:
                self._phase = "carry"
            return move(now, np.array([*self._grasp.picked_at_m[:2], over[2]]), CLOSE)
        if self._phase == "carry":
            if np.linalg.norm(offset[:2]) < 0.012 and np.linalg.norm(speed_m) < 0.012:
                self._phase = "lower"
            return move(now, over, CLOSE)
        if self._phase == "lower":
            if offset[2] < STACKED_M + 0.003 and np.linalg.norm(offset[:2]) < 0.016:
                self._phase = "open"
                self._opened_at_m, self._held_gap_m = now.hand.pos_m.copy(), now.gap_m
            return move(now, base + (STACKED_M - 0.004) * UP + hand_over_cube, CLOSE)
        rise_m = 0.08 if now.gap_m > self._held_gap_m + 0.008 else 0.0
        return move(now, self._opened_at_m + rise_m * UP, OPEN)


class Grasp:
    """The common beginning: over the object, down, close. None from `act` means it is held."""

    def __init__(self, name: str, beside: str | None = None) -> None:
        self._name, self._beside = name, beside
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
        obstacle_m = now.objects[self._beside].pos_m if self._beside else None
        yaw_rad = yaw_error(now, cube, obstacle_m)
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


def yaw_error(now: Privileged, cube: Body, obstacle_m: np.ndarray | None = None) -> float:
    """The least turn about z, rad, that makes the fingers close on two of the cube's faces.

    Next to an obstacle it is the pair of faces that leaves the obstacle out of the fingers' way.
    """
    fingers = np.arctan2(now.finger_axis[1], now.finger_axis[0])
    faces = np.arctan2(cube.axes[1, 0], cube.axes[0, 0])
    turn = _wrap(faces - fingers, np.pi / 2)
    if obstacle_m is None or np.linalg.norm(obstacle_m - cube.pos_m) > OBSTACLE_M:
        return turn
    towards = np.arctan2(*(obstacle_m - cube.pos_m)[[1, 0]])
    turns = [_wrap(turn + quarter, np.pi) for quarter in (0.0, np.pi / 2)]
    return min(turns, key=lambda t: abs(np.cos(fingers + t - towards)))


def _wrap(angle_rad: float, period_rad: float) -> float:
    return float((angle_rad + period_rad / 2) % period_rad - period_rad / 2)


EXPERTS: dict[str, Callable[[], Expert]] = {"Lift": LiftExpert, "Stack": StackExpert}
