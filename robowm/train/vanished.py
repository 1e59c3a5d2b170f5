"""What lay in the picture and was gone afterwards, whoever took it: a hand need not be known.

`robowm.train.hindsight` outlines what a hand took, given where the hand was and when it gripped. In
video of another arm neither is seen well: a network that three demonstrations of one arm taught
sees the others' hands some centimetres beside, and grip seconds too early. But what is taken looks
alike whoever takes it, and leaves the same gap.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np

from robowm.train.astray import in_steps
from robowm.train.frames import Frames
from robowm.train.hindsight import (
    CLEAR,
    EARLY,
    GONE,
    PASSING_S,
    STAYED,
    STILL,
    centre,
    first_takings,
    in_parts,
    without_specks,
)

END = 0.25  # of an episode: how it looks at last
SETTLED = 0.8  # share of the frames afterwards in which it looks as at last
ALIKE = 2.5  # times as large, or as small, as what was demonstrated
UNLIKE = 32.0  # of 255: so much another colour counts as much as e times the size


@dataclass(frozen=True)
class Gap:
    """Where something lay.

    Attributes:
        outline: bool (S, S).
        until: the last frame at which it looks as at first; a moment later a hand is before it.
    """

    outline: np.ndarray
    until: int

    @property
    def centre(self) -> np.ndarray:
        """(2,), (x, y) from -1 to 1."""
        return centre(self.outline)


def gaps(pictures: np.ndarray, passing: int) -> Iterator[Gap]:
    """All that may have been taken in an episode, uint8 (T, S, S, 3), under a camera at rest.

    An arm leaves gaps, too, where it was at first and where it is at last: so what is yielded has
    lain there for a while, and its place has looked as at last for a while.

    Args:
        pictures: of one episode.
        passing: frames in which a hand may be before it.
    """
    count = len(pictures)
    shown = pictures.astype(np.int16)
    last = np.median(shown[round((1 - END) * count) :], axis=0)
    off = np.abs(shown - shown[0]).max(-1)
    as_first, as_last = off < STILL, np.abs(shown - last).max(-1) < STILL
    lasting = np.abs(last - shown[0]).max(-1) > CLEAR
    same, gone, there = (
        np.cumsum(which, axis=0, dtype=np.int32) for which in (as_first, off > STILL, as_last)
    )
    for moment in range(passing, count - passing - 2, max(1, passing // 3)):
        since = moment + passing
        stayed = (same[moment - 1] >= STAYED * moment) & (there[moment - 1] <= EARLY * moment)
        left = gone[-1] - gone[since - 1] > GONE * (count - since)
        for part in in_parts(without_specks(lasting & stayed & left)):
            until = last_seen(as_first[:since, part])
            settled = (as_last[since:, part].mean(1) > 0.5).mean() >= SETTLED
            if until >= passing and settled:
                yield Gap(part, until)


def last_seen(as_first: np.ndarray) -> int:
    """The last frame at which most of a thing's P pixels look as at first, bool (T, P)."""
    return int(np.flatnonzero(as_first.mean(1) > 0.5).max(initial=0))


@dataclass(frozen=True)
class Taking:
    """How something is taken in demonstrations of one instruction, on the average.

    Attributes:
        area: of what is taken, share of the picture.
        colour: (3,), its own, of 255.
        offset: (2,), where the hand comes to rest, from the gap's centre, in units of `Gap.centre`.
        lag: frames from the gap's `until` to the command to grip.
    """

    area: float
    colour: np.ndarray
    offset: np.ndarray
    lag: float


@dataclass(frozen=True)
class Takings:
    """How things are taken, by instruction; only those that are begun with an open gripper."""

    by_task: dict[int, Taking]
    control_hz: float

    @property
    def passing(self) -> int:
        """Frames in which a hand is before what it takes."""
        return in_steps(PASSING_S, self.control_hz)

    @classmethod
    def of(
        cls,
        frames: Frames,
        rows: np.ndarray,
        places: np.ndarray,
        rest: np.ndarray,
        control_hz: float,
    ) -> Self:
        """Look at demonstrations.

        Args:
            frames: with a column `action`, whose last number is the gripper's.
            rows: theirs.
            places: (., 2), where the hand is in every frame, from -1 to 1.
            rest: int64 (.,), the row at which it rests, a moment after each.
            control_hz: frames a second.
        """
        self = cls({}, control_hz)
        found: dict[int, list[tuple[float, np.ndarray, np.ndarray, int]]] = {}
        for start, key, part in first_takings(frames, rows, places, self.passing):
            pictures = np.asarray(frames.pixels[start : frames.end[start]])
            changed = np.abs(pictures.astype(np.int16) - pictures[0])[:, part].max(-1)
            gap = Gap(part, last_seen(changed[: key + self.passing] < STILL))
            off = places[rest[start + key]] - gap.centre
            facts = part.mean(), pictures[0][part].mean(0), off, key - gap.until
            found.setdefault(int(frames.task[start]), []).append(facts)
        for task, some in found.items():
            area, colour, offset, lag = zip(*some, strict=True)
            self.by_task[task] = Taking(
                float(np.exp(np.log(area).mean())),
                np.mean(colour, axis=0),
                np.mean(offset, axis=0),
                float(np.mean(lag)),
            )
        return self

    def seen(self, pictures: np.ndarray, task: int) -> tuple[int, np.ndarray] | None:
        """When the gripper is told to close in an episode (T, S, S, 3) of video, and where its hand
        then comes to rest (2,), from -1 to 1; None: nothing like what was demonstrated is taken."""
        if task not in self.by_task:
            return None
        taking, best, chosen = self.by_task[task], np.inf, None
        for gap in gaps(pictures, self.passing):
            unlike = abs(np.log(gap.outline.mean() / taking.area))
            if unlike < np.log(ALIKE):
                colour = pictures[0][gap.outline].mean(0)
                unlike += np.abs(colour - taking.colour).max() / UNLIKE
                if unlike < best:
                    best, chosen = unlike, gap
        if chosen is None:
            return None
        moment = round(chosen.until + taking.lag)
        return int(np.clip(moment, 1, len(pictures) - 2)), chosen.centre + taking.offset
