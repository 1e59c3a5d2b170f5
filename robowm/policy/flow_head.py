"""Actions by flow matching: one token an action, beside what was seen (ViPRA-FM)."""

import torch
from torch import Tensor, nn

from robowm.nn.transformer import Transformer, sinusoid
from robowm.policy.flow_matching import draw_times, integrate, interpolate
from robowm.policy.looked import Looked
from robowm.policy.shown import DecoderConfig


class FlowHead(nn.Module):
    """A velocity field over action chunks, its loss and its sampler."""

    name = "flow_matching"

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        width = config.backbone.width
        self.causal, self.steps = config.causal_actions, config.flow_steps
        self.action_in = nn.Linear(config.action_dim, width)
        self.action_place = nn.Parameter(0.02 * torch.randn(config.horizon, width))
        self.mix = nn.Sequential(nn.Linear(3 * width, width), nn.SiLU(), nn.Linear(width, width))
        self.action_out = nn.Linear(width, config.action_dim)
        nn.init.zeros_(self.action_out.weight)
        nn.init.zeros_(self.action_out.bias)

    def loss(self, actions: Tensor, valid: Tensor, looked: Looked, trunk: Transformer) -> Tensor:
        """Mean squared error of the velocity over valid actions (B, H, A)."""
        noise = torch.randn_like(actions)
        t = draw_times(len(actions), actions.device)
        x, target = interpolate(actions, noise, t)
        error = (self.velocity(x, t, looked, trunk) - target).square().mean(-1) * valid
        return error.sum() / valid.sum().clamp_min(1)

    def sample(self, noise: Tensor, looked: Looked, trunk: Transformer) -> Tensor:
        """Action chunks (B, H, A) from noise (B, H, A)."""
        return integrate(lambda x, t: self.velocity(x, t, looked, trunk), noise, self.steps)

    def velocity(self, x: Tensor, t: Tensor, looked: Looked, trunk: Transformer) -> Tensor:
        """Where points (B, H, A) on the way move at times (B,)."""
        actions = self.action_in(x) + self.action_place
        time = sinusoid(t, actions.shape[-1])[:, None].expand_as(actions)
        towards = looked.towards[:, None].expand_as(actions)
        tokens = self.mix(torch.cat([actions, time.to(actions.dtype), towards], dim=-1))
        return self.action_out(looked.run(trunk, tokens, self.causal)).float()
