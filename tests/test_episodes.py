"""Datasets that we write are read back to the bit, by us and by stock lerobot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from robowm.episodes import Episodes, EpisodeWriter, add_columns, image_feature, vector_feature
from robowm.errors import UserError


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, list[np.ndarray]]:
    rng = np.random.default_rng(0)
    clips = [rng.integers(0, 256, (n, 16, 16, 3), dtype=np.uint8) for n in (4, 7)]
    features = {
        "observation.images.main": image_feature(16),
        "capture_time_s": vector_feature("float64", ["s"]),
    }
    writer = EpisodeWriter(tmp_path / "ds", 10, features)
    for clip in clips:
        times = np.arange(len(clip)) * 0.1
        writer.add({"observation.images.main": clip, "capture_time_s": times}, "wave")
    writer.close()
    return tmp_path / "ds", clips


def test_pictures_come_back_exactly(dataset: tuple[Path, list[np.ndarray]]) -> None:
    root, clips = dataset
    episodes = Episodes(root)
    assert episodes.tasks == ["wave", "wave"]
    for i, clip in enumerate(clips):
        np.testing.assert_array_equal(episodes.frames(i, episodes.camera("main")), clip)
        np.testing.assert_allclose(episodes.column("capture_time_s", i), np.arange(len(clip)) / 10)


def test_added_columns_are_read_by_lerobot_and_keep_the_rest(
    dataset: tuple[Path, list[np.ndarray]],
) -> None:
    root, clips = dataset
    before = Episodes(root).frames(1, "observation.images.main")
    vectors = np.arange(33, dtype=np.float32).reshape(11, 3)
    valid = np.arange(11) % 2 == 0
    columns = {"latent_action": vectors, "latent_action_valid": valid}
    features = {
        "latent_action": vector_feature("float32", ["a", "b", "c"]),
        "latent_action_valid": vector_feature("bool", ["valid"]),
    }
    add_columns(root, columns, features)
    add_columns(root, columns, features)  # again: as after a kill
    stock = LeRobotDataset("local/ds", root=root, video_backend="pyav")
    assert len(stock) == 11
    np.testing.assert_array_equal(stock[5]["latent_action"].numpy(), vectors[5])
    episodes = Episodes(root)
    np.testing.assert_array_equal(episodes.column("latent_action_valid", 1), valid[4:])
    np.testing.assert_array_equal(episodes.frames(1, "observation.images.main"), before)


def test_video_datasets_are_read_too(tmp_path: Path) -> None:
    ramp = np.linspace(20, 220, 6).astype(np.uint8)
    clips = [np.broadcast_to(v[:, None, None, None], (6, 64, 64, 3)) for v in (ramp, ramp[::-1])]
    feature = image_feature(64) | {"dtype": "video"}
    writer = EpisodeWriter(tmp_path / "ds", 10, {"observation.images.main": feature})
    for clip in clips:
        writer.add({"observation.images.main": np.ascontiguousarray(clip)}, "")
    writer.close()
    episodes = Episodes(tmp_path / "ds")
    for i, clip in enumerate(clips):
        frames = episodes.frames(i, episodes.camera())
        assert frames.shape == clip.shape
        assert np.abs(frames.mean((1, 2, 3)) - clip.mean((1, 2, 3))).max() < 6


def test_the_wrong_directory_is_named(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match="no meta/info.json"):
        Episodes(tmp_path)
    root = make_dataset(tmp_path / "ds", episodes=1)
    with pytest.raises(UserError, match=r"has no camera 'wrist'; it has: \['observation"):
        Episodes(root).camera("wrist")


def test_episode_columns_must_agree(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "ds", 10, {"a": vector_feature("float32", ["x", "y"])})
    with pytest.raises(ValueError, match="one length"):
        writer.add({"a": np.zeros((3, 2), np.float32), "b": np.zeros((4, 2), np.float32)}, "")
