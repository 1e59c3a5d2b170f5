"""By which of a few cameras, each standing still, a picture was taken: known by its background."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

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
    """

    matrices: Tensor
    looks: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("matrices", torch.zeros(MOST, 3, 4))
        self.register_buffer("looks", torch.full((MOST, GRID**2), torch.inf))

    def know(self, matrices: Tensor, looks: Tensor) -> None:
        """Take these (K, 3, 4) and (K, GRID * GRID), and no others, from now on."""
        self.matrices.zero_()
        self.looks.fill_(torch.inf)
        self.matrices[: len(matrices)] = matrices
        self.looks[: len(looks)] = looks

    @property
    def known(self) -> bool:
        """Whether there is one."""
        return bool(self.matrices.any())

    def forward(self, pictures: Tensor) -> Tensor:
        """(B, 3, 4), of each of pictures (B, 3, S, S) in [0, 1] the projection of its room, or of
        the one that is most like it."""
        return self.matrices[nearest(looks_of(pictures), self.looks)]


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
