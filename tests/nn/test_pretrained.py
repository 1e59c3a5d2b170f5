"""Pretrained weights: read without running anything, and saved without saying where they lay."""

from pathlib import Path

import pytest
import safetensors.torch
import torch
from torch import nn

from robowm.errors import UserError
from robowm.nn.pretrained import load_into, read_weights, without_place


class Evil:
    """Would run a function when unpickled."""

    def __reduce__(self) -> tuple:
        return print, ("unpickled",)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_or_its_directory_will_do(suffix: str, tmp_path: Path) -> None:
    network, other = nn.Linear(3, 2), nn.Linear(3, 2)
    path = tmp_path / f"model{suffix}"
    if suffix == ".pth":
        torch.save(network.state_dict(), path)
    else:
        safetensors.torch.save_file(network.state_dict(), path)
    for name in (path, tmp_path):
        load_into(other, read_weights(str(name), "--w"), str(name), "--w")
        assert torch.equal(other.weight, network.weight)


def test_nothing_is_run_and_nothing_else_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save({"weight": Evil()}, tmp_path / "evil.pth")
    with pytest.raises(UserError, match=r"--w .*evil.pth cannot be read as weights"):
        read_weights(str(tmp_path / "evil.pth"), "--w")
    assert "unpickled" not in capsys.readouterr().out
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(UserError, match="holds no state dict"):
        read_weights(str(tmp_path / "list.pth"), "--w")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match=r"expected a file that ends in \.safetensors"):
        read_weights(str(tmp_path / "notes.txt"), "--w")
    with pytest.raises(UserError, match="expected one file of weights"):
        read_weights(str(tmp_path), "--w")


def test_weights_of_another_shape_are_refused() -> None:
    network = nn.Linear(3, 2)
    with pytest.raises(UserError, match=r"1 of 2 tensors are missing .* the first is 'bias'"):
        load_into(network, {"weight": network.weight.detach()}, "x.pth", "--w")


def test_a_place_becomes_a_name_and_a_hash(tmp_path: Path) -> None:
    torch.save({}, tmp_path / "vgg.pth")
    said = without_place(str(tmp_path / "vgg.pth"))
    assert said.startswith("vgg.pth@sha256:") and "/" not in said
    assert without_place(str(tmp_path)).startswith(f"{tmp_path.name}@sha256:")
    for word in ("random", "torchvision", "facebook/dinov2-with-registers-base"):
        assert without_place(word) == word
