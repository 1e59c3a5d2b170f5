"""Perceptual hashes of shots, and the shots that are copies of earlier ones.

Clips of one robot at one table share nearly every pixel, so a hash of the picture calls them all
copies. Here the mean picture's hash only says "the same scene"; what decides is the hash of what
differs from the mean at 16 moments: where the arm is, when. It survives another codec, size, shape
or frame rate, and bars; a copy that is played faster is found more often than not, and one whose
start and end were cut by some tenths of a second mostly is not (`benchmarks/ingest_copies.py`). A
clip that is only a part of another one is not recognised.
"""

from collections.abc import Sequence

import cv2
import numpy as np

MOMENTS = 16
SIDE = 32  # pictures are made this small before they are hashed
LOW = 4  # coefficients kept along each axis, of what differs from the mean
BYTES = 8 + MOMENTS * 2 * LOW * LOW // 8
SCENE_BITS = 14  # of 64: scenes that differ in more are not compared further
DEAD_ZONE = 0.5  # of the shot's root mean square: smaller coefficients are noise
SLACK = (-1, 0, 1)  # moments that one shot may begin or end before or after the other


def fingerprint(pictures: np.ndarray) -> bytes:
    """BYTES bytes that say what a shot shows and how it moves.

    Args:
        pictures: uint8 (N, H, W, 3) RGB, evenly spaced over the shot, without bars.
    """
    grey = np.stack([_grey(picture) for picture in pictures])
    mean = grey.mean(0)
    low = cv2.dct(mean)[:8, :8].ravel()
    scene = low > np.median(low[1:])
    scene[0] = False
    moved = np.stack([cv2.dct(shown - mean)[:LOW, :LOW].ravel() for shown in _moments(grey)])
    least = DEAD_ZONE * max(float(np.sqrt((moved**2).mean())), 1e-6)
    bits = np.concatenate([moved > least, moved < -least], axis=1)
    return np.packbits(scene).tobytes() + np.packbits(bits, axis=1).tobytes()


def _moments(grey: np.ndarray) -> np.ndarray:
    """Pictures (MOMENTS, SIDE, SIDE) in the middle of equal parts, mixed from their neighbours."""
    at = np.clip((np.arange(MOMENTS) + 0.5) / MOMENTS * len(grey) - 0.5, 0, len(grey) - 1)
    before = np.floor(at).astype(int)
    after = np.minimum(before + 1, len(grey) - 1)
    share = (at - before).astype(np.float32)[:, None, None]
    return grey[before] * (1 - share) + grey[after] * share


def _grey(picture: np.ndarray) -> np.ndarray:
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(small, cv2.COLOR_RGB2GRAY).astype(np.float32)


def distances(one: bytes, others: Sequence[bytes] | np.ndarray) -> np.ndarray:
    """How unlike the motion of a shot is to that of others, float64 (N,): 0 the same, 1 nothing.

    It is the share of the bits set in either that are not set in both (Jaccard distance), for the
    best of SLACK at both ends. Where the scenes differ in more than SCENE_BITS bits it is 1.
    """
    if len(others) == 0:
        return np.zeros(0)
    table = others if isinstance(others, np.ndarray) else np.stack([_array(o) for o in others])
    mine = _array(one)
    scene = np.bitwise_count(table[:, :8] ^ mine[:8]).sum(1, dtype=np.int64)
    near = np.flatnonzero(scene <= SCENE_BITS)
    out = np.ones(len(table))
    if len(near):
        theirs = table[near, 8:].reshape(len(near), MOMENTS, -1)
        motion = mine[8:].reshape(MOMENTS, -1)
        warps = [_warp(begin, end) for begin in SLACK for end in SLACK]
        out[near] = np.min([_apart(motion[a], theirs[:, b]) for a, b in warps], axis=0)
    return out


def _warp(begin: int, end: int) -> tuple[np.ndarray, np.ndarray]:
    """Which moments of one shot go with which of another that begins and ends so much later."""
    mine = np.arange(MOMENTS)
    theirs = np.round(np.linspace(begin, MOMENTS - 1 + end, MOMENTS)).astype(int)
    both = (theirs >= 0) & (theirs < MOMENTS)
    return mine[both], theirs[both]


def _apart(mine: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    both = np.bitwise_count(mine & theirs).sum((1, 2), dtype=np.int64)
    either = np.bitwise_count(mine | theirs).sum((1, 2), dtype=np.int64)
    return 1 - both / np.maximum(either, 1)


def _array(code: bytes) -> np.ndarray:
    return np.frombuffer(code, np.uint8)


class Copies:
    """The shots kept so far: BYTES + 8 bytes each, whatever their length."""

    def __init__(self) -> None:
        self._codes: np.ndarray = np.zeros((256, BYTES), np.uint8)
        self._where: np.ndarray = np.zeros(256, [("clip", np.int32), ("start_s", np.float32)])
        self._n = 0

    def __len__(self) -> int:
        return self._n

    def nearest(self, code: bytes) -> tuple[float, int, float]:
        """Distance to the most similar shot, its clip's number and start; (1, -1, 0) for none."""
        apart = distances(code, self._codes[: self._n])
        if not len(apart) or apart.min() >= 1:
            return 1.0, -1, 0.0
        best = int(apart.argmin())
        clip, start_s = self._where[best]
        return float(apart[best]), int(clip), float(start_s)

    def add(self, code: bytes, clip: int, start_s: float) -> None:
        """Remember a kept shot."""
        if self._n == len(self._codes):
            self._codes = np.concatenate([self._codes, np.zeros_like(self._codes)])
            self._where = np.concatenate([self._where, np.zeros_like(self._where)])
        self._codes[self._n] = _array(code)
        self._where[self._n] = (clip, start_s)
        self._n += 1
