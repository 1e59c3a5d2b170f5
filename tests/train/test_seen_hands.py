"""The hand seen in video: learnt from few demonstrations, and only with a camera."""

import numpy as np
import pytest

from robowm.errors import UserError
from robowm.policy.eye import Eye
from robowm.train.frames import Frames
from robowm.train.seen_hands import fill_in

SIZE_PX, STEPS = 32, 12
NAMES = ["x", "y", "z", "fingers"]


def episode(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A bright hand over a grey table: it goes somewhere, closes, and goes on; seen from above."""
    way = rng.uniform(-0.6, 0.6, (3, 2))
    t = np.linspace(0, 2, STEPS)
    at = np.stack([np.interp(t, [0, 1, 2], way[:, i]) for i in range(2)], axis=1)
    closed = t >= 1
    line = (np.arange(SIZE_PX) + 0.5) * 2 / SIZE_PX - 1
    far_x = np.abs(line[None, None] - at[:, 0, None, None])
    far_y = np.abs(line[None, :, None] - at[:, 1, None, None])
    fingers = np.where(closed, 0.1, 0.3)
    frames = np.full((STEPS, SIZE_PX, SIZE_PX, 3), 100, np.uint8)
    frames[(far_x < fingers[:, None, None]) & (far_y < 0.15)] = 230
    state = np.column_stack([at, np.zeros(STEPS), fingers]).astype(np.float32)
    action = np.zeros((STEPS, 2), np.float32)
    action[:, 1] = np.where(closed, -1, 1)
    return frames, state, action


@pytest.fixture(scope="module")
def shown() -> tuple[Frames, np.ndarray, np.ndarray]:
    """4 demonstrations and 20 videos, whose truth stands beside."""
    rng = np.random.default_rng(0)
    parts = zip(*(episode(rng) for _ in range(24)), strict=True)
    pixels, states, actions = (np.concatenate(part) for part in parts)
    number = np.repeat(np.arange(24), STEPS)
    video = number >= 4
    columns = {"observation.state": states.copy(), "action": actions.copy()}
    for values in columns.values():
        values[video] = np.nan
    frames = Frames(
        pixels=pixels,
        start=number * STEPS,
        end=(number + 1) * STEPS,
        task=np.zeros(len(number), np.int64),
        tasks=[""],
        episode=number,
        columns=columns,
    )
    return frames, states, actions


def overhead() -> Eye:
    """The camera of these pictures."""
    weights = np.array([[1.0, 0], [0, 1.0], [0, 0], [0, 0]])
    return Eye((0, 1, 2), np.zeros(3), np.ones(3), weights, np.zeros(3), 0.0)


def test_a_hand_learnt_from_four_demonstrations_is_seen_in_video(
    shown: tuple[Frames, np.ndarray, np.ndarray],
) -> None:
    frames, states, actions = shown
    stats = (states[:48].mean(0), np.maximum(states[:48].std(0), 0.01))
    before = {name: values[:48].copy() for name, values in frames.columns.items()}
    fill_in(frames, overhead(), stats, context_frames=2, seed=0)
    for name, values in before.items():  # demonstrations keep what they are
        np.testing.assert_array_equal(frames.columns[name][:48], values)
    seen, told = frames.columns["observation.state"][48:], frames.columns["action"][48:]
    off = np.linalg.norm(seen[:, :2] - states[48:, :2], axis=1)
    assert np.median(off) < 0.06  # one pixel; the middle of the table is 0.4 away
    assert (told[:, 0] == 0).all()  # no action is guessed but the gripper's
    assert ((told[:, 1] > 0.5) == (actions[48:, 1] > 0)).mean() > 0.95


@pytest.mark.parametrize("eye", [None, "quadratic"])
def test_without_a_camera_video_is_refused_before_anything_is_learnt(
    shown: tuple[Frames, np.ndarray, np.ndarray], eye: str | None
) -> None:
    frames, states, _ = shown
    no_camera = None
    if eye is not None:
        weights = np.zeros((15, 2))
        no_camera = Eye((0, 1, 2, 3), np.zeros(4), np.ones(4), weights, np.zeros(14), 0.0)
    with pytest.raises(UserError, match="expected a camera that stands still"):
        fill_in(frames, no_camera, (states.mean(0), states.std(0)), 2, 0)
