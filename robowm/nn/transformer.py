"""A pre-norm transformer with block masks and a key-value cache for a fixed prefix."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Cache = list[tuple[Tensor, Tensor]]


class Block(nn.Module):
    """Attention and a feed-forward layer, each after a norm and added to its input."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_1, self.norm_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(
        self, x: Tensor, mask: Tensor | None, past: tuple[Tensor, Tensor] | None
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """x (B, L, D), mask bool (L, P+L) with True for "may look", past two (B, h, P, d)."""
        batch, length, width = x.shape
        qkv = self.qkv(self.norm_1(x)).view(batch, length, 3, self.heads, width // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if past is not None:
            k, v = torch.cat([past[0], k], dim=2), torch.cat([past[1], v], dim=2)
        seen = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        x = x + self.out(seen.transpose(1, 2).reshape(batch, length, width))
        return x + self.mlp(self.norm_2(x)), (k, v)


class Transformer(nn.Module):
    """`depth` blocks and a last norm."""

    def __init__(self, width: int, depth: int, heads: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(width, heads) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(
        self, x: Tensor, mask: Tensor | None = None, past: Cache | None = None
    ) -> tuple[Tensor, Cache]:
        """Run L new tokens, after a cached prefix of P if `past` is given.

        Args:
            x: (B, L, D).
            mask: bool (L, P+L), True where a token may look; None lets it look everywhere.
            past: what an earlier call returned.

        Returns:
            (B, L, D), and the cache of all P+L tokens.
        """
        cache: Cache = []
        for i, block in enumerate(self.blocks):
            x, kept = block(x, mask, past[i] if past is not None else None)
            cache.append(kept)
        return self.norm(x), cache


def block_mask(sizes: list[int], causal: list[bool]) -> Tensor:
    """Each group of tokens sees all earlier groups, and itself wholly or only backwards.

    Args:
        sizes: tokens in each group.
        causal: for each group, whether it sees itself only backwards.

    Returns:
        bool (L, L), True where row may look at column.
    """
    total = sum(sizes)
    mask = torch.zeros(total, total, dtype=torch.bool)
    start = 0
    for size, backwards in zip(sizes, causal, strict=True):
        rows = slice(start, start + size)
        mask[rows, :start] = True
        own = torch.ones(size, size, dtype=torch.bool)
        mask[rows, rows] = own.tril() if backwards else own
        start += size
    return mask


def sinusoid(t: Tensor, width: int, longest: float = 4.0) -> Tensor:
    """Sinusoidal embedding of a time in [0, 1]: (...,) to (..., width)."""
    shortest = 4e-3  # periods geometric between the two, as in openpi
    half = width // 2
    steps = torch.arange(half, device=t.device, dtype=torch.float32) / max(half - 1, 1)
    periods = shortest * (longest / shortest) ** steps
    angles = t.float()[..., None] * (2 * math.pi) / periods
    return torch.cat([angles.sin(), angles.cos()], dim=-1)
