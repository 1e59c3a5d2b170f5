"""One of SIMPLER's WidowX scenes in ManiSkill3: lay out, advance, draw, and ask for the truth.

Differences from calling ManiSkill's environment are all here. Its `reset()` lets objects settle
while the arm stands where the last episode left it, which may be in their way, and PhysX remembers
contacts; so the scene is built anew for each layout, whose outcome then depends on nothing else.
The picture is put together here: ManiSkill keeps photographs and segmentation ids in lists that
all environments of a process share.
"""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from robowm.sim.simpler.layouts import Layout
from robowm.sim.simpler.looks import (
    SAPIEN_FROM_OPENCV,
    Shift,
    View,
    camera_turn,
    light_gain,
    turn_photo,
)

CONTROL_HZ = 5
CAMERA = "3rd_view_camera"
ENVIRONMENTS = {
    "spoon": "PutSpoonOnTableClothInScene-v1",
    "carrot": "PutCarrotOnPlateInScene-v1",
    "stack": "StackGreenCubeOnYellowCubeBakedTexInScene-v1",
    "eggplant": "PutEggplantInBasketScene-v1",
}
MOVED_M = 0.03  # as in the original SIMPLER
# distractors: half their height, metres
DISTRACTORS_M = {
    "baked_green_cube_3cm": 0.015,
    "baked_yellow_cube_3cm": 0.015,
    "bridge_carrot_generated_modified": 0.019,
    "eggplant": 0.019,
}
TABLE_Z_M = 0.8695


@dataclass(frozen=True)
class Frame:
    """Where something is, in the frame of the robot's base.

    Attributes:
        pos_m: (3,), metres.
        axes: (3, 3), its axes as columns.
    """

    pos_m: np.ndarray
    axes: np.ndarray


@dataclass(frozen=True)
class Privileged:
    """The simulator's truth.

    Attributes:
        hand: the point between the finger tips.
        commanded: where the controller has been told to bring it; actions add to this.
        source, target: the two objects.
        half_length_m: of the source along its own x axis, the long one.
        table_z_m: height of what the source lay on, in the base frame.
        fingers_m: sum of both finger joints: 0.03 closed, 0.076 open.
        grasped_steps: control steps for which the source has been between the fingers, up to now.
        moved: the source lies more than 3 cm from its start, and further than the target does.
        success: ManiSkill's own criterion, now.
    """

    hand: Frame
    commanded: Frame
    source: Frame
    target: Frame
    half_length_m: float
    table_z_m: float
    fingers_m: float
    grasped_steps: int
    moved: bool
    success: bool


class Scene:
    """A task's scene; needs `needs.prepare()` first.

    Args:
        task: a key of ENVIRONMENTS.
        view: the part of the picture that is drawn.
        shift: how it differs from the official one.
    """

    def __init__(self, task: str, view: View, shift: Shift) -> None:
        self.task, self.view, self.shift = task, view, shift
        with _quiet():
            self.env = _make(task, view)
        self._camera_pose = self.env.agent._sensor_configs[0].pose
        photo = cv2.imread(self.env.rgb_overlay_paths[CAMERA])
        assert photo is not None  # `prepare` has found it
        self._photo = np.ascontiguousarray(photo[..., ::-1])
        self._start: tuple[Frame, Frame] | None = None
        self._now: Privileged | None = None

    def lay_out(self, layout: Layout, seed: int) -> None:
        """Build the scene anew with the objects there; `seed` decides about the shift only."""
        import sapien
        import torch

        env = self.env
        env.xyz_configs = torch.tensor([[layout.source_m, layout.target_m]])
        env.quat_configs = torch.tensor([[layout.source_quaternion, layout.target_quaternion]])
        turn = camera_turn(self.shift, seed)
        turned = np.eye(4)
        turned[:3, :3] = SAPIEN_FROM_OPENCV @ turn @ SAPIEN_FROM_OPENCV.T
        pose = self._camera_pose.sp * sapien.Pose(turned)
        env._custom_sensor_configs[CAMERA]["pose"] = [*pose.p.tolist(), *pose.q.tolist()]
        with _quiet():
            env.reset(seed=0, options={"episode_id": torch.tensor([0]), "reconfigure": True})
            shown = [env.objs[name] for name in env.objects_excluded_from_greenscreening]
            shown += env.agent.robot.get_links() + self._add_distractors(seed)
        self._shown = np.concatenate([part.per_scene_id.numpy() for part in shown])
        self._background = self.view.photo(turn_photo(self._photo, turn))
        self._gain = light_gain(self.shift, seed, self.view)
        self._success, self._start, self._now = False, None, None
        settled = self.privileged()
        self._start = (settled.source, settled.target)

    def advance(self, action: np.ndarray) -> None:
        """One control step of 0.2 s.

        Args:
            action: (7,): translation (m) and rotation (XYZ Euler angles, rad) in the base frame,
                added to the commanded pose; gripper 1 open, -1 closed.
        """
        with _quiet():
            *_, info = self.env.step(np.asarray(action, np.float32))
        self._success, self._now = bool(info["success"]), None

    def draw(self) -> np.ndarray:
        """The picture, uint8 (rows, columns, 3) RGB: arm and objects over the photograph."""
        env = self.env
        with _quiet():
            env.scene.update_render()
            camera = env._sensors[CAMERA]
            camera.capture()
            seen = camera.get_obs(rgb=True, segmentation=True, depth=False, position=False)
        drawn, ids = seen["rgb"][0].numpy(), seen["segmentation"][0].numpy()
        picture = np.where(np.isin(ids, self._shown), drawn, self._background)
        if self._gain is not None:
            picture = np.clip(picture * self._gain, 0, 255).astype(np.uint8)
        return picture

    def privileged(self) -> Privileged:
        """The truth of this moment."""
        if self._now is None:
            self._now = self._look()
        return self._now

    def close(self) -> None:
        """Free the simulator."""
        with _quiet():
            self.env.close()

    def _look(self) -> Privileged:
        env = self.env
        arm = env.agent.controller.controllers["arm"]
        base = env.agent.robot.pose.sp.inv()
        names = (env.source_obj_name, env.target_obj_name)
        source, target = (_frame(base * env.objs[name].pose.sp) for name in names)
        places = zip((source, target), self._start or (source, target), strict=True)
        source_m, target_m = (float(np.linalg.norm((a.pos_m - b.pos_m)[:2])) for a, b in places)
        size_m = env.episode_model_bbox_sizes[env.source_obj_name].numpy()
        return Privileged(
            hand=_frame(arm.ee_pose_at_base.sp),
            commanded=_frame(arm._target_pose.sp),
            source=source,
            target=target,
            half_length_m=float(size_m[0]) / 2,
            table_z_m=TABLE_Z_M + float(base.p[2]),
            fingers_m=float(env.agent.robot.get_qpos()[0, -2:].sum()),
            grasped_steps=int(env.consecutive_grasp[0]),
            moved=source_m > max(MOVED_M, target_m),
            success=self._success,
        )

    def _add_distractors(self, seed: int) -> list[Any]:
        import sapien
        from mani_skill.envs.tasks.digital_twins.bridge_dataset_eval import base_env

        env, rng = self.env, np.random.default_rng([seed, 10])
        used = {env.source_obj_name, env.target_obj_name}
        names = rng.permutation([name for name in DISTRACTORS_M if name not in used])
        objects_m = [env.objs[name].pose.sp.p for name in used]
        kept_m = [place[:2] for place in objects_m]
        centre_m = env.objs[env.source_obj_name].pose.sp.p
        spread_m, apart_m = (0.07, 0.055) if self.task == "eggplant" else (0.16, 0.09)
        built = []
        for name in names[: self.shift.distractors]:
            for _ in range(100):
                place = centre_m[:2] + rng.uniform(-spread_m, spread_m, 2)
                if min(np.linalg.norm(place - other) for other in kept_m) > apart_m:
                    break
            kept_m.append(place)
            builder = env.scene.create_actor_builder()
            model = base_env.BRIDGE_DATASET_ASSET_PATH / "custom" / "models" / str(name)
            kinds = (model / f"textured.{kind}" for kind in ("obj", "dae", "glb"))
            builder.add_visual_from_file(str(next(path for path in kinds if path.is_file())))
            height_m = centre_m[2] if self.task == "eggplant" else TABLE_Z_M + DISTRACTORS_M[name]
            yaw_rad = rng.uniform(-np.pi, np.pi)
            turned = [np.cos(yaw_rad / 2), 0, 0, np.sin(yaw_rad / 2)]
            builder.initial_pose = sapien.Pose([*place, height_m], turned)
            built.append(builder.build_kinematic(name=f"distractor_{name}"))
        return built


def _make(task: str, view: View) -> Any:
    import gymnasium
    import mani_skill.envs  # noqa: F401  registers its environments
    from mani_skill import logger
    from mani_skill.envs.tasks.digital_twins.base_env import BaseDigitalTwinEnv
    from mani_skill.envs.utils.observations import parse_obs_mode_to_struct

    # a list of the class that never forgets: it would keep the scenes of this process's other tasks
    BaseDigitalTwinEnv._objects_to_remove_from_greenscreen = []
    logger.setLevel(logging.ERROR)
    camera = {"width": view.columns, "height": view.rows, "intrinsic": view.intrinsic()}
    env: Any = gymnasium.make(
        ENVIRONMENTS[task],
        obs_mode="rgb+segmentation",  # decides which textures the camera has
        num_envs=1,
        sim_backend="cpu",
        render_backend="cpu",
        sensor_configs={CAMERA: camera},
    ).unwrapped
    env.rgb_overlay_mode = "none"
    env._obs_mode, env.obs_mode_struct = "none", parse_obs_mode_to_struct("none")
    return env


def _frame(pose: Any) -> Frame:
    matrix = np.asarray(pose.to_transformation_matrix(), np.float64)
    return Frame(matrix[:3, 3], matrix[:3, :3])


@contextmanager
def _quiet() -> Iterator[None]:
    """ManiSkill calls what numpy, torch and logging have deprecated."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
