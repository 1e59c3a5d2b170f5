"""How far a head gets that is given SIMPLER's true goals: what sight cannot be blamed for.

    python benchmarks/action_head.py --work DIR --json benchmarks/results/action_head.json

The head `goals` (`robowm.policy.way_head`) alone, trained on demonstrations without pictures and
played in closed loop, where its goals are the expert's own: where its hand came to rest when it
grasped, when it let go, and at the end. Every training seed has demonstrations of its own: among
few, what decides is often which. A case changes a thing or two of what `policies/vipra.py`
trains. Layouts are random (seeds of the block for evaluation, never the official 24, which this
does not touch). Nothing is drawn. One process; run again after a kill it goes on.
"""

import json
from collections import Counter, deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from _versions import made_with
from torch import Tensor

from robowm.artefact import write_json
from robowm.metrics.intervals import wilson
from robowm.policy.eye import place_columns
from robowm.policy.follow_through import steps_to_execute
from robowm.policy.goal_head import GoalHead
from robowm.policy.keyframes import next_keyframes
from robowm.policy.turning import Turning
from robowm.policy.way_head import WayHead
from robowm.sim.perform import episode
from robowm.sim.seeds import DEMONSTRATION, EVALUATION
from robowm.sim.simpler.env import ACTION_NAMES, STATE_NAMES, TASKS, SimplerEnv
from robowm.sim.simpler.scene import CONTROL_HZ
from robowm.train.astray import Astray
from robowm.train.frames import Frames
from robowm.train.goals import Goals, goal_rows
from robowm.train.practice import MIRRORED, draw, practise
from robowm.train.rest import at_rest

HORIZON, EXECUTED, SUBGOALS = 8, 1, 2
BATCH, RATE = 512, 3e-3
FIRST_LAYOUT = 900_000
DEMOS = 25


@dataclass(frozen=True)
class Case:
    """One way to train and play the head.

    Attributes:
        turned: turn demonstrations about the vertical.
        moments: of proprioception.
        goal_error_m: root mean square of what is added to each goal's place, level, an episode.
        demos: demonstrations a task.
        mirrored: share of samples that are mirrored.
        unsure: whether later goals are left unsure, see `practise`.
        ways: by shares of the ways to the goals; False: a plain network.
        astray: whether some moments are moved away, see `robowm.train.astray`.
    """

    turned: bool = True
    moments: int = 3
    goal_error_m: float = 0.0
    demos: int = DEMOS
    mirrored: float = MIRRORED
    unsure: bool = True
    ways: bool = True
    astray: bool = True


PLAIN = Case(ways=False, astray=False)
CASES = {
    "as in policies/vipra.py": Case(),
    "two moments of proprioception": Case(moments=2),
    "one moment of proprioception": Case(moments=1),
    "goals 1 cm off": Case(goal_error_m=0.01),
    "goals 2 cm off": Case(goal_error_m=0.02),
    "10 demonstrations a task": Case(demos=10),
    "3 demonstrations a task": Case(demos=3),
    "3 demonstrations a task, goals 1 cm off": Case(demos=3, goal_error_m=0.01),
    "1 demonstration a task": Case(demos=1),
    "3 demonstrations a task, later goals as demonstrated": Case(demos=3, unsure=False),
    "none astray": Case(astray=False),
    "3 demonstrations a task, none astray": Case(demos=3, astray=False),
    "1 demonstration a task, none astray": Case(demos=1, astray=False),
    "plain network": PLAIN,
    "plain network, 10 demonstrations a task": replace(PLAIN, demos=10),
    "plain network, 3 demonstrations a task": replace(PLAIN, demos=3),
    "plain network, 1 demonstration a task": replace(PLAIN, demos=1),
    "plain network, neither turned nor mirrored": replace(PLAIN, turned=False),
    "plain network, none mirrored": replace(PLAIN, mirrored=0),
    "plain network, 3 demonstrations a task, none mirrored": replace(PLAIN, demos=3, mirrored=0),
}


@dataclass(frozen=True)
class Args:
    """Flags."""

    work: Path
    """scratch directory: finished runs"""
    json: Path
    """result"""
    layouts: int = 10
    """random layouts of each task"""
    seeds: int = 3
    """training seeds"""
    steps: int = 4000
    """optimiser steps"""
    cases: tuple[str, ...] = tuple(CASES)
    """which of them"""


def main(args: Args) -> None:
    """Train and play every case and seed."""
    torch.set_num_threads(1)
    args.work.mkdir(parents=True, exist_ok=True)
    demos: Demos | None = None
    envs = {task: SimplerEnv(task=task, draw=False, layouts="random") for task in TASKS}
    runs: dict[str, list[dict[str, Any]]] = {}
    for seed in range(args.seeds):
        for name in args.cases:
            words = f"{name} {seed} {args.layouts} {args.steps}".replace("/", "-")
            kept = args.work / f"{words}.json"
            if not kept.exists():
                demos = demos or Demos.record(envs)
                head, case = Head.train(demos, CASES[name], seed, args.steps), CASES[name]
                stages = {
                    t: [head.play(e, i, case) for i in layouts(args)] for t, e in envs.items()
                }
                write_json(kept, {"seed": seed, "stages": stages})
            runs.setdefault(name, []).append(json.loads(kept.read_text()))
    result = {
        "command": "python benchmarks/action_head.py --work DIR --json FILE",
        "assets": "stand-in",
        "layouts": f"random, {args.layouts} a task, seeds from {FIRST_LAYOUT}",
        "steps": args.steps,
        "cases": {name: summary(found) for name, found in runs.items()},
        **made_with("robowm", "torch", "mani_skill"),
    }
    write_json(args.json, result)
    print(args.json.read_text())


def layouts(args: Args) -> range:
    """Seeds of the layouts that are played."""
    return EVALUATION[FIRST_LAYOUT : FIRST_LAYOUT + args.layouts]


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Successes of each seed and task, all together with their interval, and the failures."""
    stages = [stage for run in runs for each in run["stages"].values() for stage in each]
    won = sum(stage == "success" for stage in stages)
    return {
        "seeds": [run["seed"] for run in runs],
        "successes": [
            {task: each.count("success") for task, each in run["stages"].items()} for run in runs
        ],
        "share": won / len(stages),
        "wilson_95": wilson(won, len(stages)),
        "episodes": len(stages),
        "stages": dict(Counter(stages)),
    }


@dataclass(frozen=True)
class Demos:
    """Demonstrations without pictures; those of one task follow each other."""

    frames: Frames
    first: dict[str, int]

    @classmethod
    def record(cls, envs: dict[str, SimplerEnv]) -> "Demos":
        """DEMOS successful ones of each task."""
        shown: list[list[dict[str, Any]]] = []
        for env in envs.values():
            kept, seeds = 0, iter(DEMONSTRATION)
            while kept < DEMOS:
                steps = episode(env, next(seeds), noise=0.1)
                if steps.pop()["success"]:
                    shown.append(steps)
                    kept += 1
        lengths = np.array([len(steps) for steps in shown])
        ends = lengths.cumsum()
        columns = {
            column: np.concatenate([[step[key] for step in steps] for steps in shown])
            for column, key in (("observation.state", "state"), ("action", "action"))
        }
        nothing = np.zeros(ends[-1], np.int64)
        frames = Frames(
            pixels=np.zeros((ends[-1], 1, 1, 3), np.uint8),
            start=np.repeat(ends - lengths, lengths),
            end=np.repeat(ends, lengths),
            task=nothing,
            tasks=[""],
            episode=np.repeat(np.arange(len(shown)), lengths),
            columns=columns,
        )
        return cls(frames, {task: DEMOS * i for i, task in enumerate(envs)})

    def rows(self, count: int, seed: int) -> np.ndarray:
        """Those of `count` demonstrations of each task, others for each seed while there are."""
        return np.flatnonzero(self.frames.episode % DEMOS // count == seed % (DEMOS // count))


@dataclass(frozen=True)
class Head:
    """A trained head with the statistics of its demonstrations."""

    net: GoalHead | WayHead
    stats: dict[str, tuple[Tensor, Tensor]]
    moments: int

    @classmethod
    def train(cls, demos: Demos, case: Case, seed: int, steps: int) -> "Head":
        """As `robowm finetune` does beside the picture."""
        torch.manual_seed(seed)
        rng = np.random.default_rng(seed)
        rows, frames = demos.rows(case.demos, seed), demos.frames
        goals = rest_goals(frames)
        stats = {}
        for key, values in frames.columns.items():
            used = torch.from_numpy(values[rows].astype(np.float32))
            stats[key] = used.mean(0), used.std(0)
        out, places = (HORIZON, len(ACTION_NAMES)), place_columns(STATE_NAMES)
        sizes = len(STATE_NAMES), case.moments, SUBGOALS, out, places
        net: GoalHead | WayHead = GoalHead(*sizes)
        if case.ways:
            net = way_head(sizes, stats, frames.columns["action"][rows])
        head = cls(net, stats, case.moments)
        turning = Turning.of(STATE_NAMES, ACTION_NAMES) if case.turned else None
        astray = None
        if case.astray and turning:
            astray = Astray.of(frames, rows, turning, CONTROL_HZ)
        optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
        for _ in range(steps):
            chosen = draw(rng, rows, goals, BATCH, CONTROL_HZ)
            shape = case.moments, HORIZON
            ways = case.mirrored, case.unsure
            p = practise(frames, goals, chosen, shape, turning, head.normal, *ways, astray)
            error = net.error(net(p.state, p.subgoals), p.actions) * p.valid
            optimizer.zero_grad()
            (error.sum() / p.valid.sum()).backward()
            optimizer.step()
            schedule.step()
        net.eval()
        return head

    def normal(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the policy's preprocessor does to state and action."""
        return {k: (v - self.stats[k][0]) / (self.stats[k][1] + 1e-8) for k, v in batch.items()}

    def play(self, env: SimplerEnv, seed: int, case: Case) -> str:
        """How far one episode came, see `robowm.sim.simpler.tally`."""
        goals = experts_goals(env, seed)
        observation, info = env.reset(seed=seed)
        spread = np.random.default_rng(seed).normal(0, case.goal_error_m / 2**0.5, (3, 2))
        goals[:, :2] += spread
        seen: deque[np.ndarray] = deque(maxlen=self.moments)
        chunk: list[np.ndarray] = []
        at, told, ended = 0, None, False
        while not ended:
            seen.append(observation["state"])
            if not chunk:
                moments = np.stack([*[seen[0]] * (self.moments - len(seen)), *seen])
                ahead = goals[[at, min(at + 1, 2)]]
                plan = self._plan(moments, ahead)
                count = steps_to_execute(torch.from_numpy(plan[:, -1]), told, EXECUTED)
                chunk = list(plan[:count])
            action = chunk.pop(0)
            told = float(action[-1])
            at = max(at, 1 if action[-1] < 0 else 2 if at else 0)
            observation, _, _, ended, info = env.step(np.clip(action, -1, 1))
        return str(info["stage"])

    @torch.no_grad()
    def _plan(self, moments: np.ndarray, ahead: np.ndarray) -> np.ndarray:
        both = torch.from_numpy(np.concatenate([moments, ahead]).astype(np.float32))
        both = self.normal({"observation.state": both[None]})["observation.state"]
        chunk = self.net(both[:, : self.moments], both[:, self.moments :])[0]
        mean, spread = self.stats["action"]
        planned: np.ndarray = (chunk * spread + mean).numpy()
        return planned


def rest_goals(frames: Frames) -> Goals:
    """Of every moment where the hand comes to rest at the next keyframes."""
    state, ahead = frames.columns["observation.state"], goal_rows(frames, SUBGOALS)
    place = state[:, place_columns(STATE_NAMES)]
    rest = at_rest(place, frames.start, frames.end, CONTROL_HZ)[ahead]
    states = state[ahead]
    states[..., :-1] = state[rest][..., :-1]
    return Goals(states, ahead)


def experts_goals(env: SimplerEnv, seed: int) -> np.ndarray:
    """(3, S): where the undisturbed expert's hand rests when it grasps, lets go and is done."""
    steps = episode(env, seed, noise=0.0)[:-1]
    state, action = (np.stack([step[key] for step in steps]) for key in ("state", "action"))
    ahead = next_keyframes(action[:, -1], 3)[0]
    begin, end = np.zeros(len(steps), int), np.full(len(steps), len(steps))
    rest = at_rest(state[:, place_columns(STATE_NAMES)], begin, end, CONTROL_HZ)[ahead]
    return np.concatenate([state[rest][:, :-1], state[ahead][:, -1:]], axis=1)


def way_head(
    sizes: tuple[int, int, int, tuple[int, int], tuple[int, ...]],
    stats: dict[str, tuple[Tensor, Tensor]],
    actions: np.ndarray,
) -> WayHead:
    """The head that acts by ways, told its scale as `robowm finetune` does."""
    turning = Turning.of(STATE_NAMES, ACTION_NAMES)
    assert turning is not None
    net = WayHead(*sizes, turning.axes, turning.action)
    scales = (torch.stack(stats[key]) for key in ("observation.state", "action"))
    net.know_scale(*scales, torch.from_numpy(actions).float())
    return net


if __name__ == "__main__":
    main(tyro.cli(Args))
