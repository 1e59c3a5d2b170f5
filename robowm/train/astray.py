"""Hands beside the way, and how they come back: what a few demonstrations do not show.

A demonstrated hand is always where it should be, so nothing says what to do a little beside it. A
policy that is there goes on beside, and grips. Of what a head practises, a part is moved away with
the way back added (as the side cameras of Bojarski et al., "End to End Learning for Self-Driving
Cars", 2016, do for a car); who is still away when it is time to grip waits until he is there.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from robowm.policy.turning import Turning
from robowm.train.frames import Frames

SHARE = 0.3
SPREAD_M = (0.025, 0.025, 0.007)
AFTER_S, CAME_BACK = (0.0, 0.2, 0.4, 0.6), (0.0, 0.5, 0.8, 1.0)  # how much of the way back by then
FAR_M, LATE_S, WAIT_S = 0.01, 0.6, 0.4
LAG_S, LEAST_M = 0.8, 1e-3


@dataclass(frozen=True)
class Astray:
    """How to move a moment away, of an arm that is told by how much its hand shall move.

    Attributes:
        place: columns of the state that are the hand's place, x, y and z, metres.
        move: columns of an action that are how the hand shall move, in that frame.
        metres: by how much it moves for an action of 1.
        control_hz: actions a second.
    """

    place: tuple[int, ...]
    move: tuple[int, ...]
    metres: float
    control_hz: float

    @classmethod
    def of(
        cls, frames: Frames, rows: np.ndarray, turning: Turning, control_hz: float
    ) -> Self | None:
        """Read off demonstrations, the rows (N,), how far an action leads, its echoes added up;
        None where that is nowhere."""
        lags = in_steps(LAG_S, control_hz)
        (place,), (move,) = turning.places, turning.moves
        state, action = (frames.columns[name] for name in ("observation.state", "action"))
        at = rows[(rows - lags >= frames.start[rows]) & (rows + 1 < frames.end[rows])]
        moved_m = (state[at + 1] - state[at])[:, place].reshape(-1)
        told = [action[at - lag][:, move].reshape(-1) for lag in range(lags)]
        echoes = np.linalg.lstsq(np.stack(told, axis=1), moved_m, rcond=None)[0]
        metres = float(echoes.sum())
        return cls(place, move, metres, control_hz) if metres > LEAST_M else None

    def offsets_m(self, count: int) -> Tensor:
        """float32 (count, 3), how far away each of as many moments is; 0 where it stays."""
        some = torch.rand(count) < SHARE
        return torch.randn(count, 3) * torch.tensor(SPREAD_M) * some[:, None]

    def way_back(self) -> Tensor:
        """float32 (K,), which share of it each of the next actions goes."""
        until_s = np.arange(in_steps(AFTER_S[-1], self.control_hz) + 1) / self.control_hz
        return torch.from_numpy(np.diff(np.interp(until_s, AFTER_S, CAME_BACK))).float()

    def move_away(
        self, state: Tensor, actions: Tensor, valid: Tensor, offset_m: Tensor, left: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The moments elsewhere, with the way back.

        Args:
            state: (N, T, S), in the robot's units.
            actions: (N, H + 1, A), the step before the present one first.
            valid: bool (N, H), of the others.
            offset_m: (N, 3).
            left: (N,), steps to the next keyframe.

        Returns:
            States, actions (N, H, A) and what of them is valid.
        """
        waits, back = in_steps(WAIT_S, self.control_hz), self.way_back()
        state, told, actions = state.clone(), actions[:, 0], actions[:, 1:]
        state[..., self.place] += offset_m[:, None]
        wait = torch.zeros_like(actions[:, :waits])
        wait[..., -1] = told[:, None, -1]
        late = (left < in_steps(LATE_S, self.control_hz)) & (offset_m.norm(dim=1) > FAR_M)
        later = torch.cat([wait, actions[:, :-waits]], dim=1)
        actions = torch.where(late[:, None, None], later, actions)
        shifted = torch.cat([torch.ones_like(valid[:, :waits]), valid[:, :-waits]], dim=1)
        steps = min(len(back), actions.shape[1])
        actions[:, :steps, self.move] -= offset_m[:, None] * back[:steps, None] / self.metres
        return state, actions, torch.where(late[:, None], shifted, valid)


def in_steps(seconds: float, control_hz: float) -> int:
    """How many control steps that is, at least one."""
    return max(1, round(seconds * control_hz))
