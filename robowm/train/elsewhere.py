"""What was taken, shown elsewhere: a few demonstrations do not show where a thing may lie.

In hindsight a demonstration has the outline of what it takes and, once that is gone, what was
behind it. So the thing can be cut out, the gap filled and the thing put down somewhere else, as in
"Simple Copy-Paste" (Ghiasi et al., 2021), where the demonstrations' eye says how far that is in the
picture and where the hand would be seen that takes it there. Such pictures teach where to look, as
video does, and no more: nobody has shown how an arm gets there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np
from torch import Tensor

from robowm.policy.eye import Eye
from robowm.train.astray import in_steps
from robowm.train.eyes import Eyes
from robowm.train.frames import Frames
from robowm.train.hindsight import PASSING_S, STILL, first_takings
from robowm.train.lowered import at_what_is_taken
from robowm.train.moving_parts import background
from robowm.train.rest import at_rest

FAR = 2.0  # standard deviations of where demonstrated hands are, on the level
TRIES = 8
WHOLE, FREE = 0.9, 0.9  # shares of its pixels: unhidden where it lies, and free where it shall lie


@dataclass(frozen=True)
class Thing:
    """What is taken first in an episode.

    Attributes:
        outline: bool (S, S).
        without: uint8 (S, S, 3), the room, without it.
        hidden: the row at which something begins to hide it.
        grip: (S,), proprioception of the hand that takes it.
        seen_by: an eye for the point of the hand at which it takes things.
        hand: an eye for that point which is taught.
    """

    outline: np.ndarray
    without: np.ndarray
    hidden: int
    grip: np.ndarray
    seen_by: Eye
    hand: Eye

    def moved(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """By how many pixels (2,) it is seen elsewhere, and where then the hand (2,), -1 to 1."""
        there, level = self.grip.copy(), list(self.hand.columns[:2])
        there[level] += FAR * self.hand.spread[:2] * rng.uniform(-1, 1, 2)
        way = self.seen_by.places(there) - self.seen_by.places(self.grip)
        return np.rint(way * len(self.outline) / 2).astype(int), self.hand.places(there)


@dataclass(frozen=True)
class Elsewhere:
    """The things of demonstrations, by their episode's first row."""

    frames: Frames
    things: dict[int, Thing]

    @classmethod
    def of(
        cls, frames: Frames, rows: np.ndarray, states: np.ndarray, eyes: Eyes, control_hz: float
    ) -> Self:
        """Look back on the demonstrations, rows (N,) of whole episodes, with states (., S)."""
        things, passing = {}, in_steps(PASSING_S, control_hz)
        for k, eye in enumerate(eyes.eyes):
            own = rows[eyes.room[rows] == k]
            if not eye.projects:
                continue
            thing = at_what_is_taken(eye, frames, states, own, control_hz)
            rest = at_rest(states[:, list(eye.columns)], frames.start, frames.end, control_hz)
            for start, key, part in first_takings(frames, own, eye.places(states), passing):
                grip = states[rest[start + key]]
                shown = np.asarray(frames.pixels[start : frames.end[start]])
                without = background(frames, start)
                without[part] = np.median(shown[key + passing :], axis=0)[part]
                same = np.abs(shown[:, part].astype(np.int16) - shown[0, part]).max(-1) < STILL
                hidden = start + int((same.mean(1) > WHOLE).argmin())
                things[start] = Thing(part, without, hidden, grip, thing, eye)
        return cls(frames, things)

    def put(
        self,
        rng: np.random.Generator,
        rows: np.ndarray,
        some: np.ndarray,
        pictures: Tensor,
        places: Tensor,
        outlines: Tensor,
    ) -> np.ndarray:
        """Show the things of `some` of N samples elsewhere, in place; bool (M,), of which.

        Args:
            rng: where the numbers come from.
            rows: (N,), the present steps.
            some: int64 (M,), which samples.
            pictures: float32 (N, T, 3, S, S) in [0, 1], the present one the last.
            places: float32 (N, G, 2), where the hand will be seen, from -1 to 1.
            outlines: float32 (N, S, S), of what will be taken.
        """
        put = np.zeros(len(some), bool)
        for number, i in enumerate(some):
            row = rows[i]
            thing = self.things.get(int(self.frames.start[row]))
            if thing is None or row >= thing.hidden:
                continue
            now = np.asarray(self.frames.pixels[row]).astype(np.int16)
            free = np.abs(now - thing.without).max(-1) < STILL
            for _ in range(TRIES):
                by, hand = thing.moved(rng)
                lies = _shifted(thing.outline, by)
                if lies is None or free[lies].mean() < FREE:
                    continue
                _paste(pictures[i].numpy(), thing, by)
                places[i, 0] = places.new_tensor(hand)
                outlines[i] = outlines.new_tensor(lies)
                put[number] = True
                break
        return put


def _shifted(outline: np.ndarray, by: Sequence[int] | np.ndarray) -> np.ndarray | None:
    """An outline, bool (S, S), so many pixels further, (x, y); None: it would leave the picture."""
    at, size = np.argwhere(outline) + np.asarray(by)[::-1], len(outline)
    if at.min() < 1 or at.max() > size - 2:
        return None
    found = np.zeros_like(outline)
    found[at[:, 0], at[:, 1]] = True
    return found


def _paste(pictures: np.ndarray, thing: Thing, by: np.ndarray) -> None:
    """Move a thing in pictures (T, 3, S, S), in place."""
    soft = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], np.float32) / 16
    part = thing.outline.astype(np.float32)
    cut = cv2.filter2D(cv2.dilate(part, np.ones((3, 3))), -1, soft)
    kept = cv2.filter2D(part, -1, soft)
    without = thing.without.transpose(2, 0, 1) / np.float32(255)
    for picture in pictures:
        there = np.roll(picture, (by[1], by[0]), (1, 2))
        share = np.roll(kept, (by[1], by[0]), (0, 1))
        gone = picture + cut * (without - picture)
        picture[:] = gone + share * (there - gone)
