"""DIS optical flow (Kroeger et al. 2016), there and back, for small pictures and for large ones.

Small pictures: one search each way. The way back only checks the way there, and a fast search
checks better than a second slow one, which repeats its mistakes (benchmarks/camera.py).

Large pictures, where things move by tens of pixels: a quick search each way; where those two
disagree the surroundings' flow is filled in; the full search starts from there, and what
disagrees after it (occluded pixels, mostly) is filled in again, and stays masked. On small
pictures that would paint over small objects.
"""

from functools import cache

import cv2
import numpy as np

from robowm.errors import UserError, nearest
from robowm.motion.check import consistent
from robowm.motion.config import MotionConfig

PRESETS = {
    "ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}
CHECK = "ultrafast"
LARGE_PX = 256
QUICK_SCALE = 1
FILL_STEP = 4
SECOND_FROM_SCALE = 3  # an eighth of the size, so that the start is heeded


def dis_pair(
    first: np.ndarray, second: np.ndarray, config: MotionConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Flow first→second, second→first for checking it, and which pixels passed the check.

    Args:
        first, second: uint8 (H, W).

    Returns:
        two float32 (H, W, 2), pixels, and bool (H, W): filled-in pixels are never trusted,
        though some of them would pass the check.

    Raises:
        UserError: no such preset.
    """
    shape, preset, finest = first.shape, config.dis_preset, config.dis_finest_scale
    large = min(shape) >= LARGE_PX
    if preset == "auto":
        preset = "fast" if large else "medium"
    if not large:
        forward = _search(preset, finest, -1, shape).calc(first, second, None)  # type: ignore
        backward = _search(CHECK, finest, -1, shape).calc(second, first, None)  # type: ignore
        return forward, backward, consistent(forward, backward)
    quick = _search(CHECK, finest + QUICK_SCALE, -1, shape)
    there, back = quick.calc(first, second, None), quick.calc(second, first, None)  # type: ignore
    full = _search(preset, finest, SECOND_FROM_SCALE, shape)
    forward = full.calc(first, second, _start(there, back))
    check = _search(CHECK, finest + QUICK_SCALE, SECOND_FROM_SCALE, shape)
    backward = check.calc(second, first, _start(back, there))
    trusted = consistent(forward, backward)
    around = _enlarged(filled(forward[::2, ::2], trusted[::2, ::2]), shape)
    return np.where(trusted[..., None], forward, around), backward, trusted


def filled(flow: np.ndarray, trusted: np.ndarray) -> np.ndarray:
    """The flow, with the untrusted pixels taken from their surroundings (push-pull).

    Args:
        flow: float32 (H, W, 2).
        trusted: bool (H, W).
    """
    if trusted.all() or not trusted.any():
        return flow
    weight = trusted.astype(np.float32)[..., None]
    levels = [np.concatenate([flow * weight, weight], axis=-1)]
    while min(levels[-1].shape[:2]) > 2:
        h, w = levels[-1].shape[:2]
        size = ((w + 1) // 2, (h + 1) // 2)
        levels.append(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA))
    total = levels[-1].sum((0, 1))
    known = np.tile(total[:2] / total[2], (*levels[-1].shape[:2], 1))
    for level in reversed(levels):  # each level keeps what it knows and asks the coarser one else
        known = level[..., :2] + (1 - level[..., 2:]) * _enlarged(known, level.shape)
    return known


def _start(there: np.ndarray, back: np.ndarray) -> np.ndarray:
    """Where the full search begins: a quick flow, its contradictions filled in."""
    step = FILL_STEP
    a, b = there[::step, ::step], back[::step, ::step]
    trusted = consistent(a / step, b / step, slack_px2=0.5 / step**2)
    return _enlarged(filled(a, trusted), there.shape)


def _enlarged(flow: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    return cv2.resize(flow, (shape[1], shape[0]))


@cache
def _search(preset: str, finest: int, coarsest: int, shape: tuple[int, int]) -> cv2.DISOpticalFlow:
    # One object a size: DIS keeps state, and a small image changes its scales for later ones.
    if preset not in PRESETS:
        raise UserError(f"dis_preset {preset!r} is unknown. {nearest(preset, ['auto', *PRESETS])}")
    dis = cv2.DISOpticalFlow.create(PRESETS[preset])
    dis.setFinestScale(finest)
    dis.setCoarsestScale(coarsest)
    return dis
