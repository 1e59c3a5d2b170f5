"""Windows out of episodes: padding is marked, episodes are not mixed, cuts are not scored."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from robowm.motion.camera import MotionConfig
from robowm.train.frames import Frames
from robowm.train.windows import WindowStore, find_flow

LENGTHS = np.array([5, 1, 3, 9])


def store(found: np.ndarray | None = None) -> WindowStore:
    """Episodes of 5, 1, 3 and 9 frames; every pixel of frame n is n."""
    total = LENGTHS.sum()
    ends = np.cumsum(LENGTHS)
    frames = Frames(
        pixels=np.arange(total, dtype=np.uint8)[:, None, None, None].repeat(3, 3),
        start=np.repeat(ends - LENGTHS, LENGTHS),
        end=np.repeat(ends, LENGTHS),
        task=np.zeros(total, int),
        tasks=[""],
        episode=np.repeat(np.arange(4), LENGTHS),
        columns={},
    )
    return WindowStore(frames, np.ones(total, bool) if found is None else found, window=4)


def numbers(frames: torch.Tensor) -> list[list[int]]:
    return (frames[:, :, 0, 0, 0] * 255).round().int().tolist()


def test_the_end_is_repeated_and_marked() -> None:
    batch = store().batch(np.array([0, 3, 6]))
    assert numbers(batch.frames) == [[0, 1, 2, 3], [3, 4, 4, 4], [6, 7, 8, 8]]
    assert batch.valid.tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]]
    assert batch.counted.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]


def test_a_transition_without_flow_is_not_counted() -> None:
    found = np.ones(LENGTHS.sum(), bool)
    found[1] = False
    batch = store(found).batch(np.array([0, 1]))
    assert batch.counted.tolist() == [[1, 0, 1], [0, 1, 1]]
    assert batch.valid.all()


def test_every_transition_can_be_drawn_and_held_out_ones_never() -> None:
    windows = store()
    assert windows.rows.tolist() == [0, 1, 2, 3, 6, 7, 9, 10, 11, 12, 13, 14, 15, 16]
    drawn = windows.draw(np.array([0, 1, 2]), 400, np.random.default_rng(0))
    assert set(drawn) == {0, 1, 2, 3, 6, 7}
    # by episode first: the short one is seen as often as the long one
    assert np.isin(drawn, [6, 7]).mean() == pytest.approx(0.5, abs=0.1)


def test_flow_is_sought_once_and_not_across_a_cut(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scenes = rng.integers(0, 255, (2, 9, 9, 3), dtype=np.uint8)
    first, second = (cv2.resize(scene, (64, 64)) for scene in scenes)
    pixels = np.stack([first] * 3 + [second] * 3)
    frames = Frames(
        pixels=pixels,
        start=np.zeros(6, int),
        end=np.full(6, 6),
        task=np.zeros(6, int),
        tasks=[""],
        episode=np.zeros(6, int),
        columns={},
    )
    path = tmp_path / "found.npy"
    found = find_flow(frames, MotionConfig(), path)
    assert found.tolist() == [True, True, False, True, True, False]
    state = np.load(path)
    state[0], state[3] = 2, 0  # as if killed before row 3, and row 0 said something else
    np.save(path, state)
    assert find_flow(frames, MotionConfig(), path).tolist() == [0, 1, 0, 1, 1, 0]
