"""What a running episode has led to, of which its last picture says little."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from robowm.policy.standpoint import Standpoint

LEFT_S = 1.5  # after the command a gripper has shut, and the hand has left
MOST_LOOKS = 64  # an arm may wait for hours, and what it waits for may be moved meanwhile


@dataclass
class SoFar:
    """One episode so far.

    Attributes:
        told: what the gripper was told last, normalised; None: nothing yet.
        shut_steps: for how many steps it has now been told to be shut.
        gripped: whether it has been, and not in vain.
        released: whether it has been told to let go of something.
        looks: of the last looks since the gripper was told something else, where the hand's goals
            were seen, (G, 3), normalised.
        stands: how the camera stands to where it stood; None: not looked for yet.
    """

    told: float | None = None
    shut_steps: int = 0
    gripped: bool = False
    released: bool = False
    looks: deque[Tensor] = field(default_factory=lambda: deque(maxlen=MOST_LOOKS))
    stands: Standpoint | None = None

    def tell(self, gripper: Sequence[float], closes_upwards: bool) -> None:
        """The gripper is told all these, one after another."""
        for command in gripper:
            shut, was_shut = (command > 0) == closes_upwards, self.shut_steps > 0
            self.released |= was_shut and not shut
            self.gripped |= shut
            self.told, self.shut_steps = command, self.shut_steps + 1 if shut else 0
            if shut != was_shut:
                self.looks.clear()

    def feel(self, gripper: float, empty: float, open_: float, control_hz: float) -> None:
        """Notice that nothing is held: then it is as if it had never been told to shut.

        Not before it has had the time to shut, and to leave: where it gripped it would grip again.

        Args:
            gripper: how wide it is, normalised.
            empty: what it passes, shutting, only when it holds nothing.
            open_: how wide it is when open.
            control_hz: steps a second.
        """
        if self.shut_steps >= LEFT_S * control_hz and (gripper - empty) * (empty - open_) > 0:
            # as at first, so that to open is no change for which a chunk is followed to its end
            self.told, self.shut_steps, self.gripped = None, 0, False
            self.looks.clear()


def remember(goals: Tensor, place: Sequence[int], so_far: Sequence[SoFar]) -> Tensor:
    """Goals (B, G, S), with their place, columns of S, the median of the looks at them since the
    gripper was told something else.

    A hand that is near what it goes for covers it, and a goal that is seen anew at each step then
    goes along with the hand. What is remembered was seen when it lay in the open; a grip ends it,
    so what was missed is looked for anew.
    """
    columns, goals = list(place), goals.clone()
    for goal, episode in zip(goals, so_far, strict=True):
        episode.looks.append(goal[:, columns])
        goal[:, columns] = torch.stack(tuple(episode.looks)).quantile(0.5, dim=0)
    return goals
