"""Video of an arm becomes demonstrations of where to: its hand is seen, so its goals are known.

From a few demonstrations a network learns to see what proprioception says (`robowm.policy.hand`).
It then reads the hand off every frame of video in which the same arm does the same tasks, and the
gripper's changes, which are the keyframes. So the video teaches a policy that goes by goals what is
grasped and where it is put. No action, no proprioception of the video is read, and none is guessed
but the gripper's: how to move is learnt from the demonstrations alone.
"""

import numpy as np
import torch
from scipy.ndimage import median_filter

from robowm.errors import UserError
from robowm.policy.eye import Eye
from robowm.policy.hand import HandFinder
from robowm.policy.keyframes import opened
from robowm.policy.shift import shifted
from robowm.progress import progress
from robowm.train.frames import Frames

BATCH, RATE = 16, 1e-3
MOST_SHIFT = 1 / 8  # of the picture's side: a few demonstrations show few places
LIGHT = 0.3
AT_ONCE = 64
SMOOTH = 3  # frames: shorter changes of the gripper are none


def fill_in(
    frames: Frames,
    eye: Eye | None,
    stats: tuple[np.ndarray, np.ndarray],
    context_frames: int,
    steps: int,
    seed: int,
) -> None:
    """Write what is seen of the hand into the rows whose state is NaN: those of video.

    Their `observation.state` is proprioception as seen; of their `action` only the last number, the
    gripper's, is more than 0, where it is seen to be open.

    Raises:
        UserError: no projection of the hand's place to the picture was found.
    """
    if eye is None or eye.camera(*stats) is None:
        raise UserError(
            "--video: the demonstrations' motion does not tell where in the picture the hand is; "
            "expected a camera that stands still, and a state that names the hand's place (x, y, "
            "z). Leave --video out."
        )
    missing = np.isnan(frames.columns["observation.state"]).any(-1)
    demonstrated, filmed = np.flatnonzero(~missing), np.flatnonzero(missing)
    net = learn_hand(frames, demonstrated, eye, stats, context_frames, steps, seed)
    state, open_ = see_hands(net, frames, filmed, stats, context_frames)
    frames.columns["observation.state"][filmed] = state
    frames.columns["action"][filmed] = 0
    frames.columns["action"][filmed, -1] = open_


def learn_hand(
    frames: Frames,
    rows: np.ndarray,
    eye: Eye,
    stats: tuple[np.ndarray, np.ndarray],
    context_frames: int,
    steps: int,
    seed: int,
) -> HandFinder:
    """Train on the demonstrations among `frames`.

    Args:
        frames: with columns `observation.state` and `action`.
        rows: (N,), the rows of demonstrations.
        eye: a projection, from these.
        stats: mean and deviation (S,) of the state.
        context_frames: T, frames that are looked at.
        steps: of training.
        seed: of what is drawn.
    """
    mean, deviation = stats
    camera = eye.camera(mean, deviation)
    assert camera is not None
    states = (frames.columns["observation.state"] - mean) / deviation
    told = np.zeros(len(states), np.float32)
    told[rows] = opened(frames.columns["action"][rows, -1])
    net = HandFinder(context_frames, len(mean), eye.columns, torch.from_numpy(camera))
    optimiser = torch.optim.AdamW(net.parameters(), RATE, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    rng = np.random.default_rng(seed)
    most_px = round(frames.pixels.shape[1] * MOST_SHIFT)
    with progress("the hand, from demonstrations", steps) as advance:
        for _ in range(steps):
            some = rng.choice(rows, BATCH)
            seen = frames.pictures(frames.around(some, context_frames, 1)[0])
            places = torch.from_numpy(eye.places(frames.columns["observation.state"][some]))
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


@torch.no_grad()
def see_hands(
    net: HandFinder,
    frames: Frames,
    rows: np.ndarray,
    stats: tuple[np.ndarray, np.ndarray],
    context_frames: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Proprioception (N, S) and whether the gripper is open (N,), 0 or 1, as seen in video.

    Args:
        net: from `learn_hand`.
        frames: the frames.
        rows: (N,), of whole episodes, in order.
        stats: mean and deviation (S,) of the state.
        context_frames: as in `learn_hand`.
    """
    mean, deviation = stats
    states, open_ = [], []
    with progress("the hand, in video", len(rows)) as advance:
        for at in range(0, len(rows), AT_ONCE):
            some = rows[at : at + AT_ONCE]
            seen = net(frames.pictures(frames.around(some, context_frames, 1)[0]))
            states.append(seen.state.numpy() * deviation + mean)
            open_.append(seen.open_logit.numpy())
            advance(len(some))
    steady = np.concatenate(open_)
    for start in np.unique(frames.start[rows]):
        there = frames.start[rows] == start
        steady[there] = median_filter(steady[there], SMOOTH, mode="nearest")
    return np.concatenate(states).astype(np.float32), (steady > 0).astype(np.float32)
