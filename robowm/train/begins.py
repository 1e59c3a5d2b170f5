"""Grippers before their first grip, and when they hold something."""

from itertools import pairwise

import numpy as np

from robowm.policy.keyframes import first_grip, keyframes, opened
from robowm.train.astray import in_steps
from robowm.train.frames import Frames

SHUT_S = 0.6  # after the command they have shut
SPARE = 0.25  # of how far they shut: things are not all as thick, and not taken at the same place


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


def empty_from(frames: Frames, rows: np.ndarray, open_: float, control_hz: float) -> float | None:
    """Beyond which width a gripper that shuts holds nothing.

    Args:
        frames: as in `open_until_told`.
        rows: the demonstrations'.
        open_: how wide grippers are when open, in the robot's unit.
        control_hz: frames a second.

    Returns:
        A little further shut than any that held something; None: none held anything.
    """
    state, held = frames.columns["observation.state"], list[np.ndarray]()
    wait = in_steps(SHUT_S, control_hz)
    for start in np.unique(frames.start[rows]):
        end = frames.end[start]
        gripper = frames.gripper[start:end]
        open_now = opened(gripper)
        for begin, until in pairwise(keyframes(gripper)):
            if begin and open_now[begin - 1] and not open_now[begin]:
                held.append(state[start + begin + wait : start + until, -1])
    width = np.concatenate(held) if held else np.empty(0)
    if not len(width) or np.median(width) == open_:
        return None
    furthest = width.min() if np.median(width) < open_ else width.max()
    return float(furthest + SPARE * (furthest - open_))
