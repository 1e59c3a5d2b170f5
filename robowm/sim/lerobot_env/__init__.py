"""Our suites as LeRobot environments, for `lerobot-eval`:

    lerobot-eval --policy.path=POLICY --env.type=robowm --env.task=robosuite/Lift \\
        --eval.n_episodes=50 --eval.batch_size=1

Importing this registers the environment `robowm` and the policy `vipra`; the distribution
`lerobot_policy_robowm` does it for LeRobot. Where that is not installed,
`--env.discover_packages_path=robowm.sim.lerobot_env` does (and for that it is a package: LeRobot
walks through the modules of what it is told to discover). LeRobot's own loop judges as ours does
(in simpler at the last step), without intervals, retries and stages.
"""

from dataclasses import dataclass, field
from typing import Any

import gymnasium
import numpy as np
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs import EnvConfig

import robowm.policy.modeling_vipra  # noqa: F401  registers the type "vipra"
from robowm.errors import UserError, nearest
from robowm.sim import robosuite_env
from robowm.sim.simpler import env as simpler_env
from robowm.sim.simpler.scene import CONTROL_HZ as SIMPLER_HZ

CAMERA = "agentview"
# suite: its tasks, its environment, its rate, whether success is judged at the last step only
SUITES: dict[str, tuple[Any, Any, int, bool]] = {
    "robosuite": (robosuite_env, robosuite_env.RobosuiteEnv, robosuite_env.CONTROL_HZ, False),
    "simpler": (simpler_env, simpler_env.SimplerEnv, SIMPLER_HZ, True),
}
NAMES = [f"{suite}/{task}" for suite, (module, *_) in SUITES.items() for task in module.TASKS]


@EnvConfig.register_subclass("robowm")
@dataclass
class RobowmEnv(EnvConfig):
    """A task of one of the suites; `robot` and `max_steps` are the suite's own where None."""

    task: str | None = NAMES[0]
    fps: int = 0
    robot: str | None = None
    size_px: int = 128
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
        """The features follow from task and size.

        Raises:
            UserError: no such task.
        """
        if self.task not in NAMES:
            raise UserError(f"robowm has no task {self.task!r}. {nearest(str(self.task), NAMES)}")
        module, _, self.fps, _ = SUITES[self.task.partition("/")[0]]
        shape = (self.size_px, self.size_px, 3)
        self.features = {
            "action": PolicyFeature(FeatureType.ACTION, (len(module.ACTION_NAMES),)),
            "agent_pos": PolicyFeature(FeatureType.STATE, (len(module.STATE_NAMES),)),
            f"pixels/{CAMERA}": PolicyFeature(FeatureType.VISUAL, shape),
        }

    @property
    def package_name(self) -> str:
        """Where the Gymnasium names are registered."""
        return __name__

    @property
    def gym_id(self) -> str:
        """Name in Gymnasium's registry."""
        return _gym_id(str(self.task))

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """What the environment is made with."""
        said = {"robot": self.robot, "max_steps": self.max_steps}
        return {"size_px": self.size_px} | {k: v for k, v in said.items() if v is not None}


class LeRobotView(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Our environment in LeRobot's words: `pixels`, `agent_pos`, `is_success`.

    Args:
        name: "suite/task".
        changes: fields of the environment's configuration.
    """

    def __init__(self, name: str, **changes: Any) -> None:
        suite, _, task = name.partition("/")
        _, make, _, self._at_the_end = SUITES[suite]
        inner = make(render_mode="rgb_array", task=task, **changes)
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
        """As in the environment."""
        observation, info = self.env.reset(seed=seed, options=options)
        return _observation(observation), {"is_success": self._success(info, False)}

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], Any, bool, bool, dict[str, Any]]:
        """As in the environment; the action is cut to [-1, 1]."""
        observation, reward, ended, cut_off, info = self.env.step(np.clip(action, -1, 1))
        said = {"is_success": self._success(info, ended or cut_off)}
        return _observation(observation), reward, ended, cut_off, said

    def _success(self, info: dict[str, Any], last: bool) -> bool:
        # LeRobot counts an episode that succeeded at any step
        return bool(info["success"]) and (last or not self._at_the_end)


def _observation(ours: dict[str, np.ndarray]) -> dict[str, Any]:
    return {"pixels": {CAMERA: ours["frame"]}, "agent_pos": ours["state"]}


def _gym_id(name: str) -> str:
    return f"robowm/{name.replace('/', '-')}-v0"


for _name in NAMES:
    gymnasium.register(
        _gym_id(_name), entry_point=f"{__name__}:LeRobotView", kwargs={"name": _name}
    )
