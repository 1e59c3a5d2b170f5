"""What was taken is known by the gap it leaves, whatever took it."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from robowm.errors import UserError
from robowm.policy.eye import Eye
from robowm.policy.keyframes import first_grip
from robowm.train.eyes import Eyes
from robowm.train.frames import Frames
from robowm.train.goals import Goals, whose_hand_is_seen
from robowm.train.rest import REST_S, steadied
from robowm.train.seen_hands import fill_in
from robowm.train.vanished import Takings, gaps

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


@pytest.fixture
def filmed(demonstrated: tuple[Frames, np.ndarray]) -> tuple[Frames, np.ndarray]:
    """The demonstrations, three films of the thick arm, in the last of which nothing is taken; and
    where the thick arm's hand is."""
    parts = [episode(seed, "thick") for seed in (100, 101, 102)]
    pixels = np.concatenate([pictures for pictures, _ in parts])
    pixels[-STEPS:] = pixels[-1]
    hands = np.concatenate([hand for _, hand in parts]) * 2 / SIZE_PX - 1
    number = np.repeat(np.arange(6), STEPS)
    columns = {
        "observation.state": np.c_[demonstrated[1], np.zeros((len(demonstrated[1]), 2))],
        "action": demonstrated[0].columns["action"],
    }
    frames = Frames(
        pixels=np.concatenate([demonstrated[0].pixels, pixels]),
        start=number * STEPS,
        end=(number + 1) * STEPS,
        task=np.zeros(len(number), np.int64),
        tasks=["take it"],
        episode=number,
        columns={
            name: np.r_[values, np.full_like(values, np.nan)].astype(np.float32)
            for name, values in columns.items()
        },
        other=number >= 3,
    )
    return frames, hands


def test_of_another_hand_is_known_what_it_took_and_no_more(
    filmed: tuple[Frames, np.ndarray], demonstrated: tuple[Frames, np.ndarray]
) -> None:
    frames, hands = filmed
    weights = np.eye(4, 2)  # the state is the place in the picture
    eye = Eye((0, 1, 2), np.zeros(3), np.ones(3), weights, np.zeros(3), 0.0)
    eyes = Eyes((eye,), torch.zeros(1, 256), np.zeros(len(frames.end), int))
    places = fill_in(frames, eyes, (0, 1, 2), HZ, steps=0, seed=0)
    np.testing.assert_allclose(places[: 3 * STEPS], demonstrated[1], atol=1e-6)
    told = frames.columns["action"].reshape(6, STEPS)
    until = GRIPS + round(2 * REST_S * HZ)
    for i in (3, 4):
        grip = int(np.flatnonzero(told[i] < 0.5)[0])  # 1 is open in video
        assert abs(grip - GRIPS) <= 4
        own, true = places[i * STEPS : (i + 1) * STEPS], hands[(i - 3) * STEPS + GRIPS]
        assert (np.abs(own[: until - 4] - true) * SIZE_PX / 2).max() < 2
        assert np.isnan(own[until + 5 :]).all()
    assert np.isnan(places[5 * STEPS :]).all()

    rows = np.arange(3 * STEPS, 6 * STEPS)
    goals = Goals(np.zeros((6 * STEPS, 1, 1)), np.zeros((6 * STEPS, 1), int))
    seen = whose_hand_is_seen(replace(goals, places=places[:, None]), frames, rows)
    np.testing.assert_array_equal(seen, rows[: 2 * STEPS])
    places[3 * STEPS :] = np.nan
    with pytest.raises(UserError, match="--other-video: nothing like what the demonstrations take"):
        whose_hand_is_seen(replace(goals, places=places[:, None]), frames, rows)
    assert whose_hand_is_seen(goals, frames, rows) is rows  # no place of any is known


@pytest.mark.parametrize(("told", "grips"), [("ooss", 2), ("oooo", None), ("ssoo", None)])
def test_a_grip_is_the_first_of_a_gripper_that_was_open(told: str, grips: int | None) -> None:
    assert first_grip(np.array([letter == "o" for letter in told])) == grips


def test_what_is_not_known_spoils_nothing() -> None:
    places = np.array([[0.0, 0], [0.02, 0], [np.nan, np.nan], [0.5, 0]], np.float32)
    found = steadied(places, np.zeros(4, int), np.full(4, 4))
    np.testing.assert_allclose(found[:2], [[1 / 150, 0], [0.01, 0]], atol=1e-6)
    assert np.isnan(found[2]).all() and found[3].tolist() == [0.5, 0]
