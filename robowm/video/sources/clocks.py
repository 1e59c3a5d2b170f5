"""Video files read on another clock than their own: counted pictures, and a part of a long file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from robowm.video.decode import UnusableClip, Video, open_file


class Counted:
    """A Video whose pictures are counted: number n is shown at n / rate_hz."""

    def __init__(self, video: Video, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.width_px, self.height_px, self.small = video.width_px, video.height_px, video.small
        self.duration_s = video.duration_s * video.rate_hz / rate_hz
        self.note, self.end_s = "", 0.0
        self._video = video

    def frames(self) -> Iterator[tuple[float, Any]]:
        """Yield (time_s, av.VideoFrame)."""
        for n, (_, frame) in enumerate(self._video.frames()):
            self.end_s = (n + 1) / self.rate_hz
            yield n / self.rate_hz, frame
        self.note = self._video.note


class Window:
    """The pictures of a Video from start_s to end_s, on a clock that begins at start_s."""

    def __init__(self, video: Video, start_s: float, end_s: float) -> None:
        self.rate_hz = video.rate_hz
        self.width_px, self.height_px, self.small = video.width_px, video.height_px, video.small
        self.duration_s = end_s - start_s
        self.note, self.end_s = "", 0.0
        self._video, self._start_s = video, start_s

    def frames(self) -> Iterator[tuple[float, Any]]:
        """Yield (time_s, av.VideoFrame)."""
        slack_s = 0.5 / self.rate_hz  # rounded time stamps, on either side
        for time_s, frame in self._video.frames():
            mine_s = time_s - self._start_s
            if mine_s >= self.duration_s - slack_s:
                break
            if mine_s >= -slack_s:
                self.end_s = max(mine_s, 0.0) + 1 / self.rate_hz
                yield max(mine_s, 0.0), frame
        if not self.end_s:
            raise UnusableClip("unreadable", f"the file ends before {self._start_s:.2f} s")
        if self.duration_s - self.end_s > max(0.5, 0.1 * self.duration_s):
            self.note = f"cut off; {self.end_s:.1f} s of {self.duration_s:.1f} s read"


@contextmanager
def open_counted(path: Path, rate_hz: float) -> Iterator[Counted]:
    """Open a video file whose clock is known to lie."""
    with open_file(path) as video:
        yield Counted(video, rate_hz)


@contextmanager
def open_window(path: Path, start_s: float, end_s: float) -> Iterator[Window]:
    """Open one episode of a video file that holds many."""
    with open_file(path, start_s) as video:
        yield Window(video, start_s, end_s)
