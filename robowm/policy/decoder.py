"""The action decoder: a chunk of robot actions from context frames, instruction, proprioception.

One token an action, beside the backbone's prefix; latent actions and the future frame are not
used here (ViPRA's +SP3 ablation: drop them after pretraining). Before the actions come subgoals,
the proprioception at the next keyframes: to know where the hand will close is most of the way.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from robowm.nn.points import Found, map_loss
from robowm.nn.transformer import Cache, block_mask, sinusoid
from robowm.policy.flow_matching import draw_times, integrate, interpolate
from robowm.policy.shown import DecoderConfig, Demonstrated
from robowm.world.backbone import Backbone


@dataclass(frozen=True)
class Context:
    """What is computed once for a chunk: the prefix's cache, and what it says of the goal."""

    cache: Cache
    subgoals: Tensor | None
    towards: Tensor
    found: Found | None


class ActionDecoder(nn.Module):
    """Velocity field over action chunks, its loss and its sampler. All in normalised units."""

    mask: Tensor

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
        self.action_in = nn.Linear(config.action_dim, width)
        self.action_place = nn.Parameter(0.02 * torch.randn(config.horizon, width))
        self.mix = nn.Sequential(nn.Linear(3 * width, width), nn.SiLU(), nn.Linear(width, width))
        self.action_out = nn.Linear(width, config.action_dim)
        nn.init.zeros_(self.action_out.weight)
        nn.init.zeros_(self.action_out.bias)
        seen = self.backbone.prefix_tokens + bool(states) + config.subgoals
        mask = block_mask([seen, config.horizon], [False, config.causal_actions])
        self.register_buffer("mask", mask[seen:], persistent=False)

    def loss(
        self, frames: Tensor, task: list[str], state: Tensor, shown: Demonstrated
    ) -> dict[str, Tensor]:
        """The losses, by name.

        `flow_matching`, mean squared error of the velocity on valid actions; where they are shown,
        `subgoal_l1`, and `place_nats`, cross-entropy of the first G points' maps.

        Args:
            frames: float32 (B, T, 3, S, S) in [0, 1].
            task: B instructions.
            state: float32 (B, T, state_dim), oldest first.
            shown: what was done.
        """
        actions, valid = shown.actions, shown.valid
        context = self._look(frames, task, state, shown.moved)
        noise = torch.randn_like(actions)
        t = draw_times(len(actions), actions.device)
        x, target = interpolate(actions, noise, t)
        error = (self._velocity(x, t, context) - target).square().mean(-1) * valid
        losses = {"flow_matching": error.sum() / valid.sum().clamp_min(1)}
        if shown.subgoals is not None and context.subgoals is not None:
            losses["subgoal_l1"] = (context.subgoals - shown.subgoals).abs().mean()
        if shown.places is not None and context.found is not None:
            count = min(shown.places.shape[1], context.found.logits.shape[1])
            logits = context.found.logits[:, :count]
            losses["place_nats"] = map_loss(logits, shown.places[:, :count])
        return losses

    @torch.no_grad()
    def sample(self, frames: Tensor, task: list[str], state: Tensor, noise: Tensor) -> Tensor:
        """Action chunks (B, H, A) from noise (B, H, A); the prefix is computed once."""
        context = self._look(frames, task, state)

        def velocity(x: Tensor, t: Tensor) -> Tensor:
            return self._velocity(x, t, context)

        return integrate(velocity, noise, self.config.flow_steps)

    @torch.no_grad()
    def foretell(self, frames: Tensor, task: list[str], state: Tensor) -> Tensor | None:
        """The subgoals (B, G, state_dim) that it acts towards; None: it has none."""
        return self._look(frames, task, state).subgoals

    def _look(
        self, frames: Tensor, task: list[str], state: Tensor, moved: Tensor | None = None
    ) -> Context:
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
            return Context(cache, None, nowhere, seen.points)
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
        return Context(cache, subgoals, self.subgoal_in(torch.cat([away, known], 1)), seen.points)

    def _velocity(self, x: Tensor, t: Tensor, context: Context) -> Tensor:
        actions = self.action_in(x) + self.action_place
        time = sinusoid(t, actions.shape[-1])[:, None].expand_as(actions)
        towards = context.towards[:, None].expand_as(actions)
        tokens = self.mix(torch.cat([actions, time.to(actions.dtype), towards], dim=-1))
        mask = self.mask if self.config.causal_actions else None  # attention is faster without one
        hidden, _ = self.backbone.trunk(tokens, mask, context.cache)
        return self.action_out(hidden).float()
