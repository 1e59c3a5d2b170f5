"""The hand in a picture: where it is, how it is, and whether it is told to be open.

What proprioception says of an arm's own demonstrations, a video of that arm shows. A network that
has learnt it from a few demonstrations gives video a state (`robowm.train.seen_hands`). A few show
few headings: so the hand is found first, and then looked at from above, turned by any angle
(`robowm.policy.turned_picture.level_patches`), and how it is turned is told from there.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.nn.image import PATCH_PX, UNet, newest_and_changes
from robowm.nn.points import Points, map_loss
from robowm.policy.directions import Directions
from robowm.policy.ray import along_the_ray
from robowm.policy.turned_picture import around_rad, heading_nats, level_patches
from robowm.policy.turning import Triple

CHANNELS, WIDTH = 32, 128
SIDE_PX, HALF_M = 32, 0.1  # of the look from above: a hand, and not only its fingers
HEADINGS, TURNS, FEW_TURNS = 24, 8, 2  # TURNS divides HEADINGS
TAUGHT_TURNS = 4
NARROW, DROPOUT = 24, 0.2
STRAY_PX, STRAY_M = 0.03, 0.02  # in training: the place, in halves of the picture, and its height


@dataclass(frozen=True)
class SeenHand:
    """What is seen of the hand in B pictures.

    Attributes:
        state: float32 (B, S), proprioception, normalised; of the directions see
            `robowm.policy.directions.Directions.turned`.
        open_logit: float32 (B,), of the gripper's being told to be open.
        heading_logits: float32 (B, K), of directions evenly over the circle, from 0.
    """

    state: Tensor
    open_logit: Tensor
    heading_logits: Tensor


class HandFinder(nn.Module):
    """Frames to the hand in the last of them.

    Args:
        frames: T, frames that are looked at.
        places: columns of the state that are the hand's place, x, y and z.
        vectors: columns of every other vector in it.
        stats: mean and deviation (S,) of the state, by which it is normalised.
        camera: (3, 4), see `robowm.policy.goal_reader.GoalReader.camera`.
    """

    camera: Tensor

    def __init__(
        self,
        frames: int,
        places: Sequence[int],
        vectors: Sequence[Triple],
        stats: tuple[Tensor, Tensor],
        camera: Tensor,
    ) -> None:
        super().__init__()
        state_dim = len(stats[0])
        self.encoder = UNet(3 * frames, PATCH_PX, CHANNELS)
        self.points = Points(CHANNELS, WIDTH, 1)
        self.register_buffer("camera", camera)
        self.directions = Directions(state_dim, places, vectors)
        self.directions.mean.copy_(stats[0])
        self.directions.deviation.copy_(stats[1])
        c = NARROW
        self.above = nn.Sequential(
            *(nn.Conv2d(3 * frames, c, 5, 2, 2), nn.SiLU()),
            *(nn.Conv2d(c, c, 3, 2, 1), nn.SiLU()),
            *(nn.Conv2d(c, c, 3, 1, 1), nn.SiLU(), nn.Flatten(), nn.Dropout(DROPOUT)),
            *(nn.Linear(c * (SIDE_PX // 4) ** 2, WIDTH), nn.SiLU(), nn.Dropout(DROPOUT)),
            nn.Linear(WIDTH, HEADINGS + state_dim + 1),
        )
        self.aside_m = nn.Parameter(torch.zeros(2))

    def forward(self, frames: Tensor) -> SeenHand:
        """Look at frames (B, T, 3, S, S) in [0, 1], the one in question last."""
        pictures = newest_and_changes(frames)
        at = self._find(pictures)[0]
        height = at.new_zeros(len(at))
        for turns in (FEW_TURNS, TURNS):  # how high it is says how large it is seen
            turns_rad = around_rad(turns).expand(len(at), -1)
            headings, state, open_logit = self._from_above(pictures, at, None, height, turns_rad)
            height = state.mean(1)[:, self.directions.places[2]]
        bins = HEADINGS // TURNS
        agreed = [headings[:, k].roll(k * bins, dims=-1) for k in range(TURNS)]
        mean = state.mean(1)
        mean[:, self.directions.places[:2]] = along_the_ray(self.camera, at, height)
        return SeenHand(mean, open_logit.mean(1), torch.stack(agreed).mean(0))

    def loss(
        self, frames: Tensor, moved: Tensor, state: Tensor, open_: Tensor, places: Tensor
    ) -> Tensor:
        """What it has to learn of demonstrations.

        Args:
            frames: (B, T, 3, S, S) in [0, 1].
            moved: (B, 2), by how much these were moved, in the units of places.
            state: (B, S), normalised proprioception.
            open_: float32 (B,), 1 where the gripper is told to be open, 0 where closed.
            places: (B, 1, 2), where the hand is in these frames, (x, y) from -1 to 1.
        """
        pictures = newest_and_changes(frames)
        loss = map_loss(self._find(pictures)[1], places)
        near = places[:, 0] - moved + STRAY_PX * torch.randn_like(moved)
        deviation_m = self.directions.deviation[self.directions.places[2]]
        height = state[:, self.directions.places[2]]
        height = height + STRAY_M / deviation_m * torch.randn_like(height)
        turns_rad = 2 * math.pi * torch.rand(len(frames), TAUGHT_TURNS)
        headings, told, open_logit = self._from_above(pictures, near, moved, height, turns_rad)
        state = state[:, None].expand_as(told)
        if self.directions.axes():
            heading_rad = self.directions.heading_rad(state)
            told = self.directions.turned(told, heading_rad)
            grid_rad = around_rad(HEADINGS).expand_as(headings)
            loss = loss + heading_nats(headings, grid_rad, heading_rad - turns_rad)
        kept = [c for c in range(state.shape[-1]) if c not in self.directions.places[:2]]
        loss = loss + (told[..., kept] - state[..., kept]).abs().mean()
        open_ = open_[:, None].expand_as(open_logit)
        return loss + F.binary_cross_entropy_with_logits(open_logit, open_)

    def _find(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Where the hand is, (B, 2) from -1 to 1, and the map (B, 1, h, w) of that."""
        fine, _ = self.encoder(pictures)
        found = self.points(fine, fine.new_zeros(len(pictures), WIDTH))
        return found.places[:, 0].float(), found.logits

    def _from_above(
        self,
        pictures: Tensor,
        at: Tensor,
        moved: Tensor | None,
        height: Tensor,
        turns_rad: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Logits of headings from each turn (B, K) on, states and logits of open, (B, K, ...).

        Args:
            pictures: (B, C, S, S).
            at: (B, 2), where the hand would be had they not been moved.
            moved: (B, 2), see `loss`.
            height: (B,), the hand's, normalised.
            turns_rad: (B, K).
        """
        place = torch.cat([along_the_ray(self.camera, at, height), height[:, None]], dim=1)
        mean, deviation = (
            s[self.directions.places] for s in (self.directions.mean, self.directions.deviation)
        )
        seen = (pictures, self.directions.camera_in_metres(self.camera), moved)
        at_m = (place * deviation + mean)[:, None]
        cut = level_patches(at_m, turns_rad[:, None], seen, self.aside_m, SIDE_PX, HALF_M)
        told = self.above(cut.flatten(0, 2)).float().unflatten(0, turns_rad.shape)
        headings, state, open_logit = told.split([HEADINGS, told.shape[-1] - HEADINGS - 1, 1], -1)
        return headings, state, open_logit[..., 0]
