"""Where in a picture is what was asked for: spatial softmax with words as the query.

A place is read off an attention map as its centre (the spatial soft-argmax of Levine et al., "End-
to-End Training of Deep Visuomotor Policies", 2016), so it is finer than a cell, and moves when the
thing moves. A flattened map through a linear layer needs ten times the demonstrations for the
same precision (docs/results.md).
"""

import math

import torch
from torch import Tensor, nn

OCTAVES = 3


class Points(nn.Module):
    """K tokens, each a place of a feature map and what is there.

    Args:
        channels: C of the map.
        width: D, length of a token and of what is asked.
        points: K.
    """

    def __init__(self, channels: int, width: int, points: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(math.gcd(8, channels), channels)
        self.key = nn.Conv2d(channels, channels, 1)
        self.value = nn.Conv2d(channels, width, 1)
        self.query = nn.Parameter(torch.randn(points, channels))
        self.asked = nn.Linear(width, points * channels)
        self.sharpness = nn.Parameter(torch.zeros(points, 1))
        self.place = nn.Linear(3 + 4 * OCTAVES, width)
        self.name = nn.Parameter(0.02 * torch.randn(points, width))

    def forward(self, features: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Look for what was asked.

        Args:
            features: (B, C, h, w).
            asked: (B, D), the instruction.

        Returns:
            tokens (B, K, D), and the places' (x, y) float32 (B, K, 2), -1 to 1 from the left and
            the top.
        """
        features = self.norm(features)
        keys, values = self.key(features).flatten(2), self.value(features).flatten(2)
        queries = self.query + self.asked(asked).unflatten(1, self.query.shape)
        queries = queries * self.sharpness.exp() / math.sqrt(self.query.shape[1])
        attention = (queries @ keys).float().softmax(-1)
        height, width = features.shape[-2:]
        at = _coordinates(height, width, features.device)
        places = attention @ at
        spread = (attention @ at.square() - places.square()).sum(-1, keepdim=True)
        what = attention.to(values.dtype) @ values.transpose(1, 2)
        tokens = what + self.place(_fourier(places, spread).to(what.dtype)) + self.name
        return tokens, places


def _coordinates(height: int, width: int, device: torch.device) -> Tensor:
    """(x, y) of every cell's middle, float32 (h·w, 2), from -1 to 1."""
    x = (torch.arange(width, device=device) + 0.5) * 2 / width - 1
    y = (torch.arange(height, device=device) + 0.5) * 2 / height - 1
    grid = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid[1], grid[0]], dim=-1).flatten(0, 1)


def _fourier(places: Tensor, spread: Tensor) -> Tensor:
    """Places as they are, their spread, and waves of 2, 1 and 1/2 half pictures."""
    angles = math.pi * places[..., None] * 2.0 ** torch.arange(OCTAVES, device=places.device)
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)
    return torch.cat([places, spread.clamp_min(0).sqrt(), waves], dim=-1)
