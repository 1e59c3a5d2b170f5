"""The action decoder: a chunk of robot actions from context frames, instruction, proprioception.

One token an action, beside the backbone's prefix; latent actions and the future frame are not
used here (ViPRA's +SP3 ablation: drop them after pretraining).
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from robowm.nn.transformer import Cache, block_mask, sinusoid
from robowm.policy.flow_matching import draw_times, integrate, interpolate
from robowm.world.backbone import Backbone, BackboneConfig


@dataclass(frozen=True)
class DecoderConfig:
    """Shape of the action decoder."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    state_dim: int = 8
    """S, numbers of proprioception; 0 leaves it out (ViPRA's headline model)"""
    action_dim: int = 7
    """A, numbers of one action"""
    horizon: int = 8
    """H, actions in a chunk (ViPRA 14)"""
    flow_steps: int = 10
    """Euler steps per chunk"""
    causal_actions: bool = False
    """True: action tokens see only earlier ones, as ViPRA does; False: all, as π0 does"""


class ActionDecoder(nn.Module):
    """Velocity field over action chunks, its loss and its sampler. All in normalised units."""

    mask: Tensor

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config = config
        width = config.backbone.width
        self.backbone = Backbone(config.backbone)
        self.state_in = nn.Linear(max(config.state_dim, 1), width)
        self.action_in = nn.Linear(config.action_dim, width)
        self.action_place = nn.Parameter(0.02 * torch.randn(config.horizon, width))
        self.mix = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        self.action_out = nn.Linear(width, config.action_dim)
        nn.init.zeros_(self.action_out.weight)
        nn.init.zeros_(self.action_out.bias)
        seen = self.backbone.prefix_tokens + 1
        mask = block_mask([seen, config.horizon], [False, config.causal_actions])
        self.register_buffer("mask", mask, persistent=False)

    def loss(
        self, frames: Tensor, task: list[str], state: Tensor, actions: Tensor, valid: Tensor
    ) -> Tensor:
        """Mean squared error of the velocity, on valid actions.

        Args:
            frames: float32 (B, T, 3, S, S) in [0, 1].
            task: B instructions.
            state: float32 (B, state_dim).
            actions: float32 (B, H, A).
            valid: bool (B, H).
        """
        noise = torch.randn_like(actions)
        t = draw_times(len(actions), actions.device)
        x, target = interpolate(actions, noise, t)
        tokens = torch.cat([self._prefix(frames, task, state), self._action_tokens(x, t)], dim=1)
        hidden, _ = self.backbone.trunk(tokens, self.mask)
        velocity = self.action_out(hidden[:, -self.config.horizon :]).float()
        error = (velocity - target).square().mean(-1) * valid
        return error.sum() / valid.sum().clamp_min(1)

    @torch.no_grad()
    def sample(self, frames: Tensor, task: list[str], state: Tensor, noise: Tensor) -> Tensor:
        """Action chunks (B, H, A) from noise (B, H, A); the prefix is computed once."""
        prefix = self._prefix(frames, task, state)
        seen = prefix.shape[1]
        _, cache = self.backbone.trunk(prefix, self.mask[:seen, :seen])

        def velocity(x: Tensor, t: Tensor) -> Tensor:
            return self._velocity(x, t, cache)

        return integrate(velocity, noise, self.config.flow_steps)

    def _velocity(self, x: Tensor, t: Tensor, cache: Cache) -> Tensor:
        mask = self.mask[-self.config.horizon :]
        hidden, _ = self.backbone.trunk(self._action_tokens(x, t), mask, cache)
        return self.action_out(hidden).float()

    def _prefix(self, frames: Tensor, task: list[str], state: Tensor) -> Tensor:
        if not self.config.state_dim:
            state = frames.new_zeros(len(frames), 1)
        prefix = self.backbone.prefix(frames, task)
        return torch.cat([prefix, self.state_in(state)[:, None]], dim=1)

    def _action_tokens(self, x: Tensor, t: Tensor) -> Tensor:
        actions = self.action_in(x) + self.action_place
        time = sinusoid(t, actions.shape[-1])[:, None].expand_as(actions)
        return self.mix(torch.cat([actions, time.to(actions.dtype)], dim=-1))
