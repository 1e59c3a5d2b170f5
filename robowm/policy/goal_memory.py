"""What was foretold before, of one episode: goals are where they were, and are best seen early.

At first the arm covers nothing: where the thing goes is then foretold to half a centimetre or one,
and to twice that once the hand carries it there (docs/results.md).
"""

import torch
from torch import Tensor

NEWEST = 0.5  # share of the newest estimate, of what the hand goes for now
ELSEWHERE = 0.75  # deviations: so far off, twice running, and it was moved
TWICE = 2


class GoalMemory:
    """The places of the next G keyframes, as last believed."""

    def __init__(self) -> None:
        self._kept: Tensor | None = None
        self._foreseen = False
        self._astray = 0

    def steadied(self, places: Tensor) -> Tensor:
        """What to act on, given what is foretold now, both float32 (G, 3), normalised.

        What the hand goes for is a running mean. What comes after is taken from the first look,
        and still is when its turn has come: when what is foretold is nearer to it. If the next is
        seen elsewhere twice running, it was moved, or this is another attempt: all begins anew.
        """
        if self._kept is None:
            self._kept = places
            return places
        kept = self._kept
        off = (kept - places[:1]).norm(dim=1)
        if len(kept) > 1 and off[1] < off[0]:
            kept = torch.cat([kept[1:], places[-1:]])
            off, self._foreseen = off[1:], True
        self._astray = self._astray + 1 if off[0] > ELSEWHERE else 0
        if self._astray == TWICE:
            kept, self._foreseen, self._astray = places, False, 0
        elif not self._foreseen and not self._astray:
            kept = torch.cat([kept[:1] + NEWEST * (places[:1] - kept[:1]), kept[1:]])
        self._kept = kept
        return kept
