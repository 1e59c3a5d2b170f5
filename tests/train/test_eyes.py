"""An eye for each room: what is filmed by two cameras is not fitted with one projection."""

import numpy as np
import pytest

from robowm.train.eyes import Eyes, learn_eyes
from robowm.train.frames import Frames

SIZE_PX, STEPS = 64, 12
NAMES = ["x", "y", "z", "fingers"]
COUNTS = 8, 3  # episodes in either room
LINE = (np.arange(SIZE_PX) + 0.5) * 2 / SIZE_PX - 1


def seen(at: np.ndarray, room: int) -> np.ndarray:
    """Places (N, 2) in the picture of either room's camera."""
    return at if room == 0 else np.array([0.15, -0.1]) + 0.6 * at


def demonstrations(rooms_alike: bool) -> tuple[Frames, np.ndarray]:
    """A bright hand moves over a floor that is lit from the left, in the other room from above."""
    rng = np.random.default_rng(0)
    pixels, states, places = [], [], []
    t = np.linspace(0, 2, STEPS)
    for room, count in enumerate(COUNTS):
        floor = np.broadcast_to(LINE if room == 0 or rooms_alike else LINE[:, None], (SIZE_PX,) * 2)
        for _ in range(count):
            way = rng.uniform(-0.6, 0.6, (3, 2))
            at = np.stack([np.interp(t, [0, 1, 2], way[:, i]) for i in range(2)], axis=1)
            place = seen(at, room)
            far = [np.abs(LINE - place[:, i, None]) for i in range(2)]
            hand = (far[0][:, None] < 0.2) & (far[1][:, :, None] < 0.2)
            grey = np.where(hand, 230, 100 + 40 * floor)
            pixels.append(np.repeat(grey[..., None], 3, axis=-1).astype(np.uint8))
            states.append(np.column_stack([at, 0 * t, 0 * t]))
            places.append(place)
    number = np.repeat(np.arange(sum(COUNTS)), STEPS)
    frames = Frames(
        pixels=np.concatenate(pixels),
        start=number * STEPS,
        end=(number + 1) * STEPS,
        task=np.zeros(len(number), np.int64),
        tasks=[""],
        episode=number,
        columns={"observation.state": np.concatenate(states).astype(np.float32)},
    )
    return frames, np.concatenate(places)


def astray(eyes: Eyes, frames: Frames, places: np.ndarray, room: int) -> float:
    """By how much places stray from the true ones, but for which point of the hand they are."""
    own = (frames.episode >= COUNTS[0]) == room
    off = (eyes.places(frames.columns["observation.state"]) - places)[own]
    return float(np.linalg.norm(off - off.mean(0), axis=1).mean())


def test_each_room_has_its_own_and_few_episodes_are_enough_beside_many() -> None:
    frames, places = demonstrations(rooms_alike=False)
    eyes = learn_eyes(frames, frames.columns["observation.state"], NAMES)
    assert eyes is not None and len(eyes.eyes) == len(eyes.looks) == 2
    assert ((frames.episode >= COUNTS[0]) == eyes.room).all()
    assert eyes.error == max(eye.error for eye in eyes.eyes) < 0.6
    cameras = eyes.cameras(np.zeros(4), np.ones(4))
    assert cameras is not None and cameras.shape == (2, 3, 4)
    frames_alike, _ = demonstrations(rooms_alike=True)
    shared = learn_eyes(frames_alike, frames.columns["observation.state"], NAMES)
    assert shared is not None and len(shared.eyes) == 1
    for room in range(2):
        assert astray(eyes, frames, places, room) < 0.04
    assert astray(shared, frames_alike, places, 1) > 2 * astray(eyes, frames, places, 1)


def test_where_one_room_tells_nothing_one_eye_serves_all(monkeypatch: pytest.MonkeyPatch) -> None:
    frames, _ = demonstrations(rooms_alike=False)
    monkeypatch.setattr("robowm.policy.eye.LEAST_ROWS", COUNTS[1] * STEPS)
    eyes = learn_eyes(frames, frames.columns["observation.state"], NAMES)
    assert eyes is not None and len(eyes.eyes) == len(eyes.looks) == 1 and not eyes.room.any()
    states = np.full_like(frames.columns["observation.state"], np.nan)  # video alone
    assert learn_eyes(frames, states, NAMES) is None
