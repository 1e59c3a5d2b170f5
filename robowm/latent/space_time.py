"""Space-time transformer blocks, as ViPRA (arXiv 2511.07732) builds its latent action model.

A block attends in two steps: every patch over time, then every frame over its patches. Position
comes from a depthwise 3-D convolution (PEG), rotary angles in time, and a bias learnt from the
distance in space. B clips, T frames, N tokens a frame (h·w patches, then any others), D channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

ATTENTION_SCALE = 8.0  # queries and keys have length one, so 1/√d would leave all weights alike


@dataclass(frozen=True)
class BlockShape:
    """Size of one block."""

    width: int
    heads: int
    head_dim: int
    ff_mult: float
    ff_dropout: float
    attention_dropout: float


class SpaceTime(nn.Module):
    """`depth` blocks and a last norm.

    Args:
        shape: size of one block.
        depth: how many.
        causal: whether a frame sees only itself and those before it.
        film: whether each block is modulated by a condition a frame.
        recompute: compute each block again in the backward pass instead of keeping what is in it.
    """

    def __init__(
        self,
        shape: BlockShape,
        depth: int,
        causal: bool,
        film: bool = False,
        recompute: bool = False,
    ) -> None:
        super().__init__()
        self.recompute = recompute
        self.bias = DistanceBias(shape.width, shape.heads)
        self.blocks = nn.ModuleList(Block(shape, causal, film) for _ in range(depth))
        self.norm = nn.LayerNorm(shape.width, bias=False)

    def forward(
        self, x: Tensor, grid: int, cond: Tensor | None = None, keep: Tensor | None = None
    ) -> Tensor:
        """(B, T, N, D) to the same.

        Args:
            x: tokens; the first grid·grid of a frame are its patches.
            grid: patches along a side.
            cond: (B, T, D), with `film` only.
            keep: bool (B, T), False on padding: what stands there then reaches no other frame.
        """
        bias = self.bias(grid)
        others = x.shape[2] - grid * grid
        bias = F.pad(bias, (0, others, 0, others))
        for block in self.blocks:
            if self.recompute and self.training:
                x = checkpoint(block, x, grid, bias, cond, keep, use_reentrant=False)
            else:
                x = block(x, grid, bias, cond, keep)
        return self.norm(x)


class Block(nn.Module):
    """Condition, position, attention over time, attention over space, feed-forward."""

    def __init__(self, shape: BlockShape, causal: bool, film: bool) -> None:
        super().__init__()
        self.film = Film(shape.width) if film else None
        self.position = Position(shape.width, causal)
        self.time = Attention(shape, rotary=True, causal=causal)
        self.space = Attention(shape, rotary=False, causal=False)
        self.ff = feed_forward(shape.width, shape.ff_mult, shape.ff_dropout)

    def forward(
        self, x: Tensor, grid: int, bias: Tensor, cond: Tensor | None, keep: Tensor | None
    ) -> Tensor:
        """As SpaceTime; bias (heads, N, N)."""
        b, t, n, d = x.shape
        if self.film is not None:
            assert cond is not None
            x = self.film(x, cond)
        patches, others = x.split([grid * grid, n - grid * grid], dim=2)
        x = torch.cat([patches + self.position(patches, grid, keep), others], dim=2)
        lines = x.transpose(1, 2).reshape(b * n, t, d)
        kept = None if keep is None else keep.repeat_interleave(n, dim=0)
        x = x + self.time(lines, keep=kept).view(b, n, t, d).transpose(1, 2)
        x = x + self.space(x.reshape(b * t, n, d), bias=bias).view(b, t, n, d)
        return x + self.ff(x)


class Attention(nn.Module):
    """Attention whose queries and keys are scaled to length one (QK-norm).

    Keys and values are read before the norm, queries after it, as published.
    """

    def __init__(self, shape: BlockShape, rotary: bool, causal: bool) -> None:
        super().__init__()
        inner = shape.heads * shape.head_dim
        self.heads, self.dropout = shape.heads, shape.attention_dropout
        self.rotary, self.causal = rotary, causal
        self.norm = nn.LayerNorm(shape.width, bias=False)
        self.to_q = nn.Linear(shape.width, inner, bias=False)
        self.to_kv = nn.Linear(shape.width, 2 * inner, bias=False)
        self.q_scale = nn.Parameter(torch.ones(shape.head_dim))
        self.k_scale = nn.Parameter(torch.ones(shape.head_dim))
        self.out = nn.Linear(inner, shape.width, bias=False)

    def forward(self, x: Tensor, bias: Tensor | None = None, keep: Tensor | None = None) -> Tensor:
        """x (N, L, D) to the same; bias (heads, L, L) is added, keep bool (N, L) hides keys."""
        q = self._heads(self.to_q(self.norm(x)))
        k, v = (self._heads(part) for part in self.to_kv(x).chunk(2, dim=-1))
        if self.rotary:
            q, k = rotate(q), rotate(k)
        q = F.normalize(q, dim=-1) * self.q_scale
        k = F.normalize(k, dim=-1) * self.k_scale
        seen = F.scaled_dot_product_attention(
            q.to(v.dtype),
            k.to(v.dtype),
            v,
            attn_mask=self._mask(x, bias, keep, v.dtype),
            dropout_p=self.dropout if self.training else 0.0,
            scale=ATTENTION_SCALE,
        )
        return self.out(seen.transpose(1, 2).flatten(2))

    def _heads(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def _mask(
        self, x: Tensor, bias: Tensor | None, keep: Tensor | None, dtype: torch.dtype
    ) -> Tensor | None:
        if bias is not None:
            return bias.to(dtype)[None]
        allowed = None if keep is None else keep[:, None, None, :]
        if self.causal:
            before = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
            allowed = before[None, None] if allowed is None else allowed & before
        return allowed


class Position(nn.Module):
    """PEG (Chu et al. 2021): a depthwise 3-D convolution as a position signal; causal in time."""

    def __init__(self, width: int, causal: bool) -> None:
        super().__init__()
        self.time = (2, 0) if causal else (1, 1)
        self.conv = nn.Conv3d(width, width, 3, groups=width)

    def forward(self, x: Tensor, grid: int, keep: Tensor | None) -> Tensor:
        """(B, T, grid·grid, D) to the same."""
        if keep is not None:  # padding looks like the nothing beyond the clip's end
            x = x * keep[..., None, None]
        volume = x.permute(0, 3, 1, 2).unflatten(3, (grid, grid))
        volume = self.conv(F.pad(volume, (1, 1, 1, 1, *self.time)))
        return volume.flatten(3).permute(0, 2, 3, 1)


class Film(nn.Module):
    """Feature-wise modulation (FiLM): x + FF(norm(x)·(1+scale) + shift); begins without effect."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.scale_shift = nn.Linear(width, 2 * width)
        nn.init.zeros_(self.scale_shift.weight)
        nn.init.zeros_(self.scale_shift.bias)
        self.ff = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))

    def forward(self, x: Tensor, cond: Tensor) -> Tensor:
        """x (B, T, N, D), cond (B, T, D)."""
        scale, shift = self.scale_shift(cond)[:, :, None].chunk(2, dim=-1)
        return x + self.ff(self.norm(x) * (1 + scale) + shift)


class DistanceBias(nn.Module):
    """Continuous relative position bias (Swin v2, arXiv 2111.09883) between patches of a grid."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(2, width),
            nn.LeakyReLU(0.1),
            nn.Linear(width, width),
            nn.LeakyReLU(0.1),
            nn.Linear(width, heads),
        )

    def forward(self, grid: int) -> Tensor:
        """(heads, grid², grid²); the distance is in shares of the picture's side, in log scale."""
        axis = (torch.arange(grid, device=next(self.parameters()).device) + 0.5) / grid
        where = torch.cartesian_prod(axis, axis)
        apart = where[:, None] - where[None]
        return self.net(apart.sign() * apart.abs().log1p()).permute(2, 0, 1)


class GEGLU(nn.Module):
    """Half of the channels, each multiplied by the GELU of its partner in the other half."""

    def forward(self, x: Tensor) -> Tensor:
        """(..., 2D) to (..., D)."""
        value, gate = x.chunk(2, dim=-1)
        return F.gelu(gate) * value


def feed_forward(width: int, mult: float, dropout: float) -> nn.Sequential:
    """Norm and a gated feed-forward layer; `mult` counts as without the gate (hence 2/3)."""
    inner = int(mult * 2 / 3 * width)
    return nn.Sequential(
        nn.LayerNorm(width, bias=False),
        nn.Linear(width, 2 * inner, bias=False),
        GEGLU(),
        nn.Dropout(dropout),
        nn.Linear(inner, width, bias=False),
    )


def rotate(x: Tensor) -> Tensor:
    """Rotary position (Su et al. 2021) along the last but one axis: (..., L, d), d even."""
    half = x.shape[-1] // 2
    rate = 10_000 ** -(torch.arange(half, device=x.device) / half)
    angle = torch.arange(x.shape[-2], device=x.device)[:, None] * rate
    cos, sin = angle.cos(), angle.sin()
    a, b = x[..., :half], x[..., half:]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1)
