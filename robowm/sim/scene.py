"""What is asked of robosuite and MuJoCo: build a scene, lay it out, advance it, look at it.

robosuite builds the models and computes the arm's torques. Its own `step` and `reset` are left
aside because they update forty observables and a picture fifty times a control step; `advance`
does the same physics (a test compares the two) in two thirds of the time.
"""

import atexit
import ctypes
import logging
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from robowm.errors import UserError
from robowm.sim.looks import Looks
from robowm.sim.sawyer import mend_sawyer

os.environ.setdefault("MUJOCO_GL", "egl")  # read when mujoco is imported
os.environ.setdefault("LP_NUM_THREADS", "0")  # the CPU renderer's threads cost more than they give

# Hands that hold the cube. Jaco's own closes in ten seconds at 10 Hz; from the Robotiq 85 of UR5e
# and Kinova3 the cube slips.
GRIPPERS = {
    "Panda": "default",
    "UR5e": "Robotiq140Gripper",
    "Sawyer": "default",
    "IIWA": "default",
    "Kinova3": "RethinkGripper",
    "Jaco": "PandaGripper",
}
# What an expert wants to know besides where objects are: a name, and the site or body that tells.
LANDMARKS = {
    "PickPlaceCan": {"goal": ("body", "VisualCan_main")},
    "NutAssemblySquare": {"handle": ("site", "SquareNut_handle_site"), "peg": ("body", "peg1")},
    "Door": {
        "handle": ("site", "Door_handle"),
        "latch": ("body", "Door_latch"),
        "door": ("body", "Door_door"),
        "frame": ("body", "Door_frame"),
    },
}
EGL_MEND = "Install EGL and Mesa's drivers: apt install libegl1 libegl-mesa0 libgl1-mesa-dri."
BUILD_SEED = 0  # Lift draws its cube's size when the model is built: one size for everybody
SUPERSAMPLE = 2  # cheaper than the renderer's own antialiasing: 11 ms a frame against 17


@dataclass(frozen=True)
class Body:
    """Pose of one object: `pos_m` float64 (3,), `axes` float64 (3, 3), columns are its axes."""

    pos_m: np.ndarray
    axes: np.ndarray


@dataclass(frozen=True)
class Privileged:
    """What only a simulator knows; scripted experts read it, policies never do.

    Attributes:
        hand: pose of the grip site between the fingers, world frame.
        finger_axis: float64 (3,), unit vector from one finger to the other, world frame.
        gap_m: distance between the centres of the finger pads.
        objects: pose of each object by robosuite's name for it, and of the task's LANDMARKS.
    """

    hand: Body
    finger_axis: np.ndarray
    gap_m: float
    objects: dict[str, Body]


def require_egl(library: str = "libEGL.so.1") -> dict[str, str]:
    """Say what is missing for drawing before a simulator starts; nothing to add to a result.

    Raises:
        UserError: MuJoCo is to draw through EGL, and the library is not on this machine.
    """
    if os.environ["MUJOCO_GL"] == "egl":
        try:
            ctypes.CDLL(library)
        except OSError as error:
            raise UserError(f"robosuite draws through EGL: {error}. {EGL_MEND}") from error
    return {}


class Scene:
    """One robosuite task with one arm, built once and laid out anew for every seed.

    Args:
        task: robosuite's name: "Lift", "Stack", "PickPlaceCan", "NutAssemblySquare" or "Door".
        robot: a key of GRIPPERS.
        control_hz: control steps a second; robosuite's physics stays at 500 Hz.
    """

    def __init__(self, task: str, robot: str, control_hz: int) -> None:
        robosuite = _import_robosuite()
        with _numpy_seeded(BUILD_SEED):
            self.env = robosuite.make(
                task,
                robots=robot,
                gripper_types=GRIPPERS[robot],
                control_freq=control_hz,
                has_renderer=False,
                has_offscreen_renderer=False,
                use_camera_obs=False,
                renderer="mujoco",
                ignore_done=True,
                hard_reset=False,
            )
        self.env._observables = {}
        self.env.object_id_to_sensors = (
            self.env.nut_id_to_sensors
        ) = {}  # PickPlace's, NutAssembly's
        self.model: Any = self.env.sim.model._model
        self.data: Any = self.env.sim.data._data
        self._substeps = int(self.env.control_timestep / self.env.model_timestep)
        named = {o.name: ("body", f"{o.name}_main") for o in self.env.model.mujoco_objects}
        self._objects: dict[str, Any] = {
            name: getattr(self.data, kind)(full)
            for name, (kind, full) in (named | LANDMARKS.get(task, {})).items()
        }
        gripper = self.env.robots[0].gripper["right"]
        self._pads = [
            [self.model.geom(name).id for name in gripper.important_geoms[f"{side}_fingerpad"]]
            for side in ("left", "right")
        ]

    def lay_out(self, seed: int) -> None:
        """Place objects and arm; the same seed gives the same scene whatever ran before."""
        with _numpy_seeded(seed):
            self.env.reset()

    def advance(self, action: np.ndarray) -> None:
        """One control step: `action` float (7,) in [-1, 1], as robosuite's own step takes it."""
        env = self.env
        robot = env.robots[0]
        controller = robot.composite_controller
        actuators, limits = robot._ref_actuators_indexes_dict, self.model.actuator_ctrlrange
        for substep in range(self._substeps):
            env.sim.step1()
            if substep == 0:
                controller.update_state()
                controller.set_goal(action)
            # the hand's command stays the same for the whole control step
            parts = robot._enabled_parts if substep == 0 else {"right": True}
            for part, command in controller.run_controller(parts).items():
                which = actuators[part]
                self.data.ctrl[which] = np.clip(command, limits[which, 0], limits[which, 1])
            env.sim.step2()

    def success(self) -> bool:
        """robosuite's own criterion, now."""
        return bool(self.env._check_success())

    def privileged(self) -> Privileged:
        """The true state of hand and objects."""
        site = self.env.robots[0].eef_site_id["right"]
        left, right = (self.data.geom_xpos[pads].mean(axis=0) for pads in self._pads)
        gap_m = float(np.linalg.norm(right - left))
        return Privileged(
            hand=Body(self.data.site_xpos[site].copy(), self.data.site_xmat[site].reshape(3, 3)),
            finger_axis=(right - left) / max(gap_m, 1e-9),
            gap_m=gap_m,
            objects={
                name: Body(at.xpos.copy(), at.xmat.reshape(3, 3).copy())
                for name, at in self._objects.items()
            },
        )

    def close(self) -> None:
        """Free the model."""
        self.env.close()


class Camera:
    """Pictures of a scene from its `agentview` camera.

    Args:
        scene: what to look at.
        size_px: height and width of a picture.
    """

    def __init__(self, scene: Scene, size_px: int) -> None:
        import mujoco

        self._model, self._data = scene.model, scene.data
        self._id = self._model.camera("agentview").id
        self._home = (
            self._model.cam_pos[self._id].copy(),
            self._model.cam_quat[self._id].copy(),
            float(self._model.cam_fovy[self._id]),
        )
        self._size_px = size_px
        visual = self._model.vis
        visual.quality.offsamples = 0
        visual.global_.offwidth = visual.global_.offheight = size_px * SUPERSAMPLE
        side = size_px * SUPERSAMPLE
        try:
            self._renderer = mujoco.Renderer(self._model, height=side, width=side)
        except (ImportError, RuntimeError) as error:  # its library is there, a driver is not
            raise UserError(f"MuJoCo cannot draw: {error}. {EGL_MEND}") from error
        _open_cameras.add(self)
        _close_cameras_at_exit()
        # the floor's and table's mirror images are half of the drawing time
        self._renderer.scene.flags[mujoco.mjtRndFlag.mjRND_REFLECTION] = 0
        self.looks = Looks(self._model, self._renderer)
        self._options = mujoco.MjvOption()
        self._options.geomgroup[0] = 0  # collision shapes
        self._options.sitegroup[:] = 0  # robosuite's markers

    def jitter(self, rng: np.random.Generator | None, amount: float) -> None:
        """Put the camera back in its place, then away from it at random.

        Args:
            rng: where the numbers come from; None leaves the camera in its place.
            amount: 1 moves it up to 15 cm, turns it some degrees and zooms by up to 15 %.
        """
        import mujoco

        pos, quat, fovy = self._home
        if rng is not None:
            pos, quat = _look_at_jittered(pos, quat, rng, amount, mujoco)
            fovy *= 1 + amount * rng.uniform(-0.15, 0.15)
        self._model.cam_pos[self._id] = pos
        self._model.cam_quat[self._id] = quat
        self._model.cam_fovy[self._id] = fovy
        self._stand = (np.array(pos), np.array(quat))
        self._sway: np.ndarray = np.zeros(6)
        self._sway_speed: np.ndarray = np.zeros(6)

    def shake(self, rng: np.random.Generator, amount: float) -> None:
        """Move the camera on by 0.1 s, as a hand that holds it does: about where `jitter` left it.

        Args:
            rng: where the numbers come from.
            amount: 1 is some 5 mm and 0.4 degrees a step, up to 2 cm and 2 degrees in all.
        """
        import mujoco

        # a damped spring pushed at random: what steadies a hand is slower than what shakes it
        push = rng.normal(size=6) * amount * np.array([0.003] * 3 + [0.005] * 3)
        self._sway_speed = 0.7 * self._sway_speed - 0.15 * self._sway + push
        self._sway = self._sway + self._sway_speed
        pos, quat = self._stand
        turned, turn = np.zeros(4), np.array([1.0, 0.0, 0.0, 0.0])
        angle_rad = float(np.linalg.norm(self._sway[3:]))
        if angle_rad > 0:
            mujoco.mju_axisAngle2Quat(turn, self._sway[3:] / angle_rad, angle_rad)
        mujoco.mju_mulQuat(turned, quat, turn)
        self._model.cam_pos[self._id] = pos + self._sway[:3]
        self._model.cam_quat[self._id] = turned

    @property
    def sway(self) -> np.ndarray:
        """How far `shake` has moved it: float64 (6,), metres (world), radians (camera's axes)."""
        return self._sway

    def frame(self) -> np.ndarray:
        """uint8 (size_px, size_px, 3), RGB, upright."""
        import cv2

        self._renderer.update_scene(self._data, self._id, scene_option=self._options)
        large = self._renderer.render()
        size = (self._size_px, self._size_px)
        return np.asarray(cv2.resize(large, size, interpolation=cv2.INTER_AREA), np.uint8)

    def close(self) -> None:
        """Free the drawing context."""
        self._renderer.close()


_open_cameras: weakref.WeakSet[Camera] = weakref.WeakSet()


@cache
def _close_cameras_at_exit() -> None:
    def close_all() -> None:
        for camera in list(_open_cameras):
            camera.close()

    atexit.register(close_all)  # after mujoco registered the end of the display: runs before it


def _look_at_jittered(
    pos: np.ndarray, quat: np.ndarray, rng: np.random.Generator, amount: float, mujoco: Any
) -> tuple[np.ndarray, np.ndarray]:
    axes = np.zeros(9)
    mujoco.mju_quat2Mat(axes, quat)
    backward = axes.reshape(3, 3)[:, 2]  # a camera looks along its -z
    table_z_m = 0.8
    target = pos - backward * (pos[2] - table_z_m) / backward[2]
    new_pos = pos + amount * rng.uniform(-0.15, 0.15, 3)
    target = target + amount * rng.uniform(-0.05, 0.05, 3)
    roll_rad = amount * rng.uniform(-0.1, 0.1)
    z = (new_pos - target) / np.linalg.norm(new_pos - target)
    x = np.cross([0.0, np.sin(roll_rad), np.cos(roll_rad)], z)
    x /= np.linalg.norm(x)
    new_quat = np.zeros(4)
    mujoco.mju_mat2Quat(new_quat, np.stack([x, np.cross(z, x), z], axis=1).reshape(9))
    return new_pos, new_quat


@contextmanager
def _numpy_seeded(seed: int) -> Iterator[None]:
    # robosuite draws from numpy's global generator: lend it a seeded one, then give it back
    before = np.random.get_state()
    np.random.seed(seed)
    try:
        yield
    finally:
        np.random.set_state(before)


@cache
def _import_robosuite() -> Any:
    def serious(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.ERROR

    # a filter, because robosuite sets its logger's level again while it is imported
    logger = logging.getLogger("robosuite_logs")
    if not logger.filters:
        logger.addFilter(serious)
    import robosuite

    mend_sawyer()
    return robosuite
