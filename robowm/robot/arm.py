"""Any LeRobot `Robot` as the loop sees it: vectors in fixed orders, read against one clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from robowm.batch import Observation
from robowm.errors import UserError

if TYPE_CHECKING:
    from lerobot.robots import Robot

    from robowm.robot.loop import Clock

POSITION = ".pos"


@dataclass(frozen=True)
class Reading:
    """What the arm reported once.

    Attributes:
        state: float64 (S,), every `.pos` observation, the robot's units.
        measured: float64 (A,), those of the commanded joints, in command order.
        frames: camera name to uint8 (H, W, 3) RGB.
        capture_time_s: the clock before the first sensor was asked, so an age is never understated.
    """

    state: np.ndarray
    measured: np.ndarray
    frames: Mapping[str, np.ndarray]
    capture_time_s: float

    def observation(self, task: str) -> Observation:
        """As a controller takes it: the first camera, or one black pixel where there is none."""
        frame = next(iter(self.frames.values()), np.zeros((1, 1, 3), np.uint8))
        return Observation(frame, self.state.astype(np.float32), task)


class Arm:
    """A robot's features in order. Makes no connection; that stays with the caller.

    Attributes:
        joints: the commanded joints, without ".pos".
        state: the observed ones.
        cameras: name to (H, W, 3).
        in_state: int64 (A,), where each commanded joint stands in the state.

    Raises:
        UserError: the robot is commanded by anything but positions, or does not report them.
    """

    def __init__(self, robot: Robot, clock: Clock) -> None:
        self._robot, self._clock = robot, clock
        actions, observed = list(robot.action_features), robot.observation_features
        foreign = [name for name in actions if not name.endswith(POSITION)]
        if foreign or not actions:
            raise UserError(
                f"robot {robot.name} takes the actions {foreign or 'none'}; expected joint "
                f"positions only, named '<joint>{POSITION}'."
            )
        blind = [name for name in actions if name not in observed]
        if blind:
            raise UserError(
                f"robot {robot.name} does not report {', '.join(blind)}; every commanded joint "
                "must be measured, or its commands cannot be checked."
            )
        self._keys = [name for name in observed if name.endswith(POSITION)]
        self.joints = [name.removesuffix(POSITION) for name in actions]
        self.state = [name.removesuffix(POSITION) for name in self._keys]
        self.in_state = np.array([self._keys.index(name) for name in actions])
        self.cameras: dict[str, tuple[int, int, int]] = {
            name: shape
            for name, shape in observed.items()
            if isinstance(shape, tuple) and len(shape) == 3 and shape[-1] == 3
        }

    def read(self) -> Reading:
        """One observation. Raises OSError as the robot does, when its bus or a camera fails."""
        capture_time_s = self._clock.now_s()
        seen = self._robot.get_observation()
        state = np.array([seen[key] for key in self._keys], np.float64)
        frames = {name: np.array(seen[name], np.uint8) for name in self.cameras}
        return Reading(state, state[self.in_state], frames, capture_time_s)

    def send(self, command: np.ndarray) -> np.ndarray:
        """Command positions (A,); returns what the robot says it sent, float64 (A,)."""
        keys = [joint + POSITION for joint in self.joints]
        action: dict[str, Any] = dict(zip(keys, command.tolist(), strict=True))
        sent = self._robot.send_action(action)
        return np.array([sent[key] for key in keys], np.float64)

    def blank(self, state: np.ndarray) -> Reading:
        """A reading of nothing, shaped like the real ones: for trying a controller beforehand."""
        frames = {name: np.zeros(shape, np.uint8) for name, shape in self.cameras.items()}
        return Reading(state, state[self.in_state], frames, self._clock.now_s())
