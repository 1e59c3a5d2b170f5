"""Demonstrations turned about the vertical, and mirrored: what an arm does does not depend on the
compass, nor on which side is left.

An arm that is told where its hand shall go, in x, y and z, acts alike whichever way it faces: turn
proprioception, goals and actions together and it is a demonstration still. So it is in a mirror,
where a hand's two fingers change places. 25 become as many as one likes. This holds for what is
seen by proprioception alone; pictures are not turned.
"""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from robowm.policy.eye import place_columns

ROTATION = r"rot|euler|angle|angular|axis|(^|[_.])r[xyz]$"

type Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Turning:
    """Which numbers of a state and of an action are vectors.

    Attributes:
        state, action: the columns of x, y and z of every vector.
        axes: of these in the state, axes of the hand.
        spins: of these in the action, rotations: they point along what is turned about.
    """

    state: tuple[Triple, ...]
    action: tuple[Triple, ...]
    axes: tuple[Triple, ...] = ()
    spins: tuple[Triple, ...] = ()

    @property
    def places(self) -> tuple[Triple, ...]:
        """Of the state's vectors those that are no axes: where the hand is."""
        return tuple(triple for triple in self.state if triple not in self.axes)

    @property
    def moves(self) -> tuple[Triple, ...]:
        """Of the action's vectors those that are no rotations."""
        return tuple(triple for triple in self.action if triple not in self.spins)

    @classmethod
    def of(cls, state: Sequence[str] | None, action: Sequence[str] | None) -> Self | None:
        """None unless every number but the last (the gripper) belongs to a vector.

        Joint angles and absolute Euler angles do not turn with the rest, so an arm that has them
        is not turned. Small changes of Euler angles do, to first order.
        """
        found = tuple(vectors(names or ()) for names in (state, action))
        for names, triples in zip((state, action), found, strict=True):
            covered = {column for triple in triples for column in triple}
            if not triples or covered != set(range(len(names or ()) - 1)):
                return None
        axes, spins = (
            tuple(t for t in triples if re.search(ROTATION, (names or ())[t[0]]))
            for names, triples in zip((state, action), found, strict=True)
        )
        return cls(found[0], found[1], axes, spins)

    def states(self, values: Tensor, angle_rad: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """States (B, ..., S) in the robot's units, each sample turned by its angle (B,).

        Args:
            values: the states.
            angle_rad: the angles.
            mirrored: bool (B,), which are mirrored (y becomes -y) before; None: none is. Of a
                hand's axes the second is that along which the fingers lie: a mirrored hand is one
                whose fingers have changed places, so it is turned back, and left is right again.
        """
        if mirrored is not None:
            signs = _signs(values.shape[-1], self.state)
            for column in self.axes[1] if len(self.axes) > 1 else ():
                signs[column] *= -1
            values = _where(mirrored, values * signs, values)
        return turn(values, angle_rad, self.state)

    def actions(self, values: Tensor, angle_rad: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """Actions (B, ..., A) in the robot's units, as `states`; a rotation goes the other way
        about in a mirror."""
        if mirrored is not None:
            signs = _signs(values.shape[-1], self.action)
            for column in (column for triple in self.spins for column in triple):
                signs[column] *= -1
            values = _where(mirrored, values * signs, values)
        return turn(values, angle_rad, self.action)


def _signs(count: int, triples: Sequence[Triple]) -> Tensor:
    signs = torch.ones(count)
    signs[[y for _, y, _ in triples]] = -1
    return signs


def _where(chosen: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(chosen.reshape(-1, *[1] * (one.ndim - 1)), one, other)


def vectors(names: Sequence[str]) -> tuple[Triple, ...]:
    """Columns whose names differ in nothing but one letter x, y, z: (hand_x, hand_y, hand_z)."""
    at = {name: column for column, name in enumerate(names)}
    found = []
    for name in names:
        for place in (i for i, letter in enumerate(name) if letter == "x"):
            trio = [name[:place] + axis + name[place + 1 :] for axis in "xyz"]
            if all(one in at for one in trio):
                found.append((at[trio[0]], at[trio[1]], at[trio[2]]))
                break
    return tuple(found)


def directions_of(names: Sequence[str] | None) -> list[list[int]]:
    """Columns of every vector but the hand's place, (x, y, z) each."""
    place = set(place_columns(names))
    return [list(triple) for triple in vectors(names or ()) if not place & set(triple)]


def any_angle(count: int) -> Tensor:
    """float32 (count,), evenly over the circle."""
    return (2 * torch.rand(count) - 1) * math.pi


def turn(values: Tensor, angle_rad: Tensor, triples: Sequence[Triple]) -> Tensor:
    """The vectors in values (B, ..., S) turned about the vertical by angles (B,) or (B, ...)."""
    missing = values.ndim - 1 - angle_rad.ndim
    angle_rad = angle_rad.reshape(*angle_rad.shape, *[1] * missing)
    sine, cosine = angle_rad.sin(), angle_rad.cos()
    turned = values.clone()
    for x, y, _ in triples:
        turned[..., x] = cosine * values[..., x] - sine * values[..., y]
        turned[..., y] = sine * values[..., x] + cosine * values[..., y]
    return turned
