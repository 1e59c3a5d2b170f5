"""Flow has the right sign and size; the camera's part is taken out, an arm's part is kept."""

import cv2
import numpy as np
import pytest

from robowm.motion.camera import MIN_AGREEMENT, MotionConfig, motion_between
from robowm.motion.fit import fit_camera
from robowm.motion.flow import consistent, flow_pair

SIZE = 64


def texture(seed: int, size: int = SIZE * 2) -> np.ndarray:
    rng = np.random.default_rng(seed)
    layers = [
        cv2.resize(rng.normal(size=(size // b, size // b, 3)), (size, size)) for b in (4, 8, 16)
    ]
    picture = sum(layers)
    picture = 128 + 50 * picture / picture.std()
    return np.clip(picture, 0, 255).astype(np.uint8)


def scene(seed: int, camera: np.ndarray, object_at: tuple[float, float]) -> np.ndarray:
    """A texture seen by a camera (2, 3), and a textured square in front of it."""
    margin = np.array([[1, 0, -SIZE / 2], [0, 1, -SIZE / 2]])
    homogeneous = np.vstack([camera, [0, 0, 1]]) @ np.vstack([margin, [0, 0, 1]])
    picture = cv2.warpAffine(texture(seed), homogeneous[:2], (SIZE, SIZE))
    place = np.array([[1.0, 0, object_at[0]], [0, 1.0, object_at[1]]])
    tile = texture(seed + 1)[:24, :24]
    front = cv2.warpAffine(tile, place, (SIZE, SIZE))
    inside = cv2.warpAffine(np.ones((24, 24), np.uint8), place, (SIZE, SIZE)) > 0
    return np.where(inside[..., None], front, picture)


STILL = np.array([[1.0, 0, 0], [0, 1, 0]])
MOVED = np.array([[0.9998, -0.02, 2.0], [0.02, 0.9998, -1.5]])


def test_flow_is_first_to_second_x_before_y() -> None:
    first, second = scene(0, STILL, (20, 20)), scene(0, STILL, (23, 18))
    forward, backward = flow_pair(first, second)
    inner = forward[28:38, 28:38].mean((0, 1))
    assert inner == pytest.approx([3, -2], abs=0.5)
    assert consistent(forward, backward).mean() > 0.8


def test_flow_does_not_depend_on_what_was_measured_before() -> None:
    first, second = scene(0, STILL, (20, 20)), scene(0, STILL, (23, 18))
    alone, _ = flow_pair(first, second)
    flow_pair(first[:16, :16], second[:16, :16])  # DIS would remember the small size
    again, _ = flow_pair(first, second)
    np.testing.assert_array_equal(alone, again)


@pytest.mark.parametrize("seed", range(5))
def test_camera_motion_is_removed_and_the_objects_kept(seed: int) -> None:
    first, second = scene(seed, STILL, (20, 20)), scene(seed, MOVED, (25, 17))
    motion = motion_between(first, second)
    assert motion.valid and motion.agreement > MIN_AGREEMENT
    np.testing.assert_allclose(motion.camera, MOVED, atol=0.6)
    background = np.ones((SIZE, SIZE), bool)
    background[12:52, 12:56] = False
    assert np.abs(motion.flow[background & motion.mask]).mean() < 0.3
    raw = motion_between(first, second, MotionConfig(compensate_camera=False))
    assert np.abs(raw.flow[background & raw.mask]).mean() > 1
    y, x = 30, 30  # inside the object: its own motion less the camera's there
    camera = MOVED[:, :2] @ [x, y] + MOVED[:, 2] - [x, y]
    seen = motion.flow[y - 4 : y + 4, x - 4 : x + 4].mean((0, 1))
    assert seen == pytest.approx(np.array([5, -3]) - camera, abs=0.8)


def test_the_next_frame_is_seen_from_the_first_camera() -> None:
    first, second = scene(3, STILL, (20, 20)), scene(3, MOVED, (20, 20))
    motion = motion_between(first, second)
    border = motion.mask & (np.arange(SIZE)[None] > 50)
    gap_before = np.abs(first[border].astype(int) - second[border]).mean()
    gap_after = np.abs(first[border].astype(int) - motion.next_frame[border]).mean()
    assert gap_after < 0.5 * gap_before


def test_unrelated_frames_are_invalid() -> None:
    motion = motion_between(texture(1)[:SIZE, :SIZE], texture(9)[:SIZE, :SIZE])
    assert not motion.valid


def test_no_trusted_point_means_no_fit() -> None:
    fit = fit_camera(np.ones((64, 64, 2), np.float32), np.zeros((64, 64), bool))
    assert fit.agreement == 0
    np.testing.assert_array_equal(fit.warp, np.eye(3))
    np.testing.assert_array_equal(fit.similarity, np.eye(2, 3))
