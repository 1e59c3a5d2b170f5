"""Which flow can be trusted: there and back must cancel."""

from functools import cache

import cv2
import numpy as np

SLACK_PX2 = 0.5


def consistent(
    forward: np.ndarray, backward: np.ndarray, slack_px2: float = SLACK_PX2
) -> np.ndarray:
    """Where the flow there and back cancels: neither occluded nor failed.

    |F + B∘w|² < 0.01 (|F|² + |B∘w|²) + 0.5, the test of Sundaram et al. 2010, eq. 5.

    Args:
        forward, backward: float32 (H, W, 2), pixels.
        slack_px2: what is forgiven of any length, squared pixels.

    Returns:
        bool (H, W).
    """
    grid = pixel_grid(*forward.shape[:2])
    x, y = np.moveaxis(grid + forward, -1, 0)
    back = cv2.remap(backward, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    total = forward + back
    gap, there, again = (it[..., 0] ** 2 + it[..., 1] ** 2 for it in (total, forward, back))
    return gap < 0.01 * (there + again) + slack_px2


@cache
def pixel_grid(height: int, width: int) -> np.ndarray:
    """float32 (H, W, 2): each pixel's own x, y."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return np.stack([x, y], axis=-1)
