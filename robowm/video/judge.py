"""Is a shot usable? Cheap measures on small pictures, and one reason code.

How good they are is measured on 276 curated clips by `benchmarks/ingest_corpus.py`: every usable
clip is kept; slides, mosaics and side-by-side panels are found except where a panel does not span
the picture; generated video is not recognised at all, and a teaser is judged shot by shot.
"""

from dataclasses import dataclass

import numpy as np

from robowm.video.config import IngestConfig

REASONS = {
    "ok": "kept",
    "empty_file": "0 bytes",
    "unreadable": "cannot be opened, or no frame of it decoded",
    "no_video_stream": "sound only, or sound with a cover picture",
    "still_image": "one picture",
    "too_short": "fewer than min_frames stored frames",
    "slow_rate": "fewer true pictures a second than min_rate of fps",
    "black": "nothing brighter than min_brightness",
    "static": "less than min_moved of the picture ever changes",
    "diagram": "mostly white: a slide, a plot, a title card",
    "failed": "an unexpected error or a crash of the decoder: see its note",
    "panels": "several pictures in one: split screen or mosaic",
}
CHANGED_LEVELS = 25  # of 255: above codec noise, below an arm's shadow
EDGE_LEVELS = 10
BAR_LEVELS = 20  # compression leaves black bars this far from black
Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Look:
    """What a shot looks like.

    Attributes:
        box: left, top, right, bottom of the picture inside black or white bars, each 0 to 1.
        moved: share of the picture that changes during the shot.
        motion: mean change between looks 0.2 s apart, levels of 255.
        brightness: level below which 95 % of all pixels stay.
        white: share of white pixels.
        aspect: longer side over shorter side of the picture inside the bars.
        seam: the weaker of the straightest vertical and horizontal edge, share of its length.
    """

    box: Box
    moved: float
    motion: float
    brightness: float
    white: float
    aspect: float
    seam: float


def look_at(pictures: np.ndarray) -> Look:
    """Measure a shot from small pictures of it.

    Args:
        pictures: uint8 (N, H, W, 3) RGB, some 0.2 s apart, their pixels square.
    """
    low, high = pictures.min(0), pictures.max(0)
    box = _inside_bars(low, high)
    height, width = low.shape[:2]
    across = max((box[2] - box[0]) * width, 1)
    down = max((box[3] - box[1]) * height, 1)
    steps = np.abs(np.diff(pictures.astype(np.int16), axis=0))
    mean = pictures.mean(0, dtype=np.float32)
    return Look(
        box=box,
        moved=float(((high.astype(np.int16) - low).max(-1) > CHANGED_LEVELS).mean()),
        motion=float(steps.mean()) if len(steps) else 0.0,
        brightness=float(np.percentile(pictures.max(-1), 95)),
        white=float((pictures.min(-1) > 235).mean()),
        aspect=float(max(across / down, down / across)),
        seam=min(_seam(mean), _seam(mean.swapaxes(0, 1))),
    )


def reason_for(look: Look, frames: int, rate_hz: float, config: IngestConfig) -> str:
    """The first reason to drop a shot of `frames` stored frames, or "ok"."""
    if frames < config.min_frames:
        return "too_short"
    if rate_hz < config.min_rate * config.fps:
        return "slow_rate"
    if look.brightness < config.min_brightness:
        return "black"
    if look.moved < config.min_moved:
        return "static"
    if look.white > config.max_white:
        return "diagram"
    if look.aspect > config.max_aspect or look.seam >= config.min_seam:
        return "panels"
    return "ok"


def _inside_bars(low: np.ndarray, high: np.ndarray) -> Box:
    """The picture without borders that stay black, or stay white, for the whole shot."""
    black = high.max(-1) <= BAR_LEVELS
    white = low.min(-1) >= 255 - BAR_LEVELS
    bar = black | white
    left, right = _span(~bar.all(0))
    top, bottom = _span(~bar.all(1))
    # a bar hides a part; what would leave a sliver is a dark or empty scene
    if right - left < 0.3 or bottom - top < 0.3:
        return (0.0, 0.0, 1.0, 1.0)
    return (left, top, right, bottom)


def _span(inside: np.ndarray) -> tuple[float, float]:
    where = np.flatnonzero(inside)
    if not len(where):
        return (0.0, 0.0)
    n = len(inside)
    # the line beside a bar is a blend of both: it goes too
    first = where[0] + 1 if where[0] else 0
    last = where[-1] if where[-1] < n - 1 else n
    return (first / n, last / n)


def _seam(mean: np.ndarray) -> float:
    """The best vertical line of a mean picture (H, W, 3): share of its height that is an edge."""
    edge = np.abs(np.diff(mean, axis=1)).max(-1)
    if edge.shape[1] < 8:
        return 0.0
    edge = np.maximum(edge[:, 1:], edge[:, :-1])  # scaling may spread a seam over two columns
    share = (edge > EDGE_LEVELS).mean(0)
    margin = int(0.15 * len(share))  # frames around a picture are not seams within it
    return float(share[margin : len(share) - margin].max())
