"""End-point error and milliseconds per pair of every flow estimator, side by side.

    python benchmarks/flow.py CORPUS --json benchmarks/results/flow.json

CORPUS/flow holds pairs with ground truth: MPI-Sintel (easy, hard clean, hard final), Flying
Chairs, two crops of 50 pixels. The estimators take turns on every pair, `--repeats` times, on one
thread; a time is the median of its turns and covers one direction. RAFT without weights is timed
only: its errors mean nothing. Targets: the default's mean error over the pairs is at most half of
Farneback's (OpenCV's usual settings), in at most twice its time.
"""

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import product
from pathlib import Path
from typing import Annotated, Any, get_args

import cv2
import numpy as np
import tyro

from robowm.artefact import write_json
from robowm.motion.config import RANDOM_WEIGHTS, DisPreset, Estimator, MotionConfig
from robowm.motion.flow import FARNEBACK, gray_flow

# a finer window and a deeper pyramid; chosen by looking at these very pairs, in its favour
FARNEBACK_TUNED = FARNEBACK | {"levels": 6, "winsize": 21, "iterations": 5, "poly_n": 7}
BASELINE, DEFAULT = "farneback (usual)", "dis (default)"
Pair = dict[str, np.ndarray]
Estimate = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Args:
    """Flags."""

    corpus: Annotated[Path, tyro.conf.Positional]
    """folder with flow/"""
    json: Path
    """result"""
    repeats: int = 9
    """turns of every estimator on every pair"""
    raft: bool = True
    """time RAFT with random weights, once (seconds a pair)"""
    raft_weights: str = ""
    """weights for RAFT-large: its errors are then measured too"""


def main(args: Args) -> None:
    """Errors, times, ratios."""
    cv2.setNumThreads(1)
    pairs = read_pairs(args.corpus / "flow")
    estimators = _estimators()
    rafts = _rafts(args)
    runs: dict[str, dict[str, list[float]]] = {n: {p: [] for p in pairs} for n in estimators}
    errors: dict[str, Any] = {n: {} for n in estimators}
    for name, pair in pairs.items():
        for turn in range(args.repeats + 1):  # the first turn warms up
            for estimator, estimate in estimators.items():
                flow, spent_ms = _timed(estimate, pair)
                if turn:
                    runs[estimator][name].append(spent_ms)
                errors[estimator][name] = endpoint_errors(flow, pair)
    for estimator, estimate in rafts.items():
        runs[estimator], errors[estimator] = {}, {}
        for name, pair in pairs.items():
            flow, spent_ms = _timed(estimate, pair)
            runs[estimator][name] = [spent_ms]
            random = estimator.endswith(f"({RANDOM_WEIGHTS})")
            errors[estimator][name] = None if random else endpoint_errors(flow, pair)
    table = {n: _row(errors[n], runs[n]) for n in [*estimators, *rafts]}
    result = {
        "command": "python benchmarks/flow.py CORPUS --json FILE",
        "repeats": args.repeats,
        "threads": 1,
        "default": MotionConfig(),
        "farneback_usual": FARNEBACK,
        "farneback_tuned": FARNEBACK_TUNED,
        "versions": {"python": platform.python_version()}
        | {n: version(n) for n in ("opencv-python", "numpy", "torch", "torchvision")},
        "machine": {"cores": os.cpu_count(), "arch": platform.machine()},
        "pairs": {n: {"size_px": list(p["truth"].shape[1::-1])} for n, p in pairs.items()},
        "estimators": table,
        "zero_flow": _row({n: endpoint_errors(p["truth"] * 0, p) for n, p in pairs.items()}, {}),
        "targets": _targets(table),
    }
    write_json(args.json, result)
    for name, row in table.items():
        print(f"{name:24} EPE {row['mean_epe_px']!s:>7}  {row['mean_ms']:8.1f} ms  {row['epe_px']}")
    print(result["targets"])


def read_pairs(folder: Path) -> dict[str, Pair]:
    """Name to frames, truth, valid and occluded (where there is a mask) of every pair."""
    sintel = {
        "sintel alley_1 clean": ("sintel_clean_easy", "sintel_gt_easy"),
        "sintel market_5 clean": ("sintel_clean_hard", "sintel_gt_hard"),
        "sintel market_5 final": ("sintel_final_hard", "sintel_gt_hard"),
    }
    found = {
        name: _pair(
            folder / pictures / "frame_0002.png",
            folder / pictures / "frame_0003.png",
            folder / truth / "frame_0002.flo",
            folder / truth / "invalid_0002.png",
            folder / truth / "occlusions_0002.png",
        )
        for name, (pictures, truth) in sintel.items()
    }
    for name, where in {"flying chairs": "flyingchairs", "chairs crop": "mmflow_tiny"}.items():
        stem = str(folder / where / "00001_")
        paths = (Path(stem + end) for end in ("img1.ppm", "img2.ppm", "flow.flo"))
        found[name] = _pair(*paths)
    crop = folder / "mmflow_tiny"
    for name, (a, b) in {"crop": "01", "crop backward": "10"}.items():
        found[name] = _pair(
            crop / f"0000000-img_{a}.png",
            crop / f"0000000-img_{b}.png",
            crop / f"0000000-flow_{a}{b}.flo",
            occluded=crop / f"0000000-occ_{a}{b}.png",
        )
    return found


def endpoint_errors(flow: np.ndarray, pair: Pair) -> dict[str, float]:
    """Mean end-point error in pixels: all valid pixels, and the occluded and visible ones."""
    gap = np.linalg.norm(flow - pair["truth"], axis=-1)
    found = {"all": float(gap[pair["valid"]].mean())}
    if "occluded" in pair:
        for name, chosen in (("occluded", pair["occluded"]), ("visible", ~pair["occluded"])):
            chosen = chosen & pair["valid"]
            if chosen.any():
                found[name] = float(gap[chosen].mean())
    return found


def _pair(
    first: Path,
    second: Path,
    truth: Path,
    invalid: Path | None = None,
    occluded: Path | None = None,
) -> Pair:
    frames = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in (first, second)]
    raw = truth.read_bytes()
    if raw[:4] != b"PIEH":
        raise ValueError(f"{truth} is not a .flo file")
    width, height = np.frombuffer(raw, "<i4", 2, 4)
    flow = np.frombuffer(raw, "<f4", width * height * 2, 12).reshape(height, width, 2)
    pair = {"frames": np.stack(frames), "truth": flow}
    pair["valid"] = np.abs(flow).max(-1) < 1e6
    if invalid:
        pair["valid"] &= cv2.imread(str(invalid), cv2.IMREAD_GRAYSCALE) == 0
    if occluded:
        pair["occluded"] = cv2.imread(str(occluded), cv2.IMREAD_GRAYSCALE) > 0
    return pair


def _estimators() -> dict[str, Estimate]:
    """One direction each; grey pictures are made inside, so that all do the same work."""

    def opencv(config: MotionConfig, **changed: Any) -> Estimate:
        def estimate(frames: np.ndarray) -> np.ndarray:
            a, b = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
            if changed:
                return cv2.calcOpticalFlowFarneback(a, b, None, **changed)  # type: ignore
            return gray_flow(config, *a.shape)(a, b)

        return estimate

    found = {
        BASELINE: opencv(MotionConfig(estimator="farneback")),
        "farneback (tuned)": opencv(MotionConfig(), **FARNEBACK_TUNED),
        DEFAULT: opencv(MotionConfig()),
    }
    for preset, finest in product(get_args(DisPreset), (0, 1, 2)):
        config = MotionConfig(dis_preset=preset, dis_finest_scale=finest)
        found[f"dis {preset}, finest {finest}"] = opencv(config)
    return found


def _rafts(args: Args) -> dict[str, Estimate]:
    from robowm.motion.raft import raft_flow

    def estimate(config: MotionConfig, frames: np.ndarray) -> np.ndarray:
        return raft_flow(frames[:1], frames[1:], config)[0]

    chosen: list[tuple[Estimator, str]] = []
    chosen += [("raft_large", args.raft_weights)] if args.raft_weights else []
    if args.raft:
        chosen += [("raft_small", RANDOM_WEIGHTS), ("raft_large", RANDOM_WEIGHTS)]
    return {
        f"{name} ({weights})": partial(estimate, MotionConfig(estimator=name, raft_weights=weights))
        for name, weights in chosen
    }


def _timed(estimate: Estimate, pair: Pair) -> tuple[np.ndarray, float]:
    begun = time.perf_counter()
    flow = estimate(pair["frames"])
    return flow, (time.perf_counter() - begun) * 1e3


def _row(errors: dict[str, Any], runs: dict[str, list[float]]) -> dict[str, Any]:
    known = {name: {k: round(v, 3) for k, v in e.items()} for name, e in errors.items() if e}
    times = {name: round(float(np.median(it)), 2) for name, it in runs.items()}
    return {
        "mean_epe_px": round(np.mean([e["all"] for e in known.values()]), 3) if known else None,
        "epe_px": {name: e["all"] for name, e in known.items()},
        "by_mask": {name: e for name, e in known.items() if len(e) > 1},
        "mean_ms": round(np.mean([*times.values()]), 2) if times else None,
        "ms": times,
    }


def _targets(table: dict[str, dict[str, Any]]) -> dict[str, Any]:
    ours, theirs = table[DEFAULT], table[BASELINE]
    return {
        "epe_over_farneback": round(ours["mean_epe_px"] / theirs["mean_epe_px"], 3),
        "epe_over_farneback_by_pair": {
            name: round(ours["epe_px"][name] / theirs["epe_px"][name], 3) for name in ours["epe_px"]
        },
        "time_over_farneback": round(ours["mean_ms"] / theirs["mean_ms"], 3),
        "targets": {"epe_over_farneback": 0.5, "time_over_farneback": 2.0},
    }


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
