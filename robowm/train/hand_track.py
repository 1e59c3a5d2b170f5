"""What frames say of a hand, made to agree over an episode and with what was demonstrated."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.ndimage import median_filter
from scipy.stats import rankdata

from robowm.policy.keyframes import keyframes, opened
from robowm.train.frames import Frames

BRIEF = 3  # frames: shorter changes of the gripper are none
HASTE = 8.0
STEADY = 12.0  # concentration of the change of a heading from one frame to the next: 17 degrees


def commands(logits: np.ndarray, first_open: bool, changes: int, against: np.ndarray) -> np.ndarray:
    """The likeliest commands of a gripper with so many changes.

    Args:
        logits: (T,), of its being told to be open.
        first_open: what it is told first.
        changes: how often it is told something else, less than T.
        against: (T,), what speaks against a change at that moment, in the unit of logits.

    Returns:
        bool (T,), True where open.
    """
    count, steps = changes + 1, len(logits)
    sign = np.where((np.arange(count) % 2 == 0) == first_open, 1.0, -1.0)
    gain = sign[:, None] * logits / 2
    best = np.full((count, steps), -np.inf)
    came = np.zeros((count, steps), bool)  # from the phase before
    best[0] = gain[0].cumsum()
    for phase in range(1, count):
        for t in range(phase, steps):
            stays, comes = best[phase, t - 1], best[phase - 1, t - 1] - against[t]
            came[phase, t] = comes > stays
            best[phase, t] = max(stays, comes) + gain[phase, t]
    phases = np.empty(steps, int)
    phase = count - 1
    for t in range(steps - 1, -1, -1):
        phases[t] = phase
        phase -= int(came[phase, t])
    return np.asarray(sign[phases] > 0)


def haste(places: np.ndarray) -> np.ndarray:
    """What speaks against the gripper's being told something else while the hand is on its way.

    From 0, where it moves least in its episode, to HASTE, where most, by rank.

    Args:
        places: (T, 2), where the hand is in the picture.
    """
    at = np.arange(len(places))
    before, after = np.maximum(at - 1, 0), np.minimum(at + 1, len(places) - 1)
    speed = np.linalg.norm(places[after] - places[before], axis=1)
    return np.asarray(HASTE * rankdata(speed, "min") / len(speed))


def steady_headings(logits: np.ndarray) -> np.ndarray:
    """Logits (T, K) of directions that lie evenly over the circle, each with what the frames before
    and after say (forward-backward over a heading that changes little by little)."""
    away = np.arange(logits.shape[1]) * 2 * np.pi / logits.shape[1]
    step = STEADY * (np.cos(away[:, None] - away) - 1)
    step = step - _log_sum(step)[:, None]
    forward, backward = logits.astype(np.float64), np.zeros(logits.shape)
    for t in range(1, len(logits)):
        forward[t] += _log_sum(forward[t - 1] + step)
    for t in range(len(logits) - 2, -1, -1):
        backward[t] = _log_sum(backward[t + 1] + logits[t + 1] + step)
    return (forward + backward).astype(np.float32)


def _log_sum(rows: np.ndarray) -> np.ndarray:
    top = rows.max(-1)
    return np.asarray(top + np.log(np.exp(rows - top[..., None]).sum(-1)))


@dataclass(frozen=True)
class Shown:
    """What demonstrations of each instruction have in common.

    Attributes:
        told: by instruction, what the gripper is told first (True: open) and how often that
            changes, as most have it.
        heights_m: by instruction, the lowest and the highest (K, 2) of the hand at each keyframe.
    """

    told: dict[int, tuple[bool, int]]
    heights_m: dict[int, np.ndarray]

    @classmethod
    def of(cls, frames: Frames, rows: np.ndarray, height: int) -> Self:
        """Of demonstrations: rows (N,), and the column of the state that is the hand's height."""
        tracks: dict[int, list[tuple[np.ndarray, np.ndarray]]] = {}
        for start in np.unique(frames.start[rows]):
            there = slice(start, frames.end[start])
            open_ = opened(frames.columns["action"][there, -1])
            z_m = frames.columns["observation.state"][there, height]
            tracks.setdefault(int(frames.task[start]), []).append((open_, z_m))
        told, heights_m = {}, {}
        for task, some in tracks.items():
            kinds = [(bool(o[0]), int((o[1:] != o[:-1]).sum())) for o, _ in some]
            told[task] = max(set(kinds), key=lambda kind: (kinds.count(kind), kind))
            alike = [
                z[keyframes(o)] for (o, z), k in zip(some, kinds, strict=True) if k == told[task]
            ]
            count = min(len(z) for z in alike)
            keys = np.stack([z[:count] for z in alike])
            heights_m[task] = np.stack([keys.min(0), keys.max(0)], axis=1)
        return cls(told, heights_m)

    def commands(self, task: int, logits: np.ndarray, places: np.ndarray) -> np.ndarray:
        """bool (T,), the gripper's, as `commands` and `haste`; of an instruction that was not
        demonstrated as the logits are, but for changes that do not last."""
        if task not in self.told or self.told[task][1] >= len(logits):
            return np.asarray(median_filter(logits, BRIEF, mode="nearest") > 0)
        return commands(logits, *self.told[task], haste(places))

    def heights(self, task: int, keyframe: int) -> tuple[float, float] | None:
        """The lowest and the highest at a keyframe, counted from 0; None: not demonstrated."""
        found = self.heights_m.get(task, ())
        return (
            (float(found[keyframe][0]), float(found[keyframe][1]))
            if keyframe < len(found)
            else None
        )
