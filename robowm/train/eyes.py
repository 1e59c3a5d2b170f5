"""Where the hand is seen, from the demonstrations' own motion: an eye for each camera."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from robowm.motion.extent import Moving, moving
from robowm.policy.cameras import looks_of, rooms
from robowm.policy.eye import Eye
from robowm.policy.standpoint import sized
from robowm.progress import progress
from robowm.train.frames import Frames
from robowm.train.moving_parts import background

MOST_PAIRS = 3000  # an eye needs no more
AT_ONCE = 50
LOOKS = 5  # frames of an episode that tell its room


@dataclass(frozen=True)
class Eyes:
    """One eye, or one for each room the demonstrations were filmed in.

    Attributes:
        eyes: K.
        looks: (K, P), of each room, see `robowm.policy.cameras`.
        room: int64 (N,), of each frame; that of video is not known, and 0.
        rooms: uint8 (K, ROOM_PX, ROOM_PX, 3), what each shows; None where one eye serves several.
    """

    eyes: tuple[Eye, ...]
    looks: torch.Tensor
    room: np.ndarray
    rooms: np.ndarray | None = None

    @property
    def error(self) -> float:
        """Of the worst, see `Eye`."""
        return max(eye.error for eye in self.eyes)

    def places(self, states: np.ndarray) -> np.ndarray:
        """Where the hand is seen in each frame, float32 (N, 2), from -1 to 1; states (N, S)."""
        found = np.stack([eye.places(states) for eye in self.eyes])
        chosen: np.ndarray = found[self.room, np.arange(len(states))]
        return chosen

    def cameras(self, mean: np.ndarray, deviation: np.ndarray) -> torch.Tensor | None:
        """Their projections, float32 (K, 3, 4), see `Eye.camera`; None if they are none."""
        found = [eye.camera(mean, deviation) for eye in self.eyes]
        known = [torch.from_numpy(camera) for camera in found if camera is not None]
        return torch.stack(known) if len(known) == len(found) else None


def learn_eyes(
    frames: Frames, states: np.ndarray, names: Sequence[str] | None = None
) -> Eyes | None:
    """Fit them; None where motion does not tell where the hand is.

    The room of which most is known comes first, and those of which less is are fitted beside it;
    if one of them cannot be, a single eye serves them all.

    Args:
        frames: of demonstrations, and of video.
        states: (N, S), proprioception; NaN in video.
        names: of its numbers, where known.
    """
    known = np.isfinite(states).all(-1)
    rows = np.flatnonzero((np.arange(len(frames.end)) + 1 < frames.end) & known)
    if not len(rows):
        return None
    if len(rows) > MOST_PAIRS:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_PAIRS).astype(int)]
    seen = _motion(frames, rows)

    def fitted(some: np.ndarray, like: Eye | None = None) -> Eye | None:
        at, part = rows[some], Moving(seen.extents[some], seen.flow[some])
        return Eye.fit(states[at], states[at + 1], part, frames.episode[at], names, like)

    room, looks = _rooms(frames, known)
    eyes: dict[int, Eye] = {}
    counts = np.bincount(room[rows], minlength=len(looks))
    for k in np.argsort(-counts).tolist():
        eye = fitted(room[rows] == k, next(iter(eyes.values()), None))
        if eye is None:
            break
        eyes[k] = eye
    if len(eyes) == len(looks):
        pictures = np.stack([_picture(frames, known & (room == k)) for k in range(len(looks))])
        return Eyes(tuple(eyes[k] for k in range(len(looks))), looks, room, pictures)
    shared = fitted(np.ones(len(rows), bool)) if len(looks) > 1 else None
    return None if shared is None else Eyes((shared,), looks[:1], np.zeros_like(room))


def _motion(frames: Frames, rows: np.ndarray) -> Moving:
    """Between rows (N,) and those after them."""
    parts = []
    with progress("where the hand is seen", len(rows)) as advance:
        for at in range(0, len(rows), AT_ONCE):
            some = rows[at : at + AT_ONCE]
            parts.append(moving(frames.pixels[some], frames.pixels[some + 1]))
            advance(len(some))
    return Moving(
        np.concatenate([p.extents for p in parts]), np.concatenate([p.flow for p in parts])
    )


def _picture(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """What a room shows, uint8 (ROOM_PX, ROOM_PX, 3), its episodes being these rows, bool (N,)."""
    shown = [background(frames, start) for start in np.unique(frames.start[rows])]
    return np.rint(255 * sized(np.median(shown, axis=0).astype(np.uint8))).astype(np.uint8)


def _rooms(frames: Frames, known: np.ndarray) -> tuple[np.ndarray, torch.Tensor]:
    """Of every frame (N,) which room it is of, and the rooms' looks (K, P)."""
    starts = np.unique(frames.start[known])
    looks = []
    for start in starts:
        some = np.linspace(start, frames.end[start] - 1, LOOKS).astype(int)
        looks.append(looks_of(frames.pictures(some)).median(0).values)
    room, own = rooms(torch.stack(looks))
    of_frame = np.zeros(len(frames.end), np.int64)
    for start, k in zip(starts, room.tolist(), strict=True):
        of_frame[start : frames.end[start]] = k
    return of_frame, own
