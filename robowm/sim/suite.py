"""What an evaluation suite is: named tasks, each with its length, its arms and its environment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from robowm.errors import UserError, nearest


@dataclass(frozen=True)
class Task:
    """One task that policies are evaluated on.

    Attributes:
        name: "suite/task".
        text: the instruction a policy is given.
        max_steps: control steps until an episode is cut off.
        control_hz: control steps a second.
        robots: the arms that can do it, the default one first.
        make_env: `make_env(robot=..., size_px=..., camera_jitter=...)`; must be importable, for
            worker processes make their own. The environment has `frame` and `state` in its
            observations, `success` in its infos, and a method `expert_action()` where there is an
            expert. Its infos may have `text`, what a policy is told now instead of the task's, and
            at an episode's end `layout`, `stage` and `partial`, as `robowm.metrics.result` defines
            them.
        state_names: one name for each element of `state`, with its unit.
        action_names: one name for each element of an action.
        camera: the name that the frames have in demonstrations and for policies.
        layouts: how many layouts evaluation seeds go through before they repeat; None: no end.
        packages: distributions whose versions stand in every result.
        prepare: called before any simulator starts; raises UserError when something it needs is
            missing, and returns what must stand in every result.
        expert: it has a scripted expert.
    """

    name: str
    text: str
    max_steps: int
    control_hz: int
    robots: tuple[str, ...]
    make_env: Callable[..., Any]
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    camera: str = "observation.images.agentview"
    layouts: int | None = None
    packages: tuple[str, ...] = ("robosuite", "mujoco")
    prepare: Callable[[], Mapping[str, str]] = dict
    expert: bool = True

    def require_expert(self) -> None:
        """Nothing, where there is a scripted expert.

        Raises:
            UserError: there is none.
        """
        if not self.expert:
            raise UserError(
                f"{self.name} has no scripted expert; expected `eval` of a policy directory, "
                "random or null. There is nothing to record."
            )

    def robot(self, name: str | None) -> str:
        """The arm of that name; None: the default one.

        Raises:
            UserError: this task has no such arm.
        """
        if name is not None and name not in self.robots:
            raise UserError(f"{self.name} has no robot {name!r}. {nearest(name, self.robots)}")
        return name or self.robots[0]


@dataclass(frozen=True)
class Suite:
    """Tasks under one name."""

    name: str
    tasks: Mapping[str, Task]

    def task(self, name: str) -> Task:
        """The task of that name.

        Raises:
            UserError: the suite has no such task; the nearest is suggested.
        """
        if name not in self.tasks:
            raise UserError(
                f"suite {self.name!r} has no task {name!r}. {nearest(name, self.tasks)} "
                f"Write it as {self.name}/{min(self.tasks)}."
            )
        return self.tasks[name]
