"""The ViPRA-style world model: the frame H steps ahead, then the H latent actions between.

Routray et al., arXiv 2511.07732, section 3.2. One frame far ahead first, and the latent action
chunk conditioned on it, autoregressively; loss on those two only. Frames here are drawn by a
convolutional head in one go (ViPRA has VQGAN tokens), which a CPU can train.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from robowm.batch import Batch
from robowm.nn.transformer import block_mask
from robowm.world.backbone import Backbone, BackboneConfig, Seen
from robowm.world.contract import Capabilities
from robowm.world.targets import FutureFrame, foretell, future_l1, latent_target


@dataclass(frozen=True)
class ViPRAConfig:
    """Shape and losses of the world model."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    horizon: int = 8
    """H, steps from the last context frame to the predicted one (ViPRA 14)"""
    latent_steps: int = 0
    """latent actions that are foretold, 0: H; 1 is the ablation -AC, without chunks"""
    tokens: int = 4
    """K, codes per latent action; must be the labeller's"""
    codes: int = 8
    """size of the labeller's codebook"""
    continuous: bool = False
    """True: foretell latent actions as they are, by L1, not their codes"""
    latent_dim: int = 32
    """D, numbers of a latent action where these are continuous; must be the labeller's"""
    predict_future: bool = True
    """False is the ablation -SP2: latent actions only"""
    predict_latents: bool = True
    """False is the ablation -LA: future frame only"""
    future_weight: float = 4.0
    """weight of the future frame's L1 beside the codes' cross-entropy"""

    @property
    def chunk(self) -> int:
        """Latent actions that are foretold."""
        return self.latent_steps or self.horizon


class ViPRAWorldModel(nn.Module):
    """Predicts frame t+H and the latent actions t..t+H-1 from frames t-1, t and text."""

    mask: Tensor

    def __init__(self, config: ViPRAConfig) -> None:
        super().__init__()
        self.config = config
        b = config.backbone
        self.capabilities = Capabilities(("text",), config.horizon)
        self.backbone = Backbone(b)
        self.future = FutureFrame(b)
        shape = config.chunk, config.latent_dim if config.continuous else config.tokens
        self.latents = latent_target(b.width, shape, config.codes, config.continuous)
        groups = [self.backbone.prefix_tokens, b.grid**2, self.latents.length]
        mask = block_mask(groups, [False, False, True])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Training loss, and its parts."""
        return self.loss(batch)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """L1 of the future frame and cross-entropy of the codes, on what is valid.

        Args:
            batch: with frames, task, future, future_valid and codes (B, H, K); where latent actions
                are continuous `latents` (B, H, D) and their L1, instead.
        """
        assert batch.future is not None and batch.future_valid is not None
        drawn, hidden = self.teacher_forced(batch)
        total, parts = drawn.new_zeros(()), {}
        if self.config.predict_future:
            now = batch.frames[:, -1]
            future = future_l1(drawn, now, batch.future, batch.future_valid)
            total, parts["future_l1"] = total + self.config.future_weight * future, future.item()
        if self.config.predict_latents:
            latents = self.latents.loss(hidden, self.given(batch))
            total, parts[self.latents.name] = total + latents, latents.item()
        return total, parts

    def given(self, batch: Batch) -> Tensor:
        """A batch's latent actions in the form that is foretold."""
        given = batch.latents if self.config.continuous else batch.codes
        assert given is not None
        return given

    def teacher_forced(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The future frame (B, 3, S, S), and what latent actions are read off (B, L, D)."""
        seen = self.backbone(batch.frames, batch.task)
        query = self.future.query.expand(len(seen.prefix), -1, -1)
        parts = [seen.prefix, query, self.latents.inputs(self.given(batch))]
        hidden, _ = self.backbone.trunk(torch.cat(parts, dim=1), self.mask)
        future, latents = self._split(hidden)
        return self.future.draw(batch.frames[:, -1], future, seen), latents

    def _split(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        start = self.backbone.prefix_tokens
        end = start + self.config.backbone.grid**2
        return hidden[:, start:end], hidden[:, end:]

    def start(self, context: Batch) -> Batch:
        """The state of an imagined rollout is its newest context."""
        return context

    @torch.no_grad()
    def step(self, state: Batch, control: Tensor | None = None) -> tuple[Tensor, Batch]:
        """Jump H frames ahead; the imagined frame then fills the whole context (at rest).

        Raises:
            ValueError: `control` is given: this family is steered by text alone.
        """
        if control is not None:
            raise ValueError(f"control: expected None, this model allows {self.capabilities}")
        frame, _ = self.predict(state)
        count = self.config.backbone.context_frames
        frames = frame[:, None].expand(-1, count, -1, -1, -1)
        return frame, replace(state, frames=frames)

    @torch.no_grad()
    def predict(self, context: Batch) -> tuple[Tensor, Tensor]:
        """The frame H steps ahead (B, 3, S, S), and latent actions: the likeliest codes int64
        (B, H, K), greedily, or where they are continuous float32 (B, H, D).

        The prefix and the future are computed once and cached; latent actions follow one by one.
        """
        seen: Seen = self.backbone(context.frames, context.task)
        query = self.future.query.expand(len(seen.prefix), -1, -1)
        tokens = torch.cat([seen.prefix, query], dim=1)
        length = tokens.shape[1]
        hidden, cache = self.backbone.trunk(tokens, self.mask[:length, :length])
        future, _ = self._split(hidden)
        frame = self.future.draw(context.frames[:, -1], future, seen)
        return frame, foretell(self.latents, self.backbone.trunk, cache)[0]
