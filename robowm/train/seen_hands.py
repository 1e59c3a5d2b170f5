"""Video of an arm becomes demonstrations of where to: its hand is seen, so its goals are known.

From a few demonstrations a network learns to see what proprioception says (`robowm.policy.hand`).
It then reads the hand off every frame of video in which the same arm does the same tasks, and the
gripper's changes, which are the keyframes. So the video teaches a policy that goes by goals what is
grasped and where it is put. No action, no proprioception of the video is read, and none is guessed
but the gripper's: how to move is learnt from the demonstrations alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from robowm.errors import UserError
from robowm.policy.eye import Eye
from robowm.policy.hand import HandFinder
from robowm.policy.keyframes import keyframes, opened
from robowm.policy.ray import along_the_ray
from robowm.policy.shift import shifted
from robowm.policy.turned_picture import around_rad, read
from robowm.policy.turning import Triple
from robowm.progress import progress
from robowm.train.frames import Frames
from robowm.train.hand_track import Shown, steady_headings
from robowm.train.moving_parts import MovingParts, moving_parts

BATCH, RATE = 16, 1e-3
MOST_SHIFT = 1 / 8  # of the picture's side: a few demonstrations show few places
LIGHT = 0.3
AT_ONCE = 64
LOOK = (-2, 2, 0)  # frames that are looked at: before, after, and the one in question


@dataclass(frozen=True)
class Known:
    """What is known of the arm before its video is looked at.

    Attributes:
        eye: a projection.
        mean, deviation: (S,), of the state.
        vectors: columns of every vector in the state but the hand's place.
    """

    eye: Eye
    mean: np.ndarray
    deviation: np.ndarray
    vectors: Sequence[Triple]


def fill_in(
    frames: Frames,
    eye: Eye | None,
    stats: tuple[np.ndarray, np.ndarray],
    vectors: Sequence[Triple],
    steps: int,
    seed: int,
) -> None:
    """Write what is seen of the hand into the rows whose state is NaN: those of video.

    Their `observation.state` is proprioception as seen; of their `action` only the last number, the
    gripper's, is more than 0, where it is seen to be open.

    Args:
        frames: with columns `observation.state` and `action`.
        eye: from the demonstrations among them.
        stats: mean and deviation (S,) of the state.
        vectors: see `Known`.
        steps: of training of the network that sees the hand.
        seed: of what is drawn.

    Raises:
        UserError: no projection of the hand's place to the picture was found.
    """
    if eye is None or eye.camera(*stats) is None:
        raise UserError(
            "--video: the demonstrations' motion does not tell where in the picture the hand is; "
            "expected a camera that stands still, and a state that names the hand's place (x, y, "
            "z). Leave --video out."
        )
    known = Known(eye, *stats, vectors)
    missing = np.isnan(frames.columns["observation.state"]).any(-1)
    demonstrated, filmed = np.flatnonzero(~missing), np.flatnonzero(missing)
    parts = moving_parts(frames)
    net = learn_hand(parts, demonstrated, known, steps, seed)
    state, open_ = see_hands(net, parts, filmed, demonstrated)
    frames.columns["observation.state"][filmed] = state
    frames.columns["action"][filmed] = 0
    frames.columns["action"][filmed, -1] = open_


def learn_hand(
    parts: MovingParts, rows: np.ndarray, known: Known, steps: int, seed: int
) -> HandFinder:
    """Train on the demonstrations, those of `rows` (N,)."""
    columns, eye = parts.frames.columns, known.eye
    camera = eye.camera(known.mean, known.deviation)
    assert camera is not None
    states = (columns["observation.state"] - known.mean) / known.deviation
    told = np.zeros(len(states), np.float32)
    told[rows] = opened(columns["action"][rows, -1])
    scale = torch.from_numpy(known.mean), torch.from_numpy(known.deviation)
    net = HandFinder(len(LOOK), eye.columns, known.vectors, scale, torch.from_numpy(camera))
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng = np.random.default_rng(seed)
    most_px = round(parts.frames.pixels.shape[1] * MOST_SHIFT)
    with progress("the hand, from demonstrations", steps) as advance:
        for _ in range(steps):
            some = rng.choice(rows, BATCH)
            seen = looked_at(parts, some)
            places = torch.from_numpy(eye.places(columns["observation.state"][some]))
            seen, moved_places, moved = shifted(seen, places[:, None], most_px)
            seen = seen * (1 + LIGHT * (torch.rand(BATCH, 1, 1, 1, 1) - 0.5))
            assert moved_places is not None
            state = torch.from_numpy(states[some].astype(np.float32))
            loss = net.loss(seen, moved, state, torch.from_numpy(told[some]), moved_places)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            advance(1)
    return net.eval()


def looked_at(parts: MovingParts, rows: np.ndarray) -> torch.Tensor:
    """float32 (N, len(LOOK), 3, S, S), about rows (N,), without background."""
    frames = parts.frames
    moments = rows[:, None] + np.array(LOOK)
    return parts.pictures(
        np.clip(moments, frames.start[rows][:, None], frames.end[rows][:, None] - 1)
    )


@torch.no_grad()
def see_hands(
    net: HandFinder, parts: MovingParts, rows: np.ndarray, demonstrated: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Proprioception (N, S) and whether the gripper is open (N,), 0 or 1, as seen in video.

    Args:
        net: from `learn_hand`.
        parts: the frames.
        rows: (N,), of whole episodes, in order.
        demonstrated: rows of the demonstrations, with which it is made to agree: how often the
            gripper is told something else, and how high the hand is then.
    """
    found = []
    with progress("the hand, in video", len(rows)) as advance:
        for at in range(0, len(rows), AT_ONCE):
            some = rows[at : at + AT_ONCE]
            seen = net(looked_at(parts, some))
            found.append((seen.state, seen.open_logit, seen.heading_logits))
            advance(len(some))
    state, logit, headings = (torch.cat(part) for part in zip(*found, strict=True))
    row = state[:, net.directions.places] @ net.camera[:, :3].T + net.camera[:, 3]
    places = (row[:, :2] / row[:, 2:]).numpy()
    shown = Shown.of(parts.frames, demonstrated, net.directions.places[2])
    open_ = np.empty(len(rows), np.float32)
    for start in np.unique(parts.frames.start[rows]):
        there = np.flatnonzero(parts.frames.start[rows] == start)
        task = int(parts.frames.task[start])
        open_[there] = shown.commands(task, logit[there].numpy(), places[there])
        if net.directions.axes():
            steady = torch.from_numpy(steady_headings(headings[there].numpy()))
            heading_rad = read(steady, around_rad(steady.shape[1]).expand_as(steady))
            state[there] = net.directions.turned(state[there], heading_rad)
        for which, key in enumerate(there[keyframes(open_[there])]):
            heights_m = shown.heights(task, which)
            state[key] = at_a_height(net, state[key], places[key], heights_m)
    return (state * net.directions.deviation + net.directions.mean).numpy(), open_


def at_a_height(
    net: HandFinder,
    state: torch.Tensor,
    at: np.ndarray,
    heights_m: tuple[float, float] | None,
) -> torch.Tensor:
    """A state (S,), normalised, whose hand is seen at `at` (2,), at a height between these two.

    A picture tells where the hand is to a pixel or two, but hardly how far away.
    """
    if heights_m is None:
        return state
    places = net.directions.places
    mean, deviation = (float(s[places[2]]) for s in (net.directions.mean, net.directions.deviation))
    height = state[places[2]].clamp(*((h - mean) / deviation for h in heights_m))
    state = state.clone()
    state[places[2]] = height
    state[places[:2]] = along_the_ray(net.camera, torch.from_numpy(at), height)
    return state
