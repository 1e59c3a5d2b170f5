"""Pictures that are no video file: a reel over encoded or plain arrays, on a clock of its own."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from robowm.video.decode import UnusableClip


@dataclass
class Reel:
    """Has what `robowm.video.decode.Video` has, for pictures that are already apart.

    Attributes:
        pictures: length T; each is encoded (JPEG, PNG) or uint8 (H, W, 3) RGB.
        times_s: float64 (T,), strictly rising.
    """

    pictures: Sequence[Any]
    times_s: np.ndarray
    width_px: int = 0
    height_px: int = 0
    note: str = ""
    end_s: float = 0.0

    def __post_init__(self) -> None:
        if not len(self.pictures):
            raise UnusableClip("empty_file", "an episode without a picture")
        if len(self.pictures) != len(self.times_s):
            raise UnusableClip(
                "unreadable", f"{len(self.pictures)} pictures for {len(self.times_s)} times"
            )
        self.height_px, self.width_px = decoded(self.pictures[0]).shape[:2]
        step_s = float(np.median(np.diff(self.times_s))) if len(self.times_s) > 1 else 1.0
        self.rate_hz = 1 / step_s
        self.duration_s = float(self.times_s[-1] - self.times_s[0]) + step_s

    def frames(self) -> Iterator[tuple[float, np.ndarray]]:
        """Yield (time_s, uint8 (H, W, 3) RGB), one decoded at a time."""
        for time_s, picture in zip(self.times_s, self.pictures, strict=True):
            yield float(time_s), decoded(picture)
        self.end_s = float(self.times_s[-1]) + 1 / self.rate_hz

    def small(self, frame: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
        """Area-averaged to uint8 (height_px, width_px, 3)."""
        return cv2.resize(frame, (width_px, height_px), interpolation=cv2.INTER_AREA)


def decoded(picture: Any) -> np.ndarray:
    """uint8 (H, W, 3) RGB of an encoded picture; an array is given back as it is.

    Raises:
        UnusableClip: unreadable.
    """
    if isinstance(picture, np.ndarray):
        return picture
    data = np.frombuffer(picture, np.uint8)
    found = cv2.imdecode(data, cv2.IMREAD_COLOR) if len(data) else None
    if found is None:
        raise UnusableClip("unreadable", f"{len(data)} bytes that are no picture")
    return cv2.cvtColor(found, cv2.COLOR_BGR2RGB)


@contextmanager
def open_reel(load: Callable[..., Any], *words: Any) -> Iterator[Reel]:
    """Open `load(*words)`: pictures and times; the form an entry's `clip` takes, by `partial`."""
    yield Reel(*load(*words))
