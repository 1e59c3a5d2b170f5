"""End-point error and milliseconds per pair of every flow estimator, side by side.

    python benchmarks/flow.py CORPUS --json benchmarks/results/flow.json

CORPUS/flow holds pairs with ground truth: MPI-Sintel (easy, hard clean, hard final), Flying
Chairs, crops of 50 pixels. The estimators take turns on every pair, `--repeats` times, on one
thread. A time is the median of the turns and covers both directions (`flow_pair`), as a check
there and back needs them; an error is of the first direction. RAFT without weights is timed
only: its errors mean nothing. Targets: the default's mean error over the pairs is at most half of
Farneback's (OpenCV's usual settings), in at most twice its time.

A pair whose truth does not explain its own pictures is left out of means and targets, but shown:
brightness moved by the truth must differ less than 0.8 times what unmoved brightness does. Every
pair is also measured shrunk to 128 pixels (shorter side), the size that labels are made at.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import tyro
from _versions import made_with

from robowm.artefact import write_json
from robowm.motion.config import RANDOM_WEIGHTS, Estimator, MotionConfig
from robowm.motion.dis import PRESETS
from robowm.motion.flow import FARNEBACK, flow_pair, pixel_grid

# the best of five variants on these very pairs: in its favour
FARNEBACK_TUNED = FARNEBACK | {"levels": 6, "winsize": 21}
LABEL_PX = 128
TRUTH_FITS = 0.8
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
    found = read_pairs(args.corpus / "flow")
    fit = {name: truth_fits(pair) for name, pair in found.items()}
    pairs = {name: pair for name, pair in found.items() if fit[name] < TRUTH_FITS}
    groups = {
        "as they are": pairs,
        f"shrunk to {LABEL_PX} px": {
            n: shrunk(p) for n, p in pairs.items() if min(p["valid"].shape) > LABEL_PX
        },
        "truth does not fit": {n: p for n, p in found.items() if n not in pairs},
    }
    rafts = _rafts(args)
    tables = {name: _table(group, _estimators(), args.repeats) for name, group in groups.items()}
    for name, group in groups.items():
        if args.raft_weights or name.startswith("shrunk"):  # minutes a large pair on a CPU
            tables[name] |= _table(group, rafts, 1)
    result = {
        "command": "python benchmarks/flow.py CORPUS --json FILE",
        "repeats": args.repeats,
        "threads": 1,
        "default": MotionConfig(),
        "farneback_usual": FARNEBACK,
        "farneback_tuned": FARNEBACK_TUNED,
        **made_with("opencv-python", "numpy", "torch", "torchvision"),
        "truth_fits": {"below": TRUTH_FITS, "pairs": fit},
        "groups": tables,
        "ratios": {name: _ratios(table) for name, table in tables.items()},
        "targets_as_they_are": {"epe_over_farneback": 0.5, "time_over_farneback": 2.0},
    }
    write_json(args.json, result)
    for group, table in tables.items():
        print(f"{group}: {', '.join(groups[group])}")
        for name, row in table.items():
            errors = " ".join(f"{e:.2f}" for e in row["epe_px"].values())
            print(
                f"  {name:28} EPE {row['mean_epe_px']!s:>7} px {row['mean_ms']:9.1f} ms  {errors}"
            )
        print(f"  default over Farneback: {result['ratios'][group]}")


def _table(pairs: dict[str, Pair], estimators: dict[str, Estimate], repeats: int) -> dict[str, Any]:
    """A row an estimator; they take turns, and the first turn of several only warms up."""
    runs: dict[str, dict[str, list[float]]] = {n: {p: [] for p in pairs} for n in estimators}
    errors: dict[str, Any] = {n: {} for n in estimators}
    for name, pair in pairs.items():
        for turn in range(repeats + (repeats > 1)):
            for estimator, estimate in estimators.items():
                begun = time.perf_counter()
                flow = estimate(pair["frames"])
                if turn or repeats == 1:
                    runs[estimator][name].append((time.perf_counter() - begun) * 1e3)
                if RANDOM_WEIGHTS not in estimator:
                    errors[estimator][name] = endpoint_errors(flow, pair)
    return {name: _row(errors[name], runs[name]) for name in estimators}


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


def truth_fits(pair: Pair) -> float:
    """Brightness difference after moving by the truth, over the one without moving."""
    a, b = (cv2.cvtColor(it, cv2.COLOR_RGB2GRAY).astype(np.float32) for it in pair["frames"])
    x, y = np.moveaxis(pixel_grid(*a.shape) + pair["truth"], -1, 0)
    moved = cv2.remap(b, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = pair["valid"] & ~pair.get("occluded", np.zeros(a.shape, bool))
    return round(float(np.abs(moved - a)[seen].mean() / np.abs(b - a)[seen].mean()), 3)


def shrunk(pair: Pair) -> Pair:
    """The pair with a shorter side of LABEL_PX pixels; its truth without masks."""
    height, width = pair["valid"].shape
    scale = LABEL_PX / min(height, width)
    size = (round(width * scale), round(height * scale))
    frames = [cv2.resize(frame, size, interpolation=cv2.INTER_AREA) for frame in pair["frames"]]
    truth = cv2.resize(pair["truth"], size, interpolation=cv2.INTER_AREA)
    truth = truth * np.array([size[0] / width, size[1] / height], np.float32)
    return {"frames": np.stack(frames), "truth": truth, "valid": np.ones(size[::-1], bool)}


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
    def library(config: MotionConfig) -> Estimate:
        return lambda frames: flow_pair(*frames, config)[0]

    def tuned(frames: np.ndarray) -> np.ndarray:
        a, b = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
        forward, _ = (
            cv2.calcOpticalFlowFarneback(*it, None, **FARNEBACK_TUNED)  # type: ignore[call-overload]
            for it in ((a, b), (b, a))
        )
        return forward

    def plain(preset: int, finest: int) -> Estimate:
        """OpenCV's DIS as it is, the same search both ways."""

        def estimate(frames: np.ndarray) -> np.ndarray:
            a, b = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
            dis = cv2.DISOpticalFlow.create(preset)
            dis.setFinestScale(finest)
            forward, _ = dis.calc(a, b, None), dis.calc(b, a, None)  # type: ignore[call-overload]
            return forward

        return estimate

    found = {
        BASELINE: library(MotionConfig(estimator="farneback")),
        "farneback (tuned)": tuned,
        DEFAULT: library(MotionConfig()),
    }
    found |= {f"dis {name}": library(MotionConfig(dis_preset=name)) for name in PRESETS}
    for (name, preset), finest in product(PRESETS.items(), (0, 1)):
        found[f"opencv dis {name}, finest {finest}"] = plain(preset, finest)
    return found


def _rafts(args: Args) -> dict[str, Estimate]:
    def estimate(config: MotionConfig, frames: np.ndarray) -> np.ndarray:
        return flow_pair(*frames, config)[0]

    chosen: list[tuple[Estimator, str]] = []
    chosen += [("raft_large", args.raft_weights)] if args.raft_weights else []
    if args.raft:
        chosen += [("raft_small", RANDOM_WEIGHTS), ("raft_large", RANDOM_WEIGHTS)]
    return {
        f"{name} ({weights})": partial(estimate, MotionConfig(estimator=name, raft_weights=weights))
        for name, weights in chosen
    }


def _row(errors: dict[str, Any], runs: dict[str, list[float]]) -> dict[str, Any]:
    known = {name: {k: round(v, 3) for k, v in e.items()} for name, e in errors.items() if e}
    everywhere = [e["all"] for e in known.values()]
    times = {name: round(float(np.median(it)), 2) for name, it in runs.items()}
    return {
        "mean_epe_px": round(float(np.mean(everywhere)), 3) if known else None,
        "epe_px": {name: e["all"] for name, e in known.items()},
        "by_mask": {name: e for name, e in known.items() if len(e) > 1},
        "mean_ms": round(float(np.mean([*times.values()])), 2) if times else None,
        "ms": times,
    }


def _ratios(table: dict[str, dict[str, Any]]) -> dict[str, Any]:
    ours, theirs = table[DEFAULT], table[BASELINE]
    by_pair = {n: round(e / theirs["epe_px"][n], 3) for n, e in ours["epe_px"].items()}
    return {
        "epe_over_farneback": round(ours["mean_epe_px"] / theirs["mean_epe_px"], 3),
        "time_over_farneback": round(ours["mean_ms"] / theirs["mean_ms"], 3),
        "epe_over_farneback_by_pair": by_pair,
    }


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
