"""What the camera did, read off a flow field: RANSAC on the border, then a robust refinement.

The arm is rarely at the border, so the fit begins there; points in the middle that it explains
then refine it. Which model is used, a still camera, a similarity or a homography, is decided by
how much of the border each explains: the simplest wins unless another is clearly better, so a
still camera is not "compensated" for the noise of the flow.
"""

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np

from robowm.motion.config import CameraModel

# Lengths are in pixels of a 64-pixel picture. All were chosen on benchmarks/camera.py --seed 0.
BORDER_SHARE = 0.15  # the outer band: fitting there survives an arm over half of the picture
GRID_POINTS = 24
MIN_POINTS = 12
EXPLAINED_PX = 0.5  # a point this close to the model is explained by it
REFINE_PX = (1.0, 0.5, 0.3)  # reach of the weights, pass by pass
HOMOGRAPHY_NEAR_PX = 1.0  # points that the similarity nearly explains may be on a tilted plane
HOMOGRAPHY_PX = 0.2
CLEARLY = 0.1  # by so much must a richer model's cost, 0 to 1, be lower than a simpler one's
HOMOGRAPHY_FROM_PX = 64
STILL = np.eye(3, dtype=np.float32)


@dataclass(frozen=True)
class CameraFit:
    """Where static points of the first picture are in the second.

    Attributes:
        similarity: float32 (2, 3), shift, turn and zoom.
        warp: float32 (3, 3), the model to use: still, that similarity, or a homography.
        agreement: share of the border's points that `warp` explains, 0 to 1. RANSAC's inlier
            ratio would be useless: a wrong fit locks on to the arm and scores higher.
    """

    similarity: np.ndarray
    warp: np.ndarray
    agreement: float


NO_FIT = CameraFit(STILL[:2], STILL, 0.0)


def fit_camera(flow: np.ndarray, mask: np.ndarray, model: CameraModel = "auto") -> CameraFit:
    """The camera's motion from the border of a flow field.

    Args:
        flow: float32 (H, W, 2), pixels.
        mask: bool (H, W), which pixels to trust.
        model: what the camera may have done.
    """
    height, width = mask.shape
    points, border = _grid(height, width)
    x, y = points.T
    unit = min(height, width) / 64
    starts = points.astype(np.float32)
    field = _Field(starts, starts + flow[y, x], border, mask[y, x], unit)
    if (border & field.usable).sum() < MIN_POINTS:
        return NO_FIT
    similar, warp = _choose(field, model, min(height, width))
    explained = field.gap(warp)[border] < EXPLAINED_PX
    return CameraFit(similar[:2], warp, float(explained.mean()))


def _choose(field: "_Field", model: CameraModel, size_px: int) -> tuple[np.ndarray, np.ndarray]:
    """The similarity and the model to use; the early ends only save time."""
    still_cost = field.cost(STILL)
    if still_cost < CLEARLY:  # nothing can be clearly better
        return STILL, STILL
    warp = similar = _similarity(field)
    cost = field.cost(similar)
    tilts = model == "homography" or (model == "auto" and size_px >= HOMOGRAPHY_FROM_PX)
    if tilts and (model == "homography" or cost > CLEARLY):
        found = _homography(field, similar)
        if found is not None:
            tilted_cost = field.cost(found)
            if model == "homography" or tilted_cost < cost - CLEARLY:
                warp, cost = found, tilted_cost
    if still_cost < cost + CLEARLY:
        return STILL, STILL
    return similar, warp


def move(warp: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (..., 2) through a (3, 3) matrix."""
    moved = points @ warp[:, :2].T + warp[:, 2]
    return moved[..., :2] / moved[..., 2:]


@dataclass(frozen=True)
class _Field:
    """Grid points and where the flow takes them; lengths in its methods are 64-pixel ones."""

    starts: np.ndarray
    ends: np.ndarray
    border: np.ndarray
    usable: np.ndarray
    unit: float

    def gap(self, warp: np.ndarray) -> np.ndarray:
        """Distance of every point from where the model has it."""
        apart = move(warp, self.starts) - self.ends
        return np.sqrt(np.einsum("nd,nd->n", apart, apart)) / self.unit

    def cost(self, warp: np.ndarray) -> float:
        """0 where the model explains the border, 1 where it explains nothing of it."""
        gap = self.gap(warp)[self.border & self.usable]
        return float(np.minimum(gap, EXPLAINED_PX).mean()) / EXPLAINED_PX


def _similarity(field: _Field) -> np.ndarray:
    band = field.border & field.usable
    cv2.setRNGSeed(0)  # the same frames must give the same labels
    found, _ = cv2.estimateAffinePartial2D(
        field.starts[band],
        field.ends[band],
        method=cv2.RANSAC,
        ransacReprojThreshold=EXPLAINED_PX * field.unit,
    )
    if found is None:
        return STILL
    warp = np.vstack([found, [0, 0, 1]])
    for reach_px in REFINE_PX:
        nearness = np.maximum(1 - (field.gap(warp) / reach_px) ** 2, 0)
        warp = _least_squares(field, nearness**2 * field.usable)  # Tukey's biweight
    return warp.astype(np.float32)


def _least_squares(field: _Field, weight: np.ndarray) -> np.ndarray:
    """The similarity nearest to weighted points: in complex numbers it is z → m z + t."""
    a, b = (it[:, 0] + 1j * it[:, 1] for it in (field.starts, field.ends))
    weight = weight / max(weight.sum(), 1e-9)
    centre_a, centre_b = weight @ a, weight @ b
    a, b = a - centre_a, b - centre_b
    m = (weight @ (a.conj() * b)) / max(weight @ np.abs(a) ** 2, 1e-9)
    t = centre_b - m * centre_a
    return np.array([[m.real, -m.imag, t.real], [m.imag, m.real, t.imag], [0, 0, 1]])


def _homography(field: _Field, similar: np.ndarray) -> np.ndarray | None:
    near = field.usable & (field.gap(similar) < HOMOGRAPHY_NEAR_PX)
    if near.sum() < 2 * MIN_POINTS:
        return None
    cv2.setRNGSeed(0)
    limit_px = HOMOGRAPHY_PX * field.unit
    found, _ = cv2.findHomography(
        field.starts[near], field.ends[near], cv2.RANSAC, limit_px, maxIters=300
    )
    return None if found is None else found.astype(np.float32)


@cache
def _grid(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (M, 2) over the picture, and which of them are in the border band."""
    step = max(1, min(height, width) // GRID_POINTS)
    y, x = np.mgrid[step // 2 : height : step, step // 2 : width : step].reshape(2, -1)
    band = round(BORDER_SHARE * min(height, width))
    border = (x < band) | (x >= width - band) | (y < band) | (y >= height - band)
    return np.stack([x, y], axis=-1), border
