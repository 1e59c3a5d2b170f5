"""Windows of neighbouring frames out of episodes: which of them are real, and what may be scored.

ViPRA's released code draws a window anywhere up to the last frame, repeats that frame to fill it,
and scores the stillness as if it had been filmed. Here the filling is marked and counts nowhere.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from robowm.latent.vipra_model import Windows
from robowm.motion.camera import MotionConfig, motion_between
from robowm.progress import progress
from robowm.train.frames import Frames

UNKNOWN, FOUND, FAILED = 0, 1, 2


@dataclass(frozen=True)
class WindowStore:
    """All windows of some episodes.

    Attributes:
        frames: the frames of all episodes, in order.
        found: bool (N,), whether flow was found from each frame to the next of its episode.
        window: T, frames of a window.
    """

    frames: Frames
    found: np.ndarray
    window: int

    @property
    def rows(self) -> np.ndarray:
        """int64 (M,), the frames that have a next one: where the transitions begin."""
        return np.flatnonzero(np.arange(len(self.frames.end)) + 1 < self.frames.end)

    def draw(self, episodes: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """int64 (count,), where windows begin: an episode drawn, then any frame but its last."""
        first = np.searchsorted(self.frames.episode, episodes)
        moves = self.frames.end[first] - first - 1
        chosen = rng.choice(np.flatnonzero(moves > 0), count)
        return first[chosen] + rng.integers(0, moves[chosen])

    def batch(self, starts: np.ndarray) -> Windows:
        """The windows that begin at `starts`."""
        steps = starts[:, None] + np.arange(self.window)
        end = self.frames.end[starts][:, None]
        valid, rows = steps < end, np.minimum(steps, end - 1)
        counted = valid[:, 1:] & self.found[rows[:, :-1]]
        return Windows(
            self.frames.pictures(rows), torch.from_numpy(valid), torch.from_numpy(counted)
        )


def find_flow(frames: Frames, motion: MotionConfig, path: Path) -> np.ndarray:
    """bool (N,), whether flow is found from each frame to the next; goes on where it was killed.

    Args:
        frames: all frames.
        motion: how it is measured.
        path: a .npy file for the findings.
    """
    count = len(frames.end)
    if path.exists():
        state = np.lib.format.open_memmap(path, mode="r+")
    else:
        state = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count,))
    inner = np.arange(count) + 1 < frames.end
    todo = np.flatnonzero(inner & (state == UNKNOWN))
    with progress("optical flow", int(inner.sum()), int(inner.sum()) - len(todo)) as advance:
        for row in todo:
            found = motion_between(frames.pixels[row], frames.pixels[row + 1], motion).valid
            state[row] = FOUND if found else FAILED
            advance()
    return np.asarray(state == FOUND)
