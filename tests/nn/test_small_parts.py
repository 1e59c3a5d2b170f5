"""Image tokenisers, hashed words, model directories."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from robowm.errors import UserError
from robowm.nn.directory import fingerprint, load_weights, read_config, resolve, save_model
from robowm.nn.image import Decoder, Encoder, tokens, untokens
from robowm.nn.text import HashedWords


@pytest.mark.parametrize(("size", "grid"), [(32, 4), (64, 4), (64, 8), (128, 8)])
def test_pictures_to_features_and_back(size: int, grid: int) -> None:
    features = Encoder(3, size, grid, 48)(torch.rand(2, 3, size, size))
    assert features.shape == (2, 48, grid, grid)
    assert torch.equal(untokens(tokens(features), grid), features)
    assert Decoder(5, size, grid, 48)(features).shape == (2, 5, size, size)


def test_a_size_that_does_not_halve_is_refused() -> None:
    with pytest.raises(ValueError, match="size_px 96 over grid 5"):
        Encoder(3, 96, 5, 48)


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
    assert sorted(p.name for p in (tmp_path / "m").iterdir()) == ["config.json", "model.safetensors"]
    shape = read_config(resolve(tmp_path / "m"), "line", Shape)
    other = nn.Linear(shape.inputs, shape.outputs)
    load_weights(tmp_path / "m", other)
    assert torch.equal(other.weight, model.weight)
    save_model(tmp_path / "n", other, "line", Shape())
    assert fingerprint(tmp_path / "m") == fingerprint(tmp_path / "n")


def test_wrong_model_directories_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no directory ./gone"):
        resolve("./gone")
    with pytest.raises(UserError, match=r"no readable config\.json"):
        read_config(tmp_path, "line", Shape)
    save_model(tmp_path / "m", nn.Linear(3, 2), "line", Shape())
    with pytest.raises(UserError, match="holds a 'line' model; expected a 'circle' one"):
        read_config(tmp_path / "m", "circle", Shape)
    with pytest.raises(UserError, match="does not load into this model"):
        load_weights(tmp_path / "m", nn.Linear(4, 2))
    (tmp_path / "m" / "config.json").write_text('{"kind": "line", "input": 3}')
    with pytest.raises(UserError, match="unknown field 'input'. Did you mean 'inputs'?"):
        read_config(tmp_path / "m", "line", Shape)
