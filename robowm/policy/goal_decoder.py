"""The action decoder that goes by goals: the picture gives the goals, the goals give the actions.

Two networks that share nothing but the goals between them. The first looks for where the hand will
be seen at the next keyframes and reads off how it will be there; the second acts
(`robowm.policy.goal_head`). Neither can make up for the other by learning an episode by heart.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robowm.nn.points import Found, map_loss
from robowm.policy.goal_head import GoalHead
from robowm.policy.goal_reader import GoalReader
from robowm.policy.shown import DecoderConfig, Demonstrated
from robowm.world.backbone import Backbone


class GoalDecoder(nn.Module):
    """Goals and actions, their losses and what is done. All in normalised units.

    Raises:
        ValueError: no proprioception, no subgoals, or fewer points than these.
    """

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        if not config.state_dim or not 0 < config.subgoals <= config.backbone.points:
            raise ValueError(
                f"a head that acts on goals: got {config.state_dim} numbers of proprioception, "
                f"{config.subgoals} subgoals and {config.backbone.points} points; expected some "
                "of each, and no more subgoals than points"
            )
        self.config = config
        width = config.backbone.width
        self.backbone = Backbone(config.backbone)
        # what is to be done next shows in the gripper, by convention the last number of a state
        self.gripper_in = nn.Linear(config.state_frames, width)
        nn.init.zeros_(self.gripper_in.weight)
        nn.init.zeros_(self.gripper_in.bias)
        self.reader = GoalReader(
            width,
            config.state_dim,
            config.state_frames,
            config.subgoals,
            config.state_places,
            config.state_vectors,
        )
        self.head = GoalHead(
            config.state_dim,
            config.state_frames,
            config.subgoals,
            (config.horizon, config.action_dim),
            config.state_places,
        )

    def loss(
        self, frames: Tensor, task: list[str], state: Tensor, shown: Demonstrated
    ) -> dict[str, Tensor]:
        """The losses, by name.

        `action_l1` on valid actions, of the practice where there is some; where they are shown,
        `subgoal_l1`, `heading_nats`, cross-entropy of how the hand will be turned there, and
        `place_nats`, cross-entropy of the first G points' maps.

        Args:
            frames: float32 (B, T, 3, S, S) in [0, 1].
            task: B instructions.
            state: float32 (B, T, state_dim), oldest first.
            shown: what was done.
        """
        seen = self._look(frames, task, state, shown)
        known, p, subgoals, found = shown.subgoals, shown.practice, seen.subgoals, seen.found
        if p is not None:
            losses = {"action_l1": _mean_l1(self.head(p.state, p.subgoals), p.actions, p.valid)}
        else:
            chunk = self.head(state, subgoals if known is None else known)
            losses = {"action_l1": _mean_l1(chunk, shown.actions, shown.valid)}
        if known is not None:
            losses["subgoal_l1"] = (subgoals - known).abs().mean()
        if seen.heading_nats is not None:
            losses["heading_nats"] = seen.heading_nats
        if shown.places is not None:
            count = self.config.subgoals
            losses["place_nats"] = map_loss(found.logits[:, :count], shown.places[:, :count])
        return losses

    @torch.no_grad()
    def sample(
        self, frames: Tensor, task: list[str], state: Tensor, noise: Tensor | None = None
    ) -> Tensor:
        """Action chunks (B, H, A); nothing is drawn, `noise` is not used."""
        chunk: Tensor = self.head(state, self._look(frames, task, state).subgoals)
        return chunk

    @torch.no_grad()
    def foretell(self, frames: Tensor, task: list[str], state: Tensor) -> Tensor:
        """The subgoals (B, G, state_dim) that it acts towards."""
        return self._look(frames, task, state).subgoals

    def _look(
        self, frames: Tensor, task: list[str], state: Tensor, shown: Demonstrated | None = None
    ) -> "_Looked":
        """Goals, and where they were found; places that are taught by themselves take no gradient
        from what is read off them, which would have them learn the demonstrations by heart."""
        seen = self.backbone(frames, task, self.gripper_in(state[..., -1]))
        found, count = seen.points, self.config.subgoals
        at, moved, subgoals = found.places[:, :count], None, None
        if shown is not None:
            at = at if shown.places is None else at.detach()
            moved, subgoals = shown.moved, shown.subgoals
        if moved is not None:
            at = at - moved[:, None]  # back to where it would be, had the picture not been moved
        picture = (frames[:, -1], moved)
        what = found.what[:, :count]
        goals, nats = self.reader(at, what, seen.words, state, picture, subgoals)
        return _Looked(goals, nats, found)


@dataclass(frozen=True)
class _Looked:
    """What `GoalReader` gives, and the points it has read."""

    subgoals: Tensor
    heading_nats: Tensor | None
    found: Found


def _mean_l1(chunk: Tensor, actions: Tensor, valid: Tensor) -> Tensor:
    error = (chunk - actions).abs().mean(-1) * valid
    return error.sum() / valid.sum().clamp_min(1)
