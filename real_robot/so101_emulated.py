"""The SO-101 arm in physics, at the real one's rate and limits. An emulator, not hardware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from robowm.errors import UserError
from robowm.robot.gate import Joint
from robowm.robot.profile import RobotProfile

if TYPE_CHECKING:
    from robowm.robot.so101_emulated import SO101Emulated


def make(port: str) -> SO101Emulated:
    """An emulated arm, unconnected. It hangs on no port."""
    from robowm.robot.config_so101_emulated import SO101EmulatedConfig
    from robowm.robot.so101_emulated import SO101Emulated

    if port:
        raise UserError(f"--port {port}: so101_emulated has no port; leave it out.")
    return SO101Emulated(SO101EmulatedConfig(id="emulated"))


# The model's own joint ranges. The servo turns at up to 360 deg/s; nobody wants that indoors.
JOINTS = (
    Joint("shoulder_pan", "deg", -110, 110, 2, 90, 15, 60),
    Joint("shoulder_lift", "deg", -100, 100, 2, 90, 15, 60),
    Joint("elbow_flex", "deg", -96.8, 96.8, 2, 90, 15, 60),
    Joint("wrist_flex", "deg", -95, 95, 2, 120, 20, 75),
    Joint("wrist_roll", "deg", -157.2, 162.7, 2, 120, 20, 90),
    # The gripper's force comes from how far its command leads, and from open to closed is no fault.
    Joint("gripper", "%", 0, 100, 0, 200, float("inf"), 150),
)

ROBOT = RobotProfile(
    name="so101_emulated",
    control_hz=30,
    joints=JOINTS,
    make=make,
    emulated=True,
    # Round a closed path above the floor, no leg the way back of another.
    poses=(
        (-45, -40, 30, 50, -40, 10),
        (0, -15, 10, 40, 0, 60),
        (45, -40, 10, 60, 40, 90),
        (0, -70, 50, 60, 0, 40),
    ),
)
