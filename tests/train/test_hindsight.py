"""What was taken, seen in hindsight: the thing, not the hand, not what was left lying."""

from dataclasses import replace

import numpy as np
import pytest

from robowm.train.frames import Frames
from robowm.train.hindsight import FAR, outline, what_was_taken

SIZE_PX, TAKEN, STEPS, PASSING = 64, 8, 20, 3
THING = (slice(40, 46), slice(20, 32))
HAND = np.array([26.0, 42.0])


def film(rng: np.random.Generator) -> np.ndarray:
    """A textured table, a thing that is taken at TAKEN, another that stays, and a dark arm that
    comes from the top, takes it and puts it down far to the right."""
    table = rng.integers(90, 130, (SIZE_PX, SIZE_PX, 3))
    table[10:16, 48:56] = 220  # stays
    pictures = np.repeat(table[None], STEPS, 0)
    pictures[:TAKEN, *THING] = (250, 140, 20)
    for t in range(STEPS):
        share = min(t / TAKEN, 1) if t <= TAKEN else max(0, 1 - (t - TAKEN) / 4)
        side = 24 if t <= TAKEN + 4 else min(24 + 5 * (t - TAKEN - 4), 54)
        pictures[t, : 8 + round(32 * share), side : side + 5] = 30
        if t >= TAKEN + 8:
            pictures[t, 50:56, 52:62] = (250, 140, 20)
    return pictures.astype(np.uint8)


def test_the_thing_is_outlined_and_nothing_else() -> None:
    found = outline(film(np.random.default_rng(0)), TAKEN, HAND, PASSING)
    assert found is not None
    true = np.zeros((SIZE_PX, SIZE_PX), bool)
    true[THING] = True
    both, either = (found & true).sum(), (found | true).sum()
    assert both / either > 0.8


def test_where_nothing_was_taken_nothing_is_outlined() -> None:
    pictures = film(np.random.default_rng(1))
    assert outline(pictures, TAKEN, np.array([55.0, 12.0]), PASSING) is None  # it stayed
    assert outline(pictures, 1, HAND, PASSING) is None  # too soon to know what lay there
    assert (
        outline(pictures[: TAKEN + 2], TAKEN, HAND, PASSING) is None
    )  # nothing is known of afterwards


@pytest.fixture
def frames() -> Frames:
    """Two films of one instruction; in the second nothing is near the hand."""
    rng = np.random.default_rng(2)
    told = np.ones((STEPS, 1), np.float32)
    told[TAKEN:16] = 0
    return Frames(
        pixels=np.concatenate([film(rng), film(rng)]),
        start=np.repeat([0, STEPS], STEPS),
        end=np.repeat([STEPS, 2 * STEPS], STEPS),
        task=np.zeros(2 * STEPS, np.int64),
        tasks=["take it"],
        episode=np.repeat([0, 1], STEPS),
        columns={"action": np.concatenate([told, told])},
    )


@pytest.fixture
def places() -> np.ndarray:
    """Where the two hands are: with what is taken, and then away; and somewhere else."""
    one = np.tile(HAND * 2 / SIZE_PX - 1, (STEPS, 1))
    one[TAKEN + 4 :, 0] += 0.6
    return np.concatenate([one, one * [1, 0] + [0, -1]])


@pytest.mark.parametrize("closes_upwards", [False, True])
def test_each_moment_knows_what_is_taken_next(
    frames: Frames, places: np.ndarray, closes_upwards: bool
) -> None:
    if closes_upwards:
        told = 1 - frames.columns["action"]
        frames = replace(frames, columns={"action": told}, closes_upwards=True)
    taken = what_was_taken(frames, places, 5)
    np.testing.assert_array_equal(taken.which[: TAKEN + 1], 1)  # its own keyframe among them
    np.testing.assert_array_equal(taken.which[TAKEN + 1 : STEPS], 0)  # what it will put down
    np.testing.assert_array_equal(taken.which[STEPS : STEPS + TAKEN + 1], -1)
    of = taken.of(np.array([0, TAKEN + 1, STEPS]))
    assert of[0].sum() > 50 and not of[1].any() and of[2].isnan().all()
    assert taken.share() == 0.5


def test_a_hand_that_only_lifts_what_it_took_hides_where_it_lay(
    frames: Frames, places: np.ndarray
) -> None:
    stays = np.tile(places[:1], (2 * STEPS, 1))
    stays[TAKEN + 4 :, 1] -= 2 * 0.9 * FAR
    taken = what_was_taken(frames, stays, 5)
    assert (taken.which[: TAKEN + 1] == -1).all()


def test_how_long_the_hand_stays_is_counted_in_seconds(frames: Frames, places: np.ndarray) -> None:
    lasts = TAKEN + 8
    some = replace(frames, end=frames.start + lasts)  # 7 frames after the taking
    assert what_was_taken(some, places, 10).which[0] == 1
    assert what_was_taken(some, places, 15).which[0] == -1  # the hand may be there to the end
