"""Transitions of a dataset: the same in any number of processes, and after an interruption."""

import numpy as np
import pytest

from robowm.episodes import Episodes
from robowm.motion.camera import motion_between
from robowm.motion.config import MotionConfig
from robowm.motion.store import ARRAYS, DONE, FACTS, create_arrays, fill_episode, open_array

CAMERA = "observation.images.main"


@pytest.fixture(scope="module")
def dataset(make_dataset, tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("store") / "data", episodes=3, length=5)


def test_an_episode_fills_its_rows_and_no_others(dataset, tmp_path) -> None:
    create_arrays(tmp_path, 12, 3, 32, 32)
    fill_episode(dataset, CAMERA, tmp_path, 1, 4, MotionConfig())
    arrays = {name: open_array(tmp_path, name) for name in [*ARRAYS, *FACTS, DONE]}
    assert arrays[DONE].tolist() == [False, True, False]
    assert arrays["first"][4:8].any() and arrays["agreement"][4:8].all()
    assert not arrays["first"][:4].any() and not arrays["first"][8:].any()
    frames = Episodes(dataset).frames(1, CAMERA)
    wanted = motion_between(frames[2], frames[3])
    np.testing.assert_array_equal(arrays["first"][6], frames[2])
    np.testing.assert_array_equal(arrays["second"][6], wanted.next_frame)
    np.testing.assert_array_equal(arrays["flow"][6], wanted.flow.astype(np.float16))
    np.testing.assert_array_equal(arrays["mask"][6, ..., 0], wanted.mask)
    assert arrays["valid"][6] == wanted.valid
    speed_px = np.linalg.norm(wanted.flow, axis=-1).mean()
    assert arrays["speed"][6] == np.float32(speed_px * 64 / 32)


def test_arrays_that_are_there_are_kept(tmp_path) -> None:
    create_arrays(tmp_path, 4, 1, 8, 8)
    open_array(tmp_path, "speed")[2] = 7
    create_arrays(tmp_path, 4, 1, 8, 8)
    assert open_array(tmp_path, "speed").tolist() == [0, 0, 7, 0]
    assert not [*tmp_path.glob("*.tmp")]
