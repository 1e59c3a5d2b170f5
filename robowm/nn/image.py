"""Pictures to tokens and back, by strided convolutions (cheap on a CPU, translation-aware)."""

import math

from torch import Tensor, nn


def conv_widths(size_px: int, grid: int, width: int) -> list[int]:
    """Channel counts of the halvings from `size_px` down to `grid`, ending at `width`.

    Raises:
        ValueError: size_px / grid is not a power of two.
    """
    halvings = math.log2(size_px / grid)
    if halvings != int(halvings) or halvings < 1:
        raise ValueError(f"size_px {size_px} over grid {grid}: expected a power of two, 2 or more")
    n = int(halvings)
    return [max(24, width // 2 ** (n - 1 - i)) for i in range(n - 1)] + [width]


class Encoder(nn.Sequential):
    """(B, C, S, S) to features (B, width, grid, grid)."""

    def __init__(self, channels: int, size_px: int, grid: int, width: int) -> None:
        layers: list[nn.Module] = []
        for out in conv_widths(size_px, grid, width):
            layers += [
                nn.Conv2d(channels, out, 4, 2, 1),
                nn.GroupNorm(_groups(out), out),
                nn.GELU(),
            ]
            channels = out
        super().__init__(*layers, nn.Conv2d(channels, width, 1))


class Decoder(nn.Sequential):
    """Features (B, width, grid, grid) to (B, C, S, S), unbounded."""

    def __init__(self, channels: int, size_px: int, grid: int, width: int) -> None:
        layers: list[nn.Module] = []
        inner = conv_widths(size_px, grid, width)
        for here, out in zip(inner[::-1], [*inner[-2::-1], inner[0]], strict=True):
            layers += [
                nn.ConvTranspose2d(here, out, 4, 2, 1),
                nn.GroupNorm(_groups(out), out),
                nn.GELU(),
            ]
        super().__init__(*layers, nn.Conv2d(inner[0], channels, 3, 1, 1))


def tokens(features: Tensor) -> Tensor:
    """(B, D, h, w) to (B, h·w, D)."""
    return features.flatten(2).transpose(1, 2)


def untokens(sequence: Tensor, grid: int) -> Tensor:
    """(B, grid², D) to (B, D, grid, grid)."""
    return sequence.transpose(1, 2).unflatten(2, (grid, grid))


def _groups(channels: int) -> int:
    return math.gcd(8, channels)
