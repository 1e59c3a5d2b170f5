"""SIMPLER's WidowX tasks: expert, null and random on the 24 layouts, random layouts, speed.

    python benchmarks/simpler_expert.py --work DIR --json benchmarks/results/simpler_expert.json

Success is judged at the last of 60 steps (eggplant 120). Random layouts bear seeds of the block for
demonstrations and end where a recording would, when the expert has done; `noisy` is the expert as
`robowm record` disturbs it. Nothing is drawn but for the speeds. One process; run again after a
kill it goes on.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from _versions import made_with

from robowm.artefact import write_json
from robowm.metrics.intervals import wilson
from robowm.sim.record import RecordConfig
from robowm.sim.seeds import DEMONSTRATION
from robowm.sim.simpler.env import TASKS, SimplerEnv
from robowm.sim.simpler.layouts import NUM_EVALUATED, official
from robowm.sim.simpler.looks import Shift, View, square
from robowm.sim.simpler.needs import prepare
from robowm.sim.simpler.scene import Scene

TARGET = 23  # of 24
VIEWS = {"640x480": View(), "320x240": View(columns=320, rows=240), "left 128": square("left", 128)}
TIMED_STEPS = 40


@dataclass(frozen=True)
class Args:
    """Flags."""

    work: Path
    """scratch directory: finished episodes"""
    json: Path
    """result"""
    random_layouts: int = 40
    """random layouts of each task"""


def main(args: Args) -> None:
    """Play everything, then time it."""
    facts = prepare()
    args.work.mkdir(parents=True, exist_ok=True)
    demonstrations = DEMONSTRATION[: args.random_layouts]
    blocks = {
        "expert": range(NUM_EVALUATED),
        "null": range(NUM_EVALUATED),
        "random": range(NUM_EVALUATED),
        "expert, random layouts": demonstrations,
        "noisy expert, random layouts": demonstrations,
    }
    envs = {task: SimplerEnv(task=task, draw=False) for task in TASKS}
    found: dict[str, dict[str, Any]] = {task: {} for task in TASKS}
    for name, seeds in blocks.items():
        for task, env in envs.items():
            episodes = [*play(env, name, seeds, args.work / f"{task}.jsonl")]
            found[task][name] = summary(episodes)
    for env in envs.values():
        env.close()
    result = {
        "command": "python benchmarks/simpler_expert.py --work DIR --json FILE",
        **facts,
        "layouts": NUM_EVALUATED,
        "action_noise": RecordConfig.action_noise,
        "tasks": found,
        "speed": {task: speeds(task) for task in TASKS},
        "target": {"expert": TARGET, "of": NUM_EVALUATED},
        **made_with("robowm", "mani-skill", "sapien", "torch", "numpy", "gymnasium"),
        "load_average": round(os.getloadavg()[1], 1),
    }
    write_json(args.json, result)
    print(args.json.read_text())


def play(env: SimplerEnv, name: str, seeds: range, journal: Path) -> Iterator[dict[str, Any]]:
    """The episodes of these seeds, from the journal where they have been played already."""
    lines = journal.read_text().splitlines() if journal.exists() else []
    done = {(line["who"], line["seed"]): line for line in map(json.loads, lines)}
    for seed in seeds:
        if (name, seed) not in done:
            line = {"who": name, "seed": seed} | episode(env, name, seed)
            with journal.open("a") as file:
                file.write(json.dumps(line) + "\n")
            done[name, seed] = line
        yield done[name, seed]


def episode(env: SimplerEnv, name: str, seed: int) -> dict[str, Any]:
    """One episode; on a random layout it ends where its recording would."""
    rng = np.random.default_rng([seed, 2])
    _, info = env.reset(seed=seed)
    finished_step, length, cut_off = None, 0, False
    noisy = name.startswith("noisy")
    recorded = seed in DEMONSTRATION
    while not (cut_off or (recorded and info["expert_done"])):
        if name == "null":
            action = np.zeros(7)
        elif name == "random":
            action = rng.uniform(-1, 1, 7)
        else:
            action = env.expert_action()
            action[:-1] += rng.normal(0, RecordConfig.action_noise * noisy, 6)
        *_, cut_off, info = env.step(action)
        length += 1
        if info["expert_done"] and finished_step is None:
            finished_step = length
    return {
        "success": bool(info["success"]),
        "length": length,
        "finished_step": finished_step,
        "stage": info["stage"],
        **{k: bool(info["partial"][k]) for k in ("grasped", "grasped_5_steps", "moved")},
    }


def summary(episodes: list[dict[str, Any]]) -> dict[str, Any]:
    """Counts over episodes."""
    successes = sum(e["success"] for e in episodes)
    finished = [e["finished_step"] for e in episodes if e["finished_step"]]
    return {
        "episodes": len(episodes),
        "successes": successes,
        "interval": [round(bound, 3) for bound in wilson(successes, len(episodes))],
        **{k: sum(e[k] for e in episodes) for k in ("grasped", "grasped_5_steps", "moved")},
        "stages": dict(sorted(Counter(e["stage"] for e in episodes).items())),
        "expert_finished_step": round(float(np.mean(finished)), 1) if finished else None,
        "failed_seeds": [e["seed"] for e in episodes if not e["success"]],
    }


def speeds(task: str) -> dict[str, dict[str, float]]:
    """Control steps at each view and not drawn; layouts. A second, and a second of CPU time."""
    found: dict[str, dict[str, float]] = {}
    for name, view in VIEWS.items():
        scene = Scene(task, view, Shift())
        scene.lay_out(official(task)[0], 0)
        scene.draw()
        found[name] = _rate(scene, draw=True)
        if name == "left 128":
            found["not drawn"] = _rate(scene, draw=False)
            found["layouts"] = _per_second(4, lambda s=scene: s.lay_out(official(task)[1], 1))
        scene.close()
    return found


def _rate(scene: Scene, draw: bool) -> dict[str, float]:
    def step() -> None:
        scene.advance(np.array([0, 0, 0, 0, 0, 0, 1.0]))
        scene.privileged()
        if draw:
            scene.draw()

    return _per_second(TIMED_STEPS, step)


def _per_second(count: int, act: Callable[[], None]) -> dict[str, float]:
    begun_s, cpu_s = time.perf_counter(), time.process_time()
    for _ in range(count):
        act()
    wall_s, cpu_s = time.perf_counter() - begun_s, time.process_time() - cpu_s
    return {"a_second": round(count / wall_s, 1), "a_cpu_second": round(count / cpu_s, 1)}


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
