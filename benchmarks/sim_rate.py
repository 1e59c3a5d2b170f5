"""Image steps a second: our environment against stock robosuite's, in turns in one process.

    python benchmarks/sim_rate.py --json FILE

Both step the same task with the same arm at 10 Hz by the same random actions and give one picture
of `agentview` a step, of the same size; stock is `robosuite.make(..., use_camera_obs=True)` with
its own defaults otherwise. They take turns in blocks, so that other load on the machine falls on
both. Processor time is the figure; wall time stands beside it. Target: twice stock.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
from _versions import made_with

from robowm.artefact import write_json
from robowm.sim.robosuite_env import CONTROL_HZ, RobosuiteEnv

TARGET = 2.0
SEED = 2_800_000  # of the block for video


@dataclass(frozen=True)
class Args:
    """Flags."""

    json: Path
    """result"""
    tasks: tuple[str, ...] = ("Lift", "PickPlaceCan")
    robot: str = "Panda"
    sizes_px: tuple[int, ...] = (64, 128, 256)
    blocks: int = 6
    """turns each; the first one of each is not counted"""
    steps: int = 10
    """control steps a block"""


def main(args: Args) -> None:
    """Measure, write, print."""
    rows = [_compare(args, task, size_px) for task in args.tasks for size_px in args.sizes_px]
    result = {
        "command": "python benchmarks/sim_rate.py --json FILE",
        "robot": args.robot,
        "blocks": args.blocks,
        "steps": args.steps,
        "environment": {k: os.environ.get(k) for k in ("MUJOCO_GL", "LP_NUM_THREADS")},
        **made_with("robosuite", "mujoco", "numpy"),
        "target_over_stock": TARGET,
        "rows": rows,
    }
    write_json(args.json, result)
    print(args.json.read_text())


def _compare(args: Args, task: str, size_px: int) -> dict[str, Any]:
    ours = RobosuiteEnv(task=task, robot=args.robot, size_px=size_px)
    stock = _stock(task, args.robot, size_px)
    ours.reset(seed=SEED)
    stock.reset()
    rng = np.random.default_rng(0)
    spent: dict[str, list[tuple[float, float]]] = {"ours": [], "stock": []}
    for block in range(args.blocks):
        actions = rng.uniform(-0.3, 0.3, (args.steps, 7))
        for name, step in (("ours", ours.step), ("stock", stock.step)):
            taken = _time(step, actions)
            if block:
                spent[name].append(taken)
    ours.close()
    stock.close()
    steps = args.steps * (args.blocks - 1)
    rates = {name: steps / np.sum(taken, axis=0) for name, taken in spent.items()}
    row: dict[str, Any] = {"task": task, "size_px": size_px, "steps": steps}
    for at, clock in enumerate(("cpu", "wall")):
        row |= {f"{n}_steps_a_{clock}_second": round(float(r[at]), 2) for n, r in rates.items()}
        row[f"over_stock_{clock}"] = round(float(rates["ours"][at] / rates["stock"][at]), 2)
    return row


def _time(step: Callable[[Any], Any], actions: np.ndarray) -> tuple[float, float]:
    cpu_s, wall_s = time.process_time(), time.perf_counter()
    for action in actions:
        step(action)
    return time.process_time() - cpu_s, time.perf_counter() - wall_s


def _stock(task: str, robot: str, size_px: int) -> Any:
    import robosuite

    return robosuite.make(
        task,
        robots=robot,
        control_freq=CONTROL_HZ,
        has_renderer=False,
        has_offscreen_renderer=True,
        use_camera_obs=True,
        camera_names="agentview",
        camera_heights=size_px,
        camera_widths=size_px,
        ignore_done=True,
    )


if __name__ == "__main__":
    main(tyro.cli(Args))
