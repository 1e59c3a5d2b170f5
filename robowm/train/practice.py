"""Moments of demonstrations for a head that needs no picture, turned and mirrored as they come."""

from typing import Any

import numpy as np
import torch

from robowm.episodes import Episodes
from robowm.latent.reality.truth import column_names
from robowm.policy.shown import Practice
from robowm.policy.turning import Turning, any_angle
from robowm.train.astray import Astray, in_steps
from robowm.train.frames import Frames
from robowm.train.goals import Goals

MIRRORED = 0.5
UNIT = 0.01
BEFORE_KEYFRAME, LAST_S = 0.5, 0.8
LATER_M = 0.03  # standard deviation, of where goals after the next are taken to be


def practise(
    frames: Frames,
    goals: Goals,
    rows: np.ndarray,
    shape: tuple[int, int],
    turning: Turning | None,
    pre: Any,
    mirrored: float = MIRRORED,
    unsure: bool = True,
    astray: Astray | None = None,
) -> Practice:
    """What a head practises on.

    Args:
        frames: the demonstrations.
        goals: of these. Where the hand comes to rest, as it is foretold: a head that was taught by
            where the hand was when it was told to grip went past it.
        rows: (N,), the present steps.
        shape: (T, H), moments of proprioception and actions of a chunk.
        turning: None: as they were recorded.
        pre: the policy's preprocessor, which normalises.
        mirrored: share of samples that are mirrored, too.
        unsure: give a moment whose chunk ends before the next keyframe the later goals of another:
            what comes after next is no matter yet, and few demonstrations would have it tell which
            of them this is. And take all later goals somewhere else, see `later_elsewhere`.
        astray: how some are moved away; None: all stay.
    """
    before, steps, valid = frames.around(rows, *shape)
    told = np.concatenate([np.maximum(rows - 1, frames.start[rows])[:, None], steps], axis=1)
    state, subgoals, actions = (
        torch.from_numpy(np.asarray(values, np.float32))
        for values in (
            frames.columns["observation.state"][before],
            goals.states[rows],
            frames.columns["action"][told],
        )
    )
    demonstrated = pre({"observation.state": subgoals})["observation.state"]
    counted = torch.from_numpy(valid)
    if astray is None:
        actions = actions[:, 1:]
    else:
        left, offset_m = torch.from_numpy(goals.rows[rows, 0] - rows), astray.offsets_m(len(rows))
        state, actions = astray.stand(state, actions, subgoals[:, 0], left)
        state, actions, counted = astray.move_away(state, actions, counted, offset_m, left)
    if turning is not None:
        if unsure:
            early = torch.from_numpy(goals.rows[rows, 0] - rows >= shape[1])
            another = later_of_another(subgoals, turning)
            subgoals = torch.where(early[:, None, None], another, subgoals)
            subgoals = later_elsewhere(subgoals, turning)
        angle_rad, some = any_angle(len(rows)), torch.rand(len(rows)) < mirrored
        state, subgoals = (turning.states(v, angle_rad, some) for v in (state, subgoals))
        actions = turning.actions(actions, angle_rad, some)
    normal = pre({"observation.state": torch.cat([state, subgoals], dim=1), "action": actions})
    moments = normal["observation.state"]
    return Practice(
        state=moments[:, : shape[0]],
        subgoals=moments[:, shape[0] :],
        actions=normal["action"],
        valid=counted.to(moments.device),
        told=demonstrated,
        asked=torch.from_numpy(frames.task[rows]).to(moments.device),
        tasks=frames.tasks,
        done=torch.from_numpy(goals.done(rows)).to(moments.device),
    )


def draw(
    rng: np.random.Generator, rows: np.ndarray, goals: Goals, count: int, control_hz: float
) -> np.ndarray:
    """int64 (count,): some of `rows`, BEFORE_KEYFRAME of them of the last LAST_S to a keyframe.

    Of all the moments at which the gripper is open one in fifty is that of closing it; drawn
    evenly, a head learns to go on, and does not close before its chunk is at an end.
    """
    close = rows[goals.rows[rows, 0] - rows < in_steps(LAST_S, control_hz)]
    some = round(BEFORE_KEYFRAME * count)
    return np.concatenate([rng.choice(close, some), rng.choice(rows, count - some)])


def later_of_another(subgoals: torch.Tensor, turning: Turning) -> torch.Tensor:
    """Subgoals (N, G, S) that all but the first are another sample's, turned by any angle, as far
    and as high from the first as they were there."""
    other = turning.states(subgoals[torch.randperm(len(subgoals))], any_angle(len(subgoals)))
    places = [column for triple in turning.places for column in triple]
    other[..., places] += (subgoals - other)[:, :1, places]
    other[:, 0] = subgoals[:, 0]
    return other


def later_elsewhere(subgoals: torch.Tensor, turning: Turning) -> torch.Tensor:
    """Subgoals (N, G, S) of which all but the first have their place moved on the level.

    Where a hand lets go and where it is a moment later is the same place, so that demonstrations do
    not tell to which of the two it goes; seen, they are centimetres apart, and a hand that went for
    the later one as well came to rest between them and never let go.
    """
    moved = subgoals.clone()
    for triple in turning.places:
        level = list(triple[:2])
        moved[:, 1:, level] += LATER_M * torch.randn_like(moved[:, 1:, level])
    return moved


def turning_of(demos: Episodes) -> Turning | None:
    """How a dataset's proprioception and actions turn; None if they do not.

    What is named as a rotation in a state must be axes, of length one: a rotation vector in the
    place of axes does not turn with the rest.
    """
    names = (column_names(demos, name) for name in ("observation.state", "action"))
    turning = Turning.of(*names)
    if turning is not None and turning.axes:
        state = demos.column("observation.state", 0)
        lengths = np.stack([np.linalg.norm(state[:, triple], axis=1) for triple in turning.axes])
        if np.abs(lengths - 1).max() > UNIT:
            return None
    return turning
