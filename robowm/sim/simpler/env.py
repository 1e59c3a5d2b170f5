"""SIMPLER's WidowX tasks as Gymnasium environments: one camera, one state vector, one arm.

env = SimplerEnv(task="spoon", size_px=128)
observation, info = env.reset(seed=3)  # layout 3 of the official 24
"""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import gymnasium
import numpy as np

from robowm.sim.seeds import EVALUATION
from robowm.sim.simpler.expert import Expert
from robowm.sim.simpler.layouts import NUM_EVALUATED, official, random_layouts
from robowm.sim.simpler.looks import CROPS_PX, Shift, shrink, square
from robowm.sim.simpler.measures import Tally
from robowm.sim.simpler.scene import CONTROL_HZ, Privileged, Scene
from robowm.sim.spaces import observation_space, require_known

ROBOT = "WidowX"
TASKS = {
    "spoon": "put the spoon on the towel",
    "carrot": "put carrot on plate",
    "stack": "stack the green block on the yellow block",
    "eggplant": "put eggplant into yellow basket",
}
MAX_STEPS = {"spoon": 60, "carrot": 60, "stack": 60, "eggplant": 120}
UNIT_M, UNIT_RAD = 0.05, 0.5
MOST_TRIES, FALLEN_M = 20, 0.1

STATE_NAMES = [
    *(f"hand_{axis}_m" for axis in "xyz"),
    *(f"hand_rotation_{row}{column}" for column in "xy" for row in "xyz"),
    "fingers_m",
]
ACTION_NAMES = [
    *(f"delta_{axis}_5cm" for axis in "xyz"),
    *(f"delta_euler_{axis}_half_rad" for axis in "xyz"),
    "gripper_open",
]


@dataclass(frozen=True)
class SimplerConfig:
    """Which scene, and how it is seen.

    Attributes:
        task: a key of TASKS.
        robot: ROBOT; there is no other.
        size_px: height and width of a frame.
        max_steps: control steps (0.2 s each) until the episode is cut off; None: MAX_STEPS.
        crop: the part of the official 640 x 480 picture that is seen, a key of CROPS_PX.
        layouts: "official": seeds for evaluation give SIMPLER's 24 layouts, all others random ones;
            "random": every seed gives a random one, for tuning.
        quarter: random layouts have their source in one quarter of the area.
        light, camera_jitter, distractors: see `looks.Shift`; 0 is as published.
        draw: False leaves frames black, which saves most of the time.
    """

    task: str = "spoon"
    robot: str = ROBOT
    size_px: int = 64
    max_steps: int | None = None
    crop: str = "left"
    layouts: str = "official"
    quarter: bool = False
    light: float = 0.0
    camera_jitter: float = 0.0
    distractors: int = 0
    draw: bool = True


class SimplerEnv(gymnasium.Env[Any, np.ndarray]):
    """A WidowX 250S before a table or a sink, and two objects.

    Observation: `frame` uint8 (size_px, size_px, 3) RGB; `state` float32 (10,), named by
    STATE_NAMES: the place of the point between the finger tips in metres and the first two columns
    of the hand's rotation matrix, both in the frame of the robot's base (x forward, z up), and the
    sum of both finger joints in metres (0.03 closed, 0.076 open).

    Action: float32 (7,) in [-1, 1], for ManiSkill's controller
    `arm_pd_ee_target_delta_pose_align2_gripper_pd_joint_pos`: three times 5 cm and three times
    0.5 rad are added to the *commanded* pose in the base frame. The rotations are Euler angles,
    intrinsic XYZ, as ManiSkill3 reads them (the original SIMPLER: axis-angle). The gripper goes to
    a place, 1 open, -1 closed.

    No episode ends before `max_steps`, as in SIMPLER: `info["success"]` says whether ManiSkill's
    criterion holds *now*, and the last step's counts. `info["layout"]` is 0 to 23, -1 if random;
    `info["stage"]` how far it came, see `Tally`; `info["partial"]` partial scores up to now:
    `grasped` once, `grasped_5_steps` in a row, `moved` (the source, by more than 3 cm), each 0 or
    1, and `first_close_off_m` (how far the hand was from the source's long axis, seen from above,
    when it was first told to close; absent: never).
    `info["expert_done"]`: the expert has no more to do, a recording may end.

    The same seed gives the same episode, whatever ran before it.

    Raises:
        UserError: unknown task, robot or crop; at the first reset: a package, meshes or Vulkan are
            missing.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}  # noqa: RUF012  gymnasium's

    def __init__(
        self, config: SimplerConfig | None = None, render_mode: str | None = None, **changes: Any
    ) -> None:
        config = config or SimplerConfig(**changes)
        require_known(
            "simpler",
            task=(config.task, TASKS),
            robot=(config.robot, (ROBOT,)),
            crop=(config.crop, CROPS_PX),
            layouts=(config.layouts, ("official", "random")),
        )
        self.config = config
        self.render_mode = render_mode
        self.instruction = TASKS[config.task]
        self.max_steps = config.max_steps or MAX_STEPS[config.task]
        self.observation_space = observation_space(config.size_px, STATE_NAMES, 2)
        self.action_space = gymnasium.spaces.Box(-1, 1, (len(ACTION_NAMES),), np.float32)
        self._scene: Scene | None = None  # built at the first reset: asking for spaces is cheap

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Lay the scene out anew; see the class for what comes back."""
        super().reset(seed=seed)
        scene_seed = seed if seed is not None else int(self.np_random.integers(2**31))
        scene, config = self._built(), self.config
        self._layout = -1
        if config.layouts == "official" and scene_seed in EVALUATION:
            self._layout = scene_seed % NUM_EVALUATED
            scene.lay_out(official(config.task)[self._layout], scene_seed)
        else:
            self._lay_out_random(scene, scene_seed)
        self._expert = Expert(config.task)
        self._tally = Tally()
        self._steps = 0
        return self._observe(), self._info()

    def step(
        self, action: np.ndarray, draw: bool = True
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """One control step of 0.2 s; the reward is 1 while the criterion holds, else 0.

        With `draw` false the frame is that of the step before: drawing takes most of the time.
        """
        scene = self._built()
        action = np.clip(np.asarray(action, np.float64), -1, 1)
        self._tally.before(scene.privileged(), action[-1])
        scene.advance(action * [*[UNIT_M] * 3, *[UNIT_RAD] * 3, 1.0])
        self._steps += 1
        now = scene.privileged()
        self._tally.after(now)
        truncated = self._steps >= self.max_steps
        return self._observe(draw), float(now.success), False, truncated, self._info()

    def expert_action(self) -> np.ndarray:
        """What the scripted expert would do now: float32 (7,). Ask once a step."""
        action = self._expert.act(self._built().privileged())
        units = action / [*[UNIT_M] * 3, *[UNIT_RAD] * 3, 1.0]
        return np.clip(units, -1, 1).astype(np.float32)

    def privileged(self) -> Privileged:
        """The truth of this moment, which no policy is shown."""
        return self._built().privileged()

    def render(self) -> np.ndarray:
        """The frame of the newest observation."""
        return self._frame

    def close(self) -> None:
        """Free the scene; a later reset builds it again."""
        if self._scene is not None:
            self._scene.close()
        self._scene = None

    def _lay_out_random(self, scene: Scene, seed: int) -> None:
        """The seed's first layout in which the source came to rest: of some fifty eggplants one
        falls through the sink, and no policy could win that."""
        layouts = random_layouts(self.config.task, seed, self.config.quarter)
        for layout in islice(layouts, MOST_TRIES):
            scene.lay_out(layout, seed)
            if scene.privileged().source.pos_m[2] > scene.privileged().table_z_m - FALLEN_M:
                return
        raise RuntimeError(f"{self.config.task}, seed {seed}: {MOST_TRIES} layouts in a row fell.")

    def _built(self) -> Scene:
        if self._scene is None:
            from robowm.sim.simpler.needs import prepare

            prepare()
            config = self.config
            shift = Shift(config.light, config.camera_jitter, config.distractors)
            self._scene = Scene(config.task, square(config.crop, config.size_px), shift)
        return self._scene

    def _observe(self, draw: bool = True) -> dict[str, np.ndarray]:
        scene = self._built()
        now = scene.privileged()
        state = [*now.hand.pos_m, *now.hand.axes[:, 0], *now.hand.axes[:, 1], now.fingers_m]
        shape = self.observation_space["frame"].shape  # type: ignore[index]
        if not self.config.draw:
            self._frame = np.zeros(shape, np.uint8)
        elif draw:
            self._frame = shrink(scene.draw(), shape[0])
        return {"frame": self._frame, "state": np.array(state, np.float32)}

    def _info(self) -> dict[str, Any]:
        success = self._built().privileged().success
        return {
            "success": success,
            "expert_done": self._expert.done,
            "layout": self._layout,
            "stage": self._tally.stage(success),
            "partial": self._tally.partial(),
        }
