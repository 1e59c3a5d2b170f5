"""Frames labelled a second at 128 px, decoding included: the default against RAFT-large.

    python benchmarks/label_rate.py ../shared/corpus/pool_droid --work DIR --json FILE

Clips are ingested once (not timed; a run that was killed goes on there); then `label` runs whole,
on a fresh copy, with an untrained labeller, whose speed is that of a trained one: reading the
dataset, flow, camera motion, encoding, the report and writing the columns. RAFT-large has random
weights, so it is timed and its labels are thrown away; it labels fewer frames. Targets: 60
frames/s, and 5 times the same labeller with RAFT-large.

Times are of the wall, so other work on the machine counts against them: each run says the system's
load when it began, and how much processor time it had itself (`busy_cores`, processor seconds a
second of wall: near `cores` where nothing else ran).
"""

import os
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from _versions import made_with

from robowm.artefact import write_json
from robowm.episodes import Episodes
from robowm.motion.config import RANDOM_WEIGHTS, MotionConfig

SEED = 0
PACKAGES = ("robowm", "opencv-python", "torch", "torchvision", "numpy", "pyarrow", "lerobot")
TARGETS = {"frames_a_second": 60, "over_raft_large": 5}


@dataclass(frozen=True)
class Args:
    """Flags."""

    clips: Annotated[Path, tyro.conf.Positional]
    """folder of clips"""
    work: Path
    """scratch directory"""
    json: Path
    """result"""
    count: int = 120
    """clips for the default"""
    raft_count: int = 2
    """clips for RAFT-large"""
    cores: int = 2
    """processor cores to use"""
    size_px: int = 128
    """side of the frames"""


def main(args: Args) -> None:
    """Ingest, label twice, compare."""
    os.sched_setaffinity(0, set(sorted(os.sched_getaffinity(0))[: args.cores]))
    import torch  # not above: every worker process imports this file

    from robowm.latent.model import LatentActionConfig

    torch.set_num_threads(args.cores)
    args.work.mkdir(parents=True, exist_ok=True)
    default = MotionConfig()
    raft = MotionConfig(estimator="raft_large", raft_weights=RANDOM_WEIGHTS)
    counts = {"default": args.count, "raft_large": args.raft_count}
    datasets = {name: dataset(args, count) for name, count in counts.items()}
    runs = {
        "default": labelled(args, datasets["default"], default) | parts(args, datasets["default"]),
        "raft_large, random weights": labelled(args, datasets["raft_large"], raft),
    }
    ours, theirs = (run["frames"] / run["label_s"] for run in runs.values())
    reached = {"frames_a_second": round(ours, 2), "over_raft_large": round(ours / theirs, 1)}
    result = {
        "command": "python benchmarks/label_rate.py CLIPS --work DIR --json FILE",
        "flags": {k: v for k, v in asdict(args).items() if not isinstance(v, Path)},
        "config": LatentActionConfig(size_px=args.size_px),
        **made_with(*PACKAGES),
        "seed_of_weights": SEED,
        "runs": runs,
        "reached": reached,
        "targets": TARGETS,
        "met": all(reached[name] >= target for name, target in TARGETS.items()),
    }
    write_json(args.json, result)
    print(args.json.read_text())


def dataset(args: Args, count: int) -> Path:
    """The first `count` clips as a dataset; ingested unless an earlier run did."""
    from robowm.video.config import IngestConfig
    from robowm.video.ingest import ingest

    out = args.work / f"clips_{count}_{args.size_px}px"
    if not (out / "robowm.json").exists():
        clips = sorted(path for path in args.clips.rglob("*.mp4"))[:count]
        ingest(clips, out, IngestConfig(size_px=args.size_px), workers=args.cores)
    return out


def labelled(args: Args, source: Path, motion: MotionConfig) -> dict[str, Any]:
    """The whole of `label`, timed, on a copy: what a killed run left must not save time."""
    import torch

    from robowm.latent.labeller import KIND
    from robowm.latent.model import LatentActionConfig, LatentActionModel
    from robowm.nn.directory import save_model
    from robowm.train.label import LabelConfig, label

    copy, model = args.work / "labelled", args.work / "untrained"
    for old in (copy, model):
        shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(source, copy)
    torch.manual_seed(SEED)
    config = LatentActionConfig(size_px=args.size_px, motion=motion)
    save_model(model, LatentActionModel(config), KIND, config)
    episodes = Episodes(copy)
    frames = int(episodes.lengths.sum())
    load, used, begun = os.getloadavg()[0], processor_s(), time.perf_counter()
    label(copy, LabelConfig(), str(model))
    label_s = time.perf_counter() - begun
    busy = (processor_s() - used) / label_s
    shutil.rmtree(copy)
    return {
        "episodes": len(episodes),
        "frames": frames,
        "label_s": round(label_s, 2),
        "frames_a_second": round(frames / label_s, 2),
        "busy_cores": round(busy, 2),
        "processor_ms_a_frame": round(busy * label_s / frames * 1000, 1),
        "load_before": round(load, 2),
    }


def parts(args: Args, source: Path) -> dict[str, Any]:
    """Where the time goes, measured apart."""
    from robowm.latent.transitions import measure

    episodes = Episodes(source)
    camera, frames = episodes.camera(), int(episodes.lengths.sum())
    begun = time.perf_counter()
    for i in range(len(episodes)):
        episodes.frames(i, camera)
    decode_s = time.perf_counter() - begun
    scratch = args.work / "transitions"
    shutil.rmtree(scratch, ignore_errors=True)
    begun = time.perf_counter()
    store = measure(episodes, camera, scratch, MotionConfig())
    motion_s = time.perf_counter() - begun
    valid, agreement = float(store.valid.mean()), float(store.agreement.mean())
    shutil.rmtree(scratch)
    return {
        "decode_alone_one_core_s": round(decode_s, 2),
        "decode_and_motion_s": round(motion_s, 2),
        "decode_and_motion_frames_a_second": round(frames / motion_s, 2),
        "valid": round(valid, 3),
        "agreement": round(agreement, 3),
    }


def processor_s() -> float:
    """Processor seconds of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
