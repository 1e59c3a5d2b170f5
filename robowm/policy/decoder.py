"""The action decoder: a chunk of robot actions from context frames, instruction, proprioception.

Tokens of actions beside the backbone's prefix. Latent actions and the future frame are by default
not used here (ViPRA's +SP3 ablation: drop them after pretraining; `robowm.policy.foresight`).
Before the actions come subgoals, the proprioception at the next keyframes: to know where the hand
will close is most of the way.
"""

from dataclasses import replace

import torch
from torch import Tensor, nn

from robowm.nn.points import map_loss
from robowm.policy.flow_head import FlowHead
from robowm.policy.foresight import Foresight
from robowm.policy.looked import Looked
from robowm.policy.shown import DecoderConfig, Demonstrated
from robowm.policy.token_head import TokenHead
from robowm.world.backbone import Backbone, Seen


class ActionDecoder(nn.Module):
    """Action chunks, their loss and their sampler. All in normalised units."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        if config.subgoals and not config.state_dim:
            config = replace(config, subgoals=0)  # they would be of nothing
        self.config = config
        width = config.backbone.width
        self.backbone = Backbone(config.backbone)
        states = config.state_frames * config.state_dim
        self.state_in = nn.Linear(states, width) if states else None
        if config.subgoals:
            self.subgoal_query = nn.Parameter(0.02 * torch.randn(config.subgoals, width))
            # the points' places at hand: from picture to robot is nearly an affine map
            known = 2 * config.backbone.points + config.state_dim
            self.subgoal_out = nn.Linear(width + known, config.state_dim)
            self.subgoal_in = nn.Linear(2 * config.subgoals * config.state_dim + states, width)
        self.actor: FlowHead | TokenHead
        self.actor = TokenHead(config) if config.autoregressive else FlowHead(config)
        self.foresight = Foresight(config)

    def loss(
        self, frames: Tensor, task: list[str], state: Tensor, shown: Demonstrated
    ) -> dict[str, Tensor]:
        """The losses, by name.

        `flow_matching`, mean squared error of the velocity on valid actions, or `action_nats`,
        their cross-entropy; where they are shown, `subgoal_l1`, and `place_nats`, cross-entropy of
        the first G points' maps; where they are kept and shown `future_l1` of the future frame, and
        of latent actions `code_nats` or `latent_l1`.

        Args:
            frames: float32 (B, T, 3, S, S) in [0, 1].
            task: B instructions.
            state: float32 (B, T, state_dim), oldest first.
            shown: what was done.
        """
        trunk = self.backbone.trunk
        seen, looked = self._look(frames, task, state, shown.moved)
        looked, told = self.foresight(trunk, looked, shown.latents)
        losses = {self.actor.name: self.actor.loss(shown.actions, shown.valid, looked, trunk)}
        if shown.subgoals is not None and looked.subgoals is not None:
            losses["subgoal_l1"] = (looked.subgoals - shown.subgoals).abs().mean()
        if shown.places is not None and looked.found is not None:
            count = min(shown.places.shape[1], looked.found.logits.shape[1])
            logits = looked.found.logits[:, :count]
            losses["place_nats"] = map_loss(logits, shown.places[:, :count])
        return losses | self.foresight.losses(told, seen, frames[:, -1], shown)

    @torch.no_grad()
    def sample(self, frames: Tensor, task: list[str], state: Tensor, noise: Tensor) -> Tensor:
        """Action chunks (B, H, A) from noise (B, H, A); the prefix is computed once."""
        _, looked = self._look(frames, task, state)
        looked, _ = self.foresight(self.backbone.trunk, looked, None)
        return self.actor.sample(noise, looked, self.backbone.trunk)

    @torch.no_grad()
    def foretell(self, frames: Tensor, task: list[str], state: Tensor) -> Tensor | None:
        """The subgoals (B, G, state_dim) that it acts towards; None: it has none."""
        return self._look(frames, task, state)[1].subgoals

    def _look(
        self, frames: Tensor, task: list[str], state: Tensor, moved: Tensor | None = None
    ) -> tuple[Seen, Looked]:
        config, size = self.config, len(frames)
        seen = self.backbone(frames, task)
        # how it moves tells how far the arm lags behind what it was told
        now, steps = state[:, -1], (state[:, 1:] - state[:, :-1]).flatten(1)
        known = torch.cat([now, steps], dim=1)
        parts = [seen.prefix]
        if self.state_in is not None:
            parts.append(self.state_in(known)[:, None])
        if not config.subgoals:
            _, cache = self.backbone.trunk(torch.cat(parts, dim=1))
            nowhere = frames.new_zeros(size, config.backbone.width)
            return seen, Looked(cache, None, nowhere, seen.points)
        parts.append(self.subgoal_query.expand(size, -1, -1))
        hidden, cache = self.backbone.trunk(torch.cat(parts, dim=1))
        at_hand = now
        if seen.points is not None:
            places = seen.points.places
            if moved is not None:
                places = places - moved[:, None]  # the arm was not moved with the picture
            at_hand = torch.cat([places.flatten(1), now], dim=1)
        at_hand = at_hand[:, None].expand(-1, config.subgoals, -1)
        told = torch.cat([hidden[:, -config.subgoals :], at_hand.to(hidden.dtype)], dim=-1)
        subgoals = self.subgoal_out(told).float()
        away = torch.cat([subgoals - now[:, None], subgoals], dim=-1).flatten(1)
        towards = self.subgoal_in(torch.cat([away, known], 1))
        return seen, Looked(cache, subgoals, towards, seen.points)
