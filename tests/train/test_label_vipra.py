"""`label` with ViPRA's family: the same windows in training and labelling, the same face."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from robowm import recipes
from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.latent.backbone import BackboneConfig
from robowm.latent.labeller import Labeller
from robowm.latent.vipra_loss import ViPRALossConfig
from robowm.latent.vipra_model import ViPRALatentConfig
from robowm.latent.window_labeller import WindowLabeller, window_starts
from robowm.train.frames import held_out
from robowm.train.label import label
from robowm.train.label_vipra import ViPRALabelConfig, portable
from robowm.train.loop import TrainConfig

CONFIG = ViPRALabelConfig(
    model=ViPRALatentConfig(
        size_px=32,
        patch_px=8,
        window=4,
        backbone=BackboneConfig(kind="patches"),
        width=32,
        heads=2,
        head_dim=16,
        enc_depth=1,
        dec_depth=1,
        tokens=4,
        code_dim=8,
        loss=ViPRALossConfig(perceptual="ssim", flow_weight=0.0),
    ),
    train=TrainConfig(steps=30, batch_size=4, learning_rate=3e-3, warmup_steps=2, final_rate=1.0),
)


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory, make_dataset: Callable[..., Path]) -> Path:
    root = make_dataset(tmp_path_factory.mktemp("video") / "ds", episodes=5, length=9)
    label(root, CONFIG)
    return root


@pytest.fixture(scope="module")
def labeller(video: Path) -> Labeller:
    return Labeller.load(video / "labels" / "model")


def clip(video: Path, episode: int = 0) -> np.ndarray:
    episodes = Episodes(video)
    return episodes.frames(episode, episodes.camera())


def test_the_loss_falls_and_health_is_watched(video: Path) -> None:
    curve = json.loads((video / "labels" / "curves.json").read_text())["series"]
    assert set(curve) == {"loss", "l1", "ssim"}
    assert curve["loss"][-1][1] < 0.8 * curve["loss"][0][1]
    health = json.loads((video / "labels" / "health.json").read_text())
    assert [entry["step"] for entry in health] == [10, 20, 30]
    assert all(1 <= entry["health"]["perplexity"] <= 8 for entry in health)


def test_columns_hold_what_the_labeller_says(video: Path, labeller: Labeller) -> None:
    assert isinstance(labeller, WindowLabeller)
    episodes = Episodes(video)
    for i in (0, 3):
        said = labeller.clip(clip(video, i))
        valid = episodes.column("latent_action_valid", i)
        assert not valid[-1] and valid[:-1].tolist() == said.valid.tolist() and valid.any()
        codes = episodes.column("latent_action_index", i)
        np.testing.assert_array_equal(codes[:-1], said.codes)
        np.testing.assert_allclose(
            episodes.column("latent_action", i)[:-1], said.vectors, atol=1e-6
        )
    info = episodes.features["latent_action"]["info"]
    assert info["labeller"] == "robowm_vipra_latent_action_model"
    assert (info["tokens"], info["codes"]) == (4, 8) and info["sha256"]
    assert info["window"] == [-2, 3] and info["stride_s"] == 0.2


def test_windows_are_those_of_training_also_for_short_clips(
    video: Path, labeller: WindowLabeller
) -> None:
    assert list(window_starts(9, 4)) == [0, 3, 5] and list(window_starts(3, 4)) == [0]
    frames = clip(video)
    whole = labeller.encode(frames)[1]
    np.testing.assert_array_equal(whole[3:5], labeller.encode(frames[3:7])[1][:2])
    np.testing.assert_array_equal(whole[5:], labeller.encode(frames[5:])[1])
    short = labeller.encode(frames[:3])[1]
    assert short.shape == (2, 4) and (short >= 0).all()
    assert labeller.clip(frames[:1]).codes.shape == (0, 4)
    saved = json.loads((video / "labels" / "model" / "config.json").read_text())
    assert saved["window"] == 4


def test_a_pair_is_a_clip_of_two(video: Path, labeller: Labeller) -> None:
    frames = clip(video)
    pairs = labeller.pairs(frames[:3], frames[1:4])
    assert pairs.latent.shape == (3, 4, 8) and pairs.valid.all()
    for i in range(3):
        np.testing.assert_array_equal(labeller.clip(frames[i : i + 2]).codes[0], pairs.codes[i])


def test_a_latent_action_can_be_imagined(video: Path, labeller: Labeller) -> None:
    frames = clip(video)
    latent = labeller.pairs(frames[:-1], frames[1:]).latent
    drawn, flow = labeller.imagine(frames[:-1], latent)
    assert drawn.shape == (8, 32, 32, 3) and drawn.dtype == np.uint8
    assert flow.shape == (8, 32, 32, 2) and np.isfinite(flow).all()


def test_held_out_episodes_are_not_trained_on(
    video: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    kept_back = held_out(5, CONFIG.held_out, CONFIG.train.seed)
    assert kept_back.sum() == 1
    other = make_dataset(tmp_path / "other", episodes=5, length=9)
    episodes = Episodes(other)
    report = json.loads((video / "labels" / "report.json").read_text())["reality"]
    assert report["transitions"] == episodes.lengths[kept_back][0] - 1


def test_nothing_saved_says_where_it_was_made(video: Path, tmp_path: Path) -> None:
    for path in (video / "labels").rglob("*.json"):
        assert str(video.parent) not in path.read_text(), path
    torch.save({}, tmp_path / "raft.pth")
    loss = replace(CONFIG.model.loss, flow_weights=str(tmp_path / "raft.pth"))
    saved = portable(replace(CONFIG, model=replace(CONFIG.model, loss=loss)))
    assert saved.model.loss.flow_weights.startswith("raft.pth@sha256:")


def test_another_dataset_is_labelled_by_the_family_of_the_labeller(
    video: Path, tmp_path: Path, make_dataset: Callable[..., Path]
) -> None:
    other = make_dataset(tmp_path / "other", episodes=2, length=6)
    config = recipes.load("policies/vipra").tiny().label
    label(other, config, model=str(video / "labels" / "model"))
    same = Labeller.load(video / "labels" / "model").clip(clip(other)).codes
    np.testing.assert_array_equal(Episodes(other).column("latent_action_index", 0)[:-1], same)


def test_what_does_not_fit_is_refused(tmp_path: Path, make_dataset: Callable[..., Path]) -> None:
    root = make_dataset(tmp_path / "ds", episodes=1)
    slow = replace(CONFIG, model=replace(CONFIG.model, stride_s=0.5))
    with pytest.raises(UserError, match="has 10 frames a second; the labeller expects 2"):
        label(root, slow)
    large = replace(CONFIG, model=replace(CONFIG.model, size_px=64))
    with pytest.raises(UserError, match="32x32 pixels; the labeller expects 64x64"):
        label(root, large)
    weights = replace(CONFIG.model.loss, perceptual="lpips_vgg", perceptual_weights="./nowhere")
    with pytest.raises(UserError, match=r"perceptual-weights: no directory \./nowhere"):
        label(root, replace(CONFIG, model=replace(CONFIG.model, loss=weights)))
    assert not (root / "labels").exists()
