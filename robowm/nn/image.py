"""Pictures to features and back: patches first, then a few residual convolutions.

Patches make the full-resolution layers one matrix product each, which suits a CPU (see
docs/results.md).
"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PATCH_PX = 4


def newest_and_changes(frames: Tensor) -> Tensor:
    """Frames (B, T, 3, S, S) in [0, 1], oldest first, to pictures (B, 3·T, S, S) around zero.

    The newest frame, and how each earlier one differs from it: one pass for all of them.
    """
    now, earlier = frames[:, -1:], frames[:, :-1]
    return torch.cat([now - 0.5, earlier - now], dim=1).flatten(1, 2)


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, which is where it begins."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        last = nn.Conv2d(channels, channels, 3, 1, 1)
        nn.init.zeros_(last.weight)
        self.body = nn.Sequential(
            *_between(channels),
            nn.Conv2d(channels, channels, 3, 1, 1),
            *_between(channels),
            last,
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, h, w) to the same."""
        return x + self.body(x)


class UNet(nn.Module):
    """Pictures to features at three scales, the finest of which knows what the coarsest saw.

    Args:
        channels: C of the pictures.
        patch_px: side of a cell of the finest map, pixels.
        width: channels of the finest map; twice and three times as many on the coarser ones.
    """

    def __init__(self, channels: int, patch_px: int, width: int) -> None:
        super().__init__()
        middle, deep = 2 * width, 3 * width
        self.stem = nn.Sequential(
            nn.PixelUnshuffle(patch_px), nn.Conv2d(channels * patch_px**2, width, 1)
        )
        self.fine = Residual(width)
        self.down = nn.Sequential(nn.Conv2d(width, middle, 4, 2, 1), Residual(middle))
        self.deep = nn.Sequential(nn.Conv2d(middle, deep, 4, 2, 1), Residual(deep), Residual(deep))
        self.up = nn.Sequential(nn.Conv2d(deep + middle, middle, 3, 1, 1), Residual(middle))
        self.back = nn.Sequential(nn.Conv2d(middle + width, width, 3, 1, 1), Residual(width))

    def forward(self, pictures: Tensor, beside: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Features of pictures.

        Args:
            pictures: float32 (B, C, S, S), around zero.
            beside: (B, width, g, g), other features of the whole pictures, added to the finest map
                before the coarser ones are made of it.

        Returns:
            the finest map (B, width, s, s), s = S / patch_px, and the deepest (B, 3·width, s/4,
            s/4).
        """
        fine = self.fine(self.stem(pictures))
        if beside is not None:
            size = fine.shape[-2:]
            fine = fine + F.interpolate(beside, size, mode="bilinear", align_corners=False)
        middle = self.down(fine)
        deep = self.deep(middle)
        middle = self.up(torch.cat([_twice(deep), middle], dim=1))
        return self.back(torch.cat([_twice(middle), fine], dim=1)), deep


class Decoder(nn.Module):
    """Tokens to a picture, with a fine feature map of another picture to copy details from.

    Args:
        channels: of the picture.
        size_px: its side.
        grid: the tokens' is grid x grid.
        width: length of a token.
        skip: channels of the fine map, whose side is size_px / 4.
    """

    def __init__(self, channels: int, size_px: int, grid: int, width: int, skip: int) -> None:
        super().__init__()
        n = math.log2(size_px / PATCH_PX / grid)
        if n != int(n) or n < 0:
            raise ValueError(
                f"size_px {size_px} over grid {grid}: expected {PATCH_PX} times a power of two"
            )
        widths = [max(48, width // 2**i) for i in range(int(n) + 1)]
        layers: list[nn.Module] = [nn.Conv2d(width, widths[0], 3, 1, 1)]
        for here, out in pairwise(widths):
            layers += [*_between(here), nn.ConvTranspose2d(here, out, 4, 2, 1)]
        last = widths[-1]
        self.up = nn.Sequential(*layers)
        self.join = nn.Conv2d(last + skip, last, 1)
        self.out = nn.Sequential(
            Residual(last),
            *_between(last),
            nn.Conv2d(last, channels * PATCH_PX**2, 1),
            nn.PixelShuffle(PATCH_PX),
        )
        self.grid = grid

    def forward(self, tokens: Tensor, fine: Tensor) -> Tensor:
        """Tokens (B, grid², width) and a map (B, skip, S/4, S/4) to (B, channels, S, S)."""
        drawn = self.up(untokens(tokens, self.grid))
        return self.out(self.join(torch.cat([drawn, fine], dim=1)))


def tokens(features: Tensor) -> Tensor:
    """(B, D, h, w) to (B, h·w, D)."""
    return features.flatten(2).transpose(1, 2)


def untokens(sequence: Tensor, grid: int) -> Tensor:
    """(B, grid², D) to (B, D, grid, grid)."""
    return sequence.transpose(1, 2).unflatten(2, (grid, grid))


def _between(channels: int) -> tuple[nn.Module, nn.Module]:
    return nn.GroupNorm(math.gcd(8, channels), channels), nn.GELU()


def _twice(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")
