"""What was taken is known by the gap it leaves, whatever took it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from robowm.errors import UserError
from robowm.train.frames import Frames
from robowm.train.goals import Goals, whose_hand_is_seen
from robowm.train.hand_track import Shown
from robowm.train.other_hands import as_the_gaps_say
from robowm.train.rest import REST_S, steadied
from robowm.train.vanished import Takings, first_grip, gaps

SIZE_PX, STEPS, GRIPS, HZ = 64, 40, 16, 10.0
ABOVE_PX = 4.0  # a hand is seen above what it takes
THICK_PX = {"thin": 7, "thick": 15}  # arms


def episode(seed: int, arm: str) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, and where the hand is (T, 2), in pixels: it takes a disc and carries it off.

    The thick arm comes from another side, and is where it was at first no more."""
    rng = np.random.default_rng(seed)
    table = cv2.resize(rng.integers(90, 130, (8, 8, 3), dtype=np.uint8), (SIZE_PX, SIZE_PX))
    disc = rng.uniform(26, 44, 2)
    corner = np.array([8.0, 8.0] if arm == "thin" else [56.0, 10.0])
    end = np.array([10.0, 40.0]) if arm == "thin" else np.array([30.0, 8.0])
    over = disc - [0, ABOVE_PX]
    t = np.arange(STEPS)
    hand = np.stack(
        [np.interp(t, [0, 12, 20, 34], [corner[i], over[i], over[i], end[i]]) for i in range(2)],
        axis=1,
    )
    colour = (30, 30, 160) if arm == "thin" else (20, 20, 20)
    pictures = []
    for step, at in enumerate(hand):
        picture = table.copy()
        held = at + np.array([0, ABOVE_PX]) if step >= GRIPS else disc
        cv2.circle(picture, tuple(np.round(held).astype(int).tolist()), 3, (230, 60, 40), -1)
        tip = np.round(at - [0, THICK_PX[arm] / 2]).astype(int)
        cv2.line(picture, (int(at[0]), -20), tuple(tip.tolist()), colour, THICK_PX[arm])
        pictures.append(picture)
    return np.stack(pictures), hand


@pytest.fixture(scope="module")
def demonstrated() -> tuple[Frames, np.ndarray]:
    """Three demonstrations of the thin arm, and where its hand is, from -1 to 1."""
    parts = [episode(seed, "thin") for seed in range(3)]
    number = np.repeat(np.arange(3), STEPS)
    told = np.where(np.arange(STEPS) < GRIPS, 1.0, -1.0)
    frames = Frames(
        pixels=np.concatenate([pictures for pictures, _ in parts]),
        start=number * STEPS,
        end=(number + 1) * STEPS,
        task=np.zeros(len(number), np.int64),
        tasks=["take it"],
        episode=number,
        columns={"action": np.tile(told, 3)[:, None].astype(np.float32)},
    )
    places = np.concatenate([hand for _, hand in parts]) * 2 / SIZE_PX - 1
    return frames, places


@pytest.fixture(scope="module")
def takings(demonstrated: tuple[Frames, np.ndarray]) -> Takings:
    frames, places = demonstrated
    rows = np.arange(len(places))
    return Takings.of(frames, rows, places, rows, HZ)


def test_demonstrations_say_how_large_it_is_and_where_the_hand_is_above_it(
    takings: Takings,
) -> None:
    taking = takings.by_task[0]
    assert taking.area * SIZE_PX**2 == pytest.approx(np.pi * 3**2, rel=0.35)
    np.testing.assert_allclose(taking.offset * SIZE_PX / 2, [0, -ABOVE_PX], atol=1)
    assert -6 <= taking.lag <= -2  # it is held, and seen, for a while before it is lifted


@pytest.mark.parametrize("seed", range(100, 106))
def test_what_another_arm_took_is_found_and_not_where_the_arm_was(
    seed: int, takings: Takings
) -> None:
    pictures, hand = episode(seed, "thick")
    assert len({int(gap.outline.sum()) for gap in gaps(pictures, takings.passing)}) > 0
    found = takings.seen(pictures, 0)
    assert found is not None
    moment, place = found
    assert abs(moment - GRIPS) <= 4
    np.testing.assert_allclose((place + 1) * SIZE_PX / 2, hand[GRIPS], atol=1.5)
    assert takings.seen(pictures, 1) is None  # an instruction nobody demonstrated


def test_where_nothing_is_taken_there_is_no_gap(takings: Takings) -> None:
    table = np.full((STEPS, SIZE_PX, SIZE_PX, 3), 100, np.uint8)
    assert list(gaps(table, takings.passing)) == []
    assert takings.seen(table, 0) is None


def video(kinds: list[str], seed: int) -> tuple[np.ndarray, np.ndarray]:
    parts = [episode(seed + i, kind) for i, kind in enumerate(kinds)]
    hands = np.concatenate([hand for _, hand in parts]) * 2 / SIZE_PX - 1
    return np.concatenate([pictures for pictures, _ in parts]), hands.astype(np.float32)


def filmed(demonstrated: Frames, films: list[list[str]]) -> tuple[Frames, np.ndarray]:
    """The demonstrations and films of arms, and where the films' hands are."""
    seen = [video(kinds, 100 * (i + 1)) for i, kinds in enumerate(films)]
    counts = [3, *map(len, films)]
    number = np.repeat(np.arange(sum(counts)), STEPS)
    frames = Frames(
        pixels=np.concatenate([demonstrated.pixels, *(pictures for pictures, _ in seen)]),
        start=number * STEPS,
        end=(number + 1) * STEPS,
        task=np.zeros(len(number), np.int64),
        tasks=["take it"],
        episode=number,
        columns={},
        film=np.repeat(np.arange(len(counts)), np.multiply(counts, STEPS)),
    )
    return frames, np.concatenate([hands for _, hands in seen])


def read(films: list[list[int]]) -> np.ndarray:
    """Logits of hands that are read to grip at these moments."""
    moments = np.repeat([moment for film in films for moment in film], STEPS)
    return np.where(np.arange(len(moments)) % STEPS < moments, 5.0, -5.0)


def test_a_film_of_the_same_hand_is_left_as_it_is_read_and_of_another_the_gaps_are_believed(
    demonstrated: tuple[Frames, np.ndarray], takings: Takings
) -> None:
    shown = Shown.of(demonstrated[0], np.arange(3 * STEPS))
    frames, hands = filmed(demonstrated[0], [["thin"] * 3, ["thick"] * 3])
    rows = np.arange(3 * STEPS, 9 * STEPS)
    off = hands.copy()
    off[3 * STEPS :] += 0.4  # of the thick arm the network sees something beside
    logits = read([[GRIPS, GRIPS + 1, 4], [5, 30, 4]])
    places, open_ = as_the_gaps_say(frames, rows, off, logits, shown, takings)
    np.testing.assert_array_equal(places[: 3 * STEPS], hands[: 3 * STEPS])
    until = GRIPS + round(2 * REST_S * HZ)
    for i in range(3, 6):
        grip = first_grip(open_[i * STEPS : (i + 1) * STEPS])
        assert grip is not None and abs(grip - GRIPS) <= 4
        own, true = places[i * STEPS : (i + 1) * STEPS], hands[i * STEPS + GRIPS]
        near = np.abs(own[: until - 4] - true) * SIZE_PX / 2
        assert near.max() < 2  # the way to what it took, as one place
        assert np.isnan(own[until + 5 :]).all()  # where it goes from there nobody knows


def test_of_another_hand_an_episode_without_a_gap_is_left_out(
    demonstrated: tuple[Frames, np.ndarray], takings: Takings
) -> None:
    shown = Shown.of(demonstrated[0], np.arange(3 * STEPS))
    frames, hands = filmed(demonstrated[0], [["thick"] * 3])
    still = frames.pixels.copy()
    still[-STEPS:] = still[-1]
    frames = replace(frames, pixels=still)
    rows = np.arange(3 * STEPS, 6 * STEPS)
    logits = read([[4, 4, 4]])
    places, _ = as_the_gaps_say(frames, rows, hands, logits, shown, takings)
    assert np.isnan(places[-STEPS:]).all() and np.isfinite(places[:STEPS]).any()
    goals = Goals(np.zeros((6 * STEPS, 1, 1)), np.zeros((6 * STEPS, 1), int))
    known = np.concatenate([demonstrated[1], places])[:, None]
    seen = whose_hand_is_seen(replace(goals, places=known), frames, rows)
    np.testing.assert_array_equal(seen, rows[: 2 * STEPS])
    known[3 * STEPS :] = np.nan
    with pytest.raises(UserError, match="--video: the hand in it is not the demonstrations', and"):
        whose_hand_is_seen(replace(goals, places=known), frames, rows)
    assert whose_hand_is_seen(goals, frames, rows) is rows  # no camera: no place of any


@pytest.mark.parametrize(("told", "grips"), [("ooss", 2), ("oooo", None), ("ssoo", None)])
def test_a_grip_is_the_first_of_a_gripper_that_was_open(told: str, grips: int | None) -> None:
    assert first_grip(np.array([letter == "o" for letter in told])) == grips


def test_what_is_not_known_spoils_nothing() -> None:
    places = np.array([[0.0, 0], [0.02, 0], [np.nan, np.nan], [0.5, 0]], np.float32)
    found = steadied(places, np.zeros(4, int), np.full(4, 4))
    np.testing.assert_allclose(found[:2], [[1 / 150, 0], [0.01, 0]], atol=1e-6)
    assert np.isnan(found[2]).all() and found[3].tolist() == [0.5, 0]
