"""Where the hand is seen: found from motion and proprioception, refused where it cannot be."""

from collections.abc import Callable

import numpy as np

from robowm.motion.extent import extents
from robowm.policy.eye import Eye

EPISODES, LENGTH = 8, 30


def arms(seed: int = 0, blind: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """An arm from the top edge: its low end is where the hand is, its high end stays."""
    rng = np.random.default_rng(seed)
    states = rng.uniform(-1, 1, (EPISODES * LENGTH, 3))
    hand = np.stack([0.5 * states[:, 0], 0.4 + 0.4 * states[:, 1] - 0.1 * states[:, 2]], axis=1)
    if blind:
        hand = rng.uniform(-1, 1, hand.shape)
    middle = 0.5 * (hand + np.array([0.0, -0.9]))
    x = np.stack([np.minimum(hand[:, 0], 0), middle[:, 0], np.maximum(hand[:, 0], 0)], axis=1)
    y = np.stack([np.full(len(hand), -0.9), middle[:, 1], hand[:, 1]], axis=1)
    seen = np.stack([x, y], axis=1) + 0.03 * rng.normal(size=(len(hand), 2, 3))
    seen[::7] = np.nan
    return states, seen.astype(np.float32), np.repeat(np.arange(EPISODES), LENGTH)


def test_the_end_that_follows_the_hand_is_found() -> None:
    eye = Eye.fit(*arms())
    assert eye is not None and eye.ends[1] == 2 and min(eye.held_out_r2) > 0.9
    states, seen, _ = arms(seed=1)
    known = np.isfinite(seen).all((1, 2))
    away = eye.places(states)[known, 1] - seen[known, 1, 2]
    assert np.abs(away).mean() < 0.06
    assert eye.places(states.reshape(EPISODES, LENGTH, 3)).shape == (EPISODES, LENGTH, 2)


def test_motion_that_does_not_follow_the_hand_is_refused() -> None:
    assert Eye.fit(*arms(blind=True)) is None
    states, seen, episode = arms()
    assert Eye.fit(states, np.full_like(seen, np.nan), episode) is None


def test_extents_frame_what_moves(draw_square: Callable[..., np.ndarray]) -> None:
    frames = draw_square(64, np.array([[6.0, 0.0], [6.0, 0.0], [0.0, 0.0]]), seed=3)
    found = extents(frames)
    assert found.shape == (4, 2, 3)
    assert np.isnan(found[2]).all() and np.isnan(found[3]).all()  # it stands still, and ends
    side = 21 * 2 / 64
    width = found[:2, 0, 2] - found[:2, 0, 0]
    assert ((width > 0.4 * side) & (width < 1.6 * side)).all()
    assert (found[1, 0] > found[0, 0] + 0.5 * 6 * 2 / 64).all()  # moves on to the right
    np.testing.assert_allclose(found[0, 1, 1], 0, atol=0.15)  # as high as the picture's middle
