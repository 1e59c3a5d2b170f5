"""What a recipe in real_robot/ says about one robot: `ROBOT = RobotProfile(...)`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from robowm.robot.gate import GateConfig, Joint

if TYPE_CHECKING:
    from lerobot.robots import Robot


@dataclass(frozen=True)
class RobotProfile:
    """A robot by name: how fast it is driven, within which limits, and how it is made.

    Attributes:
        name: as on the command line.
        control_hz: commands a second.
        joints: A joints in the order of the robot's action features.
        make: builds the (unconnected) LeRobot robot; takes the port it hangs on, empty for none.
        afterwards: what the arm does once a run is over, for the person beside it.
        emulated: physics, not hardware; said wherever results are shown.
        poses: corners (A,) of the scripted sweep, joint units; the arm goes round them.
        max_age_s: a command computed from an observation older than this is refused.
        refusals_to_fault: that many refused commands in a row end the run, the arm held.
    """

    name: str
    control_hz: int
    joints: tuple[Joint, ...]
    make: Callable[[str], Robot]
    afterwards: str = ""
    emulated: bool = False
    poses: tuple[tuple[float, ...], ...] = ()
    max_age_s: float = 0.25
    refusals_to_fault: int = 15

    @property
    def gate(self) -> GateConfig:
        """The command gate that guards this robot."""
        return GateConfig(self.joints, self.control_hz, self.refusals_to_fault)

    @property
    def claim(self) -> str:
        """What a run on this robot may be called."""
        return "emulated arm (physics simulation), not hardware" if self.emulated else "real arm"
