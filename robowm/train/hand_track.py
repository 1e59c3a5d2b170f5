"""What frames say of a hand, made to agree over an episode and with what was demonstrated."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from robowm.policy.keyframes import opened
from robowm.train.frames import Frames

BRIEF = 3  # frames: shorter changes of the gripper are none
HASTE = 8.0
TEMPER = 0.5  # a network that few demonstrations have taught is surer than it should be
SPREAD = 0.3  # of the logarithm of how long a phase lasts


def commands(
    logits: np.ndarray, first_open: bool, usual_steps: np.ndarray, against: np.ndarray
) -> np.ndarray:
    """The likeliest commands of a gripper whose phases last about so long.

    By the recursion of a hidden semi-Markov model (as in Yu, "Hidden semi-Markov models", 2010)
    with log-normal durations.

    Args:
        logits: (T,), of its being told to be open.
        first_open: what it is told first; each phase is another command.
        usual_steps: (P,), how long each lasts, P at most T.
        against: (T,), what speaks against a change at that moment, in the unit of logits.

    Returns:
        bool (T,), True where open.
    """
    count, steps = len(usual_steps), len(logits)
    sign = np.where((np.arange(count) % 2 == 0) == first_open, 1.0, -1.0)
    gained = np.concatenate([[0.0], np.cumsum(TEMPER * logits / 2)])
    begin, end = np.arange(steps)[:, None], np.arange(1, steps + 1)[None]
    lasts = np.where(end > begin, end - begin, 1)
    best = np.where(begin[:, 0] == 0, 0.0, -np.inf)  # up to where a phase begins
    came = np.empty((count, steps + 1), int)
    for phase, usual in enumerate(usual_steps):
        odd = -0.5 * (np.log(lasts / usual) / SPREAD) ** 2
        worth = best[:, None] + sign[phase] * (gained[end] - gained[begin]) + odd
        worth = np.where(end > begin, worth, -np.inf)
        came[phase, 1:] = worth.argmax(0)
        best = np.concatenate([[-np.inf], worth.max(0)[:-1] - against[1:]])
    open_ = np.empty(steps, bool)
    at = steps
    for phase in range(count - 1, -1, -1):
        since = came[phase, at]
        open_[since:at] = sign[phase] > 0
        at = since
    return open_


def haste(places: np.ndarray) -> np.ndarray:
    """What speaks against the gripper's being told something else while the hand is on its way.

    From 0, where it moves least in its episode, to HASTE, where most, by rank.

    Args:
        places: (T, 2), where the hand is in the picture.
    """
    at = np.arange(len(places))
    before, after = np.maximum(at - 1, 0), np.minimum(at + 1, len(places) - 1)
    speed = np.linalg.norm(places[after] - places[before], axis=1)
    slower = np.searchsorted(np.sort(speed), speed)  # strictly, so that ties are alike
    return np.asarray(HASTE * (slower + 1) / len(speed))


def phases(open_: np.ndarray) -> np.ndarray:
    """How long each command (T,) lasts, in frames."""
    changes = np.flatnonzero(open_[1:] != open_[:-1]) + 1
    return np.diff(np.concatenate([[0], changes, [len(open_)]]))


@dataclass(frozen=True)
class Shown:
    """What demonstrations of each instruction have in common.

    Attributes:
        told: by instruction, what the gripper is told first (True: open) and how long (P,) each
            phase lasts until it is told something else, in frames, as most have it.
    """

    told: dict[int, tuple[bool, np.ndarray]]

    @classmethod
    def of(cls, frames: Frames, rows: np.ndarray) -> Self:
        """Of demonstrations, those of rows (N,)."""
        some: dict[int, list[np.ndarray]] = {}
        for start in np.unique(frames.start[rows]):
            open_ = opened(frames.gripper[start : frames.end[start]])
            some.setdefault(int(frames.task[start]), []).append(open_)
        told = {}
        for task, episodes in some.items():
            kinds = [(bool(open_[0]), len(phases(open_))) for open_ in episodes]
            usual = max(set(kinds), key=lambda kind: (kinds.count(kind), kind))
            alike = [phases(o) for o, kind in zip(episodes, kinds, strict=True) if kind == usual]
            told[task] = usual[0], np.exp(np.log(alike).mean(0))
        return cls(told)

    def commands(self, task: int, logits: np.ndarray, places: np.ndarray) -> np.ndarray:
        """bool (T,), the gripper's, as `commands` and `haste`; of an instruction that was not
        demonstrated as the logits are, but for changes that do not last."""
        from scipy.ndimage import median_filter  # a second of every command's start

        if task not in self.told or len(self.told[task][1]) > len(logits):
            return np.asarray(median_filter(logits, BRIEF, mode="nearest") > 0)
        return commands(logits, *self.told[task], haste(places))
