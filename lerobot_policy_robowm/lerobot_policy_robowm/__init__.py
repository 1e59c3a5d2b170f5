"""Importing this registers robowm's policy, emulated arm and environments with LeRobot."""

import robowm.policy.modeling_vipra
import robowm.robot.config_so101_emulated
import robowm.sim.lerobot_env  # noqa: F401
