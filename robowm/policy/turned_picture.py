"""Which way something faces, found by turning the picture about it.

A picture of a few centimetres of a level plane, as if from above, is taken about a place in each of
K directions, and one small network says of each how well it fits (as Zeng et al., "Transporter
Networks: Rearranging the Visual World for Robotic Manipulation", 2020, find the turn of a
placement). What it learns of one direction it so knows of all; asked for the answer itself, a
network learnt 25 demonstrations by heart (docs/leads.md). The camera was found from motion
(`robowm.policy.eye`); nothing is calibrated.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.policy.ray import seen_at

DIRECTIONS = 24
PATCH_PX, HALF_M = 24, 0.06
CHANNELS, HIDDEN, DROPOUT = 24, 64, 0.1
STRAY_M = 0.01  # in training the place is moved by so much: it is not found more finely either
SHARPNESS = 30.0  # of the wanted distribution: 10 degrees
NEAR_RAD = 0.4
WAVES = (1, 2)  # periods in a circle
ENDS_NATS = 1.5

type Seen = tuple[Tensor, Tensor, Tensor | None]
"""A picture (B, C, S, S) in [0, 1]; its camera (B, 3, 4), or one of all (1, 3, 4), from metres to
the picture, homogeneous; and by how much the picture was moved, (B, 2) in units of half its side,
or None."""


class TurnedPicture(nn.Module):
    """Places in a picture to how well each of K directions fits what is seen there.

    Args:
        known: F, numbers of what else is known.
        asked: the first numbers of these, which say what was asked for.

    Attributes:
        aside_m: (2,). A camera found from motion follows some point of the hand. What tells how
            it is, or will be, turned is seen this much aside of it, on the plane. Of what is
            outlined the middle is known, and nothing has to be learnt; where this is not right it
            gives away how a patch is turned, in the room.
    """

    def __init__(self, known: int, asked: int) -> None:
        super().__init__()
        c = CHANNELS
        self.seen = nn.Sequential(
            *(nn.Conv2d(4, c, 5, 2, 2), nn.SiLU()),
            *(nn.Conv2d(c, c, 3, 2, 1), nn.SiLU()),
            *(nn.Conv2d(c, c, 3, 1, 1), nn.SiLU()),
            nn.Flatten(),
        )
        count = c * (PATCH_PX // 4) ** 2 + known
        self.fits = nn.Sequential(
            *(nn.Dropout(DROPOUT), nn.Linear(count, HIDDEN), nn.SiLU(), nn.Linear(HIDDEN, 1))
        )
        # of opposite directions that look alike the demonstrations may always take the same
        self.habit = nn.Linear(asked, 2 * len(WAVES))
        nn.init.zeros_(self.habit.weight)
        nn.init.zeros_(self.habit.bias)
        self.aside_m = nn.Parameter(torch.zeros(2))

    def forward(
        self, at_m: Tensor, known: Tensor, seen: Seen, outlined: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits (B, G, K), and the directions (B, G, K) they are of, radians.

        Args:
            at_m: (B, G, 3), places.
            known: (B, G, F).
            seen: see `Seen`; the picture's fourth channel is an outline.
            outlined: bool (B, G), where nothing but what is outlined is looked at: the grain of a
                table would give away how it is turned.
        """
        at_m = torch.cat([at_m[..., :2] + self.aside_m * ~outlined[..., None], at_m[..., 2:]], -1)
        begin = torch.zeros_like(at_m[..., :1])
        if self.training:
            at_m, begin = at_m + STRAY_M * torch.randn_like(at_m), torch.rand_like(begin)
        step_rad = 2 * math.pi / DIRECTIONS
        angle_rad = begin * step_rad + around_rad(DIRECTIONS).to(at_m.device)
        patches = level_patches(at_m, angle_rad, seen)
        inside = patches[..., 3:, :, :] * outlined[..., None, None, None, None]
        alone = torch.where(outlined[..., None, None, None, None], inside, 1.0)
        patches = torch.cat([patches[..., :3, :, :] * alone, inside], dim=-3)
        if self.training:  # mirrored, what fits still does
            mirror = torch.rand_like(begin)[..., None, None, None] < 0.5
            patches = torch.where(mirror, patches.flip(-2), patches)
        found = self.seen(patches.flatten(0, 2)).unflatten(0, angle_rad.shape)
        told = known[:, :, None].expand(-1, -1, DIRECTIONS, -1)
        fits = self.fits(torch.cat([found, told.to(found.dtype)], dim=-1))[..., 0].float()
        # what is outlined is gripped as well from the other side: few demonstrations would have the
        # looks of an end tell from which
        either = (fits + fits.roll(DIRECTIONS // 2, dims=-1)) / 2
        fits = torch.where(outlined[..., None], either, fits)
        waves = [wave(k * angle_rad) for k in WAVES for wave in (torch.cos, torch.sin)]
        usual = self.habit(known[..., : self.habit.in_features])
        usual = torch.where(outlined[..., None], between_ends(usual), usual)
        habit = (usual[:, :, None].float() * torch.stack(waves, dim=-1)).sum(-1)
        return fits + habit, angle_rad


def level_patches(
    at_m: Tensor,
    angle_rad: Tensor,
    seen: Seen,
    side_px: int = PATCH_PX,
    half_m: float = HALF_M,
) -> Tensor:
    """What is seen level with places, as if from above: (B, G, K, C, side_px, side_px).

    The x axis of a patch lies along its direction.

    Args:
        at_m: (B, G, 3), places.
        angle_rad: (B, G, K), directions.
        seen: see `Seen`; the picture may have any number of channels.
        side_px: pixels of a patch's side.
        half_m: half the side of a patch.
    """
    picture, camera, moved = seen
    line = half_m * ((torch.arange(side_px, device=at_m.device) + 0.5) * 2 / side_px - 1)
    y, x = torch.meshgrid(line, line, indexing="ij")
    sine, cosine = angle_rad.sin()[..., None, None], angle_rad.cos()[..., None, None]
    height_m = at_m[..., 2, None, None, None]
    right = at_m[..., 0, None, None, None] + cosine * x - sine * y
    up = at_m[..., 1, None, None, None] + sine * x + cosine * y
    place_m = torch.stack([right, up, height_m.expand_as(right)], dim=-1)
    where = seen_at(camera, place_m.flatten(1, -2))
    if moved is not None:
        where = where + moved[:, None]
    where = where.unflatten(1, (-1, side_px))
    cut = F.grid_sample(picture.float(), where, padding_mode="border", align_corners=False)
    return cut.unflatten(2, (*angle_rad.shape[1:], side_px)).permute(0, 2, 3, 1, 4, 5)


def between_ends(weights: Tensor) -> Tensor:
    """Weights (..., 2 * W) of W waves about the circle, or (..., W), such that they choose between
    two ends and no more: the first wave only, at most ENDS_NATS.

    What is outlined tells along which line the hand will lie. One demonstration is explained as
    well by the direction that it had in the room, which would be all that is learnt.
    """
    first = weights.clone()
    first[..., weights.shape[-1] // len(WAVES) :] = 0
    length = first.norm(dim=-1, keepdim=True)
    return first * ENDS_NATS / (1 + length.square()).sqrt()


def around_rad(count: int) -> Tensor:
    """Directions (count,), evenly over the circle, from 0."""
    return torch.arange(count) * 2 * math.pi / count


def heading_nats(logits: Tensor, angle_rad: Tensor, true_rad: Tensor) -> Tensor:
    """Mean cross-entropy of directions (..., K) with a blur about the true ones (...)."""
    wanted = (SHARPNESS * (angle_rad - true_rad[..., None]).cos()).softmax(-1)
    return -(wanted * logits.log_softmax(-1)).sum(-1).mean()


def read(logits: Tensor, angle_rad: Tensor) -> Tensor:
    """The likeliest of directions (..., K), between the K: the mean of those near it, radians."""
    best = angle_rad.gather(-1, logits.argmax(-1, keepdim=True))
    away = torch.remainder(angle_rad - best + math.pi, 2 * math.pi) - math.pi
    weights = logits.softmax(-1) * (away.abs() < NEAR_RAD)
    return best[..., 0] + (weights * away).sum(-1) / weights.sum(-1)
