"""The data contract refuses what does not keep it, and says how."""

import numpy as np
import pytest
import torch

from robowm.batch import Batch, Clip, LatentActions

FRAMES = np.zeros((3, 8, 8, 3), np.uint8)


def test_clip_wants_uint8_rgb() -> None:
    with pytest.raises(ValueError, match=r"got float64 \(3, 8, 8, 3\), expected uint8"):
        Clip(FRAMES.astype(float), np.arange(3.0))


def test_clip_wants_rising_time() -> None:
    with pytest.raises(ValueError, match="strictly rising"):
        Clip(FRAMES, np.array([0.0, 0.2, 0.2]))


def test_clip_shows_its_shape_not_its_pixels() -> None:
    assert repr(Clip(FRAMES, np.arange(3.0))) == "Clip(frames=(3, 8, 8, 3), task='')"


def latents(codes: list[list[int]], valid: list[bool]) -> LatentActions:
    vectors = np.zeros((len(valid), 4), np.float32)
    return LatentActions(np.array(codes, np.int64), vectors, np.array(valid))


def test_invalid_transitions_are_never_silent_zeros() -> None:
    with pytest.raises(ValueError, match="must be -1"):
        latents([[1, 2], [0, 0]], [True, False])
    with pytest.raises(ValueError, match="must not be negative"):
        latents([[1, 2], [-1, -1]], [True, True])
    assert latents([[1, 2], [-1, -1]], [True, False]).valid.sum() == 1


def test_batch_counts_its_samples() -> None:
    frames = torch.zeros(2, 2, 3, 8, 8)
    with pytest.raises(ValueError, match="actions: got 3 samples, frames has 2"):
        Batch(frames, ["", ""], actions=torch.zeros(3, 4, 7))
    with pytest.raises(ValueError, match=r"expected \(B, T, 3, H, W\)"):
        Batch(frames[0])
