"""robosuite's tasks as Gymnasium environments: one camera, one state vector, any arm.

    env = RobosuiteEnv(RobosuiteConfig(task="Stack", robot="UR5e"))
    observation, info = env.reset(seed=3)

Importing this registers `robowm/Lift-v0` and so on, one for each of TASKS.
"""

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from robowm.sim.experts import EXPERTS
from robowm.sim.scene import GRIPPERS, Camera, Scene
from robowm.sim.spaces import observation_space, require_known
from robowm.sim.stages import COURSES, StageTracker

TASKS = {
    "Lift": "lift the red cube",
    "Stack": "stack the red cube on the green cube",
    "PickPlaceCan": "put the can into its place in the other bin",
    "NutAssemblySquare": "put the square nut on the square peg",
    "Door": "open the door",
}
MAX_STEPS = {"Lift": 50, "Stack": 100, "PickPlaceCan": 120, "NutAssemblySquare": 160, "Door": 100}
ROBOTS = tuple(GRIPPERS)
CONTROL_HZ = 10
SUCCESS_HOLD_STEPS = 2

STATE_NAMES = [
    *(f"hand_{axis}_m" for axis in "xyz"),
    *(f"hand_rotation_{row}{column}" for column in "xy" for row in "xyz"),
    "gripper_gap_m",
]
ACTION_NAMES = [
    *(f"delta_{axis}_5cm" for axis in "xyz"),
    *(f"delta_rotation_{axis}_half_rad" for axis in "xyz"),
    "gripper_close",
]


@dataclass(frozen=True)
class RobosuiteConfig:
    """Which scene, and how it is seen.

    Attributes:
        task: a key of TASKS.
        robot: one of ROBOTS.
        size_px: height and width of a frame.
        max_steps: control steps (0.1 s each) until the episode is cut off; None: MAX_STEPS.
        camera_jitter: 0 leaves the camera in its place; 1 moves it anew at every reset, by up to
            15 cm and some degrees. For video only: policies are evaluated with 0.
        camera_shake: 0 holds the camera still during an episode; 1 moves it like a hand would,
            and `info["camera_sway"]` tells by how much. For video only.
        light_jitter: 0 leaves the light; 1 moves, dims and tints it anew at every reset.
        texture_jitter: 0 leaves table, bins, floor and walls; 1 gives them other colours and
            patterns at every reset.
    """

    task: str = "Lift"
    robot: str = "Panda"
    size_px: int = 64
    max_steps: int | None = None
    camera_jitter: float = 0.0
    camera_shake: float = 0.0
    light_jitter: float = 0.0
    texture_jitter: float = 0.0


class RobosuiteEnv(gymnasium.Env[Any, np.ndarray]):
    """One of robosuite's tasks with one arm.

    Observation: `frame` uint8 (size_px, size_px, 3) RGB upright; `state` float32 (10,), named by
    STATE_NAMES: the hand's place in metres (world frame, the table's top is z = 0.8), the first
    two columns of its rotation matrix, and the distance between the finger pads in metres.

    Action: float32 (7,) in [-1, 1]: the hand moves by 5 cm and turns by 0.5 rad (axis-angle, base
    frame) for each unit, and the fingers close (positive) or open (negative) by their own speed.

    The episode ends when the task's criterion has held for two steps (`info["success"]`), or is
    cut off after `max_steps`; `info["stage"]` says how far it came (`robowm.sim.stages`). The same
    seed gives the same episode, whatever ran before it.

    Raises:
        UserError: unknown task or robot.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}  # noqa: RUF012  gymnasium's

    def __init__(
        self, config: RobosuiteConfig | None = None, render_mode: str | None = None, **changes: Any
    ) -> None:
        config = config or RobosuiteConfig(**changes)
        require_known("robosuite", task=(config.task, TASKS), robot=(config.robot, ROBOTS))
        self.config = config
        self.render_mode = render_mode
        self.instruction = TASKS[config.task]
        self.max_steps = config.max_steps or MAX_STEPS[config.task]
        self.observation_space = observation_space(config.size_px, STATE_NAMES, 2)
        self.action_space = gymnasium.spaces.Box(-1, 1, (len(ACTION_NAMES),), np.float32)
        self._scene: Scene | None = None  # built at the first reset: asking for spaces is cheap
        self._camera: Camera | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Lay the scene out anew; see the class for what comes back."""
        super().reset(seed=seed)
        scene_seed = seed if seed is not None else int(self.np_random.integers(2**31))
        scene, camera = self._built()
        jitters = self.config.camera_jitter > 0
        camera.jitter(
            np.random.default_rng([scene_seed, 1]) if jitters else None, self.config.camera_jitter
        )
        if self.config.light_jitter > 0:
            camera.looks.light(np.random.default_rng([scene_seed, 4]), self.config.light_jitter)
        if self.config.texture_jitter > 0:
            camera.looks.texture(np.random.default_rng([scene_seed, 5]), self.config.texture_jitter)
        scene.lay_out(scene_seed)
        self._shaking = np.random.default_rng([scene_seed, 3])
        self._expert = EXPERTS[self.config.task]()
        self._stages = StageTracker(COURSES[self.config.task])
        self._steps = self._held = 0
        return self._observe(), self._info(False)

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """One control step of 0.1 s; the reward is 1 at success, else 0."""
        scene, camera = self._built()
        scene.advance(np.asarray(action, np.float64))
        if self.config.camera_shake > 0:
            camera.shake(self._shaking, self.config.camera_shake)
        self._steps += 1
        self._held = self._held + 1 if scene.success() else 0
        success = self._held >= SUCCESS_HOLD_STEPS
        truncated = not success and self._steps >= self.max_steps
        return self._observe(), float(success), success, truncated, self._info(success)

    def expert_action(self) -> np.ndarray:
        """What the scripted expert would do now: float32 (7,). Ask once a step."""
        return self._expert.act(self._now)

    def render(self) -> np.ndarray:
        """The frame of the newest observation."""
        return self._frame

    def close(self) -> None:
        """Free the scene; a later reset builds it again."""
        if self._camera is not None and self._scene is not None:
            self._camera.close()
            self._scene.close()
        self._scene = self._camera = None

    def _info(self, success: bool) -> dict[str, Any]:
        """For the state that `_observe` has just seen."""
        _, camera = self._built()
        self._stages.see(self._now, success)
        return {
            "success": success,
            "stage": self._stages.stage,
            "camera_sway": np.array(camera.sway, np.float32),
        }

    def _built(self) -> tuple[Scene, Camera]:
        if self._scene is None or self._camera is None:
            self._scene = Scene(self.config.task, self.config.robot, CONTROL_HZ)
            self._camera = Camera(self._scene, self.config.size_px)
        return self._scene, self._camera

    def _observe(self) -> dict[str, np.ndarray]:
        scene, camera = self._built()
        self._now = now = scene.privileged()
        state = [*now.hand.pos_m, *now.hand.axes[:, 0], *now.hand.axes[:, 1], now.gap_m]
        self._frame = camera.frame()
        return {"frame": self._frame, "state": np.array(state, np.float32)}


for _task in TASKS:
    gymnasium.register(
        f"robowm/{_task}-v0",
        entry_point="robowm.sim.robosuite_env:RobosuiteEnv",
        kwargs={"task": _task},
    )
