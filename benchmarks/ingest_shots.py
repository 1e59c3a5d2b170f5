"""Cuts, dissolves and fades: what each detector of `robowm ingest` finds, misses and makes up.

    python benchmarks/ingest_shots.py CORPUS --json benchmarks/results/ingest_shots.json

Three trials for each detector, on `clips/` (thresholds were chosen there) and on `pool_droid/`
(never looked at while choosing):

- labelled: the hard cuts of SHOTS.tsv, found within two frames, and the clips said to have none;
- single shots: a clip of a usable kind without a label is one shot; whatever is found is wrong;
- composed: two random clips of the same part, three seconds of each at 25 Hz, joined by a hard cut,
  a dissolve or a fade through black of known place and length. Made in memory from decoded
  pictures, never stored. Found means a cut or mix whose middle is inside the true one, give or take
  0.2 s (hard cuts: two frames); anything else that is found is a false alarm.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import tyro
from _ingest import USABLE, record, table

from robowm.artefact import write_json
from robowm.video.cuts import Cut, detector
from robowm.video.decode import open_video
from robowm.video.sample import pick
from robowm.video.shots import LOOK_PX, scaled

COMMAND = "python benchmarks/ingest_shots.py CORPUS --json FILE"
HZ = 25.0
PART_S = 3.0
KINDS = ("hard", "dissolve", "fade")


@dataclass(frozen=True)
class Args:
    """Flags of the benchmark."""

    corpus: Annotated[Path, tyro.conf.Positional]
    """folder with clips/, pool_droid/, INDEX.tsv and SHOTS.tsv"""
    json: Path
    """file to write"""
    detectors: tuple[str, ...] = ("adaptive", "transnet")
    """detectors to compare"""
    single: int = 30
    """single-shot clips of each part; all of them are checked by ingest_corpus.py"""
    composed: int = 10
    """joined clips of each kind and part"""
    seed: int = 0
    """seed of what is joined"""


@dataclass
class Pictures:
    """A decoded clip, small: times_s float64 (T,), frames uint8 (T, H, W, 3)."""

    times_s: np.ndarray
    frames: np.ndarray


@dataclass
class Score:
    """Found, missed and made up; seconds of computing and frames seen."""

    truths: int = 0
    found: int = 0
    false: int = 0
    clips: int = 0
    where: dict[str, list[list[int]]] = field(default_factory=dict)


def main(args: Args) -> None:
    """Run the three trials, write the figures."""
    index = {row["path"]: row for row in table(args.corpus / "INDEX.tsv")}
    labels = {r["path"]: numbers(r["hard_cut_frames"]) for r in table(args.corpus / "SHOTS.tsv")}
    result: dict[str, Any] = {name: {} for name in args.detectors}
    cost = {name: [0.0, 0] for name in args.detectors}
    for part in ("clips", "pool_droid"):
        paths = [p for p, row in index.items() if p.startswith(part) and row["kind"] in USABLE]
        single = [path for path in paths if path not in labels]
        some = np.random.default_rng(args.seed).permutation(single)[: args.single]
        trials: dict[str, Any] = {"single": ((p, load(args.corpus / p), []) for p in some)}
        if part == "clips":
            trials["labelled"] = ((p, load(args.corpus / p), hard(labels[p])) for p in labels)
        for kind in KINDS:
            rng = np.random.default_rng(args.seed)
            trials[kind] = composed(args.corpus, single, kind, args.composed, rng)
        for trial, cases in trials.items():
            for name, score in run(cases, args.detectors, cost, 2 if trial == "labelled" else 5):
                result[name][f"{part}/{trial}"] = score
    report = {
        name: {trial: summary(score) for trial, score in trials.items()}
        | {"ms_per_frame": round(1000 * cost[name][0] / max(cost[name][1], 1), 3)}
        for name, trials in result.items()
    }
    args.json.parent.mkdir(parents=True, exist_ok=True)
    write_json(args.json, record(COMMAND, args) | {"detectors": report})
    print(args.json.read_text())


def run(
    cases: Iterator[tuple[str, Pictures, list[Cut]]],
    names: tuple[str, ...],
    cost: dict[str, list[float]],
    slack: int,
) -> list[tuple[str, Score]]:
    """Every detector over every case."""
    scores = {name: Score() for name in names}
    for label, pictures, truths in cases:
        for name in names:
            begun = time.process_time()
            cuts = find(name, pictures)
            cost[name][0] += time.process_time() - begun
            cost[name][1] += len(pictures.frames)
            compare(scores[name], label, truths, cuts, slack)
    return list(scores.items())


def find(name: str, pictures: Pictures) -> list[Cut]:
    """All cuts of one clip."""
    it = detector(name)
    cuts = [
        cut
        for n, (time_s, frame) in enumerate(zip(pictures.times_s, pictures.frames, strict=True))
        for cut in it.see(n, float(time_s), frame)
    ]
    return [*cuts, *it.finish()]


def compare(score: Score, label: str, truths: list[Cut], cuts: list[Cut], slack: int) -> None:
    """Count one clip: each truth may be found once, what is left over is false."""
    left = list(cuts)
    score.clips += 1
    score.truths += len(truths)
    for truth in truths:
        at = [c for c in left if truth.first - slack <= middle(c) <= truth.last + slack]
        score.found += bool(at)
        left = [cut for cut in left if cut not in at]
        if not at:
            score.where.setdefault(label, []).append([truth.first, truth.last, 0])
    score.false += len(left)
    if left:
        score.where.setdefault(label, []).extend([cut.first, cut.last, 1] for cut in left)


def summary(score: Score) -> dict[str, Any]:
    """Figures of one trial; `where` has [first, last, 1] for what was made up, 0 for missed."""
    kept = score.where if len(score.where) <= 12 else dict(list(score.where.items())[:12])
    return {
        "clips": score.clips,
        "true": score.truths,
        "found": score.found,
        "false": score.false,
        "recall": round(score.found / score.truths, 3) if score.truths else None,
        "precision": round(score.found / max(score.found + score.false, 1), 3)
        if score.truths
        else None,
        "where": kept,
    }


def composed(
    corpus: Path, paths: list[str], kind: str, count: int, rng: np.random.Generator
) -> Iterator[tuple[str, Pictures, list[Cut]]]:
    """Two clips joined, `count` times; clips too short for it are passed over."""
    made = 0
    while made < count:
        first, second = rng.choice(len(paths), 2, replace=False)
        parts = [steady(load(corpus / paths[n])) for n in (first, second)]
        if min(map(len, parts)) < PART_S * HZ:
            continue
        made += 1
        mix = 0 if kind == "hard" else int(rng.uniform(0.3, 2.0) * HZ)
        frames, truth = join(parts[0], parts[1], kind, mix, rng)
        label = f"{paths[first]} + {paths[second]} {mix / HZ:.1f} s"
        yield label, Pictures(np.arange(len(frames)) / HZ, frames), [truth]


def join(
    first: np.ndarray, second: np.ndarray, kind: str, mix: int, rng: np.random.Generator
) -> tuple[np.ndarray, Cut]:
    """Pictures (T, H, W, 3) of both with the joint in between, and where it is."""
    length = int(PART_S * HZ)
    size = first.shape[2], first.shape[1]
    begin = int(rng.integers(0, len(second) - length + 1))
    second = np.stack([cv2.resize(f, size) for f in second[begin : begin + length]])
    first = first[:length]
    share = (np.arange(mix) + 1)[:, None, None, None] / (mix + 1)
    out, into = first[length - mix :], second[:mix]
    if kind == "fade":  # out, a moment of black, in
        half = share[::-1]
        dark = np.zeros_like(first[: max(2, mix // 4)])
        between = np.concatenate([out * half, dark, into * share]).astype(np.uint8)
    else:
        between = (out * (1 - share) + into * share).astype(np.uint8)
    head, tail = first[: length - mix], second[mix:]
    frames = np.concatenate([head, between, tail])
    return frames, Cut(len(head), len(head) + len(between))


def steady(pictures: Pictures) -> np.ndarray:
    """Frames at HZ."""
    times_s = pictures.times_s
    last_s = times_s[-1]
    moments_s = np.arange(times_s[0], last_s, 1 / HZ)
    if not len(pick(times_s, times_s[0], last_s, HZ)):
        return pictures.frames[:0]
    return pictures.frames[np.searchsorted(times_s, moments_s + 1e-6, side="right") - 1]


def load(path: Path) -> Pictures:
    """A clip at the size at which `ingest` looks for cuts."""
    times_s, frames = [], []
    with open_video(path) as video:
        size = scaled(video, LOOK_PX)
        for time_s, frame in video.frames():
            times_s.append(time_s)
            frames.append(video.small(frame, *size))
    return Pictures(np.array(times_s), np.stack(frames))


def middle(cut: Cut) -> float:
    return (cut.first + cut.last) / 2


def hard(frames: list[int]) -> list[Cut]:
    return [Cut(n, n) for n in frames]


def numbers(text: str) -> list[int]:
    return [int(n) for n in text.split(",") if n]


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
