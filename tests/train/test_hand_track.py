"""Readings of a gripper made to agree: commands, and what demonstrations share."""

import itertools

import numpy as np
import pytest

from robowm.train.frames import Frames
from robowm.train.hand_track import (
    HASTE,
    SPREAD,
    TEMPER,
    Shown,
    commands,
    haste,
    phases,
)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_commands_are_the_likeliest_of_all_with_so_many_phases(count: int) -> None:
    rng = np.random.default_rng(count)
    logits, against, usual = rng.normal(0, 4, 9), rng.uniform(0, 3, 9), rng.uniform(1, 5, count)

    def worth(told: np.ndarray) -> float:
        changed = np.flatnonzero(told[1:] != told[:-1]) + 1
        odd = 0.5 * (np.log(phases(told) / usual) / SPREAD) ** 2
        seen = TEMPER * np.where(told, 1, -1) @ logits / 2
        return float(seen - against[changed].sum() - odd.sum())

    every = [np.array(some) for some in itertools.product([False, True], repeat=9)]
    alike = [t for t in every if t[0] and len(phases(t)) == count]
    found = commands(logits, True, usual, against)
    assert found[0] and len(phases(found)) == count
    assert worth(found) == pytest.approx(max(worth(told) for told in alike))


def test_a_hand_that_rests_speaks_least_against_a_change() -> None:
    x = np.array([0, 0.2, 0.5, 0.6, 0.6, 0.6, 0.9, 1.4])
    cost = haste(np.stack([x, 0 * x], axis=1))
    assert cost.argmin() == 4 and cost.argmax() in (6, 7)
    assert cost.min() > 0 and cost.max() <= HASTE


def demonstrations() -> Frames:
    """Two of one instruction, open-close-open, and one of another that never closes."""
    told = np.array([1, 1, -1, -1, 1, 1, 1, -1, -1, 1, 1, 1, 1, 1], np.float32)
    starts, ends = np.array([0, 6, 11]), np.array([6, 11, 14])
    return Frames(
        pixels=np.zeros((14, 2, 2, 3), np.uint8),
        start=np.repeat(starts, ends - starts),
        end=np.repeat(ends, ends - starts),
        task=np.repeat([0, 0, 1], ends - starts),
        tasks=["lift", "wave"],
        episode=np.repeat([0, 1, 2], ends - starts),
        columns={"action": told[:, None]},
    )


def test_what_demonstrations_of_an_instruction_share() -> None:
    shown = Shown.of(demonstrations(), np.arange(14))
    first_open, usual = shown.told[0]
    assert first_open
    np.testing.assert_allclose(usual, [2**0.5, 2, 2])
    logits = np.array([2, 2, 1, -1, 1, -3, -3, 2, 2.0])
    still = np.zeros((9, 2))
    lifted = shown.commands(0, logits, still)
    assert (lifted[1:] != lifted[:-1]).sum() == 2  # of three that the frames alone say
    free = shown.commands(7, logits, still)  # not demonstrated: as seen, but for blinks
    np.testing.assert_array_equal(free, [1, 1, 1, 1, 0, 0, 0, 1, 1])
