"""What the encoder sees of one frame: DINOv2 features, or plain patches."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from robowm.errors import UserError
from robowm.nn.directory import resolve
from robowm.nn.pretrained import RANDOM

REGISTERS = 4
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
FLAG = "--model.backbone.weights"


@dataclass(frozen=True)
class BackboneConfig:
    """The network that reads single frames."""

    kind: Literal["dinov2", "patches"] = "dinov2"
    """dinov2: with registers, the published one, needs robowm[vipra]. patches: one linear layer"""
    weights: str = "facebook/dinov2-with-registers-base"
    """directory or Hub id that transformers can read, or the word random; dinov2 only"""
    depth: int = 12
    """layers of dinov2"""
    heads: int = 12
    """attention heads of dinov2"""
    trained_px: int = 518
    """side of the pictures that dinov2's position embedding was trained at, pixels"""
    rate: float = 0.1
    """its learning rate as a share of the rest's"""


class Backbone(nn.Module):
    """Frames to patch features; weights are random until `load_backbone`."""

    mean: Tensor
    std: Tensor

    def __init__(self, config: BackboneConfig, width: int, patch_px: int) -> None:
        super().__init__()
        self.kind = config.kind
        if config.kind == "dinov2":
            self.network = _dinov2(config, width, patch_px)
        else:
            self.network = nn.Conv2d(3, width, patch_px, patch_px)
            self.norm = nn.LayerNorm(width)
        for name, values in zip(("mean", "std"), IMAGENET, strict=True):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, S, S) in [0, 1] to (N, patches, width)."""
        frames = (frames - self.mean) / self.std
        if self.kind == "dinov2":
            return self.network(pixel_values=frames).last_hidden_state[:, 1 + REGISTERS :]
        return self.norm(self.network(frames).flatten(2).transpose(1, 2))


def load_backbone(backbone: Backbone, config: BackboneConfig) -> None:
    """Pretrained weights into a DINOv2 backbone; `weights="random"` leaves it as it is.

    Raises:
        UserError: there are none, or they are of another size.
    """
    if config.kind != "dinov2" or config.weights == RANDOM:
        return
    from transformers import Dinov2WithRegistersModel

    try:
        directory = resolve(config.weights)
        pretrained = Dinov2WithRegistersModel.from_pretrained(
            directory, local_files_only=True, use_safetensors=True
        )
        backbone.network.load_state_dict(pretrained.state_dict())
    except (UserError, OSError, RuntimeError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise UserError(
            f"{FLAG} {config.weights} gives no DINOv2 with registers of this size ({why}); "
            f"expected a directory or Hub id, or {RANDOM!r} to begin from random weights."
        ) from None


def _dinov2(config: BackboneConfig, width: int, patch_px: int) -> nn.Module:
    try:
        from transformers import Dinov2WithRegistersConfig, Dinov2WithRegistersModel
    except ImportError:
        raise UserError(
            "backbone dinov2 needs transformers: pip install 'robowm[vipra]'; or set "
            "--model.backbone.kind patches."
        ) from None
    shape = Dinov2WithRegistersConfig(
        hidden_size=width,
        num_hidden_layers=config.depth,
        num_attention_heads=config.heads,
        image_size=config.trained_px,
        patch_size=patch_px,
        num_register_tokens=REGISTERS,
    )
    return Dinov2WithRegistersModel(shape)
