"""Peak memory of `robowm ingest`, parent and workers, for few and for many clips.

    python benchmarks/ingest_memory.py CORPUS --work DIR --json FILE

The clips are those of `pool_droid/`, cut to their first 0.7 seconds and repacked (not encoded anew)
with a title of their own, so that no two files are the same, until there are enough. Their pictures
do repeat: duplicates are kept for this, so that repeated clips go all the way into the dataset;
what is remembered to find them is measured apart, with random fingerprints. Peaks are VmHWM as the
kernel counts it, for each process.
"""

import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import av
import numpy as np
import psutil
import tyro
from _ingest import record

from robowm.artefact import write_json
from robowm.video.fingerprint import BYTES, Copies

COMMAND = "python benchmarks/ingest_memory.py CORPUS --work DIR --json FILE"
EVERY_S = 0.2
CLIP_S = 0.7  # of every clip: long enough to be kept


@dataclass(frozen=True)
class Args:
    """Flags of the benchmark."""

    corpus: Annotated[Path, tyro.conf.Positional]
    """folder with pool_droid/"""
    work: Path
    """scratch directory, new or empty"""
    json: Path
    """file to write"""
    clips: tuple[int, ...] = (100, 1000)
    """numbers of clips to compare"""
    workers: int = 2
    """processes that decode"""


def main(args: Args) -> None:
    """Ingest each number of clips in a process of its own, and watch it."""
    runs = []
    for count in args.clips:
        folder = args.work / f"clips_{count}"
        repack(args.corpus / "pool_droid", folder, count)
        runs.append({"clips": count} | watched(folder, args.work / f"out_{count}", args.workers))
        print(runs[-1], flush=True)
        shutil.rmtree(folder)
    first, last = runs[0], runs[-1]
    growth = {
        role: round(last["peak_mb"][role] / first["peak_mb"][role] - 1, 4)
        for role in first["peak_mb"]
    }
    write_json(
        args.json,
        record(COMMAND, args)
        | {"runs": runs, "growth": growth, "fingerprints": remembered(1_000_000)},
    )
    print(args.json.read_text())


def repack(source: Path, folder: Path, count: int) -> None:
    """`count` files with the pictures of the clips in `source`, taken in turn."""
    clips = sorted(source.rglob("*.mp4"))
    folder.mkdir(parents=True)
    for n in range(count):
        with (
            av.open(str(clips[n % len(clips)])) as given,
            av.open(str(folder / f"{n:06d}.mp4"), "w") as made,
        ):
            made.metadata["title"] = str(n)
            stream = made.add_stream_from_template(given.streams.video[0])
            for packet in given.demux(given.streams.video[0]):
                if packet.dts is not None and packet.pts * packet.time_base < CLIP_S:
                    packet.stream = stream
                    made.mux(packet)


def watched(folder: Path, out: Path, workers: int) -> dict[str, Any]:
    """Peaks of one `robowm ingest`, and what it kept."""
    words = ["ingest", str(folder), "--out", str(out), "--workers", str(workers)]
    begun = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "robowm", *words, "--max-copy-distance", "-1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    peaks = {"parent": 0.0, "largest_worker": 0.0}
    while process.poll() is None:
        peaks["parent"] = max(peaks["parent"], high_water_mb(process.pid))
        for pid in children(process.pid):
            peaks["largest_worker"] = max(peaks["largest_worker"], high_water_mb(pid))
        time.sleep(EVERY_S)
    said = process.stdout.read() if process.stdout else ""
    assert process.returncode == 0, said
    return {
        "peak_mb": {role: round(mb) for role, mb in peaks.items()},
        "wall_s": round(time.monotonic() - begun, 1),
        "said": said.splitlines()[-2].partition(" in ")[0],
    }


def children(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:
        return []


def high_water_mb(pid: int) -> float:
    """Peak resident memory of a process so far; 0 once it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return max((int(line.split()[1]) / 1024 for line in lines if "VmHWM" in line), default=0.0)


def remembered(shots: int) -> dict[str, float]:
    """Memory and time that the fingerprints of `shots` kept shots take."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (shots, BYTES), np.uint8)
    copies = Copies()
    before = high_water_mb(psutil.Process().pid)
    for n in range(shots):
        copies.add(codes[n].tobytes(), n, 0.0)
    begun = time.monotonic()
    for n in range(20):
        copies.nearest(codes[n].tobytes())
    return {
        "shots": shots,
        "bytes_each": BYTES + 8,
        "peak_grew_mb": round(high_water_mb(psutil.Process().pid) - before),
        "ms_per_look_up": round((time.monotonic() - begun) / 20 * 1000, 1),
    }


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
