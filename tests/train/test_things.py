"""Things that are taken: an eye is moved to where that is, and they are shown elsewhere."""

import cv2
import numpy as np
import pytest
import torch

from robowm.policy.eye import Eye
from robowm.train.elsewhere import Elsewhere
from robowm.train.eyes import Eyes
from robowm.train.frames import Frames
from robowm.train.lowered import lowered

HZ, SIZE, STEPS = 5.0, 96, 40
WEIGHTS = np.array([[0.5, 0.0], [0.0, 0.5], [0.0, -0.8], [0.0, 0.0]])  # seen from the front, above


DEPTH, SPREAD_M = np.array([0.1, 0.05, 0.0]), np.array([0.22, 0.24, 0.1])


def eye(above_m: float, behind_m: float = 0.0) -> Eye:
    """Of a point of the hand so much above its fingers, and further away."""
    centre, scale = np.array([0.0, behind_m, -above_m]), np.append(SPREAD_M, 1)[:, None]
    return Eye((0, 1, 2), centre, SPREAD_M, WEIGHTS * scale, DEPTH * SPREAD_M, 0.1)


FINGERS, RED = eye(0.0), (220, 40, 30)


def filmed(states: np.ndarray, taken: bool = True) -> Frames:
    """Episodes in which a block lies where the fingers grip, and is gone afterwards."""
    count = len(states) // STEPS
    pixels = np.full((len(states), SIZE, SIZE, 3), 90, np.uint8)
    told = np.ones((len(states), 4), np.float32)
    for start in range(0, len(states), STEPS):
        told[start + 20 :, 3][: STEPS - 20] = -1
        x, y = ((FINGERS.places(states[start + 20]) + 1) * SIZE / 2).round().astype(int)
        pixels[start : start + (22 if taken else STEPS), y - 5 : y + 5, x - 5 : x + 5] = RED
    ends = np.repeat(np.arange(1, count + 1) * STEPS, STEPS)
    return Frames(
        pixels,
        ends - STEPS,
        ends,
        np.zeros(len(states), np.int64),
        [""],
        np.repeat(np.arange(count), STEPS),
        {"observation.state": states, "action": told},
    )


def reaching() -> np.ndarray:
    """float32 (3 * STEPS, 4): hands that go down, stand while they grip, and carry off."""
    parts = []
    for seed in range(3):
        grip_m = np.append(np.random.default_rng(seed).uniform(-0.3, 0.3, 2), 0.0)
        start_m, end_m = grip_m + np.array([[0.2, -0.1, 0.3], [-0.5, 0.4, 0.3]])
        for share in np.r_[np.linspace(0, 1, 20), np.ones(4), 1 + np.linspace(0, 1, STEPS - 24)]:
            towards = (start_m, grip_m) if share <= 1 else (grip_m, end_m)
            parts.append(towards[0] + (share - (share > 1)) * (towards[1] - towards[0]))
    return np.c_[np.array(parts), np.zeros(len(parts))].astype(np.float32)


def seen_by(found: Eye, states: np.ndarray) -> Eyes:
    return Eyes((found,), torch.zeros(1, 3), np.zeros(len(states), np.int64))


@pytest.mark.parametrize(("above_m", "behind_m"), [(0.0, 0.0), (0.1, 0.0), (-0.05, 0.1)])
def test_hands_that_take_something_are_seen_at_it(above_m: float, behind_m: float) -> None:
    states = reaching()
    eyes = seen_by(eye(above_m, behind_m), states)
    (found,) = lowered(eyes, filmed(states), states, HZ).eyes
    np.testing.assert_allclose(found.places(states), FINGERS.places(states), atol=0.01)


def test_an_eye_stays_where_nothing_is_taken_or_it_is_no_projection() -> None:
    states = reaching()
    eyes = seen_by(eye(0.1), states)
    assert lowered(eyes, filmed(states, taken=False), states, HZ).eyes == eyes.eyes
    squares = Eye((0, 1), np.zeros(2), np.ones(2), np.zeros((6, 2)), np.zeros(5), 0.1)
    eyes = seen_by(squares, states)
    assert lowered(eyes, filmed(states), states, HZ).eyes == eyes.eyes


def near(part: np.ndarray) -> np.ndarray:
    """bool (S, S): where an edge of it may be soft."""
    return cv2.dilate(part.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)


def put_elsewhere(
    frames: Frames, states: np.ndarray, rows: np.ndarray, found: Eye = FINGERS
) -> tuple[np.ndarray, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Which samples were changed, their pictures, places and outlines."""
    everywhere = np.arange(len(states))
    things = Elsewhere.of(frames, everywhere, states, seen_by(found, states), HZ)
    pictures = frames.pictures(rows[:, None])
    places, outlines = torch.full((len(rows), 2, 2), 9.0), torch.zeros(len(rows), SIZE, SIZE)
    some = np.arange(len(rows))
    put = things.put(np.random.default_rng(0), rows, some, pictures, places, outlines)
    return put, pictures[:, 0].permute(0, 2, 3, 1), places, outlines


@pytest.mark.parametrize("above_m", [0.0, 0.1])
def test_a_thing_lies_where_the_hand_is_said_to_go(above_m: float) -> None:
    states = reaching()
    frames, rows = filmed(states), np.arange(len(states))[5::STEPS].repeat(8)
    put, pictures, places, outlines = put_elsewhere(frames, states, rows, eye(above_m))
    assert put.mean() > 0.6
    red = np.asarray(pictures)[..., 0] > 0.7
    before = np.asarray(frames.pixels[rows])[..., 0] > 180
    hand = places[:, 0].numpy()
    if above_m:  # the hand is seen above the thing, by as much as where it was demonstrated
        lift = eye(above_m).places(states[20]) - FINGERS.places(states[20])
        hand = hand - lift
    for i in np.flatnonzero(put):
        y, x = np.argwhere(red[i]).mean(0)
        assert np.hypot(*((hand[i] + 1) * SIZE / 2 - (x + 0.5, y + 0.5))) < 1.5
        assert 60 < red[i].sum() <= before[i].sum() and not (red[i] & before[i]).all()
        gap = np.asarray(pictures[i])[before[i] & ~near(red[i])]
        assert np.abs(gap * 255 - 90).max(initial=0) < 2
        assert (outlines[i].bool().numpy() & red[i]).sum() > 0.8 * red[i].sum()
    changed = [len(np.unique(places[rows == row][:, 0].numpy(), axis=0)) for row in set(rows)]
    assert min(changed) > 3  # every time somewhere else
    assert (places[:, 1] == 9).all()  # where it is carried to stays


def test_what_is_hidden_or_was_not_seen_to_be_taken_stays() -> None:
    states = reaching()
    for taken, step in ((True, 30), (False, 5)):
        frames, rows = filmed(states, taken), np.arange(len(states))[step::STEPS]
        put, pictures, places, outlines = put_elsewhere(frames, states, rows)
        assert not put.any() and (places == 9).all() and not outlines.any()
        np.testing.assert_array_equal(pictures, frames.pixels[rows] / np.float32(255))


def test_nothing_is_put_onto_an_arm() -> None:
    states = reaching()
    frames, rows = filmed(states), np.full(30, 5)
    arm = np.zeros((SIZE, SIZE), bool)
    arm[:, SIZE // 2 :] = True
    block = np.asarray(frames.pixels[5])[..., 0] > 180
    frames.pixels[3:8, arm & ~block] = 30  # for a moment
    put, pictures, *_ = put_elsewhere(frames, states, rows)
    on_arm = (np.asarray(pictures)[..., 0] > 0.5)[:, arm & ~block]
    assert put.any() and on_arm.sum(1).max() <= 0.1 * block.sum()  # a corner of it
