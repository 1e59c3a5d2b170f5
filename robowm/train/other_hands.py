"""Hands that are not the demonstrations': told by the gap that what they took has left."""

import numpy as np

from robowm.progress import progress
from robowm.train.astray import in_steps
from robowm.train.frames import Frames
from robowm.train.hand_track import Shown
from robowm.train.rest import REST_S
from robowm.train.vanished import Takings, first_grip

SOON_S, READ = 0.5, 0.5
SURE = 30.0  # the logit of what a gap tells


def as_the_gaps_say(
    frames: Frames,
    rows: np.ndarray,
    places: np.ndarray,
    logits: np.ndarray,
    shown: Shown,
    takings: Takings,
) -> tuple[np.ndarray, np.ndarray]:
    """What is read off video, once it is known whether its hands can be read.

    A film in whose episodes the hand is mostly read to grip when something leaves a gap shows the
    demonstrations' own hand, and stays as it is read. In another film hands grip where and when
    the gaps say; after that, and where there is no gap, their places are not known.

    Args:
        frames: of demonstrations and video.
        rows: (N,), the video's, of whole episodes, in order.
        places: (N, 2), where its hands are read to be, from -1 to 1.
        logits: (N,), of their grippers' being told to be open.
        shown: the demonstrations, with which commands are made to agree: how often the gripper is
            told something else, and after how long.
        takings: how things are taken there.

    Returns:
        Places (N, 2), NaN where not known, and whether it is told to be open, bool (N,).
    """
    film = np.zeros(len(frames.start), int) if frames.film is None else frames.film
    starts = np.unique(frames.start[rows])
    episodes = {start: np.flatnonzero(frames.start[rows] == start) for start in starts}
    open_, taken = np.empty(len(rows), bool), {}
    agree: dict[int, list[bool]] = {}
    with progress("what is gone", len(starts)) as advance:
        for start, there in episodes.items():
            task = int(frames.task[start])
            open_[there] = shown.commands(task, logits[there], places[there])
            gap = takings.seen(np.asarray(frames.pixels[start : frames.end[start]]), task)
            if gap is not None:
                taken[start], key = gap, first_grip(open_[there])
                soon = key is not None and abs(key - gap[0]) <= SOON_S * takings.control_hz
                agree.setdefault(int(film[start]), []).append(soon)
            advance(1)
    foreign = [which for which, some in agree.items() if np.mean(some) < READ]
    places = places.copy()
    for start, there in episodes.items():
        if film[start] in foreign:
            places[there] = np.nan
        if film[start] in foreign and start in taken:
            moment, place = taken[start]
            known = there[: moment + in_steps(2 * REST_S, takings.control_hz)]
            places[known] = place
            task = int(frames.task[start])
            open_[there] = gripping_at(moment, shown, task, logits[there])
    return places, open_


def gripping_at(moment: int, shown: Shown, task: int, logits: np.ndarray) -> np.ndarray:
    """Commands, bool (T,), True where open, of a gripper that is known to close at a moment."""
    usual = shown.told[task][1]
    holds = round(usual[min(1, len(usual) - 1)] / 2)
    sure = logits.copy()
    sure[:moment], sure[moment : moment + holds] = SURE, -SURE
    return shown.commands(task, sure, np.zeros((len(logits), 2)))
