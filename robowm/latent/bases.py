"""What a scene can do: for each number of the latent action, the flow field that it adds.

For a small step a linkage's flow is linear in how fast its joints turn, whatever it looks like. So
the decoder reads the frame into one basis field a number, and the latent action only weighs them:
twice the latent is twice the motion, the opposite latent the opposite motion, and it can move
what is in the picture but not paint it, so it is no image code.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.latent.attention import FINE, GRID
from robowm.nn.image import UNet


class MotionBases(UNet):
    """A frame to D basis fields, there and back.

    Args:
        size_px: side of the frames, a multiple of 32.
        width: channels on the 16x16 grid; twice and three times as many on the coarser ones.
        dim: D.
    """

    def __init__(self, size_px: int, width: int, dim: int) -> None:
        super().__init__(3, size_px // GRID, width)
        self.dim = dim
        self.out = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.GELU(),
            nn.Conv2d(width, 4 * dim * (FINE // GRID) ** 2, 1),
            nn.PixelShuffle(FINE // GRID),
        )

    def fields(self, frame: Tensor) -> Tensor:
        """Frames (B, 3, S, S) in [0, 1] to fields (B, D, 4, 32, 32): flow there, flow back."""
        fine, _ = self(frame - 0.5)
        return self.out(fine).unflatten(1, (self.dim, 4))


def weigh(bases: Tensor, latent: Tensor) -> Tensor:
    """Flow there and back of a latent action (B, D): (B, 4, 32, 32), 64-pixel-frame pixels."""
    return 2 * torch.einsum("bd,bdchw->bchw", latent, bases) / latent.shape[1] ** 0.5


def warp(frame: Tensor, back: Tensor) -> Tensor:
    """The next frame: each pixel fetched from where the flow back says it came from.

    Args:
        frame: float32 (B, 3, S, S).
        back: float32 (B, 2, S, S), pixels, from the next frame to this one.
    """
    size = frame.shape[-1]
    at = torch.arange(size, device=frame.device, dtype=back.dtype)
    x, y = at[None, None, :] + back[:, 0], at[None, :, None] + back[:, 1]
    grid = torch.stack([x, y], dim=-1) * 2 / (size - 1) - 1
    return F.grid_sample(frame, grid, padding_mode="border", align_corners=True)
