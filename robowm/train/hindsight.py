"""What a hand took, seen in hindsight: it lay there until the hand came, and was gone afterwards.

Where the camera stands still, an episode so draws the outline of what its instruction was about,
without a label, a mask or a network, in video as in demonstrations. Given those, a picture in which
nothing has happened yet is taught what will be taken (`robowm.policy.taken`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from robowm.policy.keyframes import first_grip, keyframes, opened
from robowm.progress import progress
from robowm.train.frames import Frames

CLEAR, STILL = 22, 14  # of 255: what differs more has changed, what differs less has not
STAYED, GONE = 0.5, 0.8  # share of the frames before, and after
EARLY = 0.1  # share of the frames before in which it may look as it does afterwards
NEAR = 0.1  # sides of the picture, from the hand
LEAST, MOST = 0.0008, 0.045  # of the picture: less is noise, more is the arm
MOST_FRAMES = 40  # before and after, each
FAR, FAR_SHARE = 0.08, 0.2  # sides of the picture, and of the frames since, that it gets so far
PASSING_S = 0.6  # after the taking the hand is still there


@dataclass(frozen=True)
class Taken:
    """Outlines of what will be taken.

    Attributes:
        outlines: uint8 (M, S, S), 0 or 1; the first is empty.
        which: int64 (N,), the outline of what is taken at each frame's next keyframe: 0 where
            nothing is, -1 where that is not known.
    """

    outlines: np.ndarray
    which: np.ndarray

    def of(self, rows: np.ndarray) -> Tensor:
        """float32 (N, S, S), of rows (N,), 0 or 1; NaN where not known."""
        found = torch.from_numpy(self.outlines[self.which[rows]]).float()
        found[torch.from_numpy(self.which[rows] < 0)] = torch.nan
        return found

    def share(self) -> float:
        """Of the moments before something is taken: those of which it is known what."""
        before = self.which != 0
        return float((self.which[before] > 0).mean()) if before.any() else 0.0


def what_was_taken(frames: Frames, places: np.ndarray, control_hz: float) -> Taken:
    """Look back on every episode.

    Args:
        frames: with a column `action`, whose last number is the gripper's.
        places: (N, 2), where the hand is seen, (x, y) from -1 to 1; NaN after a taking: not known,
            but something is gone.
        control_hz: frames a second.
    """
    passing = max(1, round(PASSING_S * control_hz))
    size = frames.pixels.shape[1]
    outlines = [np.zeros((size, size), np.uint8)]
    which = np.zeros(len(frames.end), np.int64)
    starts, gripper = np.unique(frames.start), frames.gripper
    with progress("what was taken", len(starts)) as advance:
        for start in starts:
            end = frames.end[start]
            open_ = opened(gripper[start:end])
            begin = 0
            for key in keyframes(open_):
                if key and open_[key - 1] and not open_[key]:
                    at = (places[start + key] + 1) * size / 2
                    lasted = np.asarray(frames.pixels[start + begin : end])
                    found = None
                    there = places[start + key : end]
                    if np.isnan(there).any() or goes_away(there, passing):
                        found = outline(lasted, key - begin, at, passing)
                    which[start + begin : start + key + 1] = -1 if found is None else len(outlines)
                    outlines += [] if found is None else [found]
                begin = key + 1
            advance(1)
    return Taken(np.stack(outlines), which)


def first_takings(
    frames: Frames, rows: np.ndarray, places: np.ndarray, passing: int
) -> Iterator[tuple[int, int, np.ndarray]]:
    """Of each episode of `rows` that sets out with an open gripper and takes something off: its
    first row, the step at which the gripper is told to close, and what was taken, bool (S, S).

    Args:
        frames: with a column `action`, whose last number is the gripper's.
        rows: of demonstrations.
        places: (., 2), where the hand is in every frame, from -1 to 1.
        passing: frames in which a hand may be before what it takes.
    """
    size = frames.pixels.shape[1]
    for start in np.unique(frames.start[rows]):
        end = frames.end[start]
        key = first_grip(opened(frames.gripper[start:end]))
        if key is not None and goes_away(places[start + key : end], passing):
            hand = (places[start + key] + 1) * size / 2
            part = outline(np.asarray(frames.pixels[start:end]), key, hand, passing)
            if part is not None:
                yield int(start), key, part.astype(bool)


def centre(part: np.ndarray) -> np.ndarray:
    """(2,), (x, y) from -1 to 1, of an outline, bool (S, S)."""
    at = np.argwhere(part)[:, ::-1].mean(0) + 0.5
    return np.asarray(at * 2 / len(part) - 1)


def goes_away(places: np.ndarray, passing: int) -> bool:
    """Whether a hand that took something carries it off: one that only lifts it hides where it lay.

    Args:
        places: (T, 2), of the hand from the taking on, from -1 to 1.
        passing: frames in which it may still be there.
    """
    far = np.linalg.norm(places[passing:] - places[0], axis=1) / 2
    return len(far) > 0 and bool(np.quantile(far, 1 - FAR_SHARE) > FAR)


def outline(pictures: np.ndarray, taken: int, hand: np.ndarray, passing: int) -> np.ndarray | None:
    """What lay near the hand before it was taken and not after it; None: nothing clearly did.

    Args:
        pictures: uint8 (T, S, S, 3), from when the hand sets out.
        taken: frame at which the gripper is told to close.
        hand: (2,), where it is seen then, (x, y) in pixels.
        passing: frames afterwards in which it may still be there.

    Returns:
        uint8 (S, S), 0 or 1.
    """
    if taken < passing or taken + passing >= len(pictures):
        return None
    begin = pictures[0].astype(np.int16)
    before, since = pictures[_some(0, taken - 1)], pictures[_some(taken + passing, len(pictures))]
    stayed = (np.abs(before - begin).max(-1) < STILL).mean(0) >= STAYED
    gone = (np.abs(since - begin).max(-1) > STILL).mean(0) > GONE
    last = np.median(since, axis=0)
    lasting = np.abs(last - begin).max(-1) > CLEAR
    # where an arm stood at first it looks as at last long before
    early = (np.abs(before - last).max(-1) < STILL).mean(0) > EARLY
    return _part_at(without_specks(lasting & stayed & gone & ~early), hand)


def without_specks(found: np.ndarray) -> np.ndarray:
    """uint8 (S, S), of bool: small holes filled, and single pixels dropped."""
    closed = cv2.morphologyEx(found.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    speck = np.ones((2, 2), np.uint8)  # cv2's own opening would move it by a pixel
    return cv2.dilate(cv2.erode(closed, speck, anchor=(0, 0)), speck, anchor=(1, 1))


def _some(begin: int, end: int) -> np.ndarray:
    return np.linspace(begin, end - 1, min(end - begin, MOST_FRAMES)).astype(int)


def in_parts(found: np.ndarray) -> Iterator[np.ndarray]:
    """The connected parts of uint8 (S, S), each bool (S, S), that are neither noise nor an arm."""
    count, part, facts, _ = cv2.connectedComponentsWithStats(found, connectivity=8)
    for i in range(1, count):
        if LEAST * found.size < facts[i, cv2.CC_STAT_AREA] < MOST * found.size:
            yield part == i


def _part_at(found: np.ndarray, hand: np.ndarray) -> np.ndarray | None:
    """The connected part that is largest for how far it is from the hand."""
    size = len(found)
    y, x = np.mgrid[:size, :size] + 0.5
    distance = np.hypot(x - hand[0], y - hand[1])
    best, chosen = 0.0, None
    for part in in_parts(found):
        near = distance[part].min()
        worth = part.sum() / (1 + near)
        if near < NEAR * size and worth > best:
            best, chosen = worth, part
    return None if chosen is None else chosen.astype(np.uint8)
