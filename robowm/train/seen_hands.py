"""Where the hand goes in video, and when it grips: seen by a network that demonstrations taught.

It learns from a few of them what the picture shows of proprioception (`robowm.policy.hand`), and
then reads the hand's place and the gripper's changes, which are the keyframes, off every frame of
video in which the same arm does the same tasks. Another hand it does not see well: there the gap
tells that what was taken has left (`robowm.train.vanished`). So video teaches a policy that goes by
goals where to look, and what is taken (`robowm.train.hindsight`). No action and no proprioception
of the video is read, and none is guessed but the gripper's: how to move, how high and how the hand
is turned is learnt from the demonstrations alone.
"""

from collections.abc import Sequence

import numpy as np
import torch

from robowm.errors import UserError
from robowm.policy.hand import HandFinder
from robowm.policy.keyframes import opened
from robowm.policy.shift import shifted
from robowm.progress import progress
from robowm.train.eyes import Eyes
from robowm.train.frames import Frames
from robowm.train.hand_track import Shown
from robowm.train.moving_parts import MovingParts, moving_parts
from robowm.train.other_hands import told_by_gaps
from robowm.train.rest import where_at_rest
from robowm.train.vanished import Takings

BATCH, RATE = 16, 1e-3
MOST_SHIFT = 1 / 8  # of the picture's side: a few demonstrations show few places
LIGHT = 0.3
AT_ONCE = 64
APART_S = 0.4  # looked at are a frame so long before, one so long after, and that in question


def fill_in(
    frames: Frames,
    eyes: Eyes | None,
    hand: Sequence[int],
    control_hz: float,
    steps: int,
    seed: int,
) -> np.ndarray:
    """Write what is seen of the gripper into the rows whose state is NaN: those of video.

    Of their `action` only the last number, the gripper's, is more than 0: where it is seen to be
    told what demonstrations tell it by more. Their `observation.state` is the demonstrations' mean,
    and its last number, by convention the gripper's, that of their open or closed gripper.

    Args:
        frames: with columns `observation.state` and `action`.
        eyes: from the demonstrations among them.
        hand: columns of the state that are its place; none: it has no such.
        control_hz: frames a second.
        steps: of training of the network that sees the hand.
        seed: of what is drawn.

    Returns:
        float32 (N, 2), where the hand is seen in every frame, (x, y) from -1 to 1; NaN where it
        is another than the demonstrations', but for its way to what it took.

    Raises:
        UserError: motion does not tell where in the picture the hand is.
    """
    if eyes is None:
        raise UserError(
            "--video: the demonstrations' motion does not tell where in the picture the hand is; "
            "expected a camera that stands still. Leave --video out."
        )
    state, action = frames.columns["observation.state"], frames.columns["action"]
    missing = np.isnan(state).any(-1)
    other = np.zeros(len(missing), bool) if frames.other is None else frames.other
    demonstrated, filmed = np.flatnonzero(~missing), np.flatnonzero(missing)
    own, others = np.flatnonzero(missing & ~other), np.flatnonzero(missing & other)
    open_ = np.zeros(len(missing), bool)
    places = eyes.places(state)
    told = _told(frames, demonstrated)
    if len(own):
        parts, apart = moving_parts(frames), max(1, round(APART_S * control_hz))
        look = np.array([-apart, apart, 0])
        net = learn_hand(parts, look, demonstrated, places, told, steps, seed)
        places[own], open_[own] = see_hands(net, parts, look, own, demonstrated)
    if len(others):
        rest = where_at_rest(frames, places, missing, hand, control_hz)
        takings = Takings.of(frames, demonstrated, places, rest, control_hz)
        shown = Shown.of(frames, demonstrated)
        places[others], open_[others] = told_by_gaps(frames, others, shown, takings)
    action[filmed] = 0
    action[filmed, -1] = open_[filmed] != frames.closes_upwards
    state[filmed] = state[demonstrated].mean(0)
    for which in (False, True):
        alike = demonstrated[told == which]
        if len(alike):
            state[filmed[open_[filmed] == which], -1] = state[alike, -1].mean()
    return places


def _told(frames: Frames, rows: np.ndarray) -> np.ndarray:
    """bool (N,), whether the gripper is told to be open, by each episode's own range."""
    starts = np.unique(frames.start[rows])
    told = frames.gripper
    return np.concatenate([opened(told[start : frames.end[start]]) for start in starts])


def learn_hand(
    parts: MovingParts,
    look: np.ndarray,
    rows: np.ndarray,
    places: np.ndarray,
    told: np.ndarray,
    steps: int,
    seed: int,
) -> HandFinder:
    """Train on the demonstrations.

    Args:
        parts: the frames.
        look: (T,), which frames are looked at, counted from the one in question, the last.
        rows: (N,), the demonstrations'.
        places: of all frames, (., 2), where the hand is seen.
        told: bool (N,), whether the gripper is told to be open in these rows.
        steps: of training.
        seed: of what is drawn.
    """
    net = HandFinder(len(look))
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng = np.random.default_rng(seed)
    most_px = round(parts.frames.pixels.shape[1] * MOST_SHIFT)
    with progress("the hand, from demonstrations", steps) as advance:
        for _ in range(steps):
            drawn = rng.integers(len(rows), size=BATCH)
            some = rows[drawn]
            at = torch.from_numpy(places[some])[:, None]
            seen, moved, _, _ = shifted(looked_at(parts, look, some), at, most_px)
            assert moved is not None
            seen = seen * (1 + LIGHT * (torch.rand(BATCH, 1, 1, 1, 1) - 0.5))
            loss = net.loss(seen, moved[:, 0], torch.from_numpy(told[drawn]).float())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            advance(1)
    return net.eval()


def looked_at(parts: MovingParts, look: np.ndarray, rows: np.ndarray) -> torch.Tensor:
    """float32 (N, T, 3, S, S), about rows (N,), without background; look (T,)."""
    frames = parts.frames
    moments = rows[:, None] + look
    return parts.pictures(
        np.clip(moments, frames.start[rows][:, None], frames.end[rows][:, None] - 1)
    )


@torch.no_grad()
def see_hands(
    net: HandFinder,
    parts: MovingParts,
    look: np.ndarray,
    rows: np.ndarray,
    demonstrated: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Where the hand is seen (N, 2), and whether it is told to be open, bool (N,), in video.

    Args:
        net: from `learn_hand`.
        parts: the frames.
        look: (T,), as in its training.
        rows: (N,), of whole episodes, in order.
        demonstrated: rows of the demonstrations, with which it is made to agree: how often the
            gripper is told something else, and after how long.
    """
    found = []
    with progress("the hand, in video", len(rows)) as advance:
        for at in range(0, len(rows), AT_ONCE):
            some = rows[at : at + AT_ONCE]
            found.append(net(looked_at(parts, look, some)))
            advance(len(some))
    places, logits = (torch.cat(part).numpy() for part in zip(*found, strict=True))
    shown = Shown.of(parts.frames, demonstrated)
    open_ = np.empty(len(rows), bool)
    for start in np.unique(parts.frames.start[rows]):
        there = np.flatnonzero(parts.frames.start[rows] == start)
        task = int(parts.frames.task[start])
        open_[there] = shown.commands(task, logits[there], places[there])
    return places, open_
