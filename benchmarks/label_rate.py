"""Frames labelled a second at 128 px, decoding included: the default against RAFT-large.

    python benchmarks/label_rate.py ../shared/corpus/pool_droid --work DIR --json FILE

Clips are ingested once (not timed); then `label` runs whole, with an untrained labeller, whose
speed is that of a trained one: reading the dataset, flow, camera motion, encoding, the report and
writing the columns. RAFT-large has random weights, so it is timed and its labels are thrown away;
it labels fewer frames. Targets: 60 frames/s, and 5 times the same labeller with RAFT-large.
"""

import os
import platform
import shutil
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import tyro

from robowm.artefact import write_json

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
    import torch

    from robowm.motion.config import RANDOM_WEIGHTS, MotionConfig

    torch.set_num_threads(args.cores)
    args.work.mkdir(parents=True, exist_ok=True)
    default = MotionConfig()
    raft = MotionConfig(estimator="raft_large", raft_weights=RANDOM_WEIGHTS)
    runs = {
        "default": _run(args, args.count, default, "default"),
        "raft_large (random weights)": _run(args, args.raft_count, raft, "raft"),
    }
    ours, theirs = (run["frames_a_second"] for run in runs.values())
    result = {
        "command": "python benchmarks/label_rate.py CLIPS --work DIR --json FILE",
        "size_px": args.size_px,
        "cores": args.cores,
        "motion": default,
        "versions": {"python": platform.python_version()}
        | {n: version(n) for n in ("opencv-python", "torch", "torchvision", "lerobot")},
        "machine": {"cores": os.cpu_count(), "arch": platform.machine()},
        "runs": runs,
        "over_raft_large": round(ours / theirs, 1),
        "targets": TARGETS,
    }
    write_json(args.json, result)
    print(args.json.read_text())


def _run(args: Args, count: int, motion: Any, name: str) -> dict[str, Any]:
    import torch

    from robowm.episodes import Episodes
    from robowm.latent.labeller import KIND
    from robowm.latent.model import LatentActionConfig, LatentActionModel
    from robowm.nn.directory import save_model
    from robowm.train.label import LabelConfig, label

    dataset = _dataset(args, count)
    shutil.rmtree(dataset / "labels", ignore_errors=True)
    torch.manual_seed(0)
    config = LatentActionConfig(size_px=args.size_px, motion=motion)
    model = args.work / f"untrained_{name}"
    save_model(model, LatentActionModel(config), KIND, config)
    episodes = Episodes(dataset)
    frames = int(episodes.lengths.sum())
    begun = time.perf_counter()
    label(dataset, LabelConfig(), str(model))
    whole_s = time.perf_counter() - begun
    found = {
        "episodes": len(episodes),
        "frames": frames,
        "label_s": round(whole_s, 2),
        "frames_a_second": round(frames / whole_s, 2),
    }
    return found | (_parts(args, episodes, motion) if name == "default" else {})


def _parts(args: Args, episodes: Any, motion: Any) -> dict[str, Any]:
    """Where the time goes, measured apart."""
    from robowm.latent.transitions import measure

    camera, frames = episodes.camera(), int(episodes.lengths.sum())
    begun = time.perf_counter()
    for i in range(len(episodes)):
        episodes.frames(i, camera)
    decode_s = time.perf_counter() - begun
    scratch = args.work / "transitions"
    shutil.rmtree(scratch, ignore_errors=True)
    begun = time.perf_counter()
    store = measure(episodes, camera, scratch, motion)
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


def _dataset(args: Args, count: int) -> Path:
    from robowm.video.config import IngestConfig
    from robowm.video.ingest import ingest

    out = args.work / f"clips_{count}"
    if not (out / "robowm.json").exists():
        clips = sorted(path for path in args.clips.rglob("*.mp4"))[:count]
        ingest(clips, out, IngestConfig(size_px=args.size_px), workers=args.cores)
    return out


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
