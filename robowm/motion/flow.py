"""Dense optical flow with a forward-backward check (OpenCV's DIS, finest scale 0)."""

from functools import cache

import cv2
import numpy as np


def flow_pair(first: np.ndarray, second: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flow first→second and second→first.

    Args:
        first, second: uint8 (H, W, 3) RGB.

    Returns:
        two float32 (H, W, 2), pixels, x before y.
    """
    a, b = (cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in (first, second))
    dis = _dis(a.shape[0], a.shape[1])
    return dis.calc(a, b, None), dis.calc(b, a, None)  # type: ignore[call-overload]


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


@cache
def _dis(height: int, width: int) -> cv2.DISOpticalFlow:
    # One object a size: DIS keeps state, and a small image changes its scales for later ones.
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    dis.setFinestScale(0)
    return dis
