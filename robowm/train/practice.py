"""Moments of demonstrations for a head that needs no picture, turned as they come."""

from typing import Any

import numpy as np
import torch

from robowm.policy.shown import Practice
from robowm.policy.turning import Turning, any_angle
from robowm.train.frames import Frames
from robowm.train.goals import Goals


def practise(
    frames: Frames,
    goals: Goals,
    rows: np.ndarray,
    shape: tuple[int, int],
    turning: Turning | None,
    pre: Any,
) -> Practice:
    """What a head practises on.

    Args:
        frames: the demonstrations.
        goals: of these.
        rows: (N,), the present steps.
        shape: (T, H), moments of proprioception and actions of a chunk.
        turning: None: as they were recorded.
        pre: the policy's preprocessor, which normalises.
    """
    start, end = frames.start[rows][:, None], frames.end[rows][:, None]
    before = np.maximum(rows[:, None] + np.arange(1 - shape[0], 1), start)
    steps = rows[:, None] + np.arange(shape[1])
    state, subgoals, actions = (
        torch.from_numpy(np.asarray(values, np.float32))
        for values in (
            frames.columns["observation.state"][before],
            goals.states[rows],
            frames.columns["action"][np.minimum(steps, end - 1)],
        )
    )
    if turning is not None:
        angle_rad = any_angle(len(rows))
        state, subgoals = (turning.states(values, angle_rad) for values in (state, subgoals))
        actions = turning.actions(actions, angle_rad)
    normal = pre({"observation.state": torch.cat([state, subgoals], dim=1), "action": actions})
    moments = normal["observation.state"]
    valid = torch.from_numpy(steps < end).to(moments.device)
    return Practice(moments[:, : shape[0]], moments[:, shape[0] :], normal["action"], valid)


def turning_of(features: dict[str, Any]) -> Turning | None:
    """How a dataset's proprioception and actions turn; None if they do not."""
    return Turning.of(named(features, "observation.state"), named(features, "action"))


def named(features: dict[str, Any], column: str) -> list[str] | None:
    """The names of a column's numbers; None where a dataset has none, or not a plain list."""
    names = features.get(column, {}).get("names")
    return names if isinstance(names, list) else None
