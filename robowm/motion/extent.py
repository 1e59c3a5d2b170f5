"""What moves in the picture, and from where to where: for finding the hand without a camera model.

An arm reaches into the picture from somewhere; its hand is one end of what moves. Which end that is
shows by which one follows the hand (`robowm.policy.eye`).
"""

from dataclasses import dataclass

import cv2
import numpy as np

from robowm.motion.camera import MotionConfig, motion_between

SIZE_PX = 64  # finer flow finds the end no better
CELLS = 32
SLOW_PX = 0.5  # of 64-pixel frames: slower points are taken for still
LEAST = 5.0  # squared pixels of motion, summed: below it nothing moves
QUANTILES = (0.1, 0.5, 0.9)


@dataclass(frozen=True)
class Moving:
    """Motion of N pairs of frames.

    Attributes:
        extents: float32 (N, 2, 3): in x and y the 10 %, 50 % and 90 % quantile, from -1 to 1, of
            where there is motion, weighted by its energy; NaN where nothing moves.
        flow: float16 (N, CELLS, CELLS, 2), (x, y) in half pictures, so from -1 to 1 is 2.
    """

    extents: np.ndarray
    flow: np.ndarray


def moving(first: np.ndarray, second: np.ndarray, camera_moves: bool = False) -> Moving:
    """Look at pairs of frames.

    Args:
        first, second: uint8 (N, S, S, 3) RGB, a frame and the one after it.
        camera_moves: whether the camera's own motion must be taken out first.
    """
    config = MotionConfig(compensate_camera=camera_moves)
    extents = np.full((len(first), 2, len(QUANTILES)), np.nan, np.float32)
    flow = np.zeros((len(first), CELLS, CELLS, 2), np.float16)
    for n, pair in enumerate(zip(first, second, strict=True)):
        small = [cv2.resize(f, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA) for f in pair]
        motion = motion_between(small[0], small[1], config)
        coarse = cv2.resize(motion.flow, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        flow[n] = coarse * (2 / SIZE_PX)
        energy = np.square(motion.flow).sum(-1)
        energy = np.where(energy > SLOW_PX**2, energy, 0) * motion.mask
        if energy.sum() >= LEAST:
            extents[n] = [_quantiles(energy.sum(axis)) for axis in (0, 1)]
    return Moving(extents, flow)


def _quantiles(weights: np.ndarray) -> np.ndarray:
    """Where the weights' cumulative share passes each quantile, from -1 to 1."""
    share = np.cumsum(weights) / weights.sum()
    ends = np.arange(1, len(weights) + 1) * 2 / len(weights) - 1
    return np.interp(QUANTILES, np.concatenate([[0], share]), np.concatenate([[-1], ends]))
