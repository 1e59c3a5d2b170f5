"""The main job end to end, small: video without actions in, an evaluated policy and a report out.

Every stage writes its own directory and recognises it when it is complete, so a killed run goes
on where it was, and each stage can be repeated alone with its own verb.
"""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from robowm import __version__
from robowm.artefact import plain, write_json
from robowm.errors import UserError
from robowm.machine import machine
from robowm.metrics.intervals import paired_test
from robowm.report.page import write_report
from robowm.sim.evaluate import EvalConfig, evaluate
from robowm.sim.record import RecordConfig, VideoSpec, record, record_video
from robowm.sim.suite import Task
from robowm.train.finetune import finetune
from robowm.train.finetune_plan import SCRATCH
from robowm.train.label import label
from robowm.train.pretrain import pretrain
from robowm.train.recipe import Recipe
from robowm.video.config import IngestConfig
from robowm.video.ingest import ingest

PACKAGES = ("torch", "lerobot", "robosuite", "mujoco", "opencv-python", "kornia", "gymnasium")


@dataclass(frozen=True)
class QuickstartConfig:
    """How much of everything."""

    videos: int = 48
    """action-free episodes to film, several arms lifting and stacking"""
    demonstrations: int = 10
    """labelled demonstrations of the task"""
    episodes: int = 50
    """evaluation episodes of each policy, on the same seeds"""
    baseline_episodes: int = 20
    """episodes of the null and the random policy"""
    seed: int = 0
    """first evaluation seed"""
    workers: int = 2
    """processes that film, decode and simulate"""


def quickstart(
    out: Path,
    recipe: Recipe,
    task: Task,
    video: VideoSpec,
    config: QuickstartConfig,
    clips: Path | None = None,
) -> dict[str, Any]:
    """Run every stage and write `out`/report.html and `out`/results.json.

    Args:
        out: run directory; what is complete in it is kept.
        recipe: configurations of the training stages.
        task: what is demonstrated and evaluated.
        video: what the action-free video shows.
        config: how much.
        clips: a folder of further clips to learn from.

    Returns:
        what results.json holds: `pretrained` and `scratch` (each with `successes`, `episodes`,
        `interval`), the paired test, baselines, times.

    Raises:
        UserError: a stage's directory is there already, made with other settings.
    """
    out = Path(out)
    sources = [out / "video", *([Path(clips)] if clips else [])]
    # labels may want finer frames than the policy: pretraining makes them smaller
    frames = IngestConfig(size_px=recipe.label.model.size_px, fps=recipe.fps)
    demonstrations = RecordConfig(episodes=config.demonstrations, size_px=recipe.size_px)
    policies = {"pretrained": str(out / "pretrain"), "scratch": SCRATCH}
    run = Stages(out)

    run.stage("video", lambda: record_video(video, sources[0], config.videos, 0, config.workers))
    run.stage("ingest", lambda: ingest(sources, out / "ingest", frames, config.workers))
    run.stage("label", lambda: label(out / "ingest", recipe.label), out / "ingest" / "labels")
    run.stage("pretrain", lambda: pretrain([out / "ingest"], out / "pretrain", recipe.pretrain))
    run.stage(
        "demonstrations",
        lambda: record(task, out / "demonstrations", demonstrations, config.workers),
    )
    for name, model in policies.items():
        target = out / f"finetune_{name}"
        tune = partial(finetune, model, out / "demonstrations", target, recipe.finetune)
        run.stage(target.name, tune)
    evaluations = {
        name: run.stage(
            f"eval_{name}",
            partial(_evaluate, out, name, task, config, recipe.size_px),
            out / f"eval_{name}.json",
        )
        for name in policies
    }
    results = _results(evaluations, task, run, config)
    write_json(out / "results.json", results)
    write_report(out)
    return results


class Stages:
    """Runs stages one after the other, says so, and keeps each one's time and memory.

    `stages.json` remembers them: a stage that an earlier run completed keeps its first time. The
    time of a stage that was killed counts from its last start.
    """

    def __init__(self, out: Path) -> None:
        try:
            out.mkdir(parents=True, exist_ok=True)
            self._path = out / "stages.json"
            self.known: dict[str, dict[str, Any]] = (
                json.loads(self._path.read_text()) if self._path.exists() else {}
            )
        except (OSError, ValueError) as error:
            raise UserError(f"--out {out} cannot be used as a run directory: {error}") from error
        self._out = out

    def stage[T](self, name: str, work: Callable[[], T], target: Path | None = None) -> T:
        """Run one stage whose artefact is `target` (by default the directory of its name)."""
        target = target or self._out / name
        print(f"== {name}", file=sys.stderr, flush=True)
        begun = time.monotonic()
        with peak_memory() as peak_mb:
            result = work()
        if name not in self.known:
            self.known[name] = {
                "name": name,
                "wall_time_s": round(time.monotonic() - begun, 1),
                "peak_memory_mb": round(peak_mb[0]),
                "directory": target.relative_to(self._out).as_posix(),
            }
            write_json(self._path, self.known)
        return result


@contextmanager
def peak_memory(every_s: float = 1.0) -> Iterator[list[float]]:
    """Samples the resident memory of this process and all below it; yields [peak in MB].

    Shared pages count once a process, so it is an upper bound.
    """
    peak_mb, stop = [0.0], threading.Event()

    def watch() -> None:
        me = psutil.Process()
        while True:
            total = 0
            for process in [me, *me.children(recursive=True)]:
                with suppress(psutil.Error):
                    total += process.memory_info().rss
            peak_mb[0] = max(peak_mb[0], total / 1e6)
            if stop.wait(every_s):
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak_mb
    finally:
        stop.set()
        thread.join()


def _evaluate(
    out: Path, name: str, task: Task, config: QuickstartConfig, size_px: int
) -> dict[str, Any]:
    first = name == "pretrained"  # the baselines do not depend on the policy: once is enough
    evaluation = EvalConfig(
        episodes=config.episodes,
        seed=config.seed,
        baseline_episodes=config.baseline_episodes if first else 0,
        videos=min(config.episodes, 6),
        size_px=size_px,
    )
    target = out / f"eval_{name}.json"
    return evaluate(out / f"finetune_{name}", task, target, evaluation, config.workers)


def _results(
    evaluations: dict[str, dict[str, Any]], task: Task, run: Stages, config: QuickstartConfig
) -> dict[str, Any]:
    successes = {
        name: np.array([episode["success"] for episode in evaluation["episodes"]])
        for name, evaluation in evaluations.items()
    }
    return {
        "title": "robowm quickstart",
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "task": task.name,
        **{name: _counted(evaluation) for name, evaluation in evaluations.items()},
        "baselines": {
            name: _counted(part) for name, part in evaluations["pretrained"]["baselines"].items()
        },
        "paired_test": paired_test(successes["pretrained"], successes["scratch"]),
        "config": plain(config),
        "stages": list(run.known.values()),
        "peak_memory_mb": max(stage["peak_memory_mb"] for stage in run.known.values()),
        "machine": machine() | {"torch_threads": torch.get_num_threads()},
        "versions": {"robowm": __version__, **{name: version(name) for name in PACKAGES}},
        "commands": ["make quickstart"],
    }


def _counted(evaluation: dict[str, Any]) -> dict[str, Any]:
    return {
        "successes": evaluation["successes"],
        "episodes": len(evaluation["episodes"]),
        "success_rate": evaluation["success_rate"],
        "interval": evaluation["interval"],
    }
