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
        self._was_open = False
        self._astray = torch.zeros(0)

    def steadied(self, places: Tensor, open_: bool) -> Tensor:
        """What to act on, given what is foretold now.

        What the hand goes for is a running mean. What comes after is taken from the first look,
        and still is when its turn has come, which is when the gripper has closed; when it opens,
        all begins anew. A place that is seen elsewhere twice running was moved.

        Args:
            places: float32 (G, 3), foretold, normalised.
            open_: whether the gripper is open.
        """
        if self._kept is None or (open_ and not self._was_open):
            self._begin(places)
        elif self._was_open and not open_:
            self._kept = torch.cat([self._kept[1:], places[-1:]])
            self._astray = torch.cat([self._astray[1:], torch.zeros(1)])
            self._foreseen = len(places) > 1
        self._was_open = open_
        kept = self._kept
        assert kept is not None
        self._astray = torch.where(
            (places - kept).norm(dim=1).cpu() > ELSEWHERE, self._astray + 1, 0.0
        )
        moved = self._astray >= TWICE
        if moved[0]:
            self._foreseen = False
        kept = torch.where(moved.to(kept.device)[:, None], places, kept)
        if not self._foreseen and not moved[0]:
            kept = torch.cat([kept[:1] + NEWEST * (places[:1] - kept[:1]), kept[1:]])
        self._kept = kept
        return kept

    def _begin(self, places: Tensor) -> None:
        self._kept, self._foreseen = places, False
        self._astray = torch.zeros(len(places))
