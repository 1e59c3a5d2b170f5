"""A clip in one pass, with bounded memory: its frame times, its shots and what each looks like."""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from robowm.video.config import IngestConfig
from robowm.video.cuts import Cut, detector
from robowm.video.decode import UnusableClip, Video, open_video
from robowm.video.judge import Look, look_at
from robowm.video.lettering import TEXT_EVERY_S, TEXT_PX

LOOK_PX = 128  # longer side of the pictures that are analysed
LOOK_EVERY_S = 0.2


@dataclass(frozen=True)
class Shot:
    """Frames `first` to `last` (not included) of a clip, shown from start_s to end_s.

    Attributes:
        mixed: the frames are a dissolve or a fade between two shots, and of neither.
    """

    first: int
    last: int
    start_s: float
    end_s: float
    look: Look
    mixed: bool = False


@dataclass(frozen=True)
class Survey:
    """A clip after one pass.

    Attributes:
        times_s: float64 (T,), when each frame is first shown.
        shots: in order; together they hold every frame.
        note: what could not be decoded; empty when all was.
    """

    times_s: np.ndarray
    shots: list[Shot]
    width_px: int
    height_px: int
    note: str


class _Splitter:
    """Collects frames of one clip and closes shots as their ends become known."""

    def __init__(self, config: IngestConfig) -> None:
        self.config = config
        self.times_s: list[float] = []
        self.shots: list[Shot] = []
        self._first = 0
        self._looks = _Spaced(LOOK_EVERY_S)
        self._sharp = _Spaced(TEXT_EVERY_S)
        self._cuts = detector(config.detector)

    def add(self, time_s: float, picture: np.ndarray, sharp: Callable[[], np.ndarray]) -> None:
        """Take the next frame; `sharp` makes the larger grey picture of it, if it is wanted."""
        index = len(self.times_s)
        if self.times_s and time_s - self.times_s[-1] > self.config.max_gap_s:
            self.flush(self.times_s[-1] + self.config.max_gap_s)
            self._cuts = detector(self.config.detector)
        self.times_s.append(time_s)
        self._looks.add(index, time_s, lambda: picture)
        self._sharp.add(index, time_s, sharp)
        for cut in self._cuts.see(index, time_s, picture):
            self._split(cut)
        self._close_pieces(self._cuts.decided)

    def flush(self, end_s: float) -> None:
        """Close what is open; the last frame is shown until `end_s`."""
        for cut in self._cuts.finish():
            self._split(cut, end_s)
        self._close(len(self.times_s), end_s)

    def _split(self, cut: Cut, end_s: float = 0.0) -> None:
        def time_s(index: int) -> float:
            return self.times_s[index] if index < len(self.times_s) else end_s

        self._close(cut.first, time_s(cut.first))
        if cut.last > cut.first:
            self._close(cut.last, time_s(cut.last), mixed=True)

    def _close_pieces(self, last: int) -> None:
        """Close what is longer than max_shot_s among the frames before `last`."""
        while last > self._first:
            full_s = self.times_s[self._first] + self.config.max_shot_s
            end = bisect_left(self.times_s, full_s, self._first, len(self.times_s))
            if end > last or end == len(self.times_s):
                return
            self._end(end, self.times_s[end])

    def _close(self, last: int, end_s: float, mixed: bool = False) -> None:
        self._close_pieces(last)
        if last > self._first:
            self._end(last, end_s, mixed)

    def _end(self, last: int, end_s: float, mixed: bool = False) -> None:
        looks, sharp = self._looks.before(last), self._sharp.before(last)
        look = look_at(np.stack(looks), LOOK_EVERY_S, np.stack(sharp))
        start_s = self.times_s[self._first]
        self.shots.append(Shot(self._first, last, start_s, end_s, look, mixed))
        self._first = last


class _Spaced:
    """Pictures some time apart, kept until their shot is closed."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._held: list[tuple[int, np.ndarray]] = []
        self._next_s = -np.inf
        self._latest: np.ndarray | None = None

    def add(self, index: int, time_s: float, picture: Callable[[], np.ndarray]) -> None:
        if time_s >= self._next_s:
            self._latest = picture()
            self._held.append((index, self._latest))
            self._next_s = time_s + self._every_s - 1e-6

    def before(self, last: int) -> list[np.ndarray]:
        """Hand over the pictures of frames before `last`, one at least."""
        mine = [picture for index, picture in self._held if index < last]
        self._held = [(index, picture) for index, picture in self._held if index >= last]
        # a shot shorter than the interval has none of its own: its neighbour's will do
        assert self._latest is not None
        return mine or [self._latest]


def survey(path: Path, config: IngestConfig) -> Survey:
    """Decode a clip once, small, and find its shots.

    Raises:
        UnusableClip: no shot can be had from it at all.
    """
    with open_video(path) as video:
        splitter = _Splitter(config)
        size, sharp_size = scaled(video, LOOK_PX), scaled(video, TEXT_PX)
        for time_s, frame in video.frames():

            def sharp(frame: object = frame) -> np.ndarray:
                return cv2.cvtColor(video.small(frame, *sharp_size), cv2.COLOR_RGB2GRAY)

            splitter.add(time_s, video.small(frame, *size), sharp)
        if len(splitter.times_s) == 1:
            raise UnusableClip("still_image", "one frame")
        splitter.flush(video.end_s)
        times_s = np.array(splitter.times_s, np.float64)
        return Survey(times_s, splitter.shots, video.width_px, video.height_px, video.note)


def scaled(video: Video, longer_px: int) -> tuple[int, int]:
    """Width and height whose longer side is `longer_px`."""
    scale = longer_px / max(video.width_px, video.height_px)
    return max(2, round(video.width_px * scale)), max(2, round(video.height_px * scale))
