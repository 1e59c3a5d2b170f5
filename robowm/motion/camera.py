"""What the camera did between two frames, and the motion that is left without it."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from robowm.motion.check import pixel_grid
from robowm.motion.config import DEFAULT, MotionConfig
from robowm.motion.fit import STILL, fit_camera, move
from robowm.motion.flow import clip_flows

MIN_AGREEMENT = 0.45  # below it the fit is wrong more often than right (see docs/architecture.md)
MIN_CONSISTENT = 0.35  # less of the picture than this: the flow has failed


@dataclass(frozen=True)
class Motion:
    """The transition between two frames, with the camera's part taken out.

    Attributes:
        next_frame: uint8 (H, W, 3), the second frame as the first frame's camera would see it.
        flow: float32 (H, W, 2), pixels, what moved apart from the camera.
        mask: bool (H, W), where flow and next_frame can be trusted.
        camera: float32 (2, 3), similarity first→second camera; identity when not believed.
        warp: float32 (3, 3), what was taken out: that similarity, or a homography.
        agreement: share of the border band that the chosen model explains, 0 to 1.
        valid: False when flow failed (a cut, a flash): no latent action should be read from it.
    """

    next_frame: np.ndarray
    flow: np.ndarray
    mask: np.ndarray
    camera: np.ndarray
    warp: np.ndarray
    agreement: float
    valid: bool


def motion_between(first: np.ndarray, second: np.ndarray, config: MotionConfig = DEFAULT) -> Motion:
    """Flow between two frames, the camera's motion removed where it can be believed.

    Args:
        first, second: uint8 (H, W, 3) RGB.

    Raises:
        UserError: no such estimator, or RAFT without weights.
    """
    return next(motions(np.stack([first, second]), config))


def motions(frames: np.ndarray, config: MotionConfig = DEFAULT) -> Iterator[Motion]:
    """The T-1 transitions of a clip, each as `motion_between` would give it.

    Args:
        frames: uint8 (T, H, W, 3) RGB.

    Raises:
        UserError: no such estimator, or RAFT without weights.
    """
    flows = clip_flows(frames, config)
    for second, (forward, _, trusted) in zip(frames[1:], flows, strict=True):
        yield _without_camera(second, forward, trusted, config)


def _without_camera(
    second: np.ndarray,
    forward: np.ndarray,
    mask: np.ndarray,
    config: MotionConfig,
) -> Motion:
    valid = bool(mask.mean() >= MIN_CONSISTENT)
    fit = fit_camera(forward, mask, config.camera_model)
    believed = config.compensate_camera and fit.agreement >= MIN_AGREEMENT
    camera, warp = (fit.similarity, fit.warp) if believed else (STILL[:2], STILL)
    if np.array_equal(warp, STILL):
        return Motion(second, forward, mask, camera, warp, fit.agreement, valid)
    height, width = mask.shape
    grid = pixel_grid(height, width)
    moved = move(warp, grid).astype(np.float32)
    x, y = np.moveaxis(moved, -1, 0)
    next_frame = cv2.remap(second, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    flow = forward - (moved - grid)
    return Motion(next_frame, flow, mask & inside, camera, warp, fit.agreement, valid)
