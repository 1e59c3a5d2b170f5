"""How often the scripted experts succeed: every task, every arm, seeds they were not tuned on.

    python benchmarks/robosuite_experts.py --json FILE

Seeds are VIDEO[900000] and on (tuning used VIDEO[0] and on; no evaluation seed is touched). A
success is the suite's: robosuite's criterion, held for two control steps, within the task's steps.
Goes on where it was killed: a pair of task and arm that FILE holds with as many episodes is done.
Targets, with Panda: 95 %, NutAssemblySquare 80 %.
"""

import json
import shlex
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from _versions import made_with

from robowm import recipes
from robowm.artefact import write_json
from robowm.metrics.intervals import wilson
from robowm.sim.rollout import EpisodeResult, ExpertController, open_envs, rollout
from robowm.sim.seeds import VIDEO, take
from robowm.sim.suite import Suite, Task

FIRST_SEED = 900_000
TARGETS = dict.fromkeys(("Lift", "Stack", "PickPlaceCan", "Door"), 0.95)
TARGETS |= {"NutAssemblySquare": 0.8}


@dataclass(frozen=True)
class Args:
    """Flags."""

    json: Path
    """result; begun results are gone on with"""
    episodes: int = 100
    """with Panda"""
    other_episodes: int = 20
    """with every other arm"""
    tasks: tuple[str, ...] = tuple(TARGETS)
    robots: tuple[str, ...] = ("Panda", "UR5e", "Sawyer", "IIWA", "Kinova3")
    num_envs: int = 1
    """episodes side by side"""


def main(args: Args) -> None:
    """Run what is missing and write the table after each pair."""
    suite: Suite = recipes.load("sim_eval/robosuite").SUITE
    rows: dict[str, Any] = json.loads(args.json.read_text())["rows"] if args.json.exists() else {}
    for robot in args.robots:
        episodes = args.episodes if robot == "Panda" else args.other_episodes
        for name in args.tasks:
            key = f"{name} {robot}"
            if rows.get(key, {}).get("episodes") != episodes:
                rows[key] = _run(suite.task(name), robot, episodes, args.num_envs)
                _write(args, rows)
            print(f"{key}: {rows[key]['successes']}/{rows[key]['episodes']}", flush=True)


def _run(task: Task, robot: str, episodes: int, num_envs: int) -> dict[str, Any]:
    with open_envs(task, robot, num_envs, size_px=16) as envs:
        expert = ExpertController(envs, len(task.action_names))
        results: list[EpisodeResult] = rollout(envs, expert, take(VIDEO, FIRST_SEED, episodes))
    won = [result.length for result in results if result.success]
    return {
        "episodes": episodes,
        "successes": len(won),
        "success_rate": len(won) / episodes,
        "interval": list(wilson(len(won), episodes)),
        "mean_steps_of_successes": round(sum(won) / len(won), 1) if won else None,
        "stages": dict(Counter(result.stage for result in results)),
        "failed_seeds": [result.seed for result in results if not result.success],
        "errors": [result.error for result in results if result.error],
    }


def _write(args: Args, rows: dict[str, Any]) -> None:
    reached = {
        task: rows[f"{task} Panda"]["success_rate"] >= target
        for task, target in TARGETS.items()
        if f"{task} Panda" in rows
    }
    result = {
        "command": "python " + shlex.join(["benchmarks/robosuite_experts.py", *flags(args)]),
        "first_seed": VIDEO[FIRST_SEED],
        **made_with("robosuite", "mujoco", "numpy"),
        "targets_panda": TARGETS,
        "targets_reached": reached,
        "rows": rows,
    }
    write_json(args.json, result)


def flags(args: Args) -> list[str]:
    """Those that make the same result again."""
    words = ["--json", "FILE", "--episodes", str(args.episodes)]
    words += ["--other-episodes", str(args.other_episodes)]
    return [*words, "--tasks", *args.tasks, "--robots", *args.robots]


if __name__ == "__main__":
    main(tyro.cli(Args))
