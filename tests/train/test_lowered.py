"""An eye is moved to the point of the hand at which it takes things."""

import numpy as np
import pytest
import torch

from robowm.policy.eye import Eye
from robowm.train.eyes import Eyes
from robowm.train.frames import Frames
from robowm.train.lowered import lowered

HZ, SIZE, STEPS = 5.0, 96, 40
WEIGHTS = np.array([[0.5, 0.0], [0.0, 0.5], [0.0, -0.8], [0.0, 0.0]])  # seen from the front, above


def eye(above_m: float) -> Eye:
    """Of a point of the hand so much above its fingers."""
    centre = np.array([0.0, 0.0, -above_m])
    return Eye((0, 1, 2), centre, np.ones(3), WEIGHTS, np.array([0.1, 0.05, 0.0]), 0.1)


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


@pytest.mark.parametrize("above_m", [0.0, 0.1, -0.05])
def test_hands_that_take_something_are_seen_at_it(above_m: float) -> None:
    states = reaching()
    (found,) = lowered(seen_by(eye(above_m), states), filmed(states), states, HZ).eyes
    assert found.centre[2] == pytest.approx(0, abs=0.01)  # two thirds of a pixel
    np.testing.assert_allclose(found.places(states), FINGERS.places(states), atol=0.02)


def test_an_eye_stays_where_nothing_is_taken_or_it_is_no_projection() -> None:
    states = reaching()
    eyes = seen_by(eye(0.1), states)
    assert lowered(eyes, filmed(states, taken=False), states, HZ).eyes == eyes.eyes
    squares = Eye((0, 1), np.zeros(2), np.ones(2), np.zeros((6, 2)), np.zeros(5), 0.1)
    eyes = seen_by(squares, states)
    assert lowered(eyes, filmed(states), states, HZ).eyes == eyes.eyes
