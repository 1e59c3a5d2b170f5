"""Pictures to features and back: 4x4-pixel patches first, then strided convolutions.

Patches make the full-resolution layers one matrix product each, which suits a CPU (see
docs/results.md).
"""

import math
from itertools import pairwise

from torch import Tensor, nn

PATCH_PX = 4


def _halvings(size_px: int, grid: int) -> int:
    n = math.log2(size_px / PATCH_PX / grid)
    if n != int(n) or n < 0:
        raise ValueError(
            f"size_px {size_px} over grid {grid}: expected {PATCH_PX} times a power of two"
        )
    return int(n)


class Encoder(nn.Sequential):
    """(B, C, S, S) to features (B, width, grid, grid)."""

    def __init__(self, channels: int, size_px: int, grid: int, width: int) -> None:
        n = _halvings(size_px, grid)
        widths = [max(32, width // 2 ** (n - i)) for i in range(n + 1)]
        layers: list[nn.Module] = [
            nn.PixelUnshuffle(PATCH_PX),
            nn.Conv2d(channels * PATCH_PX**2, widths[0], 1),
        ]
        for here, out in pairwise(widths):
            layers += [*_between(here), nn.Conv2d(here, out, 4, 2, 1)]
        super().__init__(*layers, *_between(width), nn.Conv2d(width, width, 3, 1, 1))


class Decoder(nn.Sequential):
    """Features (B, width, grid, grid) to (B, C, S, S), unbounded."""

    def __init__(self, channels: int, size_px: int, grid: int, width: int) -> None:
        n = _halvings(size_px, grid)
        widths = [max(48, width // 2**i) for i in range(n + 1)]
        layers: list[nn.Module] = [nn.Conv2d(width, widths[0], 3, 1, 1)]
        for here, out in pairwise(widths):
            layers += [*_between(here), nn.ConvTranspose2d(here, out, 4, 2, 1)]
        last = widths[-1]
        super().__init__(
            *layers,
            *_between(last),
            nn.Conv2d(last, last, 3, 1, 1),
            *_between(last),
            nn.Conv2d(last, channels * PATCH_PX**2, 1),
            nn.PixelShuffle(PATCH_PX),
        )


def tokens(features: Tensor) -> Tensor:
    """(B, D, h, w) to (B, h·w, D)."""
    return features.flatten(2).transpose(1, 2)


def untokens(sequence: Tensor, grid: int) -> Tensor:
    """(B, grid², D) to (B, D, grid, grid)."""
    return sequence.transpose(1, 2).unflatten(2, (grid, grid))


def _between(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.GroupNorm(math.gcd(8, channels), channels), nn.GELU()
