"""Experts that carry one thing to its place: a can into a bin, a square nut onto a square peg."""

import numpy as np

from robowm.sim.grasp import CLOSE, OPEN, OPENED_M, UP, Grasp, heading, move, wrap
from robowm.sim.scene import Privileged

WALLS_M = 0.13  # how far over the goal a can is carried, clear of the bins' walls
DROP_M = 0.02  # a can is let go so far above where it will stand
NEARER_M = np.array([0.04, 0.03, 0.0])  # the middle of its part is where a Panda's reach ends
INSIDE_M = np.array([0.07, 0.09])  # from the middle of its part of the bin, x and y: well in
STILL_M = 0.01  # a step of the hand that does not get further: the arm's reach ends
PEG_TOP_M = 0.10  # over the peg's centre
OVER_PEG_M = 0.04  # clear of the peg's top
ON_PEG_M = 0.02  # below the peg's top: it will not come off when let go
CENTRED_M = 0.005
ALIGNED_RAD = 0.08


class CanExpert:
    """Grasps the can, carries it over the walls to its own part of the other bin, lets it go."""

    def __init__(self) -> None:
        self._grasp = Grasp("Can", faces_rad=0, above_m=0.1)
        self._phase = "raise"
        self._opened_at_m = self._last_m = np.zeros(3)
        self._held_gap_m = 0.0

    def act(self, now: Privileged) -> np.ndarray:
        """The next action."""
        if self._phase != "open" and (action := self._grasp.act(now)) is not None:
            self._phase = "raise"
            return action
        can, middle = now.objects["Can"].pos_m, now.objects["goal"].pos_m
        to_goal = middle - NEARER_M - can
        still = np.linalg.norm(now.hand.pos_m - self._last_m) < STILL_M
        self._last_m = now.hand.pos_m.copy()
        if self._phase == "raise":
            if to_goal[2] < 0.02 - WALLS_M:
                self._phase = "carry"
            return move(now, now.hand.pos_m + (to_goal[2] + WALLS_M) * UP, CLOSE)
        if self._phase == "carry":
            inside = still and (np.abs(middle - can)[:2] < INSIDE_M).all()
            if np.linalg.norm(to_goal[:2]) < 0.03 or inside:
                self._phase = "lower"
            return move(now, now.hand.pos_m + to_goal + WALLS_M * UP, CLOSE)
        if self._phase == "lower":
            if to_goal[2] > -DROP_M:
                self._phase = "open"
                self._opened_at_m, self._held_gap_m = now.hand.pos_m.copy(), now.gap_m
            return move(now, now.hand.pos_m + to_goal, CLOSE)
        rise_m = 0.1 if now.gap_m > self._held_gap_m + OPENED_M else 0.0
        return move(now, self._opened_at_m + rise_m * UP, OPEN)


class NutExpert:
    """Grasps the nut by its handle, turns it over the peg, lowers it, lets it go."""

    def __init__(self) -> None:
        self._grasp = Grasp("handle")
        self._phase = "grasp"
        self._home_rad: float | None = None
        self._side_rad, self._handle_rad = 0.0, np.pi

    def act(self, now: Privileged) -> np.ndarray:
        """The next action."""
        if self._home_rad is None:
            self._home_rad = heading(now.finger_axis)
            self._plan(now)
        turn_rad = self._turn_to_nut(now)
        if self._phase != "open" and (action := self._grasp.act(now, turn_rad)) is not None:
            if self._phase != "grasp":  # lost on the way
                self._plan(now)
            self._phase = "grasp"
            return action
        to_peg = now.objects["peg"].pos_m + PEG_TOP_M * UP - now.objects["SquareNut"].pos_m
        turn_rad = self._turn_to_peg(now)
        over = now.hand.pos_m + to_peg + OVER_PEG_M * UP
        if self._phase in ("grasp", "raise"):
            self._phase = "carry" if to_peg[2] < 0.01 - OVER_PEG_M else "raise"
            return move(now, np.array([*now.hand.pos_m[:2], over[2]]), CLOSE)
        if self._phase == "carry":
            if np.linalg.norm(to_peg[:2]) < CENTRED_M and abs(turn_rad) < ALIGNED_RAD:
                self._phase = "lower"
            return move(now, over, CLOSE, turn_rad)
        if self._phase == "lower":
            if to_peg[2] > ON_PEG_M:
                self._phase = "open"
            return move(now, now.hand.pos_m + to_peg - 2 * ON_PEG_M * UP, CLOSE, turn_rad)
        return move(now, now.hand.pos_m, OPEN)

    def _plan(self, now: Privileged) -> None:
        """Which way round to grasp, and where the handle will point: least far from home.

        Never away from the robot: there it would have to reach too far.
        """
        nut_rad = heading(now.objects["SquareNut"].axes[:, 0])
        choices = [
            (side_rad, handle_rad)
            for side_rad in (np.pi / 2, -np.pi / 2)
            for handle_rad in (np.pi, np.pi / 2, -np.pi / 2)
        ]

        def furthest_rad(choice: tuple[float, float]) -> float:
            side_rad, handle_rad = choice
            at = (nut_rad + side_rad, handle_rad + side_rad)
            return max(abs(self._from_home(finger_rad)) for finger_rad in at)

        self._side_rad, self._handle_rad = min(choices, key=furthest_rad)

    def _turn_to_nut(self, now: Privileged) -> float:
        nut_rad = heading(now.objects["SquareNut"].axes[:, 0])
        wanted_rad = self._from_home(nut_rad + self._side_rad)
        return wanted_rad - self._from_home(heading(now.finger_axis))

    def _turn_to_peg(self, now: Privileged) -> float:
        nut_rad = heading(now.objects["SquareNut"].axes[:, 0])
        turned_rad = self._from_home(heading(now.finger_axis))
        wanted_rad = self._from_home(self._handle_rad + self._side_rad)
        left_rad = turned_rad + self._handle_rad - nut_rad - wanted_rad
        return wanted_rad + wrap(left_rad, 2 * np.pi) - turned_rad

    def _from_home(self, finger_rad: float) -> float:
        assert self._home_rad is not None
        return wrap(finger_rad - self._home_rad, 2 * np.pi)
