"""What a world model foretells: the frame H steps ahead, and the latent actions that lead there.

Each is a few tokens after a prefix. They are modules of their own because a policy may keep them
(`robowm.policy.foresight`). Latent actions are told one after the other, each from those before:
as codes (ViPRA), or as the labeller's vectors as they are, which are not rounded to eight.
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.batch import INVALID_CODE
from robowm.nn.image import Decoder
from robowm.nn.transformer import Cache, Transformer
from robowm.world.backbone import BackboneConfig, Seen

LEAST_DEVIATION = 1e-6


class FutureFrame(nn.Module):
    """The picture H steps ahead, drawn in one go from one token for each cell of the grid."""

    def __init__(self, backbone: BackboneConfig) -> None:
        super().__init__()
        b = backbone
        self.query = nn.Parameter(0.02 * torch.randn(b.grid**2, b.width))
        self.head = Decoder(4, b.size_px, b.grid, b.width, b.channels)

    def draw(self, now: Tensor, hidden: Tensor, seen: Seen) -> Tensor:
        """Hidden tokens (B, grid², D) beside the present picture to (B, 3, S, S) in [0, 1]."""
        drawn, change = self.head(hidden, seen.fine).float().sigmoid().split([3, 1], dim=1)
        return now * (1 - change) + drawn * change  # still background is copied, not redrawn


def future_l1(drawn: Tensor, now: Tensor, future: Tensor, valid: Tensor) -> Tensor:
    """Mean absolute error of pictures (B, 3, S, S), five times as strict where they change."""
    moved = (future - now).abs().amax(1, keepdim=True)
    weight = (1 + 4 * (moved * 5).clamp(max=1)) * valid[:, None, None, None]
    gap = (drawn - future).abs().mean(1, keepdim=True)
    return (gap * weight).sum() / weight.sum().clamp_min(1)


class LatentCodes(nn.Module):
    """H latent actions as K codes each: H·K tokens, cross-entropy.

    Args:
        width: D of a token.
        horizon: H.
        tokens: K.
        codes: size of the codebook.
    """

    name = "code_nats"

    def __init__(self, width: int, horizon: int, tokens: int, codes: int) -> None:
        super().__init__()
        self.shape = horizon, tokens
        self.codes = codes
        self.inward = nn.Embedding(codes + 2, width)  # and: begin, unknown
        self.step = nn.Parameter(0.02 * torch.randn(horizon, 1, width))
        self.token = nn.Parameter(0.02 * torch.randn(tokens, width))
        self.outward = nn.Linear(width, codes)

    @property
    def length(self) -> int:
        """H·K, tokens."""
        return self.shape[0] * self.shape[1]

    def inputs(self, codes: Tensor) -> Tensor:
        """Codes (B, H, K), -1 where unknown, shifted right by one and embedded: (B, H·K, D)."""
        begin, unknown = self.codes, self.codes + 1
        known = torch.where(codes < 0, unknown, codes).flatten(1)
        shifted = F.pad(known[:, :-1], (1, 0), value=begin)
        embedded: Tensor = self.inward(shifted) + (self.step + self.token).flatten(0, 1)
        return embedded

    def loss(self, hidden: Tensor, codes: Tensor) -> Tensor:
        """Cross-entropy in nats of hidden tokens (B, H·K, D), over codes that are known."""
        logits = self.outward(hidden).flatten(0, 1).float()
        nats = F.cross_entropy(logits, codes.flatten(), ignore_index=INVALID_CODE)
        return nats.nan_to_num(0.0)  # a batch without one valid code

    def unknown(self, count: int, device: torch.device) -> Tensor:
        """int64 (count, H, K) of which nothing is known."""
        return torch.full((count, *self.shape), INVALID_CODE, device=device)

    def read(self, hidden: Tensor) -> Tensor:
        """The likeliest code (B, 1) that a hidden token (B, D) tells."""
        likeliest: Tensor = self.outward(hidden).argmax(-1, keepdim=True)
        return likeliest


class LatentVectors(nn.Module):
    """H latent actions as they are, D numbers each: H tokens, L1 of what is brought to one scale.

    Args:
        width: of a token.
        horizon: H.
        numbers: D of a latent action.
    """

    name = "latent_l1"
    mean: Tensor
    deviation: Tensor

    def __init__(self, width: int, horizon: int, numbers: int) -> None:
        super().__init__()
        self.shape = horizon, numbers
        self.register_buffer("mean", torch.zeros(numbers))
        self.register_buffer("deviation", torch.ones(numbers))
        self.inward = nn.Linear(numbers, width)
        self.begin = nn.Parameter(0.02 * torch.randn(width))
        self.no_telling = nn.Parameter(0.02 * torch.randn(width))
        self.step = nn.Parameter(0.02 * torch.randn(horizon, width))
        self.outward = nn.Linear(width, numbers)

    @property
    def length(self) -> int:
        """H, tokens."""
        return self.shape[0]

    def know_scale(self, vectors: Tensor) -> None:
        """Take mean and deviation from valid latent actions (N, D)."""
        self.mean.copy_(vectors.mean(0))
        self.deviation.copy_(vectors.std(0).clamp_min(LEAST_DEVIATION))

    def inputs(self, vectors: Tensor) -> Tensor:
        """Latent actions (B, H, D), NaN where unknown, shifted right by one and embedded."""
        known = vectors.isfinite().all(-1, keepdim=True)
        scaled = ((vectors - self.mean) / self.deviation).nan_to_num()
        embedded = torch.where(known, self.inward(scaled), self.no_telling)
        begin = self.begin.expand(len(vectors), 1, -1).to(embedded.dtype)
        return torch.cat([begin, embedded[:, :-1]], dim=1) + self.step

    def loss(self, hidden: Tensor, vectors: Tensor) -> Tensor:
        """L1 in deviations of hidden tokens (B, H, width), over latent actions that are known."""
        known = vectors.isfinite().all(-1)
        wanted = ((vectors - self.mean) / self.deviation).nan_to_num()
        gap = (self.outward(hidden).float() - wanted).abs().mean(-1) * known
        return gap.sum() / known.sum().clamp_min(1)

    def unknown(self, count: int, device: torch.device) -> Tensor:
        """float32 (count, H, D) of which nothing is known."""
        return torch.full((count, *self.shape), torch.nan, device=device)

    def read(self, hidden: Tensor) -> Tensor:
        """The latent action (B, D) that a hidden token (B, width) tells."""
        return cast(Tensor, self.outward(hidden).float() * self.deviation + self.mean)


type LatentTarget = LatentCodes | LatentVectors


def latent_target(width: int, shape: tuple[int, int], codes: int, continuous: bool) -> LatentTarget:
    """What foretells `shape` (H, K codes), or with `continuous` (H, D numbers)."""
    if continuous:
        return LatentVectors(width, *shape)
    return LatentCodes(width, *shape, codes)


@torch.no_grad()
def foretell(target: LatentTarget, trunk: Transformer, past: Cache) -> tuple[Tensor, Cache]:
    """Latent actions one after the other, after what is cached; and the cache with them."""
    first = past[0][0]
    told = target.unknown(len(first), first.device)
    flat = told.view(len(told), target.length, -1)
    for i in range(target.length):
        hidden, past = trunk(target.inputs(told)[:, i : i + 1], past=past)
        flat[:, i] = target.read(hidden[:, 0])
    return told, past
