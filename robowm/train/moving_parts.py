"""What moves in an episode of a camera that stands still: the rest is made grey."""

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from robowm.progress import progress
from robowm.train.frames import Frames

MOST_FRAMES = 25  # of an episode, for its background
FAINT, CLEAR = 12, 36  # of 255: what differs less is background, what differs more is not
BLUR_PX = 5


@dataclass(frozen=True)
class MovingParts:
    """Frames whose background is grey.

    Attributes:
        frames: the frames.
        backgrounds: uint8 (E, S, S, 3), of each episode the median of its pixels over time.
    """

    frames: Frames
    backgrounds: np.ndarray

    def pictures(self, rows: np.ndarray) -> Tensor:
        """float32 (*rows.shape, 3, S, S) in [0, 1]."""
        once, which = np.unique(rows, return_inverse=True)
        parts = []
        for row in once:
            frame = np.asarray(self.frames.pixels[row])
            off = cv2.absdiff(frame, self.backgrounds[self.frames.episode[row]]).max(-1)
            off = cv2.GaussianBlur(off, (BLUR_PX, BLUR_PX), 0).astype(np.float32)
            weight = np.clip((off - FAINT) / (CLEAR - FAINT), 0, 1)[..., None]
            parts.append(0.5 + weight * (frame / np.float32(255) - 0.5))
        taken = torch.from_numpy(np.stack(parts)).permute(0, 3, 1, 2)
        return taken[torch.from_numpy(which.reshape(-1))].contiguous().unflatten(0, rows.shape)


def moving_parts(frames: Frames) -> MovingParts:
    """Find the backgrounds."""
    starts = np.unique(frames.start)
    found = []
    with progress("backgrounds", len(starts)) as advance:
        for start in starts:
            found.append(background(frames, start))
            advance(1)
    return MovingParts(frames, np.stack(found))


def background(frames: Frames, start: int) -> np.ndarray:
    """uint8 (S, S, 3), what stands still in the episode that begins at this row."""
    count = frames.end[start] - start
    some = start + np.linspace(0, count - 1, min(count, MOST_FRAMES)).astype(int)
    return np.asarray(np.median(frames.pixels[some], axis=0).astype(np.uint8))
