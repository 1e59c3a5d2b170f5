"""Is a shot usable? Cheap measures on small pictures, and one reason code with its score.

How good they are is measured by `benchmarks/ingest_corpus.py`. Generated video is not recognised
at all, and a teaser is judged shot by shot, so its plain robot shots stay.
"""

from dataclasses import asdict, dataclass

import numpy as np

from robowm.video.config import IngestConfig
from robowm.video.fingerprint import fingerprint
from robowm.video.layout import WHITE_LEVEL, Box, inside_bars, seam
from robowm.video.lettering import text_share
from robowm.video.stills import action_s

REASONS = {
    "ok": "kept",
    "empty_file": "0 bytes",
    "unreadable": "cannot be opened, or no frame of it decoded",
    "no_video_stream": "sound only, or sound with a cover picture",
    "still_image": "one picture",
    "transition": "a dissolve or fade between two shots",
    "too_short": "fewer than min_frames stored frames",
    "slow_rate": "fewer true pictures a second than min_rate of fps",
    "black": "nothing brighter than min_brightness",
    "static": "less than min_moved of the picture ever changes",
    "stills": "a slide show: nothing moves by itself for min_action_s",
    "diagram": "mostly white: a slide, a plot, a title card",
    "text": "burnt-in text over more than max_text of the picture",
    "panels": "several pictures in one: split screen or mosaic",
    "duplicate": "a copy of an earlier kept shot, be it scaled or compressed anew: see its note",
    "failed": "an unexpected error or a crash of the decoder: see its note",
}
CHANGED_LEVELS = 25  # of 255: above codec noise, below an arm's shadow


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
        split: the straightest vertical edge, share of the height.
        action_s: seconds of the longest stretch in which something moves by itself.
        text: share of the picture under burnt-in text.
        code: perceptual hash, `fingerprint.BYTES` bytes.
    """

    box: Box
    moved: float
    motion: float
    brightness: float
    white: float
    aspect: float
    seam: float
    split: float
    action_s: float
    text: float
    code: bytes

    def scores(self) -> dict[str, float | str]:
        """The measures as manifest columns."""
        plain = {k: v for k, v in asdict(self).items() if k not in ("box", "code")}
        return {k: round(v, 4) for k, v in plain.items()} | {"copy_code": self.code.hex()}


@dataclass(frozen=True)
class Verdict:
    """Why a shot is kept or dropped: for a reason, the measure that decided and its limit."""

    reason: str
    measure: str = ""
    score: float | None = None
    limit: float | None = None


def look_at(pictures: np.ndarray, step_s: float, sharp: np.ndarray) -> Look:
    """Measure a shot from small pictures of it.

    Args:
        pictures: uint8 (N, H, W, 3) RGB, `step_s` seconds apart, their pixels square.
        sharp: uint8 (M, H', W') grey, fewer but larger ones, for text.
    """
    low, high = pictures.min(0), pictures.max(0)
    box = inside_bars(low, high)
    inner = inside(pictures, box)
    down, across = inner.shape[1:3]
    steps = np.abs(np.diff(pictures.astype(np.int16), axis=0))
    mean = inner.mean(0, dtype=np.float32)
    upright, level = seam(mean), seam(mean.swapaxes(0, 1))
    return Look(
        box=box,
        moved=float(((high.astype(np.int16) - low).max(-1) > CHANGED_LEVELS).mean()),
        motion=float(steps.mean()) if len(steps) else 0.0,
        brightness=float(np.percentile(pictures.max(-1), 95)),
        white=float((pictures.min(-1) > WHITE_LEVEL).mean()),
        aspect=float(max(across / down, down / across)),
        seam=min(upright, level),
        split=upright,
        action_s=action_s(inner, step_s),
        text=text_share(inside(sharp, box)),
        code=fingerprint(inner),
    )


def inside(pictures: np.ndarray, box: Box) -> np.ndarray:
    """The part of pictures (N, H, W, ...) inside a box."""
    height, width = pictures.shape[1:3]
    left, top = round(box[0] * width), round(box[1] * height)
    right, bottom = round(box[2] * width), round(box[3] * height)
    return pictures[:, top : max(bottom, top + 1), left : max(right, left + 1)]


def verdict(look: Look, frames: int, rate_hz: float, config: IngestConfig) -> Verdict:
    """The first reason to drop a shot of `frames` stored frames, or "ok"."""
    too_low = (
        ("too_short", "frames", frames, config.min_frames),
        ("slow_rate", "rate_hz", rate_hz, config.min_rate * config.fps),
        ("black", "brightness", look.brightness, config.min_brightness),
        ("static", "moved", look.moved, config.min_moved),
        ("stills", "action_s", look.action_s, config.min_action_s),
    )
    for reason, measure, score, limit in too_low:
        if score < limit:
            return Verdict(reason, measure, score, limit)
    too_high = (
        ("diagram", "white", look.white, config.max_white),
        ("text", "text", look.text, config.max_text),
        ("panels", "aspect", look.aspect, config.max_aspect),
        ("panels", "seam", look.seam, config.min_seam),
        ("panels", "split", look.split, config.min_split),
    )
    for reason, measure, score, limit in too_high:
        if score > limit:
            return Verdict(reason, measure, score, limit)
    return Verdict("ok")
