"""Made-up defects on real clips: is each dropped for its own reason, and are bars cut away?

    python benchmarks/ingest_defects.py CORPUS --json benchmarks/results/ingest_defects.json

From clips of a usable kind, drawn from `clips/` (limits were chosen there) and from `pool_droid/`
(held out), every kind of DEFECTS is made into temporary files and goes through `robowm ingest`'s
decision. For each: how many are dropped, for which reasons, and the measure. The control is the
same clips encoded in the same way with nothing done to them: all of those must be kept.
"""

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import cv2
import numpy as np
import tyro
from _ingest import USABLE, record, table
from ingest_copies import encode

from robowm.artefact import write_json
from robowm.video.config import IngestConfig
from robowm.video.decode import open_video
from robowm.video.ingest import decide
from robowm.video.shots import survey

COMMAND = "python benchmarks/ingest_defects.py CORPUS --json FILE"
HZ = 15
SIZE = (320, 180)  # width, height
Draw = Callable[[], np.ndarray]  # uint8 (T, 180, 320, 3) of a random clip, 4 s at HZ
WORDS = ("The", "robot", "learns", "a", "policy", "from", "new", "demonstrations", "objects")


@dataclass(frozen=True)
class Args:
    """Flags of the benchmark."""

    corpus: Annotated[Path, tyro.conf.Positional]
    """folder with clips/, pool_droid/ and INDEX.tsv"""
    json: Path
    """file to write"""
    clips: int = 8
    """clips of each kind and part"""
    seed: int = 0
    """seed of which clips these are"""


def nothing(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    return draw()


def slide_show(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    """Four stills, each a second or more, with hard changes."""
    return np.concatenate([still(draw, rng, rng.integers(15, 30)) for _ in range(4)])


def pushed_slides(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    """Four stills; each pushes the last one out in half a second."""
    stills = [still(draw, rng, rng.integers(20, 30)) for _ in range(4)]
    out = [stills[0]]
    for before, after in pairwise(stills):
        both = np.concatenate([before[0], after[0]], axis=1)
        at = np.linspace(0, SIZE[0], 9).astype(int)[1:-1]
        out += [np.stack([both[:, x : x + SIZE[0]] for x in at]), after]
    return np.concatenate(out)


def panned_still(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    """One picture, slowly panned and zoomed."""
    picture = cv2.resize(draw()[0], None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    shift = rng.uniform(60, 200, 2) * rng.choice([-1, 1], 2)
    frames = []
    for share in np.linspace(-0.5, 0.5, 4 * HZ):
        zoom = 1 + 0.2 * share
        move = np.array([[zoom, 0, 0], [0, zoom, 0]], np.float32)
        middle = np.array([SIZE[0], SIZE[1]]) * zoom + shift * share
        move[:, 2] = np.array(SIZE) / 2 - middle
        frames.append(cv2.warpAffine(picture, move, SIZE, borderMode=cv2.BORDER_REFLECT))
    return np.stack(frames)


def still(draw: Draw, rng: np.random.Generator, count: int) -> np.ndarray:
    return np.repeat(draw()[:1], int(count), axis=0)


def lettered(draw: Draw, rng: np.random.Generator, lines: int) -> np.ndarray:
    """Lines of white words with a dark rim over a moving clip."""
    frames = draw().copy()
    words = rng.choice(WORDS, 8 * lines)
    for n in range(lines):
        text, at = " ".join(words[8 * n : 8 * n + 8]), (6, 20 + 19 * n)
        for frame in frames:
            for colour, thick in (((0, 0, 0), 3), ((255, 255, 255), 1)):
                cv2.putText(frame, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.5, colour, thick)
    return frames


def one_line(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    return lettered(draw, rng, 1)


def eight_lines(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    return lettered(draw, rng, 8)


def grid(draw: Draw, rows: int, columns: int, gap: int) -> np.ndarray:
    """Clips side by side, as a picture of the usual shape."""
    size = SIZE[0] // columns - gap, SIZE[1] // rows - gap
    out = np.zeros((4 * HZ, SIZE[1], SIZE[0], 3), np.uint8)
    for row in range(rows):
        for column in range(columns):
            cell = np.stack([cv2.resize(f, size) for f in draw()])
            top, left = row * (size[1] + gap), column * (size[0] + gap)
            out[:, top : top + size[1], left : left + size[0]] = cell
    return out


def two_beside(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    return grid(draw, 1, 2, 0)


def two_by_two(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    return grid(draw, 2, 2, int(rng.choice([0, 4])))


def three_by_four(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    return grid(draw, 3, 4, int(rng.choice([0, 4])))


def title_card(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    """White, with words and a small moving clip."""
    frames = np.full((4 * HZ, SIZE[1], SIZE[0], 3), 255, np.uint8)
    frames[:, 60:150, 150:310] = [cv2.resize(f, (160, 90)) for f in draw()]
    for frame in frames:
        cv2.putText(frame, "Our method", (20, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (0, 0, 0), 2)
    return frames


def dark(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    return draw() // 16


def framed(frames: np.ndarray, rng: np.random.Generator, caption: bool) -> np.ndarray:
    """Black bars on two sides, a caption in the lower one."""
    height = int(rng.integers(24, 44))
    bars = ((0, 0), (height, height), (0, 0), (0, 0))
    out = np.pad(frames, bars)
    if caption:
        for frame in out:
            at = (60, out.shape[1] - height // 2 + 2)
            cv2.putText(frame, "speed 2x", at, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (255,) * 3, 1)
    return out


def letterboxed(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    return framed(draw(), rng, caption=False)


def letterboxed_caption(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    return framed(draw(), rng, caption=True)


def pillarboxed(draw: Draw, rng: np.random.Generator) -> np.ndarray:
    across = framed(draw().swapaxes(1, 2), rng, caption=False)
    return across.swapaxes(1, 2)


# defect to maker, and the reasons that are right
DEFECTS: dict[str, tuple[Callable[[Draw, np.random.Generator], np.ndarray], set[str]]] = {
    "control": (nothing, {"ok"}),
    "one_line_of_text": (one_line, {"ok"}),
    "letterbox": (letterboxed, {"ok"}),
    "letterbox_caption": (letterboxed_caption, {"ok"}),
    "pillarbox": (pillarboxed, {"ok"}),
    "slide_show": (slide_show, {"stills", "static"}),
    "pushed_slides": (pushed_slides, {"stills", "static"}),
    "panned_still": (panned_still, {"stills", "static"}),
    "eight_lines_of_text": (eight_lines, {"text"}),
    "two_beside": (two_beside, {"panels"}),
    "two_by_two": (two_by_two, {"panels"}),
    "three_by_four": (three_by_four, {"panels"}),
    "title_card": (title_card, {"diagram", "text", "panels"}),
    "dark": (dark, {"black"}),
}


def main(args: Args) -> None:
    """Make, decide, write the figures."""
    rows = [row for row in table(args.corpus / "INDEX.tsv") if row["kind"] in USABLE]
    labelled = {row["path"] for row in table(args.corpus / "SHOTS.tsv")}
    parts = {}
    for part in ("clips", "pool_droid"):
        paths = [
            args.corpus / row["path"]
            for row in rows
            if row["path"].startswith(part)
            and row["path"] not in labelled
            and float(row["seconds"]) > 4.2
            and row["kind"] != "robot_overlay"
        ]
        parts[part] = {name: trial(name, paths, args) for name in DEFECTS}
    write_json(args.json, record(COMMAND, args) | parts)
    print(args.json.read_text())


def trial(name: str, paths: list[Path], args: Args) -> dict[str, Any]:
    """One defect on some clips."""
    make, right = DEFECTS[name]
    reasons: Counter[str] = Counter()
    right_clips, boxes = 0, []
    for n in range(args.clips):
        rng = np.random.default_rng([args.seed, n])
        frames = make(lambda rng=rng: four_seconds(paths, rng), rng)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "made" / "made.mp4"
            path.parent.mkdir()
            encode(path, [(n / HZ, f) for n, f in enumerate(frames)], "20")
            found = [row["reason"] for row in decide(path, IngestConfig())[0]]
            boxes += [shot.look.box for shot in survey(path, IngestConfig()).shots]
        long = [reason for reason in found if reason not in ("too_short", "transition")]
        reasons.update(found)
        right_clips += bool(long) and set(long) <= right
    kept = [(round(b[2] - b[0], 2), round(b[3] - b[1], 2)) for b in boxes]
    sides = np.array(kept).mean(0) if kept else (1, 1)
    return {
        "expected": sorted(right),
        "clips": args.clips,
        "as_expected": right_clips,
        "shots": dict(reasons),
        "mean_share_inside_bars": [round(float(side), 3) for side in sides],
    }


def four_seconds(paths: list[Path], rng: np.random.Generator) -> np.ndarray:
    """uint8 (4 * HZ, 180, 320, 3) from the beginning of a random clip that moves."""
    path = paths[int(rng.integers(len(paths)))]
    times_s, frames = [], []
    with open_video(path) as video:
        for time_s, frame in video.frames():
            if time_s > 4.1:
                break
            times_s.append(time_s)
            frames.append(video.small(frame, *SIZE))
    moments_s = times_s[0] + np.arange(4 * HZ) / HZ
    at = np.searchsorted(np.array(times_s), moments_s + 1e-6, side="right") - 1
    return np.stack(frames)[at]


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
