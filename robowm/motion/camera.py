"""What the camera did between two frames, and the motion that is left without it."""

from dataclasses import dataclass

import cv2
import numpy as np

from robowm.motion.flow import consistent, flow_pair, pixel_grid

BORDER_SHARE = 0.15  # the outer band, where the arm rarely is: fitting there survives large arms
GRID_POINTS = 24
MIN_AGREEMENT = 0.45  # below it the fit is wrong more often than right (see docs/architecture.md)
MIN_CONSISTENT = 0.35  # less of the picture than this: the flow has failed


@dataclass(frozen=True)
class MotionConfig:
    """How motion is measured; a labeller uses what it was trained with."""

    compensate_camera: bool = True
    """take the camera's motion out of flow and frames; False is the ablation"""


@dataclass(frozen=True)
class Motion:
    """The transition between two frames, with the camera's part taken out.

    Attributes:
        next_frame: uint8 (H, W, 3), the second frame as the first frame's camera would see it.
        flow: float32 (H, W, 2), pixels, what moved apart from the camera.
        mask: bool (H, W), where flow and next_frame can be trusted.
        camera: float32 (2, 3), similarity first→second camera; identity when not believed.
        agreement: share of the border band that the camera fit explains, 0 to 1.
        valid: False when flow failed (a cut, a flash): no latent action should be read from it.
    """

    next_frame: np.ndarray
    flow: np.ndarray
    mask: np.ndarray
    camera: np.ndarray
    agreement: float
    valid: bool


def motion_between(
    first: np.ndarray, second: np.ndarray, config: MotionConfig = MotionConfig()
) -> Motion:
    """Flow between two frames, the camera's similarity removed where it can be believed.

    Args:
        first, second: uint8 (H, W, 3) RGB.
    """
    forward, backward = flow_pair(first, second)
    mask = consistent(forward, backward)
    valid = bool(mask.mean() >= MIN_CONSISTENT)
    camera, agreement = fit_camera(forward, mask)
    if not config.compensate_camera or agreement < MIN_AGREEMENT:
        camera = np.eye(2, 3, dtype=np.float32)
    height, width = mask.shape
    grid = pixel_grid(height, width)
    moved = grid @ camera[:, :2].T + camera[:, 2]
    x, y = np.moveaxis(moved.astype(np.float32), -1, 0)
    next_frame = cv2.remap(second, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    flow = (forward - (moved - grid)).astype(np.float32)
    return Motion(next_frame, flow, mask & inside, camera, agreement, valid)


def fit_camera(flow: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, float]:
    """Four-parameter similarity fitted with RANSAC to the border band of a flow field.

    Args:
        flow: float32 (H, W, 2), pixels.
        mask: bool (H, W), which pixels to trust.

    Returns:
        float32 (2, 3) and the share of the band it explains. The RANSAC inlier ratio would be
        useless here: a wrong fit locks on to the arm and scores higher than a right one.
    """
    height, width = mask.shape
    points = _border_points(height, width)
    chosen = points[mask[points[:, 1], points[:, 0]]]
    if len(chosen) < 8:
        return np.eye(2, 3, dtype=np.float32), 0.0
    threshold_px = 0.5 * min(height, width) / 64
    ends = chosen + flow[chosen[:, 1], chosen[:, 0]]
    cv2.setRNGSeed(0)  # the same frames must give the same labels
    fit, _ = cv2.estimateAffinePartial2D(
        chosen.astype(np.float32), ends, method=cv2.RANSAC, ransacReprojThreshold=threshold_px
    )
    if fit is None:
        return np.eye(2, 3, dtype=np.float32), 0.0
    explained = points @ fit[:, :2].T + fit[:, 2] - points
    gap = np.linalg.norm(flow[points[:, 1], points[:, 0]] - explained, axis=-1)
    return fit.astype(np.float32), float((gap < threshold_px).mean())


def _border_points(height: int, width: int) -> np.ndarray:
    step = max(1, min(height, width) // GRID_POINTS)
    y, x = np.mgrid[0:height:step, 0:width:step]
    band = round(BORDER_SHARE * min(height, width))
    border = (x < band) | (x >= width - band) | (y < band) | (y >= height - band)
    return np.stack([x[border], y[border]], axis=-1)
