"""Grippers before their first grip."""

import numpy as np

from robowm.policy.keyframes import first_grip, opened
from robowm.train.frames import Frames


def open_until_told(frames: Frames, rows: np.ndarray) -> float | None:
    """Write into the states of demonstrations that grippers are open until they are told to shut.

    Some set out half open, as wide as when they hold something, and open on the way. Where to go
    next is told by how wide they are, so such a hand seemed to bring something at first.

    Args:
        frames: with columns `action` and `observation.state`, whose last numbers are the gripper's.
        rows: the demonstrations'.

    Returns:
        How wide open they are, in the robot's unit; None: none sets out open and grips.
    """
    state, grips = frames.columns["observation.state"], dict[int, int]()
    for start in np.unique(frames.start[rows]):
        key = first_grip(opened(frames.gripper[start : frames.end[start]]))
        if key is not None:
            grips[int(start)] = int(start) + key
    if not grips:
        return None
    width = float(np.median(state[list(grips.values()), -1]))
    for start, key in grips.items():
        state[start : key + 1, -1] = width
    return width
