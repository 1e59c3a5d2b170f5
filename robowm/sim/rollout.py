"""Closed-loop episodes, several side by side, one fixed seed each.

No episode is lost without a word: one whose simulator died is played again from its seed, in a
fresh process, and one that cannot be played to its end is a failure with the reason in `error`.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from robowm.batch import Observation
from robowm.policy.controller import Controller
from robowm.sim.pool import Crashed, EnvPool, Step
from robowm.sim.suite import Task

MAX_RETRIES = 2
TOLD = ("layout", "stage", "partial")  # of an environment's last info


@dataclass(frozen=True)
class EpisodeResult:
    """How one episode went.

    Attributes:
        seed: of the layout and of the controller's noise.
        success: the task's criterion held.
        length: control steps taken.
        layout, stage, partial: what the environment's last info says of where it took place, how
            far it came, and its partial measures; None where it says nothing.
        error: why the episode could not be played to its end; None: it was.
        retries: how often it was begun again because its simulator crashed.
        frames: uint8 (length + 1, H, W, 3) where asked for, else None.
    """

    seed: int
    success: bool
    length: int
    layout: int | str | None = None
    stage: str | None = None
    partial: dict[str, float] | None = None
    error: str | None = None
    retries: int = 0
    frames: np.ndarray | None = field(default=None, repr=False, compare=False)


class ExpertController:
    """The environments' own scripted experts, behind the interface of a policy."""

    def __init__(self, envs: EnvPool, action_dim: int) -> None:
        self.action_dim = action_dim
        self._envs = envs

    def reset(self, slot: int, seed: int) -> None:
        """The environment's reset makes a new expert."""

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        """The experts' actions (N, A); they look at the simulator, not at the observations."""
        asked = self._envs.call("expert_action", slots)
        nothing = np.zeros(self.action_dim, np.float32)  # where it crashed: the step will say so
        return np.stack([nothing if isinstance(a, Crashed) else a for a in asked.values()])

    def looks(self, slot: int) -> bool:
        """Never."""
        return False


@contextmanager
def open_envs(
    task: Task, robot: str | None = None, num_envs: int = 2, size_px: int = 64
) -> Iterator[EnvPool]:
    """`num_envs` environments of one task: worker processes, or this process when it is one.

    Raises:
        UserError: the task has no such robot, or what its simulator needs is missing.
    """
    task.prepare()
    make = partial(task.make_env, robot=task.robot(robot), size_px=size_px)
    with closing(EnvPool(make, num_envs)) as envs:
        yield envs


def rollout(
    envs: EnvPool,
    controller: Controller,
    seeds: Sequence[int],
    text: str = "",
    keep_frames_of: Sequence[int] = (),
    on_episode: Callable[[EpisodeResult], None] | None = None,
    max_retries: int = MAX_RETRIES,
) -> list[EpisodeResult]:
    """Run one episode for each seed; results do not depend on how many run side by side.

    Args:
        envs: from `open_envs`; a slot is given the next seed as soon as its episode ends.
        controller: what acts. An action that is not finite ends its episode as a failure.
        seeds: one episode each.
        text: the instruction the controller is given, where the environment does not tell another.
        keep_frames_of: the seeds whose frames are kept in the results.
        on_episode: called as episodes end, in the order they do.
        max_retries: how often an episode whose simulator crashed is begun again.

    Returns:
        one result a seed, in the order of `seeds`.
    """
    waiting = list(reversed(seeds))
    running: dict[int, _Running] = {}
    results: dict[int, EpisodeResult] = {}

    def end(slot: int, success: bool = False, error: str | None = None) -> None:
        result = running.pop(slot).result(success, error)
        results[result.seed] = result
        if on_episode:
            on_episode(result)

    def hear(slot: int, answer: Step | Crashed) -> None:
        episode = running[slot]
        if isinstance(answer, Step):
            episode.see(answer)
            if answer.ended:
                end(slot, bool(answer.info["success"]))
        elif episode.retries < max_retries:
            episode.begin_again()
        else:
            end(slot, error=str(answer))

    looks = getattr(controller, "looks", lambda slot: True)
    while waiting or running:
        for slot in range(envs.num_envs):
            if slot not in running and waiting:
                seed = waiting.pop()
                running[slot] = _Running(seed, filmed=seed in keep_frames_of)
        begun = {slot: e.seed for slot, e in running.items() if e.now is None}
        for slot, seed in begun.items():
            controller.reset(slot, seed)
        for slot, answer in envs.reset(begun).items():
            hear(slot, answer)
        acting = {slot: e for slot, e in sorted(running.items()) if e.now is not None}
        actions = _actions(controller, acting, text)
        for slot, action in list(actions.items()):
            if not np.isfinite(action).all():
                end(slot, error=f"the policy's action is not finite: {np.round(action, 3)}")
                del actions[slot]
        unseen = {slot for slot in actions if not (running[slot].filmed or looks(slot))}
        for slot, answer in envs.step(actions, unseen).items():
            hear(slot, answer)
    return [results[seed] for seed in seeds]


def _actions(
    controller: Controller, running: dict[int, "_Running"], text: str
) -> dict[int, np.ndarray]:
    if not running:
        return {}
    seen = []
    for episode in running.values():
        assert episode.now is not None
        now = episode.now.observation
        told = episode.now.info.get("text", text)  # where it changes in an episode
        seen.append(Observation(now["frame"], now["state"], told))
    return dict(zip(running, controller.act(list(running), seen), strict=True))


@dataclass
class _Running:
    seed: int
    filmed: bool = False
    length: int = 0
    retries: int = 0
    now: Step | None = None
    frames: list[np.ndarray] = field(default_factory=list)

    def see(self, step: Step) -> None:
        self.length += self.now is not None
        self.now = step
        if self.filmed:
            self.frames.append(step.observation["frame"])

    def begin_again(self) -> None:
        self.length, self.now, self.frames = 0, None, []
        self.retries += 1

    def result(self, success: bool, error: str | None) -> EpisodeResult:
        info = self.now.info if self.now else {}
        told = {name: info[name] for name in TOLD if name in info}
        if error is not None:
            told.pop("stage", None)  # it was no end: "success" would contradict the failure
        frames = np.stack(self.frames) if self.frames else None
        return EpisodeResult(
            self.seed,
            success,
            self.length,
            error=error,
            retries=self.retries,
            frames=frames,
            **told,
        )
