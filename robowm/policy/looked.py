"""What an action decoder has seen before it acts, and how action tokens look at it."""

from dataclasses import dataclass

import torch
from torch import Tensor

from robowm.nn.points import Found
from robowm.nn.transformer import Cache, Transformer


@dataclass(frozen=True)
class Looked:
    """Computed once for a chunk.

    Attributes:
        cache: of all P tokens that the action tokens may look at.
        subgoals: (B, G, S), foretold; None: there are none.
        towards: (B, D), what they ask for.
        found: points in the picture; None: there are none.
        hidden: bool (B, P), tokens that a sample's actions must not see; None: they see all.
    """

    cache: Cache
    subgoals: Tensor | None
    towards: Tensor
    found: Found | None
    hidden: Tensor | None = None

    def run(self, trunk: Transformer, tokens: Tensor, causal: bool) -> Tensor:
        """Action tokens (B, L, D) after what is cached, each seeing all the others, or with
        `causal` those before it."""
        mask = None  # attention is faster without one
        if causal or self.hidden is not None:
            past, count = self.cache[0][0].shape[2], tokens.shape[1]
            own = torch.ones(count, count, dtype=torch.bool, device=tokens.device)
            mask = torch.cat([own.new_ones(count, past), own.tril() if causal else own], dim=1)
            if self.hidden is not None:
                seen = torch.cat([~self.hidden, own.new_ones(len(tokens), count)], dim=1)
                mask = mask & seen[:, None, None]
        hidden, _ = trunk(tokens, mask, self.cache)
        return hidden
