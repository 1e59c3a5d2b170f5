"""What each moment of a demonstration leads to: proprioception at its keyframes, and where it is
seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from robowm.errors import UserError
from robowm.policy.keyframes import next_keyframes, released
from robowm.train.eyes import Eyes, learn_eyes
from robowm.train.frames import Frames
from robowm.train.hindsight import Taken, what_was_taken
from robowm.train.lowered import lowered
from robowm.train.rest import steadied, where_at_rest
from robowm.train.righted import right_films
from robowm.train.seen_hands import fill_in

if TYPE_CHECKING:
    from robowm.policy.configuration_vipra import VipraConfig


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
        righted: episodes of video in which camera or light differed, see `right_films`.
    """

    states: np.ndarray
    rows: np.ndarray
    places: np.ndarray | None = None
    eyes: Eyes | None = None
    taken: Taken | None = None
    released: np.ndarray | None = None
    righted: int = 0

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
    if eyes is not None and config.lower_eye:
        eyes = lowered(eyes, frames, states, config.control_hz)
    filmed = np.isnan(states).any(-1)
    places = None if eyes is None else eyes.places(states)
    righted = 0
    if filmed.any():
        if config.right_pictures and eyes is not None:
            righted = right_films(frames, filmed, eyes)
        places = fill_in(frames, eyes, config.state_places, config.control_hz, *hand)
    rows = goal_rows(frames, config.subgoals)
    goals = Goals(states[rows].astype(np.float32), rows, released=let_go(frames))
    if places is None:
        return goals
    rest = where_at_rest(frames, places, filmed, config.state_places, config.control_hz)[rows]
    goals.states[..., :-1] = states[rest][..., :-1]
    taken = what_was_taken(frames, places, config.control_hz)
    if filmed.any():
        places = np.where(filmed[:, None], steadied(places, frames.start, frames.end), places)
    return replace(goals, places=places[rest], eyes=eyes, taken=taken, righted=righted)


def whose_hand_is_seen(goals: Goals, frames: Frames, rows: np.ndarray) -> np.ndarray:
    """Of rows (N,) of video those in whose episode a hand's place is known somewhere.

    Raises:
        UserError: some are of other hands, and nowhere is it known of these.
    """
    other = frames.other
    if goals.places is None or other is None or not other[rows].any():
        return rows
    known = np.isfinite(goals.places).all(-1).any(-1)
    seen = rows[np.isin(frames.start[rows], frames.start[known])]
    if not other[seen].any():
        raise UserError(
            "--other-video: nothing like what the demonstrations take leaves a gap in it; expected "
            "video of the same tasks, in which it is taken away, under a camera that stands still."
        )
    return seen


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
