"""An eye for that point of the hand at which it takes things.

A map that agrees with motion (`robowm.policy.eye`) is one of some point of the hand, mostly one far
above its fingers, for there is more of it. What is taught is then a place in the air above the
thing, which must be known from the thing's looks; on the thing itself it is seen. So the point is
moved along the vertical until hands at rest are seen at what they take.
"""

from dataclasses import replace

import numpy as np

from robowm.policy.eye import Eye
from robowm.train.astray import in_steps
from robowm.train.eyes import Eyes
from robowm.train.frames import Frames
from robowm.train.hindsight import PASSING_S, centre, first_takings
from robowm.train.rest import at_rest

STEP = 0.01  # of the spread of heights, for a slope
ROUNDS = 2  # where the thing is sought depends on where the hand is seen


def lowered(eyes: Eyes, frames: Frames, states: np.ndarray, control_hz: float) -> Eyes:
    """The eyes, each by the demonstrations of its own room; one in whose room nothing is seen to be
    taken, or that is no projection, stays.

    Args:
        eyes: as found by motion.
        frames: with a column `action`, whose last number is the gripper's.
        states: (N, S), proprioception; NaN in video.
        control_hz: rows a second.
    """
    own = np.isfinite(states).all(-1)
    moved = []
    for k, eye in enumerate(eyes.eyes):
        rows = np.flatnonzero(own & (eyes.room == k))
        for _ in range(ROUNDS if eye.height is not None else 0):
            eye = _onto_what_is_taken(eye, frames, states, rows, control_hz)
        moved.append(eye)
    return replace(eyes, eyes=tuple(moved))


def _onto_what_is_taken(
    eye: Eye, frames: Frames, states: np.ndarray, rows: np.ndarray, control_hz: float
) -> Eye:
    assert eye.height is not None
    passing = in_steps(PASSING_S, control_hz)
    takings = [*first_takings(frames, rows, eye.places(states), passing)]
    if not takings:
        return eye
    rest = at_rest(states[:, list(eye.columns)], frames.start, frames.end, control_hz)
    taken = states[[rest[start + key] for start, key, _ in takings]]
    off = np.stack([centre(part) for *_, part in takings]) - eye.places(taken)
    step = STEP * eye.spread[eye.height]
    above = taken.copy()
    above[:, eye.columns[eye.height]] += step
    slope = (eye.places(above) - eye.places(taken)) / step
    rise = (off * slope).sum(1) / (slope**2).sum(1)
    return eye.raised(float(np.median(rise)))
