"""Memory of reading, labelling and viewing a dataset, for few clips and for many.

    python benchmarks/label_memory.py --work DIR --json benchmarks/results/label_memory.json

Each job runs in a process of its own. What counts is its anonymous memory (`Anonymous` in
/proc/self/smaps_rollup, sampled every 20 ms): the part that the kernel cannot drop. Resident size
is given beside it, but it also holds pages of memory-mapped files, which is the page cache: it
grows with the dataset as long as there is room, and is given back when there is not.
The clips are synthetic: a textured square that moves over a texture.
"""

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import tyro

from robowm import recipes
from robowm.artefact import write_json

SIZE_PX = 64
PACKAGES = ("robowm", "lerobot", "datasets", "pyarrow", "numpy", "torch")
JOBS = ("read", "label", "view")


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
    job: Literal["write", "train", "read", "label", "view"] | None = None
    """one job on the first of `clips`, in this process; none runs all"""


def main(args: Args) -> None:
    """All jobs on both datasets, or one job."""
    if args.job:
        print(json.dumps(measured(args.job, args.work, args.clips[0], args.frames)))
        return
    args.work.mkdir(parents=True, exist_ok=True)
    for clips in (24, *args.clips):
        if not (args.work / f"clips_{clips}").exists():
            in_process(args, "write", clips)
    if not (args.work / "clips_24" / "labels").exists():
        in_process(args, "train", 24)
    few, many = ([in_process(args, job, clips) for job in JOBS] for clips in args.clips)
    rows = [
        {"job": job, f"clips_{args.clips[0]}": a, f"clips_{args.clips[1]}": b}
        | {"anonymous_ratio": round(b["anonymous_mb"] / a["anonymous_mb"], 3)}
        for job, a, b in zip(JOBS, few, many, strict=True)
    ]
    write_json(
        args.json_file,
        {
            "command": "python benchmarks/label_memory.py --work DIR --json FILE "
            + shlex.join(["--clips", *map(str, args.clips), "--frames", str(args.frames)]),
            "size_px": SIZE_PX,
            "target": "within 10 %",
            "rows": rows,
            "versions": {name: version(name) for name in PACKAGES},
            "machine": {"cores": os.cpu_count(), "python": platform.python_version()},
        },
    )
    print(args.json_file.read_text())


def in_process(args: Args, job: str, clips: int) -> dict[str, Any]:
    """Run a job in a fresh process; its figures."""
    words = [sys.executable, __file__, "--work", str(args.work), "--json", str(args.json_file)]
    words += ["--job", job, "--clips", str(clips), str(clips), "--frames", str(args.frames)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    print(job, clips, figures, flush=True)
    return figures


def measured(job: str, work: Path, clips: int, frames: int) -> dict[str, Any]:
    """Peak memory of a job, sampled by a thread."""
    peaks, done = {"Anonymous": 0, "Rss": 0}, threading.Event()

    def sample() -> None:
        while not done.wait(0.02):
            for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]:
                name, value, *_ = line.split()
                if name[:-1] in peaks:
                    peaks[name[:-1]] = max(peaks[name[:-1]], int(value))

    thread = threading.Thread(target=sample)
    thread.start()
    begun = time.monotonic()
    try:
        do(job, work, clips, frames)
    finally:
        done.set()
        thread.join()
    return {
        "anonymous_mb": round(peaks["Anonymous"] / 1024, 1),
        "resident_mb": round(peaks["Rss"] / 1024, 1),
        "wall_s": round(time.monotonic() - begun, 1),
    }


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
    elif job == "view":
        from robowm.train.action_view import as_action

        out = work / f"view_{os.getpid()}"
        as_action(root, out)
        shutil.rmtree(out)
    else:
        from robowm.train.label import label

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
