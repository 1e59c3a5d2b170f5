"""The robosuite suite as a LeRobot environment, for `lerobot-eval`:

    lerobot-eval --policy.path=POLICY --env.type=robowm --env.task=Lift \\
        --eval.n_episodes=50 --eval.batch_size=1

Importing this registers the environment `robowm` and the policy `vipra`; the distribution
`lerobot_policy_robowm` does it for LeRobot. Where that is not installed,
`--env.discover_packages_path=robowm.sim.lerobot_env` does (and for that it is a package: LeRobot
walks through the modules of what it is told to discover). LeRobot's own loop judges
as ours does (success within `max_steps`), without intervals, retries and stages.
"""

from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs import EnvConfig

import robowm.policy.modeling_vipra  # noqa: F401  registers the type "vipra"
from robowm.sim.robosuite_env import (
    ACTION_NAMES,
    CONTROL_HZ,
    STATE_NAMES,
    TASKS,
    RobosuiteEnv,
)

CAMERA = "agentview"


@EnvConfig.register_subclass("robowm")
@dataclass
class RobowmEnv(EnvConfig):
    """A task of the robosuite suite; fields as in `robowm.sim.robosuite_env.RobosuiteConfig`."""

    task: str | None = "Lift"
    fps: int = CONTROL_HZ
    robot: str = "Panda"
    size_px: int = 64
    max_steps: int | None = None
    features: dict[str, PolicyFeature] = field(default_factory=dict)
    features_map: dict[str, str] = field(
        default_factory=lambda: {
            "action": "action",
            "agent_pos": "observation.state",
            f"pixels/{CAMERA}": f"observation.images.{CAMERA}",
        }
    )

    def __post_init__(self) -> None:
        """The features follow from the size."""
        shape = (self.size_px, self.size_px, 3)
        self.features = {
            "action": PolicyFeature(FeatureType.ACTION, (len(ACTION_NAMES),)),
            "agent_pos": PolicyFeature(FeatureType.STATE, (len(STATE_NAMES),)),
            f"pixels/{CAMERA}": PolicyFeature(FeatureType.VISUAL, shape),
        }

    @property
    def package_name(self) -> str:
        """Where the Gymnasium names are registered."""
        return __name__

    @property
    def gym_id(self) -> str:
        """Name in Gymnasium's registry."""
        return f"robowm/LeRobot{self.task}-v0"

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """What the environment is made with."""
        return {"robot": self.robot, "size_px": self.size_px, "max_steps": self.max_steps}


class LeRobotView(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Our environment in LeRobot's words: `pixels`, `agent_pos`, `is_success`."""

    def __init__(self, **changes: Any) -> None:
        inner = RobosuiteEnv(render_mode="rgb_array", **changes)
        super().__init__(inner)
        self._max_episode_steps = inner.max_steps
        self.task_description = inner.instruction
        spaces: Any = inner.observation_space
        self.observation_space = gymnasium.spaces.Dict(
            {
                "pixels": gymnasium.spaces.Dict({CAMERA: spaces["frame"]}),
                "agent_pos": spaces["state"],
            }
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, Any], dict[str, Any]]:
        """As in RobosuiteEnv."""
        observation, info = self.env.reset(seed=seed, options=options)
        return _observation(observation), {"is_success": info["success"]}

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """As in RobosuiteEnv; the action is cut to [-1, 1]."""
        observation, reward, ended, cut_off, info = self.env.step(np.clip(action, -1, 1))
        return _observation(observation), reward, ended, cut_off, {"is_success": info["success"]}


def _observation(ours: dict[str, np.ndarray]) -> dict[str, Any]:
    return {"pixels": {CAMERA: ours["frame"]}, "agent_pos": ours["state"]}


for _task in TASKS:
    gymnasium.register(
        f"robowm/LeRobot{_task}-v0", entry_point=f"{__name__}:LeRobotView", kwargs={"task": _task}
    )
