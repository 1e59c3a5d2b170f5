"""From where to where in the picture something moves: for finding the hand without a camera model.

An arm reaches into the picture from somewhere; its hand is one end of what moves. Which end that is
shows by which one follows the hand (`robowm.policy.eye`).
"""

import cv2
import numpy as np

from robowm.motion.camera import MotionConfig, motion_between

SIZE_PX = 64  # finer flow finds the end no better
SLOW_PX = 0.5  # of 64-pixel frames: slower points are taken for still
LEAST = 5.0  # squared pixels of motion, summed: below it nothing moves
QUANTILES = (0.1, 0.5, 0.9)


def extents(frames: np.ndarray, camera_moves: bool = False) -> np.ndarray:
    """Quantiles of where there is motion, weighted by its energy.

    Args:
        frames: uint8 (T, S, S, 3) RGB, of one shot.
        camera_moves: whether the camera's own motion must be taken out first.

    Returns:
        float32 (T, 2, 3): in x and y the 10 %, 50 % and 90 % quantile, from -1 to 1, of the motion
        from each frame to its next; NaN where nothing moves, and in the last row.
    """
    config = MotionConfig(compensate_camera=camera_moves)
    small = [cv2.resize(f, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA) for f in frames]
    found = np.full((len(frames), 2, len(QUANTILES)), np.nan, np.float32)
    for t in range(len(frames) - 1):
        motion = motion_between(small[t], small[t + 1], config)
        energy = np.square(motion.flow).sum(-1)
        energy = np.where(energy > SLOW_PX**2, energy, 0) * motion.mask
        if energy.sum() >= LEAST:
            found[t] = [_quantiles(energy.sum(axis)) for axis in (0, 1)]
    return found


def _quantiles(weights: np.ndarray) -> np.ndarray:
    """Where the weights' cumulative share passes each quantile, from -1 to 1."""
    share = np.cumsum(weights) / weights.sum()
    ends = np.arange(1, len(weights) + 1) * 2 / len(weights) - 1
    return np.interp(QUANTILES, np.concatenate([[0], share]), np.concatenate([[-1], ends]))
