"""DINOv2 with registers, the image encoder of `robowm[vipra]`: its shape and its weights."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from robowm.errors import UserError
from robowm.nn.directory import CONFIG, resolve
from robowm.nn.pretrained import RANDOM

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""mean and deviation of the colours that it was trained on"""
KIND = "dinov2_with_registers"
FIXED = ("mlp_ratio", "hidden_act", "layer_norm_eps", "qkv_bias", "num_channels")
"""the same in every size of it"""


@dataclass(frozen=True)
class EncoderShape:
    """Size of a DINOv2 with registers; but for the width, the defaults are the smallest one's."""

    width: int = 0
    """channels of a patch's features; 0: not known yet"""
    depth: int = 12
    """layers"""
    heads: int = 6
    """attention heads"""
    patch_px: int = 14
    """side of a patch, pixels"""
    trained_px: int = 518
    """side of the pictures that its position embedding was trained at, pixels"""
    registers: int = 4
    """tokens that belong to no patch"""
    swiglu: bool = False
    """gated feed-forward layers, as in the largest one"""


SMALL = EncoderShape(width=384)


def build_dinov2(shape: EncoderShape, otherwise: str = "") -> nn.Module:
    """The network with random weights.

    Args:
        shape: its size.
        otherwise: how to do without it, for the error.

    Raises:
        UserError: transformers is not installed.
    """
    network: nn.Module = _transformers(otherwise).Dinov2WithRegistersModel(_config(shape))
    return network


def patch_features(network: nn.Module, shape: EncoderShape, pictures: Tensor) -> Tensor:
    """Pictures (N, 3, S, S), normalised by IMAGENET, to (N, patches, width), row by row."""
    features: Tensor = network(pixel_values=pictures).last_hidden_state[:, 1 + shape.registers :]
    return features


def read_shape(name: str, flag: str, drawn: EncoderShape = SMALL) -> EncoderShape:
    """The size that weights are of.

    Args:
        name: directory or Hub id that transformers can read, or `random`.
        flag: the setting that `name` came from, for the error.
        drawn: the size of random ones.

    Raises:
        UserError: there are none, they are another network's, or transformers is not installed.
    """
    library = _transformers()
    if name == RANDOM:
        return drawn
    try:
        directory = resolve(name)
        _check_kind(directory)
        found = library.Dinov2WithRegistersConfig.from_pretrained(directory)
        shape = EncoderShape(
            width=found.hidden_size,
            depth=found.num_hidden_layers,
            heads=found.num_attention_heads,
            patch_px=found.patch_size,
            trained_px=found.image_size,
            registers=found.num_register_tokens,
            swiglu=found.use_swiglu_ffn,
        )
        ours = _config(shape)
        for key in FIXED:
            if getattr(found, key) != getattr(ours, key):
                raise ValueError(f"{key} {getattr(found, key)}, not {getattr(ours, key)}")
    except (UserError, OSError, ValueError, TypeError) as error:
        raise _unfit(name, flag, "", error) from None
    return shape


def load_dinov2(network: nn.Module, name: str, flag: str) -> None:
    """Pretrained weights into a network of their size; `random` leaves it as it is.

    Raises:
        UserError: there are none, or they are of another size.
    """
    if name == RANDOM:
        return
    try:
        found, info = _transformers().Dinov2WithRegistersModel.from_pretrained(
            resolve(name), local_files_only=True, use_safetensors=True, output_loading_info=True
        )
        lacking = sorted(info["missing_keys"])
        if lacking:  # transformers draws these
            raise ValueError(f"{len(lacking)} tensors are missing, the first is {lacking[0]!r}")
        network.load_state_dict(found.state_dict())
    except (UserError, OSError, RuntimeError, ValueError) as error:
        raise _unfit(name, flag, " of this size", error) from None


def imagenet_buffers(module: nn.Module) -> None:
    """Give a module `mean` and `std` (3, 1, 1) of IMAGENET, which are not saved."""
    for name, values in zip(("mean", "std"), IMAGENET, strict=True):
        module.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)


def _transformers(otherwise: str = "") -> Any:
    try:
        import transformers
    except ImportError:
        raise UserError(
            f"DINOv2 needs transformers: pip install 'robowm[vipra]'{otherwise}."
        ) from None
    return transformers


def _config(shape: EncoderShape) -> Any:
    return _transformers().Dinov2WithRegistersConfig(
        hidden_size=shape.width,
        num_hidden_layers=shape.depth,
        num_attention_heads=shape.heads,
        image_size=shape.trained_px,
        patch_size=shape.patch_px,
        num_register_tokens=shape.registers,
        use_swiglu_ffn=shape.swiglu,
    )


def _check_kind(directory: Path) -> None:
    """Raise ValueError where a directory's configuration is another network's."""
    values = json.loads((directory / CONFIG).read_text())
    kind = values.get("model_type") if isinstance(values, dict) else None
    if kind != KIND:
        raise ValueError(f"its {CONFIG} says {kind!r}, not {KIND!r}")


def _unfit(name: str, flag: str, size: str, error: Exception) -> UserError:
    why = str(error).splitlines()[0]
    return UserError(
        f"{flag} {name} gives no DINOv2 with registers{size} ({why}); expected a directory or Hub "
        f"id, or {RANDOM!r} to begin from random weights."
    )
