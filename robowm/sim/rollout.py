"""Closed-loop episodes, several side by side, one fixed seed each."""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv, VectorEnv

from robowm.batch import Observation
from robowm.policy.controller import Controller
from robowm.sim.suite import Task
from robowm.sim.workers import one_thread_each, serve_parent


@dataclass(frozen=True)
class EpisodeResult:
    """How one episode went.

    Attributes:
        seed: of the layout and of the controller's noise.
        success: the task's criterion held.
        length: control steps taken.
        measures: what else the environment's last `info["measures"]` said; plain numbers and words.
        frames: uint8 (length + 1, H, W, 3) where asked for, else None.
    """

    seed: int
    success: bool
    length: int
    measures: dict[str, Any] = field(default_factory=dict)
    frames: np.ndarray | None = field(default=None, repr=False, compare=False)


class ExpertController:
    """The environments' own scripted experts, behind the interface of a policy."""

    def __init__(self, envs: VectorEnv, action_dim: int) -> None:
        self.action_dim = action_dim
        self._envs: Any = envs

    def reset(self, slot: int, seed: int) -> None:
        """The environment's reset makes a new expert."""

    def act(self, slots: list[int], observations: list[Observation]) -> np.ndarray:
        """The experts' actions (N, A); they look at the simulator, not at the observations."""
        everyone = self._envs.call("expert_action")
        return np.stack([everyone[slot] for slot in slots])


@contextmanager
def open_envs(
    task: Task, robot: str | None = None, num_envs: int = 2, size_px: int = 64
) -> Iterator[VectorEnv]:
    """`num_envs` environments of one task: worker processes, or this process when it is one.

    Raises:
        UserError: the task has no such robot, or what its simulator needs is missing.
    """
    make = partial(task.make_env, robot=task.robot(robot), size_px=size_px)
    task.prepare()
    envs: VectorEnv
    if num_envs == 1:
        envs = SyncVectorEnv([make], autoreset_mode=AutoresetMode.DISABLED)
    else:
        with one_thread_each():
            envs = AsyncVectorEnv(
                [partial(_in_worker, make)] * num_envs,
                context="spawn",  # a fork would inherit torch's threads and the drawing context
                autoreset_mode=AutoresetMode.DISABLED,
            )
    try:
        yield envs
    finally:
        with warnings.catch_warnings():  # interrupted in the middle of a step, it says so
            warnings.simplefilter("ignore")
            envs.close()


def rollout(
    envs: VectorEnv,
    controller: Controller,
    seeds: Sequence[int],
    text: str = "",
    keep_frames_of: Sequence[int] = (),
    on_episode: Callable[[EpisodeResult], None] | None = None,
) -> list[EpisodeResult]:
    """Run one episode for each seed; results do not depend on how many run side by side.

    Args:
        envs: from `open_envs`; a slot is given the next seed as soon as its episode ends.
        controller: what acts.
        seeds: one episode each.
        text: the instruction the controller is given.
        keep_frames_of: the seeds whose frames are kept in the results.
        on_episode: called as episodes end, in the order they do.

    Returns:
        one result a seed, in the order of `seeds`.
    """
    waiting = list(reversed(seeds))
    running: dict[int, _Running] = {}
    results: dict[int, EpisodeResult] = {}
    actions = np.zeros((envs.num_envs, *envs.single_action_space.shape), np.float32)  # type: ignore[misc]
    free = list(range(envs.num_envs))
    fresh = True  # at first every slot is reset, for all step together, with a seed or without
    while waiting or running:
        begun = {slot: waiting.pop() for slot in free if waiting}
        if begun:
            observations = _reset(envs, begun, everyone=fresh)
            fresh = False
            for slot, seed in begun.items():
                controller.reset(slot, seed)
                running[slot] = _Running(seed)
                if seed in keep_frames_of:
                    running[slot].frames.append(observations["frame"][slot].copy())
        slots = sorted(running)
        seen = [
            Observation(observations["frame"][s], observations["state"][s], text) for s in slots
        ]
        actions[slots] = controller.act(slots, seen)
        observations, _, ended, cut_off, infos = envs.step(actions)
        free = []
        for slot in slots:
            episode = running[slot]
            episode.length += 1
            if episode.frames:
                episode.frames.append(observations["frame"][slot].copy())
            if not (ended[slot] or cut_off[slot]):
                continue
            result = episode.result(bool(infos["success"][slot]), _measures(infos, slot))
            results[episode.seed] = result
            del running[slot]
            free.append(slot)
            if on_episode:
                on_episode(result)
    return [results[seed] for seed in seeds]


def _in_worker(make: Callable[[], Any]) -> Any:
    serve_parent()
    return make()


@dataclass
class _Running:
    seed: int
    length: int = 0
    frames: list[np.ndarray] = field(default_factory=list)

    def result(self, success: bool, measures: dict[str, Any]) -> EpisodeResult:
        frames = np.stack(self.frames) if self.frames else None
        return EpisodeResult(self.seed, success, self.length, measures, frames)


def _measures(infos: dict[str, Any], slot: int) -> dict[str, Any]:
    """One slot's `measures`, without numpy's types; not a number becomes None, as in JSON."""
    every = {k: v[slot] for k, v in infos.get("measures", {}).items() if not k.startswith("_")}
    plain = {k: v.item() if isinstance(v, np.generic) else v for k, v in every.items()}
    return {k: None if isinstance(v, float) and np.isnan(v) else v for k, v in plain.items()}


def _reset(envs: Any, begun: dict[int, int], everyone: bool) -> dict[str, np.ndarray]:
    mask = np.array([everyone or slot in begun for slot in range(envs.num_envs)])
    seeds = [begun.get(slot, 0) for slot in range(envs.num_envs)]
    observations, _ = envs.reset(seed=seeds, options={"reset_mask": mask})
    return observations
