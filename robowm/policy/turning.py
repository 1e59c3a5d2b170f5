"""Demonstrations turned about the vertical: what an arm does does not depend on the compass.

An arm that is told where its hand shall go, in x, y and z, acts alike whichever way it faces: turn
proprioception, goals and actions together and it is a demonstration still. 25 become as many as one
likes. This holds for what is seen by proprioception alone; pictures are not turned.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from robowm.policy.eye import place_columns

type Triple = tuple[int, int, int]


@dataclass(frozen=True)
class Turning:
    """Which numbers of a state and of an action are vectors.

    Attributes:
        state, action: the columns of x, y and z of every vector.
    """

    state: tuple[Triple, ...]
    action: tuple[Triple, ...]

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
        return cls(*found)

    def states(self, values: Tensor, angle_rad: Tensor) -> Tensor:
        """States (B, ..., S) in the robot's units, each sample turned by its angle (B,)."""
        return turn(values, angle_rad, self.state)

    def actions(self, values: Tensor, angle_rad: Tensor) -> Tensor:
        """Actions (B, ..., A) in the robot's units, each sample turned by its angle (B,)."""
        return turn(values, angle_rad, self.action)


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
