"""The SO-101 follower through LeRobot's own driver. Not tested on hardware.

The limits are those of the emulated arm, at a third less speed. Calibrate once with
`lerobot-calibrate --robot.type=so101_follower --robot.port=PORT --robot.id=robowm`, rest a hand on
the power switch, and begin with --dry-run. For another camera or other limits, copy this file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from robowm.errors import UserError
from robowm.robot.gate import Joint
from robowm.robot.profile import RobotProfile

if TYPE_CHECKING:
    from lerobot.robots import Robot


def make(port: str) -> Robot:
    """LeRobot's follower with one USB camera, unconnected."""
    from lerobot.cameras.opencv import OpenCVCameraConfig
    from lerobot.robots.so_follower import SO101Follower, SO101FollowerConfig

    if not port:
        raise UserError("--port is missing: so101 expects one such as /dev/ttyACM0.")
    config = SO101FollowerConfig(
        id="robowm",
        port=port,
        cameras={"front": OpenCVCameraConfig(index_or_path=0, fps=30, width=640, height=480)},
        disable_torque_on_disconnect=False,  # an arm whose torque is cut falls
    )
    try:
        return SO101Follower(config)
    except ImportError as error:
        raise UserError(
            "robot so101 needs the servo packages; install them with: "
            "pip install 'lerobot[feetech]' (the emulated arm, so101_emulated, needs none)."
        ) from error


JOINTS = (
    Joint("shoulder_pan", "deg", -110, 110, 5, 60, 15, 60),
    Joint("shoulder_lift", "deg", -100, 100, 5, 60, 15, 60),
    Joint("elbow_flex", "deg", -96.8, 96.8, 5, 60, 15, 60),
    Joint("wrist_flex", "deg", -95, 95, 5, 80, 20, 75),
    Joint("wrist_roll", "deg", -157.2, 162.7, 5, 80, 20, 90),
    # The gripper's force comes from how far its command leads, and from open to closed is no fault.
    Joint("gripper", "%", 0, 100, 0, 130, float("inf"), 150),
)

ROBOT = RobotProfile(
    name="so101",
    control_hz=30,
    joints=JOINTS,
    make=make,
    afterwards="the servos stay on and hold the arm; support it, then switch its power off",
)
