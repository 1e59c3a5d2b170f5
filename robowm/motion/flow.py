"""Dense optical flow there and back: one interface over several estimators."""

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import get_args

import cv2
import numpy as np

from robowm.errors import UserError, nearest
from robowm.motion.check import consistent
from robowm.motion.check import pixel_grid as pixel_grid
from robowm.motion.config import DEFAULT, Estimator, MotionConfig
from robowm.motion.dis import dis_pair

RAFT_BATCH = 8
# OpenCV's usual settings, as its tutorial has them; they are the baseline, not a route to use
FARNEBACK = {
    "pyr_scale": 0.5,
    "levels": 3,
    "winsize": 15,
    "iterations": 3,
    "poly_n": 5,
    "poly_sigma": 1.2,
    "flags": 0,
}
Flows = tuple[np.ndarray, np.ndarray]
Checked = tuple[np.ndarray, np.ndarray, np.ndarray]
GrayPair = Callable[[np.ndarray, np.ndarray], Checked]


def flow_pair(first: np.ndarray, second: np.ndarray, config: MotionConfig = DEFAULT) -> Flows:
    """Flow first→second and second→first.

    Args:
        first, second: uint8 (H, W, 3) RGB.

    Returns:
        two float32 (H, W, 2), pixels, x before y.

    Raises:
        UserError: no such estimator, or RAFT without weights.
    """
    return next(clip_flows(np.stack([first, second]), config))[:2]


def flow_pairs(first: np.ndarray, second: np.ndarray, config: MotionConfig = DEFAULT) -> Flows:
    """Flow of N pairs, in batches where the estimator has them.

    Args:
        first, second: uint8 (N, H, W, 3) RGB.

    Returns:
        forward and backward, float32 (N, H, W, 2), pixels.

    Raises:
        UserError: no such estimator, or RAFT without weights.
    """
    if config.estimator.startswith("raft"):
        from robowm.motion.raft import raft_flow

        return raft_flow(first, second, config), raft_flow(second, first, config)
    flows = [flow_pair(a, b, config) for a, b in zip(first, second, strict=True)]
    return np.stack([f for f, _ in flows]), np.stack([b for _, b in flows])


def clip_flows(frames: np.ndarray, config: MotionConfig = DEFAULT) -> Iterator[Checked]:
    """Flow between neighbours of a clip: T-1 times forward, backward and a mask.

    The mask, bool (H, W), says where forward can be trusted.

    Each frame is turned to grey once. The same pair gives the same flow whatever came before it.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
    """
    if config.estimator.startswith("raft"):
        for at in range(0, len(frames) - 1, RAFT_BATCH):
            part = frames[at : at + RAFT_BATCH + 1]
            for there, back in zip(*flow_pairs(part[:-1], part[1:], config), strict=True):
                yield there, back, consistent(there, back)
        return
    pair = _gray_pair(config)
    grays = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
    for a, b in pairwise(grays):
        yield pair(a, b)


def _gray_pair(config: MotionConfig) -> GrayPair:
    """The estimator for two uint8 (H, W) grey pictures."""
    if config.estimator == "dis":
        return lambda a, b: dis_pair(a, b, config)
    if config.estimator == "farneback":
        return _farneback
    raise UserError(
        f"estimator {config.estimator!r} is unknown. "
        f"{nearest(config.estimator, get_args(Estimator))}"
    )


def _farneback(first: np.ndarray, second: np.ndarray) -> Checked:
    there, back = (
        cv2.calcOpticalFlowFarneback(a, b, None, **FARNEBACK)  # type: ignore[call-overload]
        for a, b in ((first, second), (second, first))
    )
    return there, back, consistent(there, back)
