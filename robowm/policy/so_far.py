"""What a running episode has led to, of which its last picture says little."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class SoFar:
    """One episode so far.

    Attributes:
        told: what the gripper was told last, normalised; None: nothing yet.
        shut: whether it is told to be shut.
        gripped: whether it has ever been.
        released: whether it has then been told to let go.
        looks: of each look since the gripper was last told to open, where the hand's goals were
            seen, (G, 3), normalised; none while it is shut.
    """

    told: float | None = None
    shut: bool = False
    gripped: bool = False
    released: bool = False
    looks: list[Tensor] = field(default_factory=list)

    def tell(self, gripper: Sequence[float], closes_upwards: bool) -> None:
        """The gripper is told all these, one after another."""
        for command in gripper:
            shut = (command > 0) == closes_upwards
            self.released |= self.shut and not shut
            self.gripped |= shut
            self.told, self.shut = command, shut
            if shut:
                self.looks.clear()


def remember(goals: Tensor, place: Sequence[int], so_far: Sequence[SoFar]) -> Tensor:
    """Goals (B, G, S), with their place, columns of S, the median of all looks at them, where
    nothing is held.

    A hand that is near what it goes for covers it, and a goal that is seen anew at each step then
    goes along with the hand. What is remembered was seen when it lay in the open; a grip ends it,
    so what was missed is looked for anew. Where to carry something is seen anew at each step: that
    remembered, too, was worse (docs/leads.md).
    """
    columns, goals = list(place), goals.clone()
    for goal, episode in zip(goals, so_far, strict=True):
        if not episode.shut:
            episode.looks.append(goal[:, columns])
            goal[:, columns] = torch.stack(episode.looks).quantile(0.5, dim=0)
    return goals
