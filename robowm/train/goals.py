"""What each moment of a demonstration leads to: proprioception at its keyframes, and where it is
seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from robowm.policy.keyframes import next_keyframes, released
from robowm.train.eyes import Eyes, learn_eyes
from robowm.train.frames import Frames
from robowm.train.hindsight import Taken, what_was_taken
from robowm.train.seen_hands import fill_in

if TYPE_CHECKING:
    from robowm.policy.configuration_vipra import VipraConfig

REST_S = 0.6
NEAR = 1 / 16  # of half the picture


@dataclass(frozen=True)
class Goals:
    """The next G keyframes of each of N frames.

    Attributes:
        states: float32 (N, G, S), proprioception there, in the robot's units; where the hand is
            seen, of the moment at which it rests, see `at_rest`, but for the last number, the
            gripper's.
        rows: int64 (N, G), of which frames these are.
        places: float32 (N, G, 2), where in the picture it then rests, (x, y) from -1 to 1; None:
            not known.
        eyes: what the places were found with; None: motion does not tell where the hand is.
        taken: what will be taken next; None: not known anywhere.
        released: float32 (N,), 1 where the hand has let something go before, else 0; None: not
            looked for.
    """

    states: np.ndarray
    rows: np.ndarray
    places: np.ndarray | None = None
    eyes: Eyes | None = None
    taken: Taken | None = None
    released: np.ndarray | None = None

    def done(self, rows: np.ndarray) -> np.ndarray:
        """float32 (N,), of rows (N,): 1 where something was let go and nothing will be taken."""
        if self.released is None or self.taken is None:
            return np.zeros(len(rows), np.float32)
        return self.released[rows] * (self.taken.which[rows] == 0)


def find_goals(
    frames: Frames,
    config: "VipraConfig",
    state_names: Sequence[str] | None = None,
    hand: tuple[int, int] = (900, 0),
) -> Goals | None:
    """The keyframes ahead; None for a policy without subgoals.

    Args:
        frames: of demonstrations, and of video, whose states are NaN; what is seen of the gripper
            is written there.
        config: the policy's.
        state_names: names of the state's numbers, where known.
        hand: steps and seed of the network that sees the hand in video.

    Raises:
        UserError: there is video, and the hand's place in the picture could not be learnt.
    """
    if not config.subgoals or not config.use_state:
        return None
    states = frames.columns["observation.state"]
    wanted = config.place_weight and config.points
    eyes = learn_eyes(frames, states, state_names) if wanted else None
    filmed = np.isnan(states).any(-1)
    places = None if eyes is None else eyes.places(states)
    if filmed.any():
        places = fill_in(frames, eyes, config.control_hz, *hand)
    rows = goal_rows(frames, config.subgoals)
    goals = Goals(states[rows].astype(np.float32), rows, released=let_go(frames))
    if places is None:
        return goals
    rest = where_at_rest(frames, places, filmed, config.state_places, config.control_hz)[rows]
    goals.states[..., :-1] = states[rest][..., :-1]
    taken = what_was_taken(frames, places, config.control_hz)
    if filmed.any():
        places = np.where(filmed[:, None], steadied(places, frames.start, frames.end), places)
    return replace(goals, places=places[rest], eyes=eyes, taken=taken)


def where_at_rest(
    frames: Frames,
    places: np.ndarray,
    filmed: np.ndarray,
    columns: Sequence[int],
    control_hz: float,
) -> np.ndarray:
    """int64 (N,): `at_rest` by the hand's place where that is known, else by where it is seen.

    A hand that rises towards the camera seems to rest.

    Args:
        frames: with a column `observation.state`.
        places: (N, 2), where the hand is seen.
        filmed: bool (N,), rows of video, whose states are made up.
        columns: of the state, its place; none: it has no such.
        control_hz: rows a second.
    """
    seen = at_rest(places, frames.start, frames.end, control_hz)
    if not len(columns):
        return seen
    hand = frames.columns["observation.state"][:, list(columns)]
    return np.where(filmed, seen, at_rest(hand, frames.start, frames.end, control_hz))


def at_rest(
    places: np.ndarray, start: np.ndarray, end: np.ndarray, control_hz: float
) -> np.ndarray:
    """int64 (N,): of every row that of up to REST_S later at which the hand moves least.

    An arm that is told to grip is still on its way, and comes to rest while the fingers close:
    where it goes is told better by then.

    Args:
        places: (N, D), where the hand is.
        start, end: (N,), of each row's episode, see `Frames`.
        control_hz: rows a second.
    """
    at, steps = np.arange(len(places)), round(REST_S * control_hz)
    before, after = np.maximum(at - 1, start), np.minimum(at + 1, end - 1)
    speed = np.linalg.norm(places[after] - places[before], axis=1) / np.maximum(after - before, 1)
    ahead = np.minimum(at[:, None] + np.arange(steps + 1), end[:, None] - 1)
    rest: np.ndarray = ahead[at, speed[ahead].argmin(1)]
    return rest


def steadied(places: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """float32 (N, 2): each place's mean with those of the frames beside it that are near it.

    What is read off single frames strays by a pixel or two, and a hand at rest is read thrice.

    Args:
        places: (N, 2), where the hand is seen, from -1 to 1.
        start, end: (N,), of each row's episode, see `Frames`.
    """
    at = np.arange(len(places))
    beside = np.clip(at[:, None] + np.array([-1, 0, 1]), start[:, None], end[:, None] - 1)
    near = np.linalg.norm(places[beside] - places[:, None], axis=2) < NEAR
    mean = (places[beside] * near[..., None]).sum(1) / near.sum(1)[:, None]
    return np.asarray(mean, np.float32)


def let_go(frames: Frames) -> np.ndarray:
    """float32 (N,): 1 where the gripper has been told to open, after it was shut, before."""
    gripper = frames.gripper
    starts = np.unique(frames.start)
    return np.concatenate([released(gripper[start : frames.end[start]]) for start in starts])


def goal_rows(frames: Frames, count: int) -> np.ndarray:
    """int64 (N, count): the rows of each row's next keyframes, see `next_keyframes`."""
    gripper = frames.gripper
    starts = np.unique(frames.start)
    parts = [start + next_keyframes(gripper[start : frames.end[start]], count) for start in starts]
    return np.concatenate(parts)
