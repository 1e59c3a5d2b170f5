"""An eye for that point of the hand at which it takes things.

A map that agrees with motion (`robowm.policy.eye`) is one of some point that moves with the hand;
nothing says how far from the fingers, least of all along the line of sight, where robosuite's was
10 cm behind them. What is taught is then a place beside the thing, by as much as that point's
parallax says, which must be known from the thing's place in the room; on the thing itself it is
seen. So the point is moved until hands at rest are seen at what they take.
"""

from dataclasses import replace

import numpy as np

from robowm.policy.eye import Eye
from robowm.train.astray import in_steps
from robowm.train.eyes import Eyes
from robowm.train.frames import Frames
from robowm.train.hindsight import PASSING_S, centre, first_takings
from robowm.train.rest import at_rest

ROUNDS = 2  # where the thing is sought depends on where the hand is seen
NOISE = 0.016  # of half a picture: so far beside its middle a thing is taken
LOOSE = 3.0  # of the spread of the hand's places: so far the point may be
STEPS = 20


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
    rows = [np.flatnonzero(own & (eyes.room == k)) for k in range(len(eyes.eyes))]
    moved = (
        at_what_is_taken(eye, frames, states, some, control_hz)
        for eye, some in zip(eyes.eyes, rows, strict=True)
    )
    return replace(eyes, eyes=tuple(moved))


def at_what_is_taken(
    eye: Eye, frames: Frames, states: np.ndarray, rows: np.ndarray, control_hz: float
) -> Eye:
    """One of them, by its room's rows (M,); see `lowered`."""
    passing = in_steps(PASSING_S, control_hz)
    rest = at_rest(states[:, list(eye.columns)], frames.start, frames.end, control_hz)
    for _ in range(ROUNDS if eye.projects else 0):
        takings = [*first_takings(frames, rows, eye.places(states), passing)]
        if takings:
            taken = states[[rest[start + key] for start, key, _ in takings]]
            middles = np.stack([centre(part) for *_, part in takings])
            eye = eye.moved(_way(eye, taken, middles))
    return eye


def _way(eye: Eye, states: np.ndarray, middles: np.ndarray) -> np.ndarray:
    """(3,), in spreads, how far to move the point to see hands (N, S) at places (N, 2).

    By Gauss-Newton steps with Huber's weights: a spoon is taken by its end, now on one side, now on
    the other.
    """
    x, way = (states[:, list(eye.columns)] - eye.centre) / eye.spread, eye.spread * 0
    for _ in range(STEPS):
        far = 1 + (x + way) @ eye.depth
        at = ((x + way) @ eye.weights[:-1] + eye.weights[-1]) / far[:, None]
        slope = (eye.weights[:-1].T - at[..., None] * eye.depth) / far[:, None, None]
        off = (middles - at) / NOISE
        weight = 1 / np.maximum(1, np.linalg.norm(off, axis=1))
        steep = slope * weight[:, None, None] / NOISE
        normal = np.einsum("nij,nik->jk", steep, slope / NOISE) + np.eye(3) / LOOSE**2
        way = way + np.linalg.solve(normal, np.einsum("nij,ni->j", steep, off) - way / LOOSE**2)
    return way
