"""SIMPLER's google-robot tasks as Gymnasium environments; the simulator is in another process.

env = GoogleEnv(task="pick_coke_can", size_px=128)
observation, info = env.reset(seed=3)  # trial 3 of the published 300
"""

from dataclasses import dataclass
from typing import Any

import cv2
import gymnasium
import numpy as np
from scipy.spatial.transform import Rotation

from robowm.sim.google.link import Seen, Simulator
from robowm.sim.google.protocol import CONTROL_HZ, build_arguments, trial_of
from robowm.sim.google.table import PROTOCOLS
from robowm.sim.spaces import observation_space, require_known

ROBOT = "GoogleRobot"
# Those of `robowm ingest --recipe rt1 --keep-actions`, so that what learns from RT-1 can be tried.
CAMERA = "observation.images.main"
STATE_NAMES = ("x_m", "y_m", "z_m", "qx", "qy", "qz", "qw", "gripper")
ACTION_NAMES = ("dx_m", "dy_m", "dz_m", "drx_rad", "dry_rad", "drz_rad", "gripper")
ACTION_LIMITS = np.array([1, 1, 1, np.pi / 2, np.pi / 2, np.pi / 2, 1], np.float32)


@dataclass(frozen=True)
class GoogleConfig:
    """Which task, and how it is seen.

    Attributes:
        task: a key of `table.PROTOCOLS`.
        robot: ROBOT; there is no other.
        size_px: height and width of a frame.
        max_steps: control steps (1/3 s each) until the episode is cut off; None: the protocol's.
        ray_traced: False rasterises what the protocol has ray traced: not as published.
    """

    task: str = "pick_coke_can"
    robot: str = ROBOT
    size_px: int = 64
    max_steps: int | None = None
    ray_traced: bool = True


class GoogleEnv(gymnasium.Env[Any, np.ndarray]):
    """The google robot before a table or a cabinet.

    Observation: `frame` uint8 (size_px, size_px, 3) RGB, the middle square of the 640 x 512
    picture; `state` float32 (8,), named by STATE_NAMES: the place of the point between the finger
    tips in metres and its rotation as a quaternion (qw not negative), both in the frame of the
    robot's base, and how far the gripper is closed, 0 to 1.

    Action: float32 (7,), as the original's controller takes it, without any scale of ours: the
    hand's way in metres and its rotation as axis-angle in radians, both from where it *is*, along
    the axes of the robot's base; and how the gripper's target moves, 1 from open to closed, -1
    back, 0 not at all. Nothing is cut off at the limits of `action_space`, as in the original.

    No episode ends before `max_steps`, as in SIMPLER: `info["success"]` is the original's criterion
    *now*, and the last step's counts. `info["text"]` is the instruction now: it differs from trial
    to trial where objects do, and in the apple's task changes from opening to placing after 101
    steps (the original lets a policy say so earlier; ours cannot). `info["layout"]` is the number
    of the trial; `info["partial"]` the protocol's `measures`; `info["stage"]` is there only where
    those tell it.

    Raises:
        UserError: unknown task or robot; at a reset: the original or its assets are missing, or
            the seed is not one for evaluation.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": CONTROL_HZ}  # noqa: RUF012  gymnasium's

    def __init__(
        self, config: GoogleConfig | None = None, render_mode: str | None = None, **changes: Any
    ) -> None:
        config = config or GoogleConfig(**changes)
        require_known("google", task=(config.task, PROTOCOLS), robot=(config.robot, (ROBOT,)))
        self.config = config
        self.render_mode = render_mode
        self.protocol = PROTOCOLS[config.task]
        self.max_steps = config.max_steps or self.protocol.max_steps
        self.observation_space = observation_space(config.size_px, STATE_NAMES, 3)
        self.action_space = gymnasium.spaces.Box(-ACTION_LIMITS, ACTION_LIMITS)
        self._simulator: Simulator | None = None  # started at the first reset

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Begin the seed's trial; None: any. See the class for what comes back."""
        from robowm.sim.google.needs import asset_folder, interpreter, prepare

        super().reset(seed=seed)
        chosen = int(self.np_random.integers(self.protocol.trials)) if seed is None else seed
        trial = trial_of(self.protocol, chosen)
        if self._simulator is None:
            prepare(self.protocol)
            self._simulator = Simulator(interpreter())
        build = build_arguments(
            self.protocol, trial, str(asset_folder()), ray_traced=self.config.ray_traced
        )
        self._trial, self._steps = trial, 0
        return self._show(self._simulator.reset(trial.part.env_id, build, trial.reset_options()))

    def step(
        self, action: np.ndarray
    ) -> tuple[dict[str, np.ndarray], float, bool, bool, dict[str, Any]]:
        """One control step of 1/3 s; the reward is 1 while the criterion holds, else 0."""
        if self._simulator is None:
            raise RuntimeError("the first call has to be reset()")
        seen = self._simulator.step(action)
        self._steps += 1
        observation, info = self._show(seen)
        return observation, float(seen.success), False, self._steps >= self.max_steps, info

    def render(self) -> np.ndarray:
        """The frame of the newest observation."""
        return self._frame

    def close(self) -> None:
        """End the simulator's process; a later reset starts another."""
        if self._simulator is not None:
            self._simulator.close()
        self._simulator = None

    def _show(self, seen: Seen) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        self._frame = middle(seen.frame, self.config.size_px)
        state = np.array([*hand_in_base(seen.base, seen.hand), seen.closed], np.float32)
        measures = self.protocol.measures
        info: dict[str, Any] = {
            "success": seen.success,
            "layout": self._trial.number,
            "text": seen.text,
            "partial": {
                ours: seen.stats[theirs]
                for ours, theirs in measures.items()
                if theirs in seen.stats
            },
        }
        stage = stage_of(seen.success, info["partial"])
        return {"frame": self._frame, "state": state}, info | ({"stage": stage} if stage else {})


def stage_of(success: bool, partial: dict[str, float]) -> str | None:
    """How far it came, in the words of `robowm.metrics.result.STAGES`; None: not known.

    Whether a hand that never held anything came near, the original does not say.
    """
    if success:
        return "success"
    if partial.get("grasped") and not partial.get("held"):
        return "dropped"
    return "misplaced" if partial.get("held") or partial.get("moved") else None


def middle(picture: np.ndarray, size_px: int) -> np.ndarray:
    """The largest centred square of uint8 (H, W, 3) as uint8 (size_px, size_px, 3)."""
    height, width, _ = picture.shape
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = picture[top : top + side, left : left + side]
    return np.asarray(cv2.resize(square, (size_px, size_px), interpolation=cv2.INTER_AREA))


def hand_in_base(base: np.ndarray, hand: np.ndarray) -> np.ndarray:
    """The hand's pose in the base's frame: float64 (7,) x, y, z, qx, qy, qz, qw with qw >= 0.

    Args:
        base, hand: poses in the world (7,): x, y, z, qw, qx, qy, qz.
    """
    to_base = Rotation.from_quat(np.roll(base[3:], -1)).inv()
    turned = to_base * Rotation.from_quat(np.roll(hand[3:], -1))
    return np.concatenate([to_base.apply(hand[:3] - base[:3]), turned.as_quat(canonical=True)])
