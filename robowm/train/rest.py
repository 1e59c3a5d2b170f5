"""Where a hand comes to rest a moment after a command, and where it then is."""

from collections.abc import Sequence

import numpy as np

from robowm.train.frames import Frames

REST_S = 0.6
NEAR = 1 / 16  # of half the picture


def where_at_rest(
    frames: Frames,
    places: np.ndarray,
    filmed: np.ndarray,
    columns: Sequence[int],
    control_hz: float,
) -> np.ndarray:
    """int64 (N,): `at_rest` by the hand's place where that is known, else by where it is seen.

    A hand that rises towards the camera seems to rest.

    Args:
        frames: with a column `observation.state`.
        places: (N, 2), where the hand is seen.
        filmed: bool (N,), rows of video, whose states are made up.
        columns: of the state, its place; none: it has no such.
        control_hz: rows a second.
    """
    seen = at_rest(places, frames.start, frames.end, control_hz)
    if not len(columns):
        return seen
    hand = frames.columns["observation.state"][:, list(columns)]
    return np.where(filmed, seen, at_rest(hand, frames.start, frames.end, control_hz))


def at_rest(
    places: np.ndarray, start: np.ndarray, end: np.ndarray, control_hz: float
) -> np.ndarray:
    """int64 (N,): of every row that of up to REST_S later at which the hand moves least.

    An arm that is told to grip is still on its way, and comes to rest while the fingers close:
    where it goes is told better by then.

    Args:
        places: (N, D), where the hand is.
        start, end: (N,), of each row's episode, see `Frames`.
        control_hz: rows a second.
    """
    at, steps = np.arange(len(places)), round(REST_S * control_hz)
    before, after = np.maximum(at - 1, start), np.minimum(at + 1, end - 1)
    speed = np.linalg.norm(places[after] - places[before], axis=1) / np.maximum(after - before, 1)
    ahead = np.minimum(at[:, None] + np.arange(steps + 1), end[:, None] - 1)
    rest: np.ndarray = ahead[at, speed[ahead].argmin(1)]
    return rest


def steadied(places: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """float32 (N, 2): each place's mean with those of the frames beside it that are near it.

    What is read off single frames strays by a pixel or two, and a hand at rest is read thrice. NaN
    stays NaN.

    Args:
        places: (N, 2), where the hand is seen, from -1 to 1.
        start, end: (N,), of each row's episode, see `Frames`.
    """
    at = np.arange(len(places))
    beside = np.clip(at[:, None] + np.array([-1, 0, 1]), start[:, None], end[:, None] - 1)
    near = np.linalg.norm(places[beside] - places[:, None], axis=2) < NEAR
    near[:, 1] = True  # itself, where it is not known either
    mean = np.where(near[..., None], places[beside], 0).sum(1) / near.sum(1)[:, None]
    return np.asarray(mean, np.float32)
