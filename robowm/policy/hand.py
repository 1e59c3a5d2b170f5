"""The hand in a picture: where it is, how it is, and whether it is told to be open.

What proprioception says of an arm's own demonstrations, a video of that arm shows. A network that
has learnt it from a few demonstrations gives video a state (`robowm.train.seen_hands`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional as F

from robowm.nn.image import PATCH_PX, UNet, newest_and_changes
from robowm.nn.points import Points, map_loss
from robowm.policy.ray import along_the_ray

CHANNELS, WIDTH = 32, 128


@dataclass(frozen=True)
class SeenHand:
    """What is seen of the hand in B pictures.

    Attributes:
        state: float32 (B, S), proprioception, normalised.
        open_logit: float32 (B,), of the gripper's being told to be open.
        logits: float32 (B, 1, h, w), where the hand is.
        places: float32 (B, 1, 2), the middle of that, (x, y) from -1 to 1.
    """

    state: Tensor
    open_logit: Tensor
    logits: Tensor
    places: Tensor


class HandFinder(nn.Module):
    """Frames to the hand in the newest.

    Args:
        frames: T, frames that are looked at.
        state_dim: S.
        places: columns of the state that are the hand's place, x, y and z.
        camera: (3, 4), see `robowm.policy.goal_reader.GoalReader.camera`.
    """

    camera: Tensor

    def __init__(self, frames: int, state_dim: int, places: Sequence[int], camera: Tensor) -> None:
        super().__init__()
        self.places = tuple(places)
        self.encoder = UNet(3 * frames, PATCH_PX, CHANNELS)
        self.points = Points(CHANNELS, WIDTH, 1)
        self.register_buffer("camera", camera)
        self.state = nn.Sequential(
            nn.Linear(WIDTH, WIDTH), nn.SiLU(), nn.Linear(WIDTH, state_dim + 1)
        )

    def forward(self, frames: Tensor, moved: Tensor | None = None) -> SeenHand:
        """Look at frames (B, T, 3, S, S) in [0, 1], oldest first.

        Args:
            frames: the frames.
            moved: (B, 2), by how much they were moved, in the units of places; None: not.
        """
        fine, _ = self.encoder(newest_and_changes(frames))
        found = self.points(fine, fine.new_zeros(len(frames), WIDTH))
        told = self.state(found.what[:, 0]).float()
        at = found.places[:, 0] if moved is None else found.places[:, 0] - moved
        state = told[:, :-1].clone()
        height = told[:, self.places[2]]
        state[:, self.places[:2]] = along_the_ray(self.camera, at.float().detach(), height)
        return SeenHand(state, told[:, -1], found.logits, found.places)

    def loss(
        self, frames: Tensor, moved: Tensor, state: Tensor, open_: Tensor, places: Tensor
    ) -> Tensor:
        """What it has to learn of demonstrations.

        Args:
            frames: (B, T, 3, S, S) in [0, 1].
            moved: (B, 2), by how much these were moved.
            state: (B, S), normalised proprioception.
            open_: float32 (B,), 1 where the gripper is told to be open, 0 where closed.
            places: (B, 1, 2), where the hand is in these frames; NaN: not known.
        """
        seen = self(frames, moved)
        kept = [c for c in range(state.shape[1]) if c not in self.places[:2]]
        off = (seen.state[:, kept] - state[:, kept]).abs().mean()
        told = F.binary_cross_entropy_with_logits(seen.open_logit, open_)
        return map_loss(seen.logits, places) + off + told
