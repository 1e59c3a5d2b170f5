"""Does anything in a shot move by itself, or are still pictures shown one after another?

A slide show changes in page turns: short, and nearly all of the picture at once. A pan or zoom
over a photograph moves everything as one similarity. Neither is action.
"""

import cv2
import numpy as np

LAG = 3  # looks between the two pictures compared: 0.6 s
CHANGED_LEVELS = 25  # of 255, as in `judge`
LEAST = 0.002  # share of the picture that must change to count as movement
CAMERA = 0.1  # share that changes when it may be the camera: its motion is then undone
WHOLE = 0.3  # share that a page turn changes
TURN_S = 1.8  # a page turn is over after this, LAG included


def action_s(pictures: np.ndarray, step_s: float) -> float:
    """Seconds of the longest stretch in which something moves by itself.

    Args:
        pictures: uint8 (N, H, W, 3) RGB, `step_s` seconds apart.
    """
    lag = min(LAG, len(pictures) - 1)
    if lag < 1:
        return 0.0
    grey = np.stack([cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY) for picture in pictures])
    raw = [_changed(a, b) for a, b in zip(grey, grey[lag:], strict=False)]
    own = np.array(
        [
            _own(a, b) if share > CAMERA else share
            for share, a, b in zip(raw, grey, grey[lag:], strict=False)
        ]
    )
    alive = own > LEAST
    if np.isnan(own).any():  # no camera motion could be fitted: as the rest of the shot is
        fitted = alive[(np.array(raw) > CAMERA) & ~np.isnan(own)]
        alive[np.isnan(own)] = fitted.mean() > 0.5 if len(fitted) else True
    edges = np.flatnonzero(np.diff(np.concatenate([[False], alive, [False]])))
    longest = 0.0
    for begin, end in edges.reshape(-1, 2):
        lasts_s = float(end - begin - 1 + lag) * step_s
        between = begin > 0 and end < len(alive)  # still before and after
        if between and lasts_s <= TURN_S and _changed(grey[begin], grey[end - 1 + lag]) > WHOLE:
            continue
        longest = max(longest, lasts_s)
    return longest


def _changed(first: np.ndarray, second: np.ndarray) -> float:
    return float((cv2.absdiff(first, second) > CHANGED_LEVELS).mean())


def _own(first: np.ndarray, second: np.ndarray) -> float:
    """Share of the picture that differs once the best similarity is undone; NaN without one."""
    points = cv2.goodFeaturesToTrack(first, 120, 0.01, 4)
    if points is None or len(points) < 12:
        return float("nan")
    guess = np.zeros_like(points)
    found, status, _ = cv2.calcOpticalFlowPyrLK(first, second, points, guess)
    good = status.ravel() == 1
    if good.sum() < 12:
        return float("nan")
    fit, inside = cv2.estimateAffinePartial2D(points[good], found[good], ransacReprojThreshold=1.0)
    if fit is None or inside.mean() < 0.6:
        return float("nan")
    height, width = first.shape
    size = (width, height)
    moved = cv2.warpAffine(first, fit, size)
    seen = cv2.warpAffine(np.full_like(first, 255), fit, size)
    seen = cv2.erode(seen, np.ones((5, 5), np.uint8)) == 255
    if seen.mean() < 0.3:
        return float("nan")
    # an edge half a pixel off is no movement: compare with the nearest levels around
    around = np.ones((3, 3), np.uint8)
    low, high = cv2.erode(moved, around), cv2.dilate(moved, around)
    beyond = np.maximum(cv2.subtract(second, high), cv2.subtract(low, second))
    return float((beyond[seen] > CHANGED_LEVELS).mean())
