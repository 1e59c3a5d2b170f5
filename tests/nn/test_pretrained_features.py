"""Frozen features of a pretrained encoder: those of its weights, and none by accident."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import safetensors.torch
import torch

from robowm.errors import UserError
from robowm.nn.dinov2 import IMAGENET, SMALL, EncoderShape, load_dinov2, read_shape
from robowm.nn.pretrained_features import PretrainedFeatures

TINY = EncoderShape(width=12, depth=2, heads=2, trained_px=56)


@pytest.fixture
def dino(tmp_path: Path, make_dino: Callable[[Path], Path]) -> Path:
    return make_dino(tmp_path / "dino")


def test_the_size_is_read_off_the_weights(dino: Path) -> None:
    assert read_shape(str(dino), "--w") == TINY
    assert read_shape("random", "--w") == SMALL
    assert read_shape("random", "--w", TINY) == TINY


def test_features_are_the_encoders_own(dino: Path) -> None:
    """Of the newest frame, and how the earlier one differs from it; ImageNet's colours are zero."""
    from transformers import Dinov2WithRegistersModel

    features = PretrainedFeatures(TINY, 2, 24, drawn=False)
    features.load(str(dino), "--w")
    torch.nn.init.dirac_(features.project.weight)
    frames = torch.rand(3, 2, 3, 56, 56)
    mean, std = (torch.tensor(values).view(3, 1, 1) for values in IMAGENET)
    encoder = Dinov2WithRegistersModel.from_pretrained(dino).eval()
    pixels = ((frames - mean) / std).flatten(0, 1)
    with torch.no_grad():
        seen = encoder(pixel_values=pixels).last_hidden_state[:, 1 + 4 :]
    seen = seen.view(3, 2, 4, 4, 12).permute(0, 1, 4, 2, 3)
    expected = torch.cat([seen[:, 1], seen[:, 0] - seen[:, 1]], dim=1)
    torch.testing.assert_close(features(frames), expected)
    # and frames of another size are made whole patches: 32 px become 42
    assert features(torch.rand(1, 2, 3, 32, 32)).shape == (1, 24, 3, 3)


def test_it_does_not_work_with_weights_that_nobody_asked_for(dino: Path) -> None:
    frames = torch.rand(1, 2, 3, 28, 28)
    new = PretrainedFeatures(TINY, 2, 4, drawn=False)
    with pytest.raises(UserError, match="the pretrained image encoder has no weights"):
        new(frames)
    saved = PretrainedFeatures(TINY, 2, 4, drawn=False)
    saved.load(str(dino), "--w")
    new.load_state_dict(saved.state_dict())
    assert new(frames).shape == (1, 4, 2, 2)
    assert PretrainedFeatures(TINY, 2, 4, drawn=True)(frames).shape == (1, 4, 2, 2)
    with pytest.raises(ValueError, match="got a width of 0"):
        PretrainedFeatures(EncoderShape(), 2, 4, drawn=True)


def test_weights_that_are_absent_or_unfit_are_refused(dino: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--w \S*nowhere gives no DINOv2 .* or 'random'"):
        read_shape(str(tmp_path / "nowhere"), "--w")
    network = PretrainedFeatures(replace(TINY, width=16), 2, 4, drawn=False).network
    with pytest.raises(UserError, match="gives no DINOv2 with registers of this size"):
        load_dinov2(network, str(dino), "--w")

    network = PretrainedFeatures(TINY, 2, 4, drawn=False).network
    weights = safetensors.torch.load_file(dino / "model.safetensors")
    del weights["layernorm.weight"]
    safetensors.torch.save_file(weights, dino / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"1 tensors are missing, the first is 'layernorm.weight'"):
        load_dinov2(network, str(dino), "--w")

    values = json.loads((dino / "config.json").read_text())
    (dino / "config.json").write_text(json.dumps(values | {"mlp_ratio": 3}))
    with pytest.raises(UserError, match="mlp_ratio 3, not 4"):
        read_shape(str(dino), "--w")
    (dino / "config.json").write_text(json.dumps(values | {"model_type": "vit"}))
    with pytest.raises(UserError, match="says 'vit', not 'dinov2_with_registers'"):
        read_shape(str(dino), "--w")


@pytest.mark.parametrize("name", ["facebook/dinov2-with-registers-small", "random"])
def test_without_transformers_it_says_what_to_install(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)  # as where it is not installed
    with pytest.raises(UserError, match=r"pip install 'robowm\[vipra\]'"):
        read_shape(name, "--w")
    with pytest.raises(UserError, match=r"pip install 'robowm\[vipra\]'"):
        PretrainedFeatures(TINY, 2, 4, drawn=True)
