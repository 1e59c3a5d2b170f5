"""Pictures: parts of the official one, drawn small; changed by seed for the shifted suite."""

import cv2
import numpy as np
import pytest

from robowm.sim.simpler.looks import (
    CROPS_PX,
    INTRINSIC,
    PHOTO_PX,
    Shift,
    View,
    camera_turn,
    light_gain,
    shrink,
    square,
    turn_photo,
)


@pytest.mark.parametrize("crop", CROPS_PX)
def test_a_view_sees_its_part_of_the_official_picture(crop: str) -> None:
    view = square(crop, 96)
    assert (view.columns, view.rows) == (288, 288)
    rays = np.array([[0.1, -0.2, 1.0], [-0.3, 0.1, 1.0]]).T
    official, ours = INTRINSIC @ rays, view.intrinsic() @ rays
    left, width = CROPS_PX[crop]
    np.testing.assert_allclose(ours[0] / view.columns, (official[0] - left) / width)
    np.testing.assert_allclose(ours[1] / view.rows, official[1] / PHOTO_PX[1])


def test_small_pictures_are_means_of_large_ones() -> None:
    assert square("left", 300).columns == 300
    picture = np.random.default_rng(0).integers(0, 256, (240, 240, 3), np.uint8)
    small = shrink(picture, 60)
    assert small.shape == (60, 60, 3)
    assert small[3, 7, 1] == round(float(picture[12:16, 28:32, 1].mean()))
    assert shrink(picture, 240) is picture


def test_the_photograph_is_kept_whole_in_the_official_view() -> None:
    photo = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
    np.testing.assert_array_equal(View().photo(photo), photo)
    np.testing.assert_array_equal(View(80, 480, 480, 480).photo(photo), photo[:, 80:560])


def test_a_turned_camera_sees_the_photograph_turned() -> None:
    right = cv2.Rodrigues(np.array([0, np.radians(2.0), 0]))[0]  # about OpenCV's y, which is down
    photo = np.zeros((480, 640, 3), np.uint8)
    photo[230:250, 330:350] = 255
    turned = turn_photo(photo, right)
    shift_px = np.nonzero(turned[..., 0])[1].mean() - np.nonzero(photo[..., 0])[1].mean()
    assert shift_px == pytest.approx(-623.588 * np.tan(np.radians(2.0)), abs=0.5)
    assert turn_photo(photo, np.eye(3)) is photo


def test_shifts_depend_on_the_seed_and_none_is_none() -> None:
    shift, view = Shift(light=1.0, camera_jitter=1.0), square("left", 64)
    np.testing.assert_array_equal(camera_turn(Shift(), 3), np.eye(3))
    assert light_gain(Shift(), 3, view) is None
    turns = [camera_turn(shift, seed) for seed in (3, 3, 4)]
    gains = [light_gain(shift, seed, view) for seed in (3, 3, 4)]
    np.testing.assert_array_equal(turns[0], turns[1])
    assert (turns[0] != turns[2]).any()
    assert gains[0] is not None and gains[1] is not None and gains[2] is not None
    np.testing.assert_array_equal(gains[0], gains[1])
    assert (gains[0] != gains[2]).any() and gains[0].shape == (256, 256, 3)
    many = [light_gain(shift, seed, view) for seed in range(20)]
    means = [float(gain.mean()) for gain in many if gain is not None]
    assert 0.5 < min(means) < 0.85 and 1.15 < max(means) < 1.8
