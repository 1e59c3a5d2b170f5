"""Keyframes of a demonstration: the moments that the motion in between leads to.

Those at which the gripper is told to do something else, and the last one (as in James and Davison,
"Q-attention", 2022, without their third kind, the standstill).
"""

from collections.abc import Iterable

import numpy as np


def keyframes(gripper: np.ndarray) -> np.ndarray:
    """Where a demonstration's keyframes are.

    Args:
        gripper: (T,), what the gripper is told, more where open; it is "another command" when the
            middle of its range is crossed.

    Returns:
        int64, rising: the first step of each new command, and the last step.
    """
    open_ = opened(gripper)
    changes = np.flatnonzero(open_[1:] != open_[:-1]) + 1
    return np.unique(np.append(changes, len(gripper) - 1))


def next_keyframes(gripper: np.ndarray, count: int) -> np.ndarray:
    """For every step the next `count` keyframes, its own among them; the last one is repeated.

    Args:
        gripper: (T,), as in `keyframes`.
        count: G.

    Returns:
        int64 (T, G), steps of the same demonstration.
    """
    found = keyframes(gripper)
    first = np.searchsorted(found, np.arange(len(gripper)))
    which = first[:, None] + np.arange(count)
    return found[np.minimum(which, len(found) - 1)]


def released(gripper: np.ndarray) -> np.ndarray:
    """float32 (T,): 1 where it was told to open, after it was shut, at an earlier step."""
    open_ = opened(gripper)
    opens = np.append([False, False], ~open_[:-1] & open_[1:])[: len(open_)]
    return np.maximum.accumulate(opens).astype(np.float32)


def first_grip(open_: np.ndarray) -> int | None:
    """The first frame at which a gripper, open at first, bool (T,), is told to close."""
    shut = np.flatnonzero(~open_)
    return int(shut[0]) if len(shut) and shut[0] > 0 else None


def closes_upwards(grippers: Iterable[np.ndarray]) -> bool:
    """Whether more of what the gripper is told means shut: datasets differ in this.

    A hand that is told both sets out open, as most of the demonstrations (T,) say.
    """
    begun = [bool(opened(told)[0]) for told in grippers if told.min() < told.max()]
    return 2 * sum(begun) < len(begun)


def opened(gripper: np.ndarray) -> np.ndarray:
    """bool (T,): on the upper side of the middle of the range of what the gripper is told (T,)."""
    return np.asarray(gripper > (float(gripper.min()) + float(gripper.max())) / 2)
