"""Which numbers of a normalised state are a place and which are directions, and turning these."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from robowm.policy.turning import Triple, turn

UNIT, FLAT = 0.1, 0.5


class Directions(nn.Module):
    """The hand's place and the hand's axes in a state.

    Args:
        state_dim: S.
        places: columns of the state that are the hand's place, x, y and z, in metres.
        vectors: columns of every other vector in it.

    Attributes:
        mean, deviation: (S,), of the state, by which it is normalised.
        others: columns of neither.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, state_dim: int, places: Sequence[int], vectors: Sequence[Triple]) -> None:
        super().__init__()
        self.places: list[int] = list(places)
        self.vectors: list[Triple] = [(x, y, z) for x, y, z in vectors]
        taken = {*places, *(column for triple in vectors for column in triple)}
        self.others = [column for column in range(state_dim) if column not in taken]
        self.register_buffer("mean", torch.zeros(state_dim))
        self.register_buffer("deviation", torch.ones(state_dim))

    def axes(self) -> list[Triple]:
        """Vectors of length one, that which lies flattest first; none: nothing tells a heading."""
        square = self.mean.square() + self.deviation.square()
        unit = [t for t in self.vectors if abs(float(square[list(t)].sum()) - 1) < UNIT]
        flat: list[Triple] = sorted(unit, key=lambda t: -float(square[list(t[:2])].sum()))
        return flat if flat and float(square[list(flat[0][:2])].sum()) > FLAT else []

    def heading_rad(self, state: Tensor) -> Tensor:
        """Headings (...) of the flattest axis in states (..., S)."""
        x, y = (state[..., c] * self.deviation[c] + self.mean[c] for c in self.axes()[0][:2])
        return torch.atan2(y, x)

    def place_m(self, state: Tensor) -> Tensor:
        """The hand's places (..., 3) in states (..., S)."""
        return state[..., self.places] * self.deviation[self.places] + self.mean[self.places]

    def camera_in_metres(self, camera: Tensor) -> Tensor:
        """(B, 3, 4), of places in metres, from those of places in normalised units."""
        scale = 1 / self.deviation[self.places]
        moved = camera[..., 3] - camera[..., :3] @ (self.mean[self.places] * scale)
        return torch.cat([camera[..., :3] * scale, moved[..., None]], dim=-1)

    def turned(self, state: Tensor, heading_rad: Tensor) -> Tensor:
        """States (..., S) whose directions are of a hand that heads along x, and of these x and y
        in deviations, from 0: turned to headings (...), and normalised."""
        axes = self.axes()
        columns = [column for triple in axes for column in triple]
        upright = torch.zeros_like(self.mean)
        upright[[z for _, _, z in axes]] = 1  # heights stay, turned about the vertical
        own = turn(state * self.deviation + self.mean * upright, heading_rad, axes)
        state = state.clone()
        state[..., columns] = (own[..., columns] - self.mean[columns]) / self.deviation[columns]
        return state
