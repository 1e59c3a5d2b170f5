"""The expert that opens a door: faces it, takes the handle's end, turns it down, pulls."""

import numpy as np

from robowm.sim.grasp import CLOSE, NEAR_M, OPEN, POSITION_GAIN, ROTATION_GAIN, UP, turn_to
from robowm.sim.scene import Body, Privileged

BEFORE_M = 0.12  # the hand turns towards the door at this distance from the handle
TURNED_RAD = 1.1  # the bolt is clear of the frame from about 0.96 on
AHEAD_RAD = 0.4  # how far ahead of the handle the hand turns
PULL_M = 0.05
LOST_M = 0.06
SLOWLY = 0.4  # the fastest turn, action units: faster ones throw the hand off its way
SLANT = 0.8  # the hand comes from the robot's side, at atan(0.8) to the door's normal


class DoorExpert:
    """In front of the handle, to it, close, turn, pull; when it slips off, it begins again."""

    def __init__(self) -> None:
        self._phase = "face"
        self._closing_steps = 0
        self._grip = np.zeros((3, 2))  # pointing and finger axis in the handle's frame

    def act(self, now: Privileged) -> np.ndarray:
        """The next action."""
        handle, latch, door = (now.objects[name] for name in ("handle", "latch", "door"))
        away = -door.axes[:, 1]  # from the panel towards the room
        pointing = SLANT * np.array([1.0, 0.0, 0.0]) - away
        pointing[2] = 0
        pointing /= np.linalg.norm(pointing)
        fingers = -UP  # the other way round, Panda's wrist would come to its end
        error = handle.pos_m - now.hand.pos_m
        if self._phase in ("turn", "pull") and np.linalg.norm(error) > LOST_M:
            self._phase = "face"
        turn = turn_to(now, pointing, fingers)
        if self._phase == "face":
            before = handle.pos_m - BEFORE_M * pointing
            if np.linalg.norm(before - now.hand.pos_m) < 0.02 and np.linalg.norm(turn) < 0.15:
                self._phase, self._closing_steps = "reach", 0
            return _act(now, before, turn, OPEN)
        if self._phase == "reach":
            self._closing_steps += 1
            if np.linalg.norm(error) < NEAR_M or self._closing_steps > 12:
                self._phase, self._closing_steps = "close", 0
            return _act(now, handle.pos_m, turn, OPEN)
        if self._phase == "close":
            self._closing_steps += 1
            if self._closing_steps > 4:
                self._phase = "turn"
                held = np.stack([now.hand.axes[:, 2], now.finger_axis], axis=1)
                self._grip = latch.axes.T @ held
            return _act(now, handle.pos_m, turn, CLOSE)
        turned_rad = np.arctan2(-latch.axes[2, 0], latch.axes[2, 2])
        if self._phase == "turn":
            if turned_rad > TURNED_RAD:
                self._phase = "pull"
            at, axes = _turned(latch, handle, AHEAD_RAD)
            return _act(now, at, turn_to(now, *(axes @ self._grip).T), CLOSE)
        at, axes = _turned(latch, handle, max(0.0, TURNED_RAD - turned_rad))
        return _act(now, at + PULL_M * away, turn_to(now, *(axes @ self._grip).T), CLOSE)


def _turned(latch: Body, handle: Body, by_rad: float) -> tuple[np.ndarray, np.ndarray]:
    """Where the handle's end and axes would be if it were turned down further."""
    cos, sin = np.cos(by_rad), np.sin(by_rad)
    axes = latch.axes @ np.array([[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]])
    return latch.pos_m + axes @ latch.axes.T @ (handle.pos_m - latch.pos_m), axes


def _act(now: Privileged, to_m: np.ndarray, turn: np.ndarray, gripper: float) -> np.ndarray:
    position = POSITION_GAIN * (to_m - now.hand.pos_m) / 0.05
    rotation = np.clip(ROTATION_GAIN * turn / 0.5, -SLOWLY, SLOWLY)
    return np.clip([*position, *rotation, gripper], -1, 1).astype(np.float32)
