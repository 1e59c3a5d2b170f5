"""Where in a picture is what was asked for: spatial softmax with words as the query.

A place is read off an attention map as its centre (the spatial soft-argmax of Levine et al., "End-
to-End Training of Deep Visuomotor Policies", 2016), so it is finer than a cell, and moves when the
thing moves. Where the place is known, the map itself is taught (`map_loss`): from 25 demonstrations
a task it then found what is grasped within 1.7 cm after 50 steps, where a loss on the centre alone
was still 4 to 9 cm off after 100.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

OCTAVES = 3
BLUR_CELLS = 1.5
MODE_CELLS = 4.0
LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Found:
    """K points in B pictures.

    Attributes:
        tokens: (B, K, D), each a place and what is there.
        places: float32 (B, K, 2), (x, y) from -1 to 1, left to right and top to bottom.
        logits: float32 (B, K, h, w), the attention maps before their softmax.
        what: (B, K, D), what is at each place, without where that is.
    """

    tokens: Tensor
    places: Tensor
    logits: Tensor
    what: Tensor


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
        self.sharpness = nn.Parameter(torch.ones(points, 1))
        self.place = nn.Linear(3 + 4 * OCTAVES, width)
        self.name = nn.Parameter(0.02 * torch.randn(points, width))

    def forward(self, features: Tensor, asked: Tensor) -> Found:
        """Look in features (B, C, h, w) for what was asked (B, D), the instruction."""
        features = self.norm(features)
        keys, values = self.key(features).flatten(2), self.value(features).flatten(2)
        queries = self.query + self.asked(asked).unflatten(1, self.query.shape)
        queries = queries * self.sharpness.exp() / math.sqrt(self.query.shape[1])
        logits = (queries @ keys).float()
        attention = logits.softmax(-1)
        height, width = features.shape[-2:]
        at = cell_centres(height, width, features.device)
        places = attention @ at
        spread = (attention @ at.square() - places.square()).sum(-1, keepdim=True)
        what = attention.to(values.dtype) @ values.transpose(1, 2)
        tokens = what + self.place(_fourier(places, spread).to(what.dtype)) + self.name
        return Found(tokens, places, logits.unflatten(2, (height, width)), what)


def near_the_mode(logits: Tensor) -> Tensor:
    """The places (B, K, 2) that attention maps (B, K, h, w) favour most: the centre of what lies
    about the likeliest cell. A few per cent somewhere else do not draw it there."""
    height, width = logits.shape[-2:]
    at = cell_centres(height, width, logits.device)
    flat = logits.flatten(2)
    away = at - at[flat.argmax(-1)][:, :, None]
    cells = away * logits.new_tensor([width / 2, height / 2])
    attention = flat.softmax(-1) * (cells.square().sum(-1) <= MODE_CELLS**2)
    places: Tensor = attention @ at / attention.sum(-1, keepdim=True)
    return places


def map_loss(logits: Tensor, places: Tensor) -> Tensor:
    """Cross-entropy of attention maps with a blur about the true places; its mean over those known.

    Args:
        logits: float32 (B, K, h, w).
        places: float32 (B, K, 2), (x, y) from -1 to 1; NaN where not known.
    """
    height, width = logits.shape[-2:]
    known = places.isfinite().all(-1)
    at = cell_centres(height, width, logits.device)
    away = (at - places.nan_to_num()[:, :, None]) * logits.new_tensor([width / 2, height / 2])
    wanted = (-away.square().sum(-1) / (2 * BLUR_CELLS**2)).softmax(-1)
    loss = -(wanted * logits.flatten(2).log_softmax(-1)).sum(-1)
    return (loss * known).sum() / known.sum().clamp_min(1)


def cell_centres(height: int, width: int, device: torch.device) -> Tensor:
    """(x, y) of every cell's middle, float32 (h·w, 2), from -1 to 1."""
    x = (torch.arange(width, device=device) + 0.5) * 2 / width - 1
    y = (torch.arange(height, device=device) + 0.5) * 2 / height - 1
    grid = torch.meshgrid(y, x, indexing="ij")
    return torch.stack([grid[1], grid[0]], dim=-1).flatten(0, 1)


def _fourier(places: Tensor, spread: Tensor) -> Tensor:
    """Places as they are, their spread, and waves of 2, 1 and 1/2 half pictures."""
    angles = math.pi * places[..., None] * 2.0 ** torch.arange(OCTAVES, device=places.device)
    waves = torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)
    # of a map that is one cell it is 0, where a root has no slope: training would stop there
    return torch.cat([places, spread.clamp_min(LEAST_SPREAD).sqrt(), waves], dim=-1)
