"""Readings of a hand made to agree: commands, headings, and what demonstrations share."""

import itertools
import math

import numpy as np
import pytest

from robowm.train.frames import Frames
from robowm.train.hand_track import HASTE, Shown, commands, haste, steady_headings


@pytest.mark.parametrize("changes", [0, 1, 2, 3])
def test_commands_are_the_likeliest_of_all_with_so_many_changes(changes: int) -> None:
    rng = np.random.default_rng(changes)
    logits, against = rng.normal(0, 2, 9), rng.uniform(0, 3, 9)

    def worth(told: np.ndarray) -> float:
        changed = np.flatnonzero(told[1:] != told[:-1]) + 1
        return float((np.where(told, 1, -1) * logits / 2).sum() - against[changed].sum())

    every = [np.array(some) for some in itertools.product([False, True], repeat=9)]
    alike = [t for t in every if t[0] and (t[1:] != t[:-1]).sum() == changes]
    found = commands(logits, True, changes, against)
    assert found[0] and (found[1:] != found[:-1]).sum() == changes
    assert worth(found) == pytest.approx(max(worth(told) for told in alike))


def test_a_hand_that_rests_speaks_least_against_a_change() -> None:
    x = np.array([0, 0.2, 0.5, 0.6, 0.6, 0.6, 0.9, 1.4])
    cost = haste(np.stack([x, 0 * x], axis=1))
    assert cost.argmin() == 4 and cost.argmax() in (6, 7)
    assert cost.min() > 0 and cost.max() <= HASTE


def test_a_heading_that_no_frame_before_or_after_agrees_with_is_overruled() -> None:
    grid = np.arange(24) * 2 * np.pi / 24
    true = np.linspace(0.5, 1.5, 12)
    logits = 4 * np.cos(grid - true[:, None])
    logits[5] = 5 * np.cos(grid - true[5] - np.pi)  # the other way about, and surer of it
    found = grid[steady_headings(logits).argmax(1)]
    assert np.abs(found - true).max() < math.radians(15)
    even = steady_headings(np.zeros((3, 24)))
    np.testing.assert_allclose(even, np.broadcast_to(even[:, :1], even.shape), atol=1e-5)


def demonstrations() -> Frames:
    """Two of one instruction, open-close-open, and one of another that never closes."""
    told = np.array([1, 1, -1, -1, 1, 1, 1, -1, -1, 1, 1, 1, 1, 1], np.float32)
    height = np.array([9, 5, 2, 6, 4, 8, 9, 3, 7, 4.5, 9, 1, 1, 1], np.float32)
    starts, ends = np.array([0, 6, 11]), np.array([6, 11, 14])
    return Frames(
        pixels=np.zeros((14, 2, 2, 3), np.uint8),
        start=np.repeat(starts, ends - starts),
        end=np.repeat(ends, ends - starts),
        task=np.repeat([0, 0, 1], ends - starts),
        tasks=["lift", "wave"],
        episode=np.repeat([0, 1, 2], ends - starts),
        columns={"action": told[:, None], "observation.state": height[:, None]},
    )


def test_what_demonstrations_of_an_instruction_share() -> None:
    shown = Shown.of(demonstrations(), np.arange(14), 0)
    assert shown.told[0] == (True, 2)
    assert shown.heights(0, 0) == (2.0, 3.0) and shown.heights(0, 1) == (4.0, 4.5)
    assert shown.heights(0, 3) is None and shown.heights(7, 0) is None
    logits = np.array([2, 2, 1, -1, 1, -3, -3, 2, 2.0])
    still = np.zeros((9, 2))
    lifted = shown.commands(0, logits, still)
    assert (lifted[1:] != lifted[:-1]).sum() == 2  # of three that the frames alone say
    free = shown.commands(7, logits, still)  # not demonstrated: as seen, but for blinks
    np.testing.assert_array_equal(free, [1, 1, 1, 1, 0, 0, 0, 1, 1])
