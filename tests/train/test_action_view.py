"""The view in which `action` is the latent: every row valid, stock lerobot trains on it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from lerobot.datasets.dataset_metadata import LeRobotDatasetMetadata
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from robowm.__main__ import main
from robowm.batch import INVALID_CODE, LatentActions
from robowm.episodes import Episodes, EpisodeWriter, image_feature, vector_feature
from robowm.errors import UserError
from robowm.policy.control_map import ControlMap, Labelled
from robowm.statistics import stats_of
from robowm.swap import commit
from robowm.train.action_view import as_action
from robowm.train.demonstrations import check_actions
from robowm.train.labels_on_disk import stage_labels

CAMERA = "observation.images.main"
# four episodes of nine rows; flow failed at 4 of the second, and at all but lone rows of the third
VALID = np.ones((4, 9), bool)
VALID[2] = np.arange(9) % 2 == 0
VALID[:, 8] = VALID[1, 4] = False
RUNS = [(0, 0, 8), (1, 0, 4), (1, 5, 3), (3, 0, 8)]  # episode, first row, rows


def write_labels(root: Path, name: str = "default") -> np.ndarray:
    """Made-up labels, (36, 6) vectors; no labeller is needed to test where they go."""
    rng = np.random.default_rng(0)
    valid = VALID.reshape(-1)
    rows = np.flatnonzero(np.arange(36) % 9 < 8)
    vectors = rng.normal(size=(36, 6)).astype(np.float32)
    codes = rng.integers(0, 8, (36, 3))
    vectors[~valid], codes[~valid] = 0, INVALID_CODE
    actions = LatentActions(codes[rows], vectors[rows], valid[rows])
    provenance = {"sha256": "f" * 64, "codes": 8, "tokens": 3}
    commit(root, stage_labels(Episodes(root), name, rows, actions, provenance))
    return vectors


@pytest.fixture
def labelled(tmp_path: Path, make_dataset: Callable[..., Path]) -> tuple[Path, np.ndarray]:
    root = make_dataset(tmp_path / "ds", episodes=4, actions=True)
    return root, write_labels(root)


def open_view(tmp_path: Path, **settings: Any) -> LeRobotDataset:
    return LeRobotDataset("local/view", tmp_path / "view", video_backend="pyav", **settings)


def test_rows_are_the_valid_ones_and_action_is_the_latent(
    labelled: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    root, vectors = labelled
    view = as_action(root, tmp_path / "view")
    assert (view.episodes, view.frames, view.left_out) == (4, 23, 13)
    source, stock = Episodes(root), open_view(tmp_path)
    assert len(stock) == 23 and stock.num_episodes == 4
    at = 0
    for number, (episode, first, rows) in enumerate(RUNS):
        frames = source.frames(episode, CAMERA)
        for t in range(rows):
            item, row = stock[at], first + t
            np.testing.assert_array_equal(item["action"], vectors[9 * episode + row])
            np.testing.assert_array_equal(
                item["robot_action"], source.column("action", episode)[row]
            )
            np.testing.assert_array_equal(
                (item[CAMERA] * 255).round().permute(1, 2, 0), frames[row]
            )
            assert item["capture_time_s"].item() == pytest.approx(row / 10)
            assert (item["episode_index"], item["frame_index"], item["index"]) == (number, t, at)
            assert item["timestamp"].item() == pytest.approx(t / 10)
            at += 1
    assert "latent_action" not in stock.features


def test_statistics_are_those_of_the_view(
    labelled: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    root, vectors = labelled
    as_action(root, tmp_path / "view")
    kept = np.concatenate([vectors[9 * e + a : 9 * e + a + n] for e, a, n in RUNS])
    meta = open_view(tmp_path).meta
    np.testing.assert_allclose(meta.stats["action"]["mean"], kept.mean(0), atol=1e-6)
    np.testing.assert_allclose(meta.stats["action"]["max"], kept.max(0), atol=1e-6)
    assert meta.stats["action"]["count"] == [23] and meta.stats["robot_action"]["count"] == [23]
    assert meta.stats[CAMERA]["mean"].shape == (3, 1, 1)
    assert meta.info.splits == {"train": "0:4"} and meta.total_frames == 23
    assert [e["source_from_frame"] for e in meta.episodes] == [0, 0, 5, 0]
    assert meta.names["action"] == [f"latent_{i}" for i in range(6)]


def test_chunks_are_masked_where_a_run_ends(
    labelled: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    as_action(labelled[0], tmp_path / "view")
    deltas = {"action": [t / 10 for t in range(5)]}
    stock = open_view(tmp_path, delta_timestamps=deltas)
    assert stock[10]["action_is_pad"].tolist() == [False, False, True, True, True]


def test_videos_are_shared_and_their_frames_found(tmp_path: Path) -> None:
    feature = image_feature(64) | {"dtype": "video"}
    root = tmp_path / "ds"
    writer = EpisodeWriter(root, 10, {CAMERA: feature, "action": vector_feature("float32", ["a"])})
    for e in range(4):
        levels = np.uint8(20 + 50 * e + 5 * np.arange(9))
        clip = np.broadcast_to(levels[:, None, None, None], (9, 64, 64, 3)).copy()
        writer.add({CAMERA: clip, "action": np.ones((9, 1), np.float32)}, "")
    writer.close()
    write_labels(root, "some")
    view = as_action(root, tmp_path / "view", "some")
    assert view.copied == 0 and view.linked == 2
    for path in root.rglob("*.mp4"):
        assert path.samefile(tmp_path / "view" / path.relative_to(root))
    episodes = Episodes(tmp_path / "view")
    stock = open_view(tmp_path)
    at = 0
    for number, (episode, first, rows) in enumerate(RUNS):
        levels = 20 + 50 * episode + 5 * np.arange(first, first + rows)
        np.testing.assert_allclose(episodes.frames(number, CAMERA).mean((1, 2, 3)), levels, atol=2)
        assert float(stock[at][CAMERA].mean()) * 255 == pytest.approx(levels[0], abs=2)
        at += rows


def test_what_cannot_be_a_view_is_refused(
    labelled: tuple[Path, np.ndarray], tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    root, _ = labelled
    view = tmp_path / "view"
    first = as_action(root, view)
    assert as_action(root, view) == first
    with pytest.raises(UserError, match="already holds other files"):
        as_action(root, root)
    write_labels(root, "other")
    with pytest.raises(UserError, match="already holds a latent_action_view made with other"):
        as_action(root, view, "other")
    again = as_action(root, tmp_path / "again", "other").directory
    with pytest.raises(UserError, match="is it such a view itself"):
        as_action(again, tmp_path / "third")
    with pytest.raises(UserError, match=r"no latent actions.*Allowed: default, other"):
        as_action(root, tmp_path / "third", "mine")
    bare = make_dataset(tmp_path / "bare", episodes=1)
    with pytest.raises(UserError, match="has no latent actions; expected the columns"):
        as_action(bare, tmp_path / "third")
    assert not (tmp_path / "third").exists()


@pytest.mark.corpus
def test_a_real_recording_gets_labels_and_a_view(corpus: Path, tmp_path: Path) -> None:
    root = shutil.copytree(corpus / "labelled" / "so101_record_test", tmp_path / "ds")
    before = Episodes(root)
    moved = [before.column("action", i) for i in range(4)]
    stock = LeRobotDatasetMetadata("local/ds", root)
    for key in ("min", "max", "mean", "std", "count"):  # lerobot's, and ours of the same rows
        ours = stats_of(np.concatenate(moved))[key]
        np.testing.assert_allclose(ours, stock.stats["action"][key], rtol=1e-3, atol=1e-3)
    rows = np.arange(1491)
    valid = rows % 100 != 50
    vectors = np.random.default_rng(0).normal(size=(1491, 4)).astype(np.float32)
    codes = np.where(valid[:, None], 2, INVALID_CODE) * np.ones((1, 2), np.int64)
    actions = LatentActions(codes, vectors, valid)
    commit(root, stage_labels(before, "default", rows, actions, {"sha256": "0"}))
    view = as_action(root, tmp_path / "view")
    assert view.episodes == 19 and view.frames == 1491 - 15
    after = Episodes(root)
    for i in range(4):
        np.testing.assert_array_equal(after.column("action", i), moved[i])
    first = Episodes(view.directory)
    np.testing.assert_array_equal(first.column("robot_action", 1), moved[0][51:150])
    np.testing.assert_array_equal(first.column("action", 1), vectors[51:150])
    begin = "videos/observation.images.top/from_timestamp"
    assert first._row(1)[begin] == pytest.approx(before._row(0)[begin] + 51 / 30)
    meta = LeRobotDatasetMetadata("local/view", view.directory)
    assert meta.total_episodes == 19 and meta.stats["action"]["count"] == [1476]


def test_stock_act_trains_on_it(
    labelled: tuple[Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["label", str(labelled[0]), "--as-action", str(tmp_path / "view")]) == 0
    said = capsys.readouterr().out
    assert "23 frames in 4 episodes" in said and "13 rows without" in said
    small = {"dim_model": 16, "n_heads": 2, "dim_feedforward": 16, "n_encoder_layers": 1}
    small |= {"n_vae_encoder_layers": 1, "chunk_size": 4, "n_action_steps": 4, "latent_dim": 4}
    flags = ["--policy.type=act", "--policy.device=cpu", "--policy.push_to_hub=false"]
    flags += ["--policy.pretrained_backbone_weights=null", "--dataset.repo_id=local/view"]
    flags += [f"--policy.{name}={value}" for name, value in small.items()]
    flags += ["--dataset.root=view", "--dataset.video_backend=pyav", "--output_dir=act"]
    flags += ["--steps=2", "--batch_size=2", "--num_workers=0", "--wandb.enable=false"]
    trained = subprocess.run(
        [sys.executable, "-m", "lerobot.scripts.lerobot_train", *flags],
        cwd=tmp_path,
        env=os.environ | {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
    )
    assert trained.returncode == 0, trained.stderr[-2000:]
    checkpoint = tmp_path / "act" / "checkpoints" / "last" / "pretrained_model"
    assert (checkpoint / "model.safetensors").is_file()
    assert '"shape": [\n                6\n' in (checkpoint / "config.json").read_text()


def fit_map(root: Path, policy: Path, labeller: str = "f" * 64) -> ControlMap:
    """A map fitted to the dataset's own labels and actions, in a policy's directory."""
    source = Episodes(root)
    shown = Labelled(
        latents=np.concatenate([source.column("latent_action", i) for i in range(4)]),
        valid=VALID.reshape(-1),
        actions=np.concatenate([source.column("action", i) for i in range(4)]),
        episode=np.repeat(np.arange(4), 9),
    )
    axes = tuple(f"axis_{i}" for i in range(shown.actions.shape[1]))
    fitted = ControlMap.fit(shown, "arm", axes, labeller=labeller)
    policy.mkdir()
    fitted.save(policy)
    return fitted


def test_a_map_turns_video_into_demonstrations(
    labelled: tuple[Path, np.ndarray], tmp_path: Path
) -> None:
    root, vectors = labelled
    fitted = fit_map(root, tmp_path / "policy")
    words = ["label", str(root), "--as-action", str(tmp_path / "view")]
    assert main([*words, "--controls", str(tmp_path / "policy")]) == 0
    stock, at = open_view(tmp_path), 0
    for episode, first, rows in RUNS:
        run = vectors[9 * episode + first : 9 * episode + first + rows]
        actions, widths = fitted.decode(run)
        for t in range(rows):
            np.testing.assert_allclose(stock[at]["action"], actions[t], rtol=1e-5)
            np.testing.assert_allclose(stock[at]["control_std"], widths[t], rtol=1e-5)
            at += 1
    assert stock.features["action"]["names"] == list(fitted.axes)
    assert stock.meta.stats["action"]["mean"].shape == (len(fitted.axes),)
    check_actions(Episodes(tmp_path / "view"))


def test_a_map_of_another_labeller_is_refused(
    labelled: tuple[Path, np.ndarray], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, _ = labelled
    fit_map(root, tmp_path / "policy", labeller="e" * 64)
    words = ["label", str(root), "--controls", str(tmp_path / "policy")]
    assert main([*words, "--as-action", str(tmp_path / "view")]) == 2
    assert "fitted to the latent actions of another labeller" in capsys.readouterr().err
    assert not (tmp_path / "view").exists()
    assert main(words) == 2
    assert "--controls is for --as-action" in capsys.readouterr().err
    with pytest.raises(UserError, match="has no map to controls"):
        as_action(root, tmp_path / "view", controls=tmp_path / "nowhere")
