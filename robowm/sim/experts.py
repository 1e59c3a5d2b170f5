"""Scripted experts: closed-loop, from the simulator's true state, one phase after another."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from robowm.sim.expert_door import DoorExpert
from robowm.sim.expert_place import CanExpert, NutExpert
from robowm.sim.grasp import CLOSE, OPEN, OPENED_M, UP, Grasp, move
from robowm.sim.scene import Privileged

LIFT_M = 0.12
STACKED_M = 0.045  # between the cubes' centres when one stands on the other
CLEARANCE_M = 0.04  # between a carried cube and the one it passes over


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
        rise_m = 0.08 if now.gap_m > self._held_gap_m + OPENED_M else 0.0
        return move(now, self._opened_at_m + rise_m * UP, OPEN)


EXPERTS: dict[str, Callable[[], Expert]] = {
    "Lift": LiftExpert,
    "Stack": StackExpert,
    "PickPlaceCan": CanExpert,
    "NutAssemblySquare": NutExpert,
    "Door": DoorExpert,
}
