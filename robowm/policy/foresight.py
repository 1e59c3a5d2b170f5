"""What a policy may keep of its world model: it foretells before it acts, and acts on that.

Off by default. ViPRA drops both after pretraining, and loses 17 to 31 points on SIMPLER where the
future frame is kept (its ablation +SP3); others have their actions look at latent actions that are
foretold first, half of the time in training (villa-X; Moto), so that they can do without.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from robowm.nn.transformer import Transformer
from robowm.policy.looked import Looked
from robowm.policy.shown import DecoderConfig, Demonstrated
from robowm.world.backbone import Seen
from robowm.world.targets import FutureFrame, foretell, future_l1, latent_target


@dataclass(frozen=True)
class Foretold:
    """Hidden tokens of the future frame, and those of latent actions; None where not kept."""

    future: Tensor | None = None
    latents: Tensor | None = None


class Foresight(nn.Module):
    """The future frame and latent actions after what was seen, their losses."""

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__()
        self.config, width = config, config.backbone.width
        self.future = FutureFrame(config.backbone) if config.keep_future else None
        self.latents = None
        if config.latents != "none":
            shape, continuous = config.latent, config.latents == "continuous"
            numbers = shape.dim if continuous else shape.tokens
            self.latents = latent_target(width, (shape.horizon, numbers), shape.codes, continuous)

    def forward(
        self, trunk: Transformer, looked: Looked, given: Tensor | None
    ) -> tuple[Looked, Foretold]:
        """Foretell.

        Args:
            trunk: the backbone's.
            looked: what was seen.
            given: the true latent actions in training, as `robowm.world.targets` has them.

        Returns:
            what actions look at now, and hidden tokens for the losses. In training without true
            latent actions none are foretold.
        """
        cache, size = looked.cache, len(looked.towards)
        future = latents = hidden = None
        if self.future is not None:
            future, cache = trunk(self.future.query.expand(size, -1, -1), None, cache)
        if self.latents is not None and given is not None:
            seen = cache[0][0].shape[2]
            latents, cache = self._told(trunk, replace(looked, cache=cache), given)
            hidden = torch.zeros(size, cache[0][0].shape[2], dtype=torch.bool, device=given.device)
            hidden[:, seen:] = self._dropped(given)[:, None]
        elif self.latents is not None and not self.training:
            _, cache = foretell(self.latents, trunk, cache)
        return replace(looked, cache=cache, hidden=hidden), Foretold(future, latents)

    def losses(
        self, told: Foretold, seen: Seen, now: Tensor, shown: Demonstrated
    ) -> dict[str, Tensor]:
        """Losses by name of what was foretold and is known; `now` is the picture (B, 3, S, S)."""
        losses = {}
        if self.future is not None and told.future is not None and shown.future is not None:
            assert shown.future_valid is not None
            drawn = self.future.draw(now, told.future, seen)
            losses["future_l1"] = future_l1(drawn, now, shown.future, shown.future_valid)
        if self.latents is not None and told.latents is not None and shown.latents is not None:
            losses[self.latents.name] = self.latents.loss(told.latents, shown.latents)
        return losses

    def _told(
        self, trunk: Transformer, looked: Looked, given: Tensor
    ) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
        """Teacher-forced: each latent token sees what was seen and those before it."""
        assert self.latents is not None
        tokens, past = self.latents.inputs(given), looked.cache[0][0].shape[2]
        count = tokens.shape[1]
        own = torch.ones(count, count, dtype=torch.bool, device=tokens.device).tril()
        return trunk(tokens, torch.cat([own.new_ones(count, past), own], dim=1), looked.cache)

    def _dropped(self, given: Tensor) -> Tensor:
        """bool (B,), samples whose actions see no latent ones: by chance, or for none is known."""
        flat = given.flatten(1)
        known = (flat >= 0).any(1) if not flat.is_floating_point() else flat.isfinite().any(1)
        chance = torch.rand(len(given), device=given.device) < self.config.latent_dropout
        return ~known | (chance & self.training)
