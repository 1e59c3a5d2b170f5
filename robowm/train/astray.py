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

from robowm.policy.turning import Triple, Turning, turn
from robowm.policy.way_head import rotation, rotation_vector
from robowm.train.frames import Frames

SHARE = 0.3
SPREAD_M = (0.025, 0.025, 0.007)
AFTER_S, CAME_BACK = (0.0, 0.2, 0.4, 0.6), (0.0, 0.5, 0.8, 1.0)  # how much of the way back by then
STANDING, HALTS_M = 0.5, (0.03, 0.03, 0.02)
GOES, GOES_S, THERE_M, BESIDE = 0.35, 0.2, 0.015, 0.6  # of the way in so long
TURNED, SPREAD_RAD = 0.3, 0.5
FAR_M, FAR_RAD, LATE_S, WAIT_S = 0.01, 0.25, 0.6, 0.4
LAG_S, LEAST_M, LEAST_RAD = 0.8, 1e-3, 1e-2
SURE = 4.0  # standard errors


@dataclass(frozen=True)
class Astray:
    """How to move a moment away, of an arm that is told by how much its hand shall move.

    Attributes:
        place: columns of the state that are the hand's place, x, y and z, metres.
        move: columns of an action that are how the hand shall move, in that frame.
        metres: by how much it moves for an action of 1.
        control_hz: actions a second.
        axes: columns of the state that are axes of the hand.
        spin: columns of an action that are how the hand shall turn, in that frame, or none.
        radians: by how much it turns for an action of 1.
    """

    place: tuple[int, ...]
    move: tuple[int, ...]
    metres: float
    control_hz: float
    axes: tuple[Triple, ...] = ()
    spin: Triple | None = None
    radians: float = 0.0

    @classmethod
    def of(
        cls, frames: Frames, rows: np.ndarray, turning: Turning, control_hz: float
    ) -> Self | None:
        """Read off demonstrations, the rows (N,), how far an action leads, its echoes added up;
        None where that is nowhere.

        Turns are practised only where it is told to turn about the vertical, and plain how far that
        turns it. Where it is told to turn only against its own tilting a tenth of that was read, so
        that the way back was ten times as long.
        """
        lags = in_steps(LAG_S, control_hz)
        (place,), (move,) = turning.places, turning.moves
        state, action = (frames.columns[name] for name in ("observation.state", "action"))
        at = rows[(rows - lags >= frames.start[rows]) & (rows + 1 < frames.end[rows])]

        def by_one(moved: np.ndarray, columns: Triple) -> tuple[float, float]:
            told = [action[at - lag][:, columns].reshape(-1) for lag in range(lags)]
            return summed_echoes(np.stack(told, axis=1), moved.reshape(-1))

        metres, _ = by_one((state[at + 1] - state[at])[:, place], move)
        if not metres > LEAST_M:
            return None
        turns = len(turning.spins) == 1 and bool(action[at, turning.spins[0][2]].any())
        if len(turning.axes) == 2 and turns:
            now, then = (rotation(torch.from_numpy(state[i]), turning.axes) for i in (at, at + 1))
            radians, error = by_one(rotation_vector(then @ now.mT).numpy(), turning.spins[0])
            if radians > max(LEAST_RAD, SURE * error):
                return cls(place, move, metres, control_hz, turning.axes, turning.spins[0], radians)
        return cls(place, move, metres, control_hz)

    def offsets_m(self, count: int) -> Tensor:
        """float32 (count, 3), how far away each of as many moments is; 0 where it stays."""
        some = torch.rand(count) < SHARE
        return torch.randn(count, 3) * torch.tensor(SPREAD_M) * some[:, None]

    def way_back(self) -> Tensor:
        """float32 (K,), which share of it each of the next actions goes."""
        until_s = np.arange(in_steps(AFTER_S[-1], self.control_hz) + 1) / self.control_hz
        return torch.from_numpy(np.diff(np.interp(until_s, AFTER_S, CAME_BACK))).float()

    def stand(
        self, state: Tensor, actions: Tensor, goal: Tensor, left: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of the moments at which the gripper is told something else a part with the hand come to
        a halt, where it is told so or beside it: then it first goes there.

        A demonstrated hand is told on its way, and never halts before. One that had come to a halt
        near its goal stood there to the end.

        Args:
            state: (N, T, S), in the robot's units.
            actions: (N, H + 1, A), the step before the present one first.
            goal: (N, S), where the hand comes to rest.
            left: (N,), steps to the next keyframe.
        """
        count, horizon = len(left), actions.shape[1] - 1
        stands = (left == 0) & (torch.rand(count) < STANDING)
        spread = torch.tensor(HALTS_M) * torch.rand(count, 1) * (torch.rand(count, 1) < BESIDE)
        offset_m = spread * torch.randn(count, 3)
        halted = goal[:, None].expand_as(state).clone()
        halted[..., -1] = state[..., -1]
        halted[..., self.place] += offset_m[:, None]
        # what is left of the way, after each step
        rest = (1 - GOES) ** (torch.arange(horizon + 1) / (self.control_hz * GOES_S))
        goes = torch.zeros_like(actions[:, 1:])
        goes[..., -1] = actions[:, :1, -1]
        goes[..., self.move] = -offset_m[:, None] * (rest[:-1] - rest[1:])[:, None] / self.metres
        far = offset_m.norm(dim=1, keepdim=True) * rest > THERE_M
        since = torch.arange(horizon) - far.sum(1, keepdim=True)  # it was there
        which = since.clamp_min(0)[..., None].expand_as(goes)
        after = torch.gather(actions[:, 1:], 1, which)
        after[..., :-1][since < in_steps(WAIT_S, self.control_hz)] = 0  # it has come to rest
        told = torch.cat([actions[:, :1], torch.where(far[:, :-1, None], goes, after)], dim=1)
        chosen = stands[:, None, None]
        return torch.where(chosen, halted, state), torch.where(chosen, told, actions)

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
        away = offset_m.norm(dim=1) > FAR_M
        if self.spin is not None:
            angle_rad = SPREAD_RAD * torch.randn(len(left)) * (torch.rand(len(left)) < TURNED)
            state = turn(state, angle_rad, self.axes)
            away |= angle_rad.abs() > FAR_RAD
        late = (left < in_steps(LATE_S, self.control_hz)) & away
        later = torch.cat([wait, actions[:, :-waits]], dim=1)
        actions = torch.where(late[:, None, None], later, actions)
        shifted = torch.cat([torch.ones_like(valid[:, :waits]), valid[:, :-waits]], dim=1)
        steps = min(len(back), actions.shape[1])
        actions[:, :steps, self.move] -= offset_m[:, None] * back[:steps, None] / self.metres
        if self.spin is not None:
            actions[:, :steps, self.spin[2]] -= angle_rad[:, None] * back[:steps] / self.radians
        return state, actions, torch.where(late[:, None], shifted, valid)


def summed_echoes(told: np.ndarray, moved: np.ndarray) -> tuple[float, float]:
    """The sum of the coefficients of a linear fit of what was moved (N,) by what was told (N, L),
    and its standard error."""
    echoes, _, rank, _ = np.linalg.lstsq(told, moved, rcond=None)
    left = moved - told @ echoes
    spread = left @ left / max(len(moved) - rank, 1)
    summed = max(float(np.linalg.pinv(told.T @ told, hermitian=True).sum()), 0.0)
    return float(echoes.sum()), float(np.sqrt(spread * summed))


def in_steps(seconds: float, control_hz: float) -> int:
    """How many control steps that is, at least one."""
    return max(1, round(seconds * control_hz))
