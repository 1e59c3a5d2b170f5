"""SIMPLER's visual matching for the google robot: what a protocol is, and the trial of a seed.

`table` has the protocols themselves. Nothing here needs a simulator.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from robowm.errors import UserError
from robowm.sim.google.worker import CAMERA
from robowm.sim.seeds import EVALUATION

CONTROL_HZ, SIMULATION_HZ = 3, 513
ROBOT = "google_robot_static"
CONTROL_MODE = (
    "arm_pd_ee_delta_pose_align_interpolate_by_planner_"
    "gripper_pd_joint_target_delta_pos_interpolate_by_planner"
)
# Descriptions of the robot: as it came, and with its arm in three other colours.
RECOLOURS = (
    "",
    "recolor_tabletop_visual_matching_1",
    "recolor_tabletop_visual_matching_2",
    "recolor_cabinet_visual_matching_1",
)
# Folders among the original's assets: photographs and scenes.
OVERLAYS, SCENES = "real_inpainting", "hab2_bench_assets/stages"


@dataclass(frozen=True)
class Stand:
    """Where the robot's base stands, and the photograph that was taken from there.

    Attributes:
        x_m, y_m: in the world.
        yaw_rad: beyond the half turn that makes it face the table.
        overlay: file name in OVERLAYS.
    """

    x_m: float
    y_m: float
    yaw_rad: float
    overlay: str

    def reset_options(self) -> dict[str, Any]:
        """`robot_init_options` of the original's reset; the quaternion is w, x, y, z."""
        half_turned = (-math.sin(self.yaw_rad / 2), 0.0, 0.0, math.cos(self.yaw_rad / 2))
        return {"init_xy": [self.x_m, self.y_m], "init_rot_quat": list(half_turned)}


@dataclass(frozen=True)
class Part:
    """One of the environments that a task goes through.

    Attributes:
        text: its instruction, where that is always the same; the environment has the last word.
        env_id: its name in Gymnasium's registry.
        build: arguments that only this part has.
    """

    text: str
    env_id: str
    build: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Protocol:
    """A task: what its trials go through, and what is the same in all of them.

    Attributes:
        text: the instruction, or what the instructions have in common.
        parts: environments.
        stands: places of the robot.
        objects: `obj_init_options` of the original's reset: a place `init_xy` in metres on the
            table, or a numbered `episode_id` of three objects; {}: there is nothing to place.
        max_steps: control steps of an episode.
        scene: name of the original's scene; a "dummy" has no file.
        measures: our names of partial scores, and the original's names of them.
        build: arguments of all parts.
        ray_traced: pictures are ray traced, as policies tell a drawer's depth by its shadow.
        large: models among the assets whose files are large; where they are not, or not there,
            something stands in for them.
    """

    text: str
    parts: tuple[Part, ...]
    stands: tuple[Stand, ...]
    objects: tuple[Mapping[str, Any], ...]
    max_steps: int
    scene: str
    measures: Mapping[str, str]
    build: Mapping[str, Any] = field(default_factory=dict)
    ray_traced: bool = False
    large: tuple[str, ...] = ()

    @property
    def trials(self) -> int:
        """How many trials the protocol has: every recolour, part, stand and object, once each."""
        return len(RECOLOURS) * len(self.parts) * len(self.stands) * len(self.objects)

    def photographs(self) -> tuple[str, ...]:
        """Every photograph it needs, relative to the assets."""
        return tuple(f"{OVERLAYS}/{stand.overlay}" for stand in self.stands)

    def scenes(self) -> tuple[str, ...]:
        """The scene's file, relative to the assets, if it has one."""
        return () if "dummy" in self.scene else (f"{SCENES}/{self.scene}.glb",)


@dataclass(frozen=True)
class Trial:
    """One episode of a protocol; `number` counts from 0."""

    number: int
    recolour: str
    part: Part
    stand: Stand
    objects: Mapping[str, Any]

    def reset_options(self) -> dict[str, Any]:
        """`options` of the original's reset."""
        return {
            "robot_init_options": self.stand.reset_options(),
            "obj_init_options": dict(self.objects),
        }


def trial_of(protocol: Protocol, seed: int) -> Trial:
    """The trial of an evaluation seed; seeds count through all trials and begin again.

    The object's place changes fastest (its y before its x), then the robot's stand, then the part,
    and the robot's colours last: so the first quarter is one pass with the robot as it came.

    Raises:
        UserError: the seed is not for evaluation: there are no other layouts to train on.
    """
    if seed not in EVALUATION:
        raise UserError(
            f"seed {seed} is not for evaluation, and the google tasks have no layouts but those; "
            f"expected {EVALUATION.start} to {EVALUATION.stop - 1}."
        )
    number = seed % protocol.trials
    every = product(RECOLOURS, protocol.parts, protocol.stands, protocol.objects)
    return Trial(number, *list(every)[number])


def build_arguments(
    protocol: Protocol, trial: Trial, assets: str, ray_traced: bool = True
) -> dict[str, Any]:
    """What the original's `gymnasium.make` is given for a trial, beside the name.

    Args:
        assets: the original's folder of assets.
        ray_traced: False rasterises also what the protocol has ray traced.
    """
    return {
        "obs_mode": "rgbd",
        "robot": ROBOT,
        "sim_freq": SIMULATION_HZ,
        "control_freq": CONTROL_HZ,
        "control_mode": CONTROL_MODE,
        "max_episode_steps": protocol.max_steps,
        "scene_name": protocol.scene,
        "camera_cfgs": {"add_segmentation": True},
        "rgb_overlay_path": f"{assets}/{OVERLAYS}/{trial.stand.overlay}",
        "rgb_overlay_cameras": [CAMERA],
        "urdf_version": trial.recolour,
        **({"shader_dir": "rt"} if protocol.ray_traced and ray_traced else {}),
        **protocol.build,
        **trial.part.build,
    }
