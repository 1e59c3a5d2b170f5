"""Dissolves and fades: stretches in which every picture is a mix of the first and the last.

In a dissolve from A to B each picture is A + a (B - A), and a rises from 0 to 1 (the production
model of Hampapur, Jain and Weymouth 1995). Motion is not like that: half-way, a moving thing is in
a third place, not half in both. A fade is a dissolve from or to a plain picture.
"""

from dataclasses import dataclass

import cv2
import numpy as np

SAMPLE_S = 0.08
SPANS_S = (0.5, 1.0, 1.6, 2.4)  # windows that are tried; the longest is also how far it looks ahead
GRID = (32, 18)  # width, height: noise and small motion average out
QUIET_S = 0.35  # a dissolve is over when none of its windows fitted for this long
MIN_LEVELS = 18.0  # root mean square change from first to last
MAX_ALIKE = 0.6  # correlation above which first and last are one scene under another light
PLAIN_LEVELS = 6.0  # spread of a picture that shows nothing: black, white, grey
MAX_REST = 0.35  # what mixing leaves unexplained, share of the change
MAX_STEP = 0.5  # of a, from one sample to the next: more is a cut
ENDS = 0.06  # a below this, or above one minus this, is not mixed yet, or no more


@dataclass(frozen=True)
class _Sample:
    index: int
    time_s: float
    levels: np.ndarray


class Blends:
    """Finds dissolves and fades in a stream of pictures.

    Attributes:
        decided: no dissolve that is still to be found begins before this frame.
    """

    def __init__(self) -> None:
        self.decided = 0
        self._samples: list[_Sample] = []
        self._open: tuple[int, int] | None = None
        self._fitted_s = 0.0

    def see(self, index: int, time_s: float, picture: np.ndarray) -> list[tuple[int, int]]:
        """Take the next picture, uint8 (H, W, 3) RGB; return mixed frames as (first, last)."""
        if self._samples and time_s - self._samples[-1].time_s < SAMPLE_S:
            return []
        levels = cv2.resize(picture, GRID, interpolation=cv2.INTER_AREA).astype(np.float32)
        self._samples.append(_Sample(index, time_s, levels.ravel()))
        while time_s - self._samples[0].time_s > SPANS_S[-1] + SAMPLE_S:
            del self._samples[0]
        found = [span for span_s in SPANS_S if (span := self._fit(time_s - span_s))]
        over = self._open is not None and time_s - self._fitted_s > QUIET_S
        done = self.finish() if over else []
        if found:
            # motion may spoil the longer windows: the shorter ones inside cover it together
            found += [self._open] if self._open else []
            self._open = min(first for first, _ in found), max(last for _, last in found)
            self._fitted_s = time_s
        oldest = self._samples[0].index
        self.decided = min(oldest, self._open[0]) if self._open else oldest
        return done

    def finish(self) -> list[tuple[int, int]]:
        """The dissolve that had not been closed."""
        span, self._open = self._open, None
        return [span] if span else []

    def _fit(self, since_s: float) -> tuple[int, int] | None:
        """The mixed frames among those since then, if they are a blend."""
        samples = [sample for sample in self._samples if sample.time_s >= since_s - SAMPLE_S / 2]
        if len(samples) < 5 or samples[0].time_s > since_s + SAMPLE_S:
            return None
        pictures = np.stack([sample.levels for sample in samples])
        energy, share, rest = mixture(pictures)
        mixed = np.flatnonzero((share > ENDS) & (share < 1 - ENDS))
        steps = np.diff(share)
        if (
            energy < MIN_LEVELS**2
            or len(mixed) < 2
            or rest[mixed].max() > MAX_REST
            or steps.max() > MAX_STEP
            or steps.min() < -0.1
            or _alike(pictures[0], pictures[-1])
        ):
            return None
        return samples[mixed[0]].index, samples[mixed[-1] + 1].index


def mixture(pictures: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """How well pictures are mixes of the first and the last.

    Args:
        pictures: float32 (N, P), levels of 255.

    Returns:
        mean square of last minus first; (N,) share of the last in each; (N,) root mean square of
        what the mix leaves unexplained, as a share of that of last minus first.
    """
    change = pictures[-1] - pictures[0]
    square = float(change @ change)
    if square == 0:
        return 0.0, np.zeros(len(pictures)), np.ones(len(pictures))
    since = pictures - pictures[0]
    share = since @ change / square
    rest = since - share[:, None] * change
    return square / len(change), share, np.sqrt((rest**2).sum(1) / square)


def _alike(first: np.ndarray, last: np.ndarray) -> bool:
    """Whether two pictures show one scene, be it under another light."""
    a, b = first - first.mean(), last - last.mean()
    plain = [float(x.std()) < PLAIN_LEVELS for x in (a, b)]
    if any(plain):
        return all(plain)
    return bool((a * b).mean() > MAX_ALIKE * a.std() * b.std())
