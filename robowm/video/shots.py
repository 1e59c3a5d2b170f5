"""Where shots begin and end, and what each of them looks like: one pass, bounded memory.

A cut is a jump in PySceneDetect's content score that stands out from the pictures around it, so
fast motion and people who cross the lens do not count. On the corpus's labels it finds 14 of 14
hard cuts and none in the two hard negatives; dissolves are not looked for.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from robowm.video.config import IngestConfig
from robowm.video.decode import UnusableClip, Video, open_video
from robowm.video.judge import Look, look_at

LOOK_PX = 128  # longer side of the pictures that are analysed
LOOK_EVERY_S = 0.2
WINDOW = 2  # pictures on either side that a cut is compared with
JUMP_RATIO = 5.0
JUMP_LEVELS = 15.0
REPEAT_LEVELS = 0.5
REPEAT_S = 1.0


@dataclass(frozen=True)
class Shot:
    """Frames `first` to `last` (not included) of a clip, shown from start_s to end_s."""

    first: int
    last: int
    start_s: float
    end_s: float
    look: Look


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


class CutDetector:
    """PySceneDetect's adaptive detector, fed without repeated pictures.

    Videos that hold each picture for several frames (a 5 Hz log played at 30 Hz) would otherwise
    look like a cut at every change.

    Attributes:
        decided: frames before this index are known to be cuts or not.
    """

    def __init__(self) -> None:
        from scenedetect.detectors import AdaptiveDetector

        self.decided = 0
        self._detector = AdaptiveDetector(
            adaptive_threshold=JUMP_RATIO,
            min_content_val=JUMP_LEVELS,
            min_scene_len=0,
            window_width=WINDOW,
        )
        self._fed: list[int] = []
        self._last: np.ndarray | None = None
        self._last_s = 0.0

    def see(self, index: int, time_s: float, picture: np.ndarray) -> list[int]:
        """Take the next picture, uint8 (H, W, 3) RGB; return the frames found to begin a shot."""
        levels = picture.astype(np.int16)
        if self._last is None:
            for _ in range(WINDOW):  # so that a cut right after the first picture is judged too
                self._feed(index, picture)
        elif (
            np.abs(levels - self._last).mean() < REPEAT_LEVELS and time_s < self._last_s + REPEAT_S
        ):
            return []
        self._last, self._last_s = levels, time_s
        return self._feed(index, picture)

    def finish(self, picture: np.ndarray) -> list[int]:
        """The cuts among the last pictures, which wait for what comes after them."""
        last = self._fed[-1] if self._fed else 0
        return [cut for _ in range(WINDOW) for cut in self._feed(last, picture)]

    def _feed(self, index: int, picture: np.ndarray) -> list[int]:
        from scenedetect import FrameTimecode

        self._fed = [*self._fed, index][-WINDOW - 1 :]
        self.decided = self._fed[0]
        blue_first = np.ascontiguousarray(picture[..., ::-1])
        found = self._detector.process_frame(FrameTimecode(index, fps=25.0), blue_first)
        return [cut.frame_num for cut in found]


class _Splitter:
    """Collects frames of one clip and closes shots as their ends become known."""

    def __init__(self, config: IngestConfig) -> None:
        self.config = config
        self.times_s: list[float] = []
        self.shots: list[Shot] = []
        self._first = 0
        self._looks: list[tuple[int, np.ndarray]] = []
        self._cuts = CutDetector()
        self._last_picture: np.ndarray | None = None

    def add(self, time_s: float, picture: np.ndarray) -> None:
        index = len(self.times_s)
        if self.times_s and time_s - self.times_s[-1] > self.config.max_gap_s:
            self.flush(self.times_s[-1] + self.config.max_gap_s)
            self._cuts = CutDetector()
        self.times_s.append(time_s)
        self._last_picture = picture
        if not self._looks or time_s - self.times_s[self._looks[-1][0]] >= LOOK_EVERY_S:
            self._looks.append((index, picture))
        for cut in self._cuts.see(index, time_s, picture):
            self._close(cut, self.times_s[cut])
        decided_s = self.times_s[self._cuts.decided]
        if decided_s - self.times_s[self._first] >= self.config.max_shot_s:
            self._close(self._cuts.decided, decided_s)

    def flush(self, end_s: float) -> None:
        """Close what is open; the last frame is shown until `end_s`."""
        if self._last_picture is not None:
            for cut in self._cuts.finish(self._last_picture):
                self._close(cut, self.times_s[cut])
        self._close(len(self.times_s), end_s)

    def _close(self, last: int, end_s: float) -> None:
        if last <= self._first or self._last_picture is None:
            return
        mine = [picture for index, picture in self._looks if index < last]
        if not mine:  # a shot shorter than the interval between looks: any picture will do
            mine = [self._last_picture]
        start_s = self.times_s[self._first]
        self.shots.append(Shot(self._first, last, start_s, end_s, look_at(np.stack(mine))))
        self._looks = [(index, picture) for index, picture in self._looks if index >= last]
        self._first = last


def survey(path: Path, config: IngestConfig) -> Survey:
    """Decode a clip once, small, and find its shots.

    Raises:
        UnusableClip: no shot can be had from it at all.
    """
    with open_video(path) as video:
        splitter = _Splitter(config)
        width, height = look_size(video)
        for time_s, frame in video.frames():
            splitter.add(time_s, video.small(frame, width, height))
        if len(splitter.times_s) == 1:
            raise UnusableClip("still_image", "one frame")
        splitter.flush(video.end_s)
        times_s = np.array(splitter.times_s, np.float64)
        return Survey(times_s, splitter.shots, video.width_px, video.height_px, video.note)


def look_size(video: Video) -> tuple[int, int]:
    """Width and height whose longer side is LOOK_PX."""
    scale = LOOK_PX / max(video.width_px, video.height_px)
    return max(2, round(video.width_px * scale)), max(2, round(video.height_px * scale))
