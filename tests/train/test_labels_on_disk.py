"""Label sets: whole or absent, side by side, re-made alone; what made them is said."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from robowm import recipes
from robowm.artefact import Stage
from robowm.episodes import Episodes, EpisodeWriter, image_feature, label_sets
from robowm.errors import UserError
from robowm.swap import STAGING
from robowm.train.frames import load_frames
from robowm.train.label import LabelConfig, label
from robowm.train.labels_on_disk import read_provenance
from robowm.train.pretrain import one_labeller

TINY: LabelConfig = recipes.load("policies/vipra").tiny().label
FEW = replace(TINY, train=replace(TINY.train, steps=4, batch_size=8))
OTHER = replace(FEW, train=replace(FEW.train, seed=7))


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(tmp_path / "ds", episodes=4, actions=True)


def all_labels(root: Path, name: str) -> np.ndarray:
    episodes = Episodes(root)
    return np.concatenate([episodes.column(name, i) for i in range(len(episodes))])


def test_what_made_the_labels_is_said_and_is_the_same_again(
    dataset: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    label(dataset, FEW)
    said = read_provenance(dataset)["default"]
    assert said["rows"] == 36 and said["valid"] == all_labels(dataset, "latent_action_valid").sum()
    assert said["camera"] == "observation.images.main" and said["window"] == [0, 1]
    assert said["motion"]["compensate_camera"] is True and said["fps"] == 10
    info = Episodes(dataset).features["latent_action"]["info"]
    assert info == {k: v for k, v in said.items() if k not in ("columns", "rows", "valid")}
    again = make_dataset(tmp_path / "again", episodes=4, actions=True)
    label(again, FEW)
    for name in ("meta/latent_actions.json", "meta/info.json", "meta/stats.json"):
        assert (again / name).read_bytes() == (dataset / name).read_bytes(), name


def test_sets_stand_side_by_side_and_are_re_made_alone(dataset: Path) -> None:
    label(dataset, FEW)
    label(dataset, OTHER, labels="seed7")
    assert label_sets(Episodes(dataset).features) == ["default", "seed7"]
    assert sorted(read_provenance(dataset)) == ["default", "seed7"]
    default, named = (all_labels(dataset, f"latent_action{n}") for n in ("", ".seed7"))
    actions = all_labels(dataset, "action")
    assert not np.array_equal(default, named)
    with pytest.raises(UserError, match=r"holds labels 'seed7'.*--name OTHER.*--replace"):
        label(dataset, FEW, labels="seed7")
    label(dataset, FEW, labels="seed7", replace=True)
    np.testing.assert_array_equal(all_labels(dataset, "latent_action.seed7"), default)
    np.testing.assert_array_equal(all_labels(dataset, "latent_action"), default)
    np.testing.assert_array_equal(all_labels(dataset, "action"), actions)
    card = json.loads((dataset / "labels.seed7" / "robowm.json").read_text())
    assert card["settings"]["config"]["train"]["seed"] == FEW.train.seed
    assert (dataset / "labels" / "model" / "model.safetensors").is_file()
    assert not [*dataset.glob(".*")]
    stock = LeRobotDataset("local/ds", root=dataset, video_backend="pyav")
    assert stock[3]["latent_action.seed7"].shape == stock[3]["latent_action"].shape
    assert stock.meta.stats["latent_action.seed7"]["count"] == [default.any(1).sum()]


def test_the_next_stage_takes_the_named_set(dataset: Path, tmp_path: Path) -> None:
    label(dataset, OTHER, labels="seed7")
    episodes = Episodes(dataset)
    assert one_labeller([episodes], "seed7")["codes"] == FEW.model.codes
    columns = {"latent_action_index": "latent_action_index.seed7"}
    frames = load_frames([episodes], 32, columns, tmp_path / "frames")
    want = all_labels(dataset, "latent_action_index.seed7")
    np.testing.assert_array_equal(frames.columns["latent_action_index"], want)
    with pytest.raises(UserError, match=r"no latent actions named 'default'; .*Allowed: seed7"):
        one_labeller([episodes])
    with pytest.raises(UserError, match=r"no latent actions.*--name seed` writes\. Did you mean"):
        one_labeller([episodes], "seed")


def test_a_kill_while_labels_are_put_in_place_is_completed(
    dataset: Path, killed_commit: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    from robowm.train import label as module

    label(dataset, FEW)
    before = all_labels(dataset, "latent_action")

    def die(root: Path, moves: list[tuple[Path, Path]], stage: Stage) -> None:
        killed_commit(root, [*moves, (stage.work, stage.out)], 4)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(module, "commit_labels", die)
        label(dataset, OTHER, replace=True)
    assert (dataset / STAGING / "journal.json").is_file()
    after = all_labels(dataset, "latent_action")  # opening the dataset finished it
    assert not np.array_equal(before, after) and not [*dataset.glob(".*")]
    card = json.loads((dataset / "labels" / "robowm.json").read_text())
    assert card["settings"]["config"]["train"]["seed"] == 7
    label(dataset, OTHER)  # done already: the same settings
    np.testing.assert_array_equal(all_labels(dataset, "latent_action"), after)


def test_video_datasets_are_labelled_without_touching_the_videos(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scene = rng.integers(0, 255, (8, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    feature = image_feature(32) | {"dtype": "video"}
    writer = EpisodeWriter(tmp_path / "ds", 10, {"observation.images.main": feature})
    for step in (1, 2, 3):
        clip = [scene[8 : 8 + 32, step * t : step * t + 32] for t in range(8)]
        writer.add({"observation.images.main": np.stack(clip)}, "")
    writer.close()
    videos = {p: (p.stat().st_ino, p.read_bytes()) for p in (tmp_path / "ds").rglob("*.mp4")}
    assert len(videos) == 1
    result = label(tmp_path / "ds", FEW)
    assert result.transitions == 21 and result.valid > 10
    assert {p: (p.stat().st_ino, p.read_bytes()) for p in videos} == videos
    stock = LeRobotDataset("local/ds", root=tmp_path / "ds", video_backend="pyav")
    assert stock[20]["latent_action"].shape == (FEW.model.tokens * FEW.model.code_dim,)
    assert stock[20]["observation.images.main"].shape == (3, 32, 32)
