"""The hand in a picture: where it is, and whether it is told to be open.

What proprioception says of an arm's own demonstrations, a video of that arm shows. A network that
has learnt it from a few demonstrations tells where the hand goes in video, and when it grips
(`robowm.train.seen_hands`). A few show few headings: so the hand is found first, and then looked at
closely, turned by any angle.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.nn.image import PATCH_PX, UNet, newest_and_changes
from robowm.nn.points import Points, map_loss, near_the_mode
from robowm.policy.turned_picture import around_rad, level_patches

CHANNELS, WIDTH = 32, 64
SIDE_PX, HALF = 32, 0.35  # of the close look, half of it in halves of the picture
TURNS, TAUGHT_TURNS = 8, 4
NARROW, DROPOUT = 24, 0.2
STRAY = 0.03  # in training the place is moved by so much, in halves of the picture


class HandFinder(nn.Module):
    """Frames to the hand in the last of them.

    Args:
        frames: T, frames that are looked at.
    """

    def __init__(self, frames: int) -> None:
        super().__init__()
        self.encoder = UNet(3 * frames, PATCH_PX, CHANNELS)
        self.points = Points(CHANNELS, WIDTH, 1)
        c = NARROW
        self.close = nn.Sequential(
            *(nn.Conv2d(3 * frames, c, 5, 2, 2), nn.SiLU()),
            *(nn.Conv2d(c, c, 3, 2, 1), nn.SiLU()),
            *(nn.Conv2d(c, c, 3, 1, 1), nn.SiLU(), nn.Flatten(), nn.Dropout(DROPOUT)),
            *(nn.Linear(c * (SIDE_PX // 4) ** 2, WIDTH), nn.SiLU(), nn.Dropout(DROPOUT)),
            nn.Linear(WIDTH, 1),
        )

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Where the hand is, float32 (B, 2), (x, y) from -1 to 1, and logits (B,) of its being told
        to be open, of frames (B, T, 3, S, S) in [0, 1], the one in question last."""
        pictures = newest_and_changes(frames)
        at = near_the_mode(self._map(pictures))[:, 0]
        turns_rad = around_rad(TURNS).expand(len(at), -1)
        return at, self._told(pictures, at, turns_rad).mean(1)

    def loss(self, frames: Tensor, places: Tensor, open_: Tensor) -> Tensor:
        """What it has to learn of demonstrations.

        Args:
            frames: (B, T, 3, S, S) in [0, 1].
            places: (B, 2), where the hand is in the last, (x, y) from -1 to 1.
            open_: float32 (B,), 1 where the gripper is told to be open, 0 where closed.
        """
        pictures = newest_and_changes(frames)
        near = places + STRAY * torch.randn_like(places)
        turns_rad = 2 * math.pi * torch.rand(len(frames), TAUGHT_TURNS)
        told = self._told(pictures, near, turns_rad)
        told_loss = F.binary_cross_entropy_with_logits(told, open_[:, None].expand_as(told))
        return map_loss(self._map(pictures), places[:, None]) + told_loss

    def _map(self, pictures: Tensor) -> Tensor:
        fine, _ = self.encoder(pictures)
        return self.points(fine, fine.new_zeros(len(pictures), WIDTH)).logits

    def _told(self, pictures: Tensor, at: Tensor, turns_rad: Tensor) -> Tensor:
        """Logits (B, K) of pictures (B, C, S, S), looked at from K turns."""
        flat = torch.cat([at, torch.zeros_like(at[:, :1])], dim=1)[:, None]
        straight = torch.tensor([[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]], device=at.device)
        seen = pictures, straight[None], None  # the picture's own plane
        cut = level_patches(flat, turns_rad[:, None], seen, SIDE_PX, HALF)
        return self.close(cut.flatten(0, 2)).float().unflatten(0, turns_rad.shape)[..., 0]
