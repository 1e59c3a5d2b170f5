"""Dense optical flow with a forward-backward check, one interface over several estimators."""

from collections.abc import Callable, Iterator
from functools import cache
from itertools import pairwise
from typing import get_args

import cv2
import numpy as np

from robowm.errors import UserError, nearest
from robowm.motion.config import DEFAULT, Estimator, MotionConfig

RAFT_BATCH = 8
DIS_PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
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
GrayFlow = Callable[[np.ndarray, np.ndarray], np.ndarray]


def flow_pair(first: np.ndarray, second: np.ndarray, config: MotionConfig = DEFAULT) -> Flows:
    """Flow first→second and second→first.

    Args:
        first, second: uint8 (H, W, 3) RGB.

    Returns:
        two float32 (H, W, 2), pixels, x before y.

    Raises:
        UserError: no such estimator, or RAFT without weights.
    """
    return next(clip_flows(np.stack([first, second]), config))


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


def clip_flows(frames: np.ndarray, config: MotionConfig = DEFAULT) -> Iterator[Flows]:
    """Flow between neighbours of a clip: T-1 pairs of forward and backward.

    Each frame is turned to grey once. The same pair gives the same flow whatever came before it.

    Args:
        frames: uint8 (T, H, W, 3) RGB.
    """
    if config.estimator.startswith("raft"):
        for at in range(0, len(frames) - 1, RAFT_BATCH):
            part = frames[at : at + RAFT_BATCH + 1]
            yield from zip(*flow_pairs(part[:-1], part[1:], config), strict=True)
        return
    flow_of = gray_flow(config, *frames.shape[1:3])
    grays = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames)
    for a, b in pairwise(grays):
        yield flow_of(a, b), flow_of(b, a)


def consistent(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Where the flow there and back cancels: neither occluded nor failed.

    |F + B∘w|² < 0.01 (|F|² + |B∘w|²) + 0.5, the test of Sundaram et al. 2010, eq. 5.

    Args:
        forward, backward: float32 (H, W, 2), pixels.

    Returns:
        bool (H, W).
    """
    grid = pixel_grid(*forward.shape[:2])
    x, y = np.moveaxis(grid + forward, -1, 0)
    back = cv2.remap(backward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    gap = ((forward + back) ** 2).sum(-1)
    return gap < 0.01 * ((forward**2).sum(-1) + (back**2).sum(-1)) + 0.5


@cache
def pixel_grid(height: int, width: int) -> np.ndarray:
    """float32 (H, W, 2): each pixel's own x, y."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x, y], axis=-1)


def gray_flow(config: MotionConfig, height: int, width: int) -> GrayFlow:
    """The estimator for uint8 (H, W) grey pictures of one size: first, second → flow (H, W, 2).

    Raises:
        UserError: the estimator has no such route, or does not exist.
    """
    if config.estimator == "dis":
        dis = _dis(config.dis_preset, config.dis_finest_scale, height, width)
        return lambda a, b: dis.calc(a, b, None)  # type: ignore[call-overload]
    if config.estimator == "farneback":
        return lambda a, b: cv2.calcOpticalFlowFarneback(a, b, None, **FARNEBACK)  # type: ignore
    raise UserError(
        f"estimator {config.estimator!r} is unknown. "
        f"{nearest(config.estimator, get_args(Estimator))}"
    )


@cache
def _dis(preset: str, finest_scale: int, height: int, width: int) -> cv2.DISOpticalFlow:
    # One object a size: DIS keeps state, and a small image changes its scales for later ones.
    if preset not in DIS_PRESETS:
        raise UserError(f"dis_preset {preset!r} is unknown. {nearest(preset, DIS_PRESETS)}")
    dis = cv2.DISOpticalFlow.create(DIS_PRESETS[preset])
    dis.setFinestScale(finest_scale)
    return dis
