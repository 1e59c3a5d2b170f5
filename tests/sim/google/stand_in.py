"""Stands in for `mani_skill2_real2sim.envs` in these tests: the original is not to be had here.

A hand that goes where it is told and a drawer that opens as the hand goes back; no physics, no
pictures. Names, shapes and quirks (numbers as text, printing, poses as p and q) are the original's.
"""

import os
import sys
from types import SimpleNamespace

import gymnasium
import numpy as np

NAMES = (
    "GraspSingleOpenedCokeCanInScene-v0",
    "MoveNearGoogleBakedTexInScene-v0",
    "OpenTopDrawerCustomInScene-v0",
    "PlaceIntoClosedTopDrawerCustomInScene-v0",
)
SUBTASK_STEPS = 2  # the original: 100


class StandIn(gymnasium.Env):
    """Keeps what it was built with, and shows it in the corner of its picture."""

    def __init__(self, name: str, **build: object) -> None:
        self.name, self.build = name, build
        self.action_space = gymnasium.spaces.Box(-1, 1, (7,))
        self.observation_space = gymnasium.spaces.Dict({})

    def reset(self, *, seed: int | None = None, options: dict | None = None) -> tuple[dict, dict]:
        super().reset(seed=seed)
        assert options is not None
        print("printed in the midst", flush=True)
        os.write(1, b"and by C code\n")
        robot, self.objects = options["robot_init_options"], options["obj_init_options"]
        base = SimpleNamespace(p=np.array([*robot["init_xy"], 0.079]), q=robot["init_rot_quat"])
        hand = SimpleNamespace(p=base.p + np.array([-0.5, 0, 0.8]), q=np.array([0.0, 1, 0, 0]))
        self.agent = SimpleNamespace(
            robot=SimpleNamespace(pose=base), get_gripper_closedness=lambda: self.closed
        )
        self.tcp = SimpleNamespace(pose=hand)
        self.closed, self.steps, self.opening_m = 0.0, 0, 0.0
        return self._look(), {}

    def step(self, action: np.ndarray) -> tuple[dict, float, bool, bool, dict]:
        assert action.dtype == np.float64 and action.shape == (7,)
        if action[0] > 0.9:
            raise ValueError("no way there")
        if action[1] > 0.9:
            print("Segmentation fault", file=sys.stderr, flush=True)
            os._exit(139)
        self.tcp.pose.p = self.tcp.pose.p - action[:3] * [1, 1, -1]  # the base is turned about
        self.closed = float(np.clip(self.closed + action[6], 0, 1))
        self.opening_m += max(0.0, -float(action[0]))
        self.steps += 1
        success = np.bool_(self.opening_m >= 0.15)
        stats = {"qpos": f"{self.opening_m:.3f}", "obj_pos": np.zeros(3), "grasped": np.True_}
        return self._look(), 0.0, bool(success), False, {"success": success, "episode_stats": stats}

    def get_language_instruction(self) -> str:
        if "Place" in self.name and self.steps < SUBTASK_STEPS:
            return "open top drawer"
        return f"do {self.name} with {self.objects}"

    def _look(self) -> dict:
        rgb = np.zeros((512, 640, 3), np.uint8)
        rgb[:, 64:576] = 200  # the middle square
        rgb[:256, 64:320] -= 50 * np.uint8("recolor" in str(self.build["urdf_version"]))
        return {"image": {"overhead_camera": {"rgb": rgb}}}


for name in NAMES:
    gymnasium.register(
        name,
        entry_point=lambda name=name, **build: StandIn(name, **build),
        max_episode_steps=80,
        disable_env_checker=True,
    )
