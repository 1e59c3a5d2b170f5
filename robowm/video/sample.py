"""From a clip's own frames to one rate and one size: by time, never by index."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from robowm.video.config import IngestConfig
from robowm.video.decode import Video, open_video
from robowm.video.judge import Box
from robowm.video.shots import Shot


def pick(times_s: np.ndarray, start_s: float, end_s: float, fps: float) -> np.ndarray:
    """Which frames are on show at start_s, start_s + 1/fps, ... before end_s.

    A frame is shown from its own time until the next frame's. One that is on show at several of
    these moments is taken once: a source slower than `fps` keeps its own pictures, none repeated.

    Args:
        times_s: float64 (T,), strictly rising, the first no later than start_s.

    Returns:
        int64 indices into `times_s`, strictly rising.
    """
    # the slack keeps 29.97 Hz clocks and rounded time stamps from slipping a frame
    count = int(np.ceil((end_s - start_s) * fps - 1e-6))
    moments_s = start_s + np.arange(max(count, 1)) / fps
    shown = np.searchsorted(times_s, moments_s + 1e-6, side="right") - 1
    return np.unique(shown)


def take(
    path: Path, times_s: np.ndarray, picks: list[tuple[Shot, np.ndarray]], config: IngestConfig
) -> Iterator[np.ndarray]:
    """Decode a clip again and cut the picked frames to squares, a shot at a time.

    Args:
        times_s: float64 (T,), the clip's time stamps as the first pass read them.
        picks: shots in order, each with the indices of its frames.

    Yields:
        uint8 (N, size_px, size_px, 3) RGB for each shot, its N picked frames.
    """
    with open_video(path) as video:
        frames = video.frames()
        for shot, indices in picks:
            wanted = set(times_s[indices])
            squares: list[np.ndarray] = []
            while len(squares) < len(indices):
                time_s, frame = next(frames, (None, None))
                if time_s is None:
                    raise RuntimeError("the clip decoded differently the second time")
                if time_s in wanted:
                    squares.append(_square(video, frame, shot.look.box, config))
            yield np.stack(squares)


def _square(video: Video, frame: Any, box: Box, config: IngestConfig) -> np.ndarray:
    """Scale the whole picture so that what is wanted of it gets its final size, and cut that out.

    Never makes the full picture RGB: of an 8K clip that would be another 100 MB.
    """
    size = config.size_px
    inner_w, inner_h = (box[2] - box[0]) * video.width_px, (box[3] - box[1]) * video.height_px
    side = min(inner_w, inner_h) if config.fit == "crop" else max(inner_w, inner_h)
    whole = box == (0.0, 0.0, 1.0, 1.0)
    scale = (size if whole else size + 1) / side  # rounding the box must not leave a black line
    width, height = (max(1, round(n * scale)) for n in (video.width_px, video.height_px))
    small = video.small(frame, width, height)
    left, top = round(box[0] * width), round(box[1] * height)
    inner = small[top : round(box[3] * height), left : round(box[2] * width)]
    return _centred(inner, size)


def _centred(picture: np.ndarray, size_px: int) -> np.ndarray:
    """The centre of a picture as a square; black where the picture is too small."""
    out = np.zeros((size_px, size_px, 3), np.uint8)
    height, width = (min(n, size_px) for n in picture.shape[:2])
    top, left = (picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2
    down, across = (size_px - height) // 2, (size_px - width) // 2
    out[down : down + height, across : across + width] = picture[
        top : top + height, left : left + width
    ]
    return out
