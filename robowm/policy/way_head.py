"""A head that acts by shares of the ways to its goals: it knows no compass, no side, no place.

Of an arm that is told by how much its hand shall move and turn, a chunk is made of the ways that
lead to the goals and of how the hand moved last, each times a number, and these numbers depend on
nothing but how far and how much turned the goals are. So what it does turns and mirrors with them
exactly (the scalars and vectors of Villar et al., "Scalars are universal", 2021), where a plain
network has to be shown that. Whether to open or to close it sees by how far the next goal is and
how fast the hand moves, for a goal is where that changes, and a hand slows down before it: a plain
network taught by one demonstration a task closed the gripper 5 cm beside the thing, at the moment
at which it had been closed before (docs/leads.md).
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.policy.goal_head import plain
from robowm.policy.turning import Triple

HIDDEN = 256
UNIT_M, UNIT_RAD = 0.05, 0.5
MOST = 8.0  # units; further away is as far
SURE = 4.0  # a command's logit
MOVED = 4.0  # a step is about a quarter of a unit
BLUR, FINE_BLUR = 0.15, 0.06  # units, of what is seen in training


class WayHead(nn.Module):
    """Proprioception and goals to a chunk of actions, all in normalised units.

    Args:
        state_dim: S.
        frames: T, moments of proprioception.
        subgoals: G.
        shape: (H, A), the chunk's.
        place: columns of the state that are the hand's place, x, y and z, metres.
        axes: those of two of the hand's axes.
        motion: columns of an action that are how the hand shall move, and turn: vectors in the
            frame of `place`.

    Attributes:
        state_scale, action_scale: (2, S) and (2, A), mean and deviation by which they are
            normalised.
        most: (2,), longest move and turn of the demonstrations, in the robot's units; it asks for
            no more.
        ends: (2,), what the gripper was told, normalised, where it was told but two things, shut
            and open: then it is told one or the other; NaN: it was told more.
        may_turn: bool, whether a demonstration was told to turn about the vertical; else it is not.
    """

    state_scale: Tensor
    action_scale: Tensor
    most: Tensor
    ends: Tensor
    may_turn: Tensor

    def __init__(
        self,
        state_dim: int,
        frames: int,
        subgoals: int,
        shape: tuple[int, int],
        place: Sequence[int],
        axes: Sequence[Triple],
        motion: Sequence[Triple],
    ) -> None:
        super().__init__()
        self.place, self.axes = list(place), [list(triple) for triple in axes]
        self.move, self.spin = (list(triple) for triple in motion)
        used = {*self.place, *self.axes[0], *self.axes[1]}
        self.rest = [column for column in range(state_dim) if column not in used]
        moved = {*self.move, *self.spin}
        self.others = [column for column in range(shape[1]) if column not in moved]
        self.subgoals, self.horizon = subgoals, shape[0]
        rest, before = (frames + subgoals) * len(self.rest), frames - 1
        self.shares = plain(4 * subgoals + before + rest, HIDDEN, shape[0] * (2 * subgoals + 1))
        self.gripper = plain(3 + 2 * before + rest, HIDDEN, shape[0] * len(self.others))
        # the hand lags what it was told; by how much does not depend on where it goes
        self.lag = nn.Parameter(torch.zeros(2, shape[0], before))
        scale = torch.tensor([[0.0], [1.0]])
        self.register_buffer("state_scale", scale.repeat(1, state_dim))
        self.register_buffer("action_scale", scale.repeat(1, shape[1]))
        self.register_buffer("most", torch.full((2,), torch.inf))
        self.register_buffer("ends", torch.full((2,), torch.nan))
        self.register_buffer("may_turn", torch.tensor(True))

    def know_scale(self, state: Tensor, action: Tensor, actions: Tensor) -> None:
        """Set `state_scale`, `action_scale`, and the rest by all that was done, actions (N, A)."""
        self.state_scale.copy_(state)
        self.action_scale.copy_(action)
        longest = [actions[:, columns].norm(dim=1).max() for columns in (self.move, self.spin)]
        self.most.copy_(torch.stack(longest))
        self.may_turn.fill_(bool(actions[:, self.spin[2]].any()))
        told = torch.unique(actions[:, -1])
        if len(told) == 2:
            self.ends.copy_((told - action[0, -1]) / action[1, -1])

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Policies of before turn."""
        state_dict.setdefault(f"{prefix}may_turn", torch.tensor(True))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def forward(self, state: Tensor, subgoals: Tensor) -> Tensor:
        """Actions (B, H, A) from proprioception (B, T, S), oldest first, and goals (B, G, S)."""
        with torch.autocast(state.device.type, enabled=False):
            ways, turns, rest = self._ways(state.float(), subgoals.float())
            far, near = self._distances(ways, turns, rest)
        goals = self.subgoals
        found = self.shares(far).unflatten(1, (self.horizon, -1)).float()
        of_ways, rise, of_turns = found.split([goals, 1, goals], dim=-1)
        level = of_ways @ ways[:, :goals, :2] + self.lag[0] @ ways[:, goals:, :2]
        move = torch.cat([level, rise], dim=-1)
        spin = of_turns @ turns[:, :goals] + self.lag[1] @ turns[:, goals:]
        if not self.training and not self.may_turn:
            spin[..., 2] = 0
        chunk = move.new_empty(len(move), self.horizon, self.action_scale.shape[1])
        for vector, columns, most in ((move, self.move, 0), (spin, self.spin, 1)):
            mean, deviation = self.action_scale[:, columns]
            told = vector * deviation.square().mean().sqrt()  # alike in all directions
            if not self.training:
                long = told.norm(dim=-1, keepdim=True).clamp_min(1e-9)
                told = told * (self.most[most] / long).clamp_max(1)
            chunk[..., columns] = (told - mean) / deviation
        chunk[..., self.others] = self.gripper(near).unflatten(1, (self.horizon, -1)).float()
        if not self.training and bool(self.ends.isfinite().all()):
            shut, open_ = self.ends
            chunk[..., -1] = torch.where(chunk[..., -1] > self.ends.mean(), open_, shut)
        return chunk

    def error(self, chunk: Tensor, actions: Tensor) -> Tensor:
        """How wrong a chunk (B, H, A) is, (B, H): L1, but of a gripper that is told one thing or
        the other the cross-entropy, which weighs how sure it is. By L1 the likelier command is
        told for certain, and at each moment that is the one before.
        """
        off = (chunk - actions).abs()
        if bool(self.ends.isfinite().all()):
            middle, half = self.ends.mean(), (self.ends[1] - self.ends[0]).abs() / 2
            logits, open_ = (v[..., -1] - middle for v in (chunk, actions))
            told = F.binary_cross_entropy_with_logits(
                SURE * logits / half, (open_ > 0).float(), reduction="none"
            )
            off = torch.cat([off[..., :-1], told[..., None]], dim=-1)
        return off.mean(-1)

    def _ways(self, state: Tensor, subgoals: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Ways and turns (B, G + T - 1, 3), to the goals and from the moments before, in units;
        and the other numbers, normalised, flat."""
        mean, deviation = self.state_scale
        others = torch.cat([state, subgoals], dim=1)[..., self.rest].flatten(1)
        state, subgoals = (v * deviation + mean for v in (state, subgoals))
        now, before = state[:, -1:], state[:, :-1]
        to, since = subgoals - now, MOVED * (now - before)
        ways = torch.cat([to, since], dim=1)[..., self.place] / UNIT_M
        facing = rotation(now, self.axes)
        to_turn = rotation_vector(rotation(subgoals, self.axes) @ facing.mT)
        turned = rotation_vector(facing @ rotation(before, self.axes).mT)
        return ways, torch.cat([to_turn, MOVED * turned], dim=1) / UNIT_RAD, others

    def _distances(self, ways: Tensor, turns: Tensor, rest: Tensor) -> tuple[Tensor, Tensor]:
        """What tells the shares, and what tells the gripper: no turn or mirror changes them."""
        goals = self.subgoals
        level, rise, turn = ways[..., :2].norm(dim=-1), ways[..., 2], turns[:, :goals]
        far = [level[:, :goals], rise, turn[..., 2].abs(), turn[..., :2].norm(dim=-1), rest]
        fast = [level[:, goals:], rise[:, goals:]]
        near = [level[:, :1], rise[:, :1], turns[:, :1].norm(dim=-1), *fast, rest]
        seen = [torch.cat(parts, dim=1).clamp(-MOST, MOST) for parts in (far, near)]
        if self.training:
            blurs = zip(seen, (BLUR, FINE_BLUR), strict=True)
            seen = [numbers + blur * torch.randn_like(numbers) for numbers, blur in blurs]
        return seen[0], seen[1]


def rotation(state: Tensor, axes: Sequence[Sequence[int]]) -> Tensor:
    """Rotation matrices (..., 3, 3) whose first columns are the axes that states (..., S) hold,
    made of length one and square."""
    first = nn.functional.normalize(state[..., axes[0]], dim=-1)
    second = state[..., axes[1]]
    second = second - (first * second).sum(-1, keepdim=True) * first
    second = nn.functional.normalize(second, dim=-1)
    return torch.stack([first, second, torch.linalg.cross(first, second)], dim=-1)


def rotation_vector(turn: Tensor) -> Tensor:
    """Axis times angle (..., 3), radians, of rotation matrices (..., 3, 3)."""
    skew = turn - turn.mT
    axis = torch.stack([skew[..., 2, 1], skew[..., 0, 2], skew[..., 1, 0]], dim=-1) / 2
    sine = axis.norm(dim=-1).clamp_min(1e-6)
    cosine = (turn.diagonal(dim1=-2, dim2=-1).sum(-1) - 1) / 2
    return axis * (torch.atan2(sine, cosine) / sine)[..., None]
