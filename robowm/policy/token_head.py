"""Actions as words: every number one of some bins, told one after the other (ViPRA-AR).

Bins hold equally many of the demonstrated values (quantiles), so resolution is where values are;
a gripper's two values get a bin each. As in ViPRA, which has 2,047 bins a number, RT-1 and OpenVLA.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.nn.transformer import Transformer
from robowm.policy.looked import Looked
from robowm.policy.shown import DecoderConfig


class TokenHead(nn.Module):
    """Chunks of H actions of A numbers as H·A tokens, each one of `action_bins` bins."""

    name = "action_nats"
    edges: Tensor
    values: Tensor

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width, axes, bins = config.backbone.width, config.action_dim, config.action_bins
        if bins < 2:
            raise ValueError(f"action_bins: got {bins}, expected 2 or more")
        self.shape = config.horizon, axes, bins
        # of numbers brought to mean 0 and deviation 1, until it is told how they really lie
        levels = torch.linspace(0, 1, 2 * bins + 1, dtype=torch.float64)
        normal = torch.special.ndtri(levels[1:-1]).float()
        self.register_buffer("edges", normal[1::2].repeat(axes, 1))
        self.register_buffer("values", normal[::2].repeat(axes, 1))
        self.inward = nn.Embedding(axes * bins + 1, width)  # and: begin
        self.step = nn.Parameter(0.02 * torch.randn(config.horizon, 1, width))
        self.axis = nn.Parameter(0.02 * torch.randn(axes, width))
        self.outward = nn.Linear(width, axes * bins)

    def know_actions(self, actions: Tensor) -> None:
        """Lay the bins so that each holds equally many of normalised actions (N, A)."""
        bins = self.shape[2]
        levels = torch.linspace(0, 1, bins + 1, dtype=torch.float64)[1:-1]
        for axis, values in enumerate(actions.double().T.contiguous()):
            edges = torch.quantile(values, levels)
            # an edge that is a value itself leaves it below, as `bin_of` does
            inside = torch.bucketize(values, edges)
            sums = torch.zeros(bins, dtype=torch.float64).scatter_add_(0, inside, values)
            count = torch.bincount(inside, minlength=bins)
            middle = torch.cat([edges[:1], (edges[1:] + edges[:-1]) / 2, edges[-1:]])
            self.edges[axis] = edges.float()
            self.values[axis] = torch.where(count > 0, sums / count.clamp_min(1), middle).float()

    def bin_of(self, actions: Tensor) -> Tensor:
        """The bins int64 (B, H, A) of normalised actions (B, H, A)."""
        edges = self.edges
        return (
            torch.searchsorted(edges, actions.movedim(-1, 0).flatten(1).contiguous())
            .unflatten(1, actions.shape[:-1])
            .movedim(0, -1)
        )

    def value_of(self, bins: Tensor) -> Tensor:
        """The mean of what lies in bins (B, H, A): float32 (B, H, A)."""
        return self.values[torch.arange(self.shape[1], device=bins.device), bins]

    def loss(self, actions: Tensor, valid: Tensor, looked: Looked, trunk: Transformer) -> Tensor:
        """Cross-entropy in nats a number, over valid actions (B, H, A)."""
        bins = self.bin_of(actions)
        hidden = looked.run(trunk, self._inputs(bins, looked.towards), causal=True)
        nats = F.cross_entropy(self._logits(hidden).flatten(0, 2), bins.flatten(), reduction="none")
        nats = nats.view(bins.shape).mean(-1) * valid
        return nats.sum() / valid.sum().clamp_min(1)

    def sample(self, noise: Tensor, looked: Looked, trunk: Transformer) -> Tensor:
        """The likeliest chunk (B, H, A), number after number; of `noise` only the shape counts."""
        bins = torch.zeros(noise.shape, dtype=torch.long, device=noise.device)
        cache = looked.cache
        for h in range(self.shape[0]):
            for a in range(self.shape[1]):
                at = h * self.shape[1] + a
                token = self._inputs(bins, looked.towards)[:, at : at + 1]
                hidden, cache = trunk(token, None, cache)
                bins[:, h, a] = self._of_axis(hidden[:, 0], a).argmax(-1)
        return self.value_of(bins)

    def _inputs(self, bins: Tensor, towards: Tensor) -> Tensor:
        """Bins (B, H, A) shifted right by one number, embedded: (B, H·A, D)."""
        _, axes, count = self.shape
        words = bins + count * torch.arange(axes, device=bins.device)
        shifted = F.pad(words.flatten(1)[:, :-1], (1, 0), value=axes * count)
        place = (self.step + self.axis).flatten(0, 1)
        embedded: Tensor = self.inward(shifted) + place + towards[:, None]
        return embedded

    def _logits(self, hidden: Tensor) -> Tensor:
        """Of hidden tokens (B, H·A, D): float32 (B, H, A, bins)."""
        steps, axes, _ = self.shape
        of_axis = hidden.unflatten(1, (steps, axes))
        return torch.stack([self._of_axis(of_axis[:, :, a], a) for a in range(axes)], dim=2)

    def _of_axis(self, hidden: Tensor, axis: int) -> Tensor:
        bins = self.shape[2]
        own = slice(axis * bins, (axis + 1) * bins)
        return F.linear(hidden, self.outward.weight[own], self.outward.bias[own]).float()
