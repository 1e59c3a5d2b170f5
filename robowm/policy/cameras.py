"""By which of a few cameras, each standing still, a picture was taken: known by its background."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.policy.standpoint import ALIKE, ROOM_PX, STILL, Standpoint, find

MOST = 8
GRID = 16  # cells a side: the looks of a room, not of what lies about
SAME = 0.5  # of the cells' usual distance from grey: a room differs from itself by less
FAR = 1e6


class Cameras(nn.Module):
    """Projections that were found from motion (`robowm.policy.eye`), each with a room's looks.

    Demonstrations of several tasks may be of several rooms, and one projection fitted to them all
    is right in none (docs/leads.md). Which one a picture is of needs no learning.

    Attributes:
        matrices: float32 (MOST, 3, 4), from a place in normalised units, and 1, to a point in the
            picture, (x, y) from -1 to 1, as homogeneous coordinates; zeros: not known.
        looks: float32 (MOST, GRID * GRID), see `looks_of`; of those not known infinitely far.
        rooms: uint8 (MOST, ROOM_PX, ROOM_PX, 3), what they show, by which it is noticed that one
            was knocked; black: not known.
    """

    matrices: Tensor
    looks: Tensor
    rooms: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("matrices", torch.zeros(MOST, 3, 4))
        self.register_buffer("looks", torch.full((MOST, GRID**2), torch.inf))
        self.register_buffer("rooms", torch.zeros(MOST, ROOM_PX, ROOM_PX, 3, dtype=torch.uint8))

    def know(self, matrices: Tensor, looks: Tensor, rooms: np.ndarray | None = None) -> None:
        """Take these (K, 3, 4), (K, GRID * GRID) and (K, ROOM_PX, ROOM_PX, 3), and no others, from
        now on."""
        self.matrices.zero_()
        self.looks.fill_(torch.inf)
        self.rooms.zero_()
        self.matrices[: len(matrices)] = matrices
        self.looks[: len(looks)] = looks
        if rooms is not None:
            self.rooms[: len(rooms)] = torch.from_numpy(rooms)

    @property
    def known(self) -> bool:
        """Whether there is one."""
        return bool(self.matrices.any())

    def standpoint(self, picture: np.ndarray) -> Standpoint:
        """How the camera of a picture (S, S, 3), float32 in [0, 1], stands to that of its room."""
        known = (self.rooms > 0).flatten(1).any(1)
        return standpoint(picture, self.looks[known].cpu(), [*self.rooms[known].cpu().numpy()])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Policies of before do not know what their rooms show."""
        state_dict.setdefault(f"{prefix}rooms", torch.zeros_like(self.rooms))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, 4), of each of pictures (B, 3, S, S) in [0, 1] the projection of its room, or of
        the one that is most like it."""
        return self.matrices[nearest(looks_of(pictures), self.looks)]


def standpoint(picture: np.ndarray, looks: Tensor, rooms: Sequence[np.ndarray]) -> Standpoint:
    """How the camera of a picture (S, S, 3), uint8 or float32 in [0, 1], stands to that of the
    first room (ROOM_PX, ROOM_PX, 3) that it is of, by their looks (K, P); `STILL` if of none."""
    small = picture / np.float32(255) if picture.dtype == np.uint8 else picture
    own = looks_of(torch.from_numpy(small).permute(2, 0, 1)[None])
    for k in apart(own, looks)[0].argsort().tolist():
        found = find(picture, rooms[k])
        if found.alike >= ALIKE:
            return found
    return STILL


def looks_of(pictures: Tensor) -> Tensor:
    """Coarse grey pictures (B, GRID * GRID) of like contrast, of pictures (B, 3, S, S)."""
    coarse = F.adaptive_avg_pool2d(pictures.float().mean(1, keepdim=True), GRID).flatten(1)
    away = coarse - coarse.median(1, keepdim=True).values
    return away / away.abs().mean(1, keepdim=True).clamp_min(1e-3)


def apart(looks: Tensor, others: Tensor) -> Tensor:
    """How far (B, P) are from (K, P), (B, K), whatever their brightness: by the median of their
    cells, of which things and an arm cover fewer than half."""
    away = looks[:, None] - others
    brighter = away.median(-1, keepdim=True).values
    return torch.where(others.isfinite().all(-1), (away - brighter).abs().median(-1).values, FAR)


def nearest(looks: Tensor, others: Tensor) -> Tensor:
    """int64 (B,), which of (K, P) each of (B, P) is most like."""
    return apart(looks, others).argmin(1)


def rooms(looks: Tensor) -> tuple[Tensor, Tensor]:
    """Which room each episode was filmed in.

    Args:
        looks: (E, P), of each.

    Returns:
        int64 (E,), and the rooms' own looks (K, P); a single one if more than MOST were found.
    """
    first: list[Tensor] = []
    for one in looks:
        if not first or apart(one[None], torch.stack(first)).min() > SAME:
            first.append(one)
    if len(first) > MOST:
        first = first[:1]
    room = nearest(looks, torch.stack(first))
    own = [looks[room == k].median(0).values for k in range(len(first))]
    return room, torch.stack(own)
