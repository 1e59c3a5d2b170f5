"""What the encoder sees of one frame: DINOv2 features, or plain patches."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from robowm.nn.dinov2 import (
    EncoderShape,
    build_dinov2,
    imagenet_buffers,
    load_dinov2,
    patch_features,
)

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
            self.shape = EncoderShape(
                width, config.depth, config.heads, patch_px, config.trained_px
            )
            otherwise = "; or set --model.backbone.kind patches"
            self.network = build_dinov2(self.shape, otherwise)
        else:
            self.network = nn.Conv2d(3, width, patch_px, patch_px)
            self.norm = nn.LayerNorm(width)
        imagenet_buffers(self)

    def forward(self, frames: Tensor) -> Tensor:
        """(N, 3, S, S) in [0, 1] to (N, patches, width)."""
        frames = (frames - self.mean) / self.std
        if self.kind == "dinov2":
            return patch_features(self.network, self.shape, frames)
        return self.norm(self.network(frames).flatten(2).transpose(1, 2))


def load_backbone(backbone: Backbone, config: BackboneConfig) -> None:
    """Pretrained weights into a DINOv2 backbone; `weights="random"` leaves it as it is.

    Raises:
        UserError: there are none, or they are of another size.
    """
    if config.kind == "dinov2":
        load_dinov2(backbone.network, config.weights, FLAG)
