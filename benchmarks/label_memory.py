"""Memory of reading, labelling and viewing a dataset, for few clips and for many.

    python benchmarks/label_memory.py --work DIR --json benchmarks/results/label_memory.json

Each job runs in a process of its own, watched from outside. What counts is the peak of its
anonymous memory (`RssAnon` in /proc/PID/status, looked at every 20 ms), and that of the largest of
its worker processes: the part that the kernel cannot drop. Resident size is given beside it, but it
also holds pages of memory-mapped files, which is the page cache: it grows with the dataset as long
as there is room, and is given back when there is not. `motion` is the part of `label` that runs in
worker processes; `label` is pinned to one core, so that it does all of it in its own. Figures are
kept in DIR, job by job: a run that was stopped goes on, and a new DIR begins afresh.
The clips are synthetic: a textured square that moves over a texture.
"""

import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import psutil
import tyro
from _versions import made_with

from robowm import recipes
from robowm.artefact import write_json

SIZE_PX = 64
EVERY_S = 0.02
LOOK_FOR_WORKERS_S = 1.0  # it reads every process of the system
WITHIN = 0.1
PACKAGES = ("robowm", "lerobot", "datasets", "pyarrow", "numpy", "torch")
JOBS = ("read", "motion", "label", "view")
WORKERS = 2


@dataclass(frozen=True)
class Args:
    """Flags."""

    work: Path
    """scratch directory; datasets of an earlier run in it are used again"""
    json_file: Annotated[Path, tyro.conf.arg(name="json")]
    """result"""
    clips: tuple[int, int] = (100, 1000)
    """clips of the small and of the large dataset"""
    frames: int = 20
    """frames of each clip"""
    job: Literal["write", "train", "read", "motion", "label", "view"] | None = None
    """one job on the first of `clips`, in this process; none runs all"""


def main(args: Args) -> None:
    """All jobs on both datasets, or one job."""
    if args.job:
        do(args.job, args.work, args.clips[0], args.frames)
        return
    args.work.mkdir(parents=True, exist_ok=True)
    for clips in (24, *args.clips):
        if not (args.work / f"clips_{clips}").exists():
            in_process(args, "write", clips)
    if not (args.work / "clips_24" / "labels").exists():
        in_process(args, "train", 24)
    few, many = ([in_process(args, job, clips) for job in JOBS] for clips in args.clips)
    rows = [
        {"job": job, f"clips_{args.clips[0]}": a, f"clips_{args.clips[1]}": b} | growth(a, b)
        for job, a, b in zip(JOBS, few, many, strict=True)
    ]
    write_json(
        args.json_file,
        {
            "command": "python benchmarks/label_memory.py --work DIR --json FILE "
            + shlex.join(["--clips", *map(str, args.clips), "--frames", str(args.frames)]),
            "size_px": SIZE_PX,
            "target": "within 10 %",
            "met": all(max(row["growth"].values()) <= WITHIN for row in rows),
            "rows": rows,
            **made_with(*PACKAGES),
        },
    )
    print(args.json_file.read_text())


def growth(few: dict[str, Any], many: dict[str, Any]) -> dict[str, Any]:
    """By which share the anonymous memory of a process, and of its workers, is larger."""
    peaks = {role: (few[role], many[role]) for role in ("anonymous_mb", "worker_anonymous_mb")}
    return {"growth": {role: round(b / a - 1, 3) for role, (a, b) in peaks.items() if a}}


def in_process(args: Args, job: str, clips: int) -> dict[str, Any]:
    """Run a job in a fresh process and watch it; its figures, those of an earlier run included."""
    kept = args.work / f"{job}_{clips}x{args.frames}.json"
    if kept.exists():
        found: dict[str, Any] = json.loads(kept.read_text())
        return found
    words = [sys.executable, __file__, "--work", str(args.work), "--json", str(args.json_file)]
    words += ["--job", job, "--clips", str(clips), str(clips), "--frames", str(args.frames)]
    peaks = dict.fromkeys(("anonymous_mb", "resident_mb", "worker_anonymous_mb"), 0.0)
    begun = time.monotonic()
    with (args.work / f"{job}_{clips}.log").open("w") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log)
        workers, looked = [], begun
        while process.poll() is None:
            anonymous, resident = memory_mb(process.pid)
            if time.monotonic() - looked > LOOK_FOR_WORKERS_S:
                workers, looked = children(process.pid), time.monotonic()
            worker = max((memory_mb(pid)[0] for pid in workers), default=0.0)
            for name, seen in zip(peaks, (anonymous, resident, worker), strict=True):
                peaks[name] = max(peaks[name], round(seen, 1))
            time.sleep(EVERY_S)
    assert process.returncode == 0, Path(log.name).read_text()
    figures = peaks | {"wall_s": round(time.monotonic() - begun, 1)}
    write_json(kept, figures)
    print(job, clips, figures, flush=True)
    return figures


def memory_mb(pid: int) -> tuple[float, float]:
    """Anonymous and resident memory of a process; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0, 0.0
    kept = dict(line.split(":", 1) for line in lines)
    anonymous, resident = (int(kept.get(n, "0").split()[0]) for n in ("RssAnon", "VmRSS"))
    return anonymous / 1024, resident / 1024


def children(pid: int) -> list[int]:
    """Processes that a process started; none once it is gone."""
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def do(job: str, work: Path, clips: int, frames: int) -> None:
    """One job."""
    root = work / f"clips_{clips}"
    tiny = recipes.load("policies/vipra").tiny().label
    config = replace(tiny, model=replace(tiny.model, size_px=SIZE_PX))
    if job == "write":
        write(root, clips, frames)
    elif job == "read":
        from robowm.episodes import Episodes

        episodes = Episodes(root)
        for i in range(len(episodes)):
            assert episodes.clip(i, episodes.camera()).frames.shape[0] == frames
    elif job == "motion":
        from robowm.episodes import Episodes
        from robowm.latent.transitions import measure

        episodes, scratch = Episodes(root), work / f"motion_{os.getpid()}"
        measure(episodes, episodes.camera(), scratch, config.model.motion, WORKERS)
        shutil.rmtree(scratch)
    elif job == "view":
        from robowm.train.action_view import as_action

        out = work / f"view_{os.getpid()}"
        as_action(root, out)
        shutil.rmtree(out)
    else:
        from robowm.train.label import label

        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        if job == "train":
            label(root, config)
        else:
            shutil.rmtree(root / "labels", ignore_errors=True)  # of an earlier run of this
            label(root, config, model=str(work / "clips_24" / "labels" / "model"))


def write(root: Path, clips: int, frames: int) -> None:
    """A dataset of moving squares."""
    from robowm.episodes import EpisodeWriter, image_feature, vector_feature

    features = {
        "observation.images.main": image_feature(SIZE_PX),
        "capture_time_s": vector_feature("float64", ["s"]),
    }
    part = root.with_name(f"{root.name}_part_{os.getpid()}")
    writer = EpisodeWriter(part, 10, features)
    for number in range(clips):
        columns = {
            "observation.images.main": square(np.random.default_rng(number), frames),
            "capture_time_s": np.arange(frames) / 10,
        }
        writer.add(columns, "")
    writer.close()
    part.rename(root)


def square(rng: np.random.Generator, frames: int) -> np.ndarray:
    """uint8 (T, S, S, 3)."""
    size = (SIZE_PX, SIZE_PX)
    scene = cv2.resize(rng.integers(60, 200, (16, 16, 3), dtype=np.uint8), size)
    tile = cv2.resize(rng.integers(0, 255, (5, 5, 3), dtype=np.uint8), (20, 20))
    at, step = rng.uniform(10, 34, 2), rng.uniform(-1.5, 1.5, 2)
    clip = np.repeat(scene[None], frames, 0)
    for t, picture in enumerate(clip):
        x, y = (np.abs((at + step * t) % 88 - 44)).astype(int)
        picture[y : y + 20, x : x + 20] = tile
    return clip


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
