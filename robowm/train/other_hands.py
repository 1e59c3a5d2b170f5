"""Hands that are not the demonstrations': told by the gap that what they took has left."""

import numpy as np

from robowm.progress import progress
from robowm.train.astray import in_steps
from robowm.train.frames import Frames
from robowm.train.hand_track import Shown
from robowm.train.rest import REST_S
from robowm.train.vanished import Takings

SURE = 30.0  # the logit of what a gap tells


def told_by_gaps(
    frames: Frames, rows: np.ndarray, shown: Shown, takings: Takings
) -> tuple[np.ndarray, np.ndarray]:
    """Where hands that cannot be read go, and what their grippers would be told.

    Until it is at what it takes a hand's place is given as that at which it will grip; where it
    goes from there is not known, and nothing where there is no gap.

    Args:
        frames: of demonstrations and video.
        rows: (N,), those hands', of whole episodes, in order.
        shown: the demonstrations, with which commands are made to agree: how often the gripper is
            told something else, and after how long.
        takings: how things are taken there.

    Returns:
        Places (N, 2), NaN where not known, and whether it is told to be open, bool (N,).
    """
    places = np.full((len(rows), 2), np.nan, np.float32)
    open_ = np.empty(len(rows), bool)
    starts = np.unique(frames.start[rows])
    with progress("what is gone", len(starts)) as advance:
        for start in starts:
            there, task = np.flatnonzero(frames.start[rows] == start), int(frames.task[start])
            gap = takings.seen(np.asarray(frames.pixels[start : frames.end[start]]), task)
            moment = None if gap is None else gap[0]
            open_[there] = gripping_at(moment, shown, task, len(there))
            if gap is not None:
                known = there[: gap[0] + in_steps(2 * REST_S, takings.control_hz)]
                places[known] = gap[1]
            advance(1)
    return places, open_


def gripping_at(moment: int | None, shown: Shown, task: int, count: int) -> np.ndarray:
    """Commands, bool (count,), True where open, as demonstrations have them, of a gripper that is
    known to close at a moment, or at no moment that is known."""
    logits = np.zeros(count)
    if moment is not None:
        usual = shown.told[task][1]
        holds = round(usual[min(1, len(usual) - 1)] / 2)
        logits[:moment], logits[moment : moment + holds] = SURE, -SURE
    return shown.commands(task, logits, np.zeros((count, 2)))
