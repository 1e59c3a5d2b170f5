"""Where one shot ends and the next begins, from pictures as they come.

`adaptive` is PySceneDetect's adaptive detector for hard cuts, beside `blends.Blends` for dissolves
and fades; `transnet` is the network of `transnet.py` for both. Which is the default was decided by
`benchmarks/ingest_shots.py`.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from robowm.video.blends import Blends

WINDOW = 2  # pictures on either side that a cut is compared with
JUMP_RATIO = 5.0
JUMP_LEVELS = 15.0
REPEAT_LEVELS = 0.5
REPEAT_S = 1.0


@dataclass(frozen=True, order=True)
class Cut:
    """Frames `first` to `last` (not included) are a mix of two shots; a hard cut has none."""

    first: int
    last: int


class Detector(Protocol):
    """Sees every frame of a clip once.

    Attributes:
        decided: every cut before this frame has been returned.
    """

    decided: int

    def see(self, index: int, time_s: float, picture: np.ndarray) -> list[Cut]:
        """Take the next picture, uint8 (H, W, 3) RGB; return the cuts now known, in order."""

    def finish(self) -> list[Cut]:
        """The cuts that waited for what comes after them."""


def detector(name: str) -> Detector:
    """A new detector: "adaptive" or "transnet"."""
    if name == "adaptive":
        return Adaptive()
    from robowm.video.transnet import TransNet

    return TransNet()


class Adaptive:
    """Hard cuts, dissolves and fades without a network; see `Detector`."""

    def __init__(self) -> None:
        self.decided = 0
        self._hard = HardCuts()
        self._soft = Blends()
        self._waiting: list[Cut] = []

    def see(self, index: int, time_s: float, picture: np.ndarray) -> list[Cut]:
        self._waiting += [Cut(n, n) for n in self._hard.see(index, time_s, picture)]
        self._waiting += [Cut(*span) for span in self._soft.see(index, time_s, picture)]
        self.decided = min(self._hard.decided, self._soft.decided)
        ready = [cut for cut in self._waiting if cut.last <= self.decided]
        self._waiting = [cut for cut in self._waiting if cut.last > self.decided]
        return _without_overlap(ready)

    def finish(self) -> list[Cut]:
        self._waiting += [Cut(n, n) for n in self._hard.finish()]
        self._waiting += [Cut(*span) for span in self._soft.finish()]
        return _without_overlap(self._waiting)


def _without_overlap(cuts: list[Cut]) -> list[Cut]:
    """In order, without the hard cuts that were seen inside a dissolve."""
    mixes = [cut for cut in cuts if cut.last > cut.first]
    alone = [c for c in cuts if not any(m.first <= c.first <= m.last for m in mixes if m != c)]
    return sorted(set(alone))


class HardCuts:
    """PySceneDetect's adaptive detector, fed without repeated pictures.

    A cut is a jump in its content score that stands out from the pictures around it, so fast
    motion and people who cross the lens do not count. Videos that hold each picture for several
    frames (a 5 Hz log played at 30 Hz) would look like a cut at every change: held pictures are
    passed over.

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
        self._picture: np.ndarray | None = None

    def see(self, index: int, time_s: float, picture: np.ndarray) -> list[int]:
        """Take the next picture, uint8 (H, W, 3) RGB; return the frames found to begin a shot."""
        levels = picture.astype(np.int16)
        self._picture = picture
        if self._last is None:
            for _ in range(WINDOW):  # so that a cut right after the first picture is judged too
                self._feed(index, picture)
        elif (
            np.abs(levels - self._last).mean() < REPEAT_LEVELS and time_s < self._last_s + REPEAT_S
        ):
            return []
        self._last, self._last_s = levels, time_s
        return self._feed(index, picture)

    def finish(self) -> list[int]:
        """The cuts among the last pictures, which wait for what comes after them."""
        if self._picture is None:
            return []
        return [cut for _ in range(WINDOW) for cut in self._feed(self._fed[-1], self._picture)]

    def _feed(self, index: int, picture: np.ndarray) -> list[int]:
        from scenedetect import FrameTimecode

        self._fed = [*self._fed, index][-WINDOW - 1 :]
        self.decided = self._fed[0]
        blue_first = np.ascontiguousarray(picture[..., ::-1])
        found = self._detector.process_frame(FrameTimecode(index, fps=25.0), blue_first)
        return [cut.frame_num for cut in found]
