"""Image tokenisers, hashed words, model directories."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from robowm.errors import UserError
from robowm.nn.directory import fingerprint, load_weights, read_config, resolve, save_model
from robowm.nn.image import Decoder, Residual, UNet, tokens, untokens
from robowm.nn.text import HashedWords


@pytest.mark.parametrize(("size", "grid"), [(32, 4), (64, 4), (64, 8), (128, 8)])
def test_pictures_to_features_and_back(size: int, grid: int) -> None:
    fine, deep = UNet(3, 4, 16)(torch.rand(2, 3, size, size))
    assert fine.shape == (2, 16, size // 4, size // 4)
    assert deep.shape == (2, 48, size // 16, size // 16)
    sequence = torch.rand(2, grid * grid, 24)
    assert torch.equal(tokens(untokens(sequence, grid)), sequence)
    drawn = Decoder(5, size, grid, width=24, skip=16)(sequence, fine)
    assert drawn.shape == (2, 5, size, size)


def test_the_finest_features_know_the_whole_picture() -> None:
    torch.manual_seed(0)
    net = UNet(3, 4, 16)
    for module in net.modules():  # residual blocks begin as the identity
        if isinstance(module, Residual):
            nn.init.normal_(module.body[-1].weight, std=0.1)
    picture = torch.rand(1, 3, 64, 64)
    other = picture.clone()
    other[..., 56:, 56:] = 0
    change = (net(picture)[0] - net(other)[0]).abs().amax(1)
    assert change[0, 0, 0] > 0


def test_a_size_that_does_not_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="size_px 96 over grid 5"):
        Decoder(3, 96, 5, 48, 16)


def test_words_are_told_apart_and_order_of_the_batch_does_not_matter() -> None:
    torch.manual_seed(0)
    words = HashedWords(512, 16)
    out = words(["Lift the red cube", "", "stack the cubes", "lift, the RED cube!"])
    assert torch.equal(out[0], out[3])
    assert not torch.allclose(out[0], out[2])
    assert out[1].abs().sum() == 0
    assert words(["", ""]).abs().sum() == 0


@dataclass(frozen=True)
class Shape:
    inputs: int = 3
    outputs: int = 2


def test_model_directories_round_trip(tmp_path: Path) -> None:
    model = nn.Linear(3, 2)
    save_model(tmp_path / "m", model, "line", Shape())
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == [
        "config.json",
        "model.safetensors",
    ]
    shape = read_config(resolve(tmp_path / "m"), "line", Shape)
    other = nn.Linear(shape.inputs, shape.outputs)
    load_weights(tmp_path / "m", other)
    assert torch.equal(other.weight, model.weight)
    save_model(tmp_path / "n", other, "line", Shape())
    assert fingerprint(tmp_path / "m") == fingerprint(tmp_path / "n")


def test_wrong_model_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no directory \./gone"):
        resolve("./gone")
    with pytest.raises(UserError, match=r"no readable config\.json"):
        read_config(tmp_path, "line", Shape)
    save_model(tmp_path / "m", nn.Linear(3, 2), "line", Shape())
    with pytest.raises(UserError, match="holds a 'line' model; expected a 'circle' one"):
        read_config(tmp_path / "m", "circle", Shape)
    with pytest.raises(UserError, match="does not load into this model"):
        load_weights(tmp_path / "m", nn.Linear(4, 2))
    (tmp_path / "m" / "config.json").write_text('{"kind": "line", "input": 3}')
    with pytest.raises(UserError, match=r"unknown field 'input'\. Did you mean 'inputs'"):
        read_config(tmp_path / "m", "line", Shape)
