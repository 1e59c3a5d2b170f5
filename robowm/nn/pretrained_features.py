"""What a frozen, pretrained image encoder sees in the context frames, beside what is learnt here.

Its weights are saved with the model, and its size is in the model's configuration, so a model's
directory is all that loading needs.
"""

from typing import Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.errors import UserError
from robowm.nn.dinov2 import (
    EncoderShape,
    build_dinov2,
    imagenet_buffers,
    load_dinov2,
    patch_features,
)


class PretrainedFeatures(nn.Module):
    """Context frames to a map of frozen features, which begins as zero.

    Args:
        shape: the encoder's size.
        frames: T, context frames.
        channels: of the map.
        drawn: True where random weights were asked for by name; else the encoder refuses to work
            until weights were loaded, its own or a saved model's.

    Raises:
        UserError: transformers is not installed.
        ValueError: the encoder's size is not known.
    """

    mean: Tensor
    std: Tensor
    has_weights: Tensor

    def __init__(self, shape: EncoderShape, frames: int, channels: int, drawn: bool) -> None:
        super().__init__()
        if not shape.width:
            raise ValueError("shape: got a width of 0, expected that of the weights (read_shape)")
        self.shape = shape
        with torch.random.fork_rng(devices=[]):  # all other weights are as without this
            self.network = build_dinov2(shape).requires_grad_(False).eval()
            self.project = nn.Conv2d(frames * shape.width, channels, 1, bias=False)
        nn.init.zeros_(self.project.weight)
        imagenet_buffers(self)
        self.register_buffer("has_weights", torch.tensor(drawn))

    def load(self, name: str, flag: str) -> None:
        """Load pretrained weights; arguments and errors as of `load_dinov2`."""
        load_dinov2(self.network, name, flag)
        self.has_weights.fill_(True)

    def train(self, mode: bool = True) -> Self:
        """The encoder stays in evaluation."""
        super().train(mode)
        self.network.eval()
        return self

    def forward(self, frames: Tensor) -> Tensor:
        """The newest frame's features, and how each earlier one's differ from them, projected.

        Args:
            frames: float32 (B, T, 3, S, S) in [0, 1], oldest first.

        Returns:
            (B, channels, g, g), g patches along a side.

        Raises:
            UserError: the encoder has no weights.
        """
        if not self.has_weights:
            raise UserError(
                "the pretrained image encoder has no weights: they were neither loaded nor in the "
                "model that was. Load a saved model, or begin anew with the name of its weights, "
                "and their size as not known yet (pretrained_shape.width 0)."
            )
        with torch.no_grad():
            seen = self._encode(frames.flatten(0, 1)).unflatten(0, frames.shape[:2])
        now, earlier = seen[:, -1:], seen[:, :-1]
        projected: Tensor = self.project(torch.cat([now, earlier - now], dim=1).flatten(1, 2))
        return projected

    def _encode(self, pictures: Tensor) -> Tensor:
        """(N, 3, S, S) in [0, 1] to (N, width, g, g); S is rounded up to whole patches."""
        side = -(-pictures.shape[-1] // self.shape.patch_px)
        size = (side * self.shape.patch_px,) * 2
        if pictures.shape[-2:] != size:
            pictures = F.interpolate(pictures, size, mode="bilinear", align_corners=False)
        features = patch_features(self.network, self.shape, (pictures - self.mean) / self.std)
        return features.transpose(1, 2).unflatten(2, (side, side))
