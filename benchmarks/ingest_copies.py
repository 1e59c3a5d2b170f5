"""Changed copies of clips: which of them are recognised as copies.

    python benchmarks/ingest_copies.py CORPUS --json benchmarks/results/ingest_copies.json

`--clips` clips of a usable kind are drawn from each of `clips/` (the threshold was chosen there)
and `pool_droid/` (held out), and changed in every way of VARIANTS into temporary files. Found: the
copy's fingerprint is within `max_copy_distance` of the original's. Which different clips are called
copies is counted over all pairs by ingest_corpus.py and ingest_pool.py.
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

import av
import cv2
import numpy as np
import tyro
from _ingest import USABLE, record, table

from robowm.artefact import write_json
from robowm.video.config import IngestConfig
from robowm.video.fingerprint import distances
from robowm.video.shots import survey

COMMAND = "python benchmarks/ingest_copies.py CORPUS --json FILE"
Frames = list[tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Args:
    """Flags of the benchmark."""

    corpus: Annotated[Path, tyro.conf.Positional]
    """folder with clips/, pool_droid/ and INDEX.tsv"""
    json: Path
    """file to write"""
    clips: int = 15
    """clips of each part that are copied"""
    seed: int = 0
    """seed of which clips these are"""


def same(frames: Frames) -> Frames:
    return frames


def scaled(frames: Frames) -> Frames:
    """Six tenths of the size, in both directions."""
    return [(t, cv2.resize(f, None, fx=0.6, fy=0.6)) for t, f in frames]


def squeezed(frames: Frames) -> Frames:
    """Forced into 4:3, as old players do."""
    return [(t, cv2.resize(f, (320, 240))) for t, f in frames]


def barred(frames: Frames) -> Frames:
    """Between black bars above and below."""
    return [(t, cv2.copyMakeBorder(f, *[f.shape[0] // 8] * 2, 0, 0, 0)) for t, f in frames]


def trimmed(frames: Frames) -> Frames:
    """Without the first 0.3 s and the last 0.2 s."""
    first_s, last_s = frames[0][0], frames[-1][0]
    return [(t, f) for t, f in frames if first_s + 0.3 <= t <= last_s - 0.2]


def faster(frames: Frames) -> Frames:
    """Played a quarter faster."""
    return [(t / 1.25, f) for t, f in frames]


def thinned(frames: Frames) -> Frames:
    """Every second picture dropped."""
    return frames[::2]


VARIANTS: dict[str, tuple[Callable[[Frames], Frames], str]] = {
    "crf_35": (same, "35"),
    "scaled": (scaled, "28"),
    "squeezed": (squeezed, "28"),
    "barred": (barred, "28"),
    "trimmed": (trimmed, "28"),
    "faster": (faster, "28"),
    "half_rate": (thinned, "28"),
}


def main(args: Args) -> None:
    """Copy, compare, write the figures."""
    config = IngestConfig()
    usable = [row["path"] for row in table(args.corpus / "INDEX.tsv") if row["kind"] in USABLE]
    parts = {}
    for part in ("clips", "pool_droid"):
        paths = [path for path in usable if path.startswith(part)]
        rng = np.random.default_rng(args.seed)
        drawn = rng.choice(paths, args.clips, replace=False)
        copies = [found for path in drawn for found in copied(args.corpus / path, path)]
        parts[part] = recalls(copies, config.max_copy_distance)
    write_json(args.json, record(COMMAND, args) | parts)
    print(args.json.read_text())


def longest(path: Path, config: IngestConfig) -> bytes | None:
    """Fingerprint of a clip's longest shot; None for one too short to be kept."""
    shot = max(survey(path, config).shots, key=lambda s: s.last - s.first)
    kept = (shot.end_s - shot.start_s) * config.fps >= config.min_frames
    return shot.look.code if kept else None


def copied(path: Path, name: str) -> Iterator[tuple[str, str, float]]:
    """Variant, clip and distance of every changed copy of one clip."""
    original = longest(path, IngestConfig())
    if original is None:
        return
    with av.open(str(path)) as container:
        shown = (f for f in container.decode(video=0) if f.time is not None)
        frames = [(float(f.time or 0), f.to_ndarray(format="rgb24")) for f in shown]
    longer = max(frames[0][1].shape)
    if longer > 640:  # large ones are halved first: it is the encoder that takes the time
        by = 640 / longer
        frames = [(t, cv2.resize(f, None, fx=by, fy=by)) for t, f in frames]
    for variant, (change, crf) in VARIANTS.items():
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "copies" / "copy.mp4"
            copy.parent.mkdir()
            encode(copy, change(frames), crf)
            code = longest(copy, IngestConfig())
        apart = 1.0 if code is None else float(distances(code, [original])[0])
        yield variant, name, apart


def encode(path: Path, frames: Frames, crf: str) -> None:
    """H.264 at the given times, sides made even."""
    with av.open(str(path), "w") as container:
        options = {"crf": crf, "preset": "veryfast"}
        stream = container.add_stream("libx264", rate=30, options=options)
        height, width = (n // 2 * 2 for n in frames[0][1].shape[:2])
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 15360)
        for time_s, picture in frames:
            even = np.ascontiguousarray(picture[:height, :width])
            frame = av.VideoFrame.from_ndarray(even, format="rgb24")
            frame.pts = round((time_s - frames[0][0]) * 15360)
            frame.time_base = Fraction(1, 15360)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def recalls(copies: list[tuple[str, str, float]], limit: float) -> dict[str, Any]:
    """Found and missed copies of each variant."""
    out = {}
    for variant in VARIANTS:
        mine = [(name, apart) for v, name, apart in copies if v == variant]
        out[variant] = {
            "copies": len(mine),
            "found": sum(apart <= limit for _, apart in mine),
            "median_distance": round(float(np.median([apart for _, apart in mine])), 3),
            "missed": {name: round(apart, 3) for name, apart in mine if apart > limit},
        }
    return out


if __name__ == "__main__":
    main(tyro.cli(Args, description=__doc__))
