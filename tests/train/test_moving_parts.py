"""What moves is kept, what stands still is grey, whatever it looks like."""

import numpy as np

from robowm.train.frames import Frames
from robowm.train.moving_parts import moving_parts


def test_only_what_moves_is_seen() -> None:
    rng = np.random.default_rng(0)
    steps, size = 9, 32
    table = rng.integers(0, 255, (2, 1, size, size, 3))  # of two episodes
    pixels = (
        np.broadcast_to(table, (2, steps, size, size, 3))
        .astype(np.uint8)
        .reshape(-1, *table.shape[2:])
    )
    for t in range(steps):
        pixels[[t, steps + t], 10:18, 3 * t : 3 * t + 6] = (250, 10, 130)
    start = np.repeat([0, steps], steps)
    none = np.zeros(2 * steps, np.int64)
    frames = Frames(pixels, start, start + steps, none, [""], start // steps, {})
    parts = moving_parts(frames)
    np.testing.assert_array_equal(parts.backgrounds, table[:, 0])
    seen = parts.pictures(np.array([[2, steps + 6]]))
    assert seen.shape == (1, 2, 3, size, size)
    for picture, t in zip(seen[0].numpy(), (2, 6), strict=True):
        hand = picture[:, 12:16, 3 * t + 2 : 3 * t + 4]
        assert np.abs(hand - np.array([250, 10, 130])[:, None, None] / 255).max() < 0.25
        assert (picture[:, :5] == 0.5).all() and (picture[:, 24:] == 0.5).all()
