"""Datasets that we write are read back to the bit, by us and by stock lerobot."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from robowm.episodes import (
    Episodes,
    EpisodeWriter,
    add_columns,
    image_feature,
    label_columns,
    label_sets,
    vector_feature,
)
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
    root, _ = dataset
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
    """As lerobot writes them: AV1, several episodes a file, several files and chunks."""
    ramp = np.linspace(20, 220, 6).astype(np.uint8)
    ramps = [ramp, ramp[::-1], ramp[:4], ramp[2:], np.roll(ramp, 2)]
    clips = [np.broadcast_to(v[:, None, None, None], (len(v), 64, 64, 3)) for v in ramps]
    feature = image_feature(64) | {"dtype": "video"}
    writer = EpisodeWriter(tmp_path / "ds", 10, {"observation.images.main": feature})
    meta = writer._dataset.meta
    for i, clip in enumerate(clips):
        writer.add({"observation.images.main": np.ascontiguousarray(clip)}, "")
        if i == 1:  # from here on: a file an episode, two files a chunk
            meta.update_chunk_settings(2, data_files_size_in_mb=1e-6, video_files_size_in_mb=1e-6)
    writer.close()
    files = sorted(str(p.relative_to(tmp_path / "ds")) for p in tmp_path.rglob("*.mp4"))
    assert len(files) == 4 and len({Path(f).parent for f in files}) == 2
    episodes = Episodes(tmp_path / "ds")
    for i, clip in enumerate(clips):
        frames = episodes.frames(i, episodes.camera())
        assert frames.shape == clip.shape
        assert np.abs(frames.mean((1, 2, 3)) - clip.mean((1, 2, 3))).max() < 6


def test_the_wrong_directory_is_named(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    with pytest.raises(UserError, match=r"no meta/info\.json"):
        Episodes(tmp_path)
    root = make_dataset(tmp_path / "ds", episodes=1)
    with pytest.raises(UserError, match=r"has no camera 'wrist'; it has: \['observation"):
        Episodes(root).camera("wrist")


def test_episode_columns_must_agree(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "ds", 10, {"a": vector_feature("float32", ["x", "y"])})
    with pytest.raises(ValueError, match="one length"):
        writer.add({"a": np.zeros((3, 2), np.float32), "b": np.zeros((4, 2), np.float32)}, "")


def test_one_episode_is_read_at_a_time(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    root = make_dataset(tmp_path / "ds", episodes=24)
    episodes = Episodes(root)
    before = pa.total_allocated_bytes()
    frames = [episodes.frames(i, episodes.camera()) for i in range(24)]
    held = pa.total_allocated_bytes() - before
    assert held < sum(p.stat().st_size for p in root.glob("data/*/*")) / 6
    (path,) = root.glob("data/*/*")
    pq.write_table(pq.read_table(path), path)  # one row group, as older converters write it
    again = Episodes(root)
    for i in reversed(range(24)):
        np.testing.assert_array_equal(again.frames(i, again.camera()), frames[i])
    pq.write_table(pq.read_table(path), path, row_group_size=5)  # episodes across several
    again = Episodes(root)
    for i in range(24):
        np.testing.assert_array_equal(again.frames(i, again.camera()), frames[i])
        np.testing.assert_array_equal(again.column("episode_index", i), [i] * 9)


def test_label_sets_have_names() -> None:
    assert label_columns() == ("latent_action", "latent_action_index", "latent_action_valid")
    assert label_columns("raft")[1] == "latent_action_index.raft"
    features = [*label_columns("index"), *label_columns(), "action"]
    assert label_sets(features) == ["default", "index"]
    with pytest.raises(UserError, match="label set 'a/b': expected a name of letters"):
        label_columns("a/b")
