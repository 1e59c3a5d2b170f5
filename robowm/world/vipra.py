"""The ViPRA-style world model: the frame H steps ahead, then the H latent actions between.

Routray et al., arXiv 2511.07732, section 3.2. One frame far ahead first, and the latent action
chunk conditioned on it, autoregressively; loss on those two only. Frames here are drawn by a
convolutional head in one go (ViPRA has VQGAN tokens), which a CPU can train.
"""

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.batch import INVALID_CODE, Batch
from robowm.nn.image import Decoder
from robowm.nn.transformer import block_mask
from robowm.world.backbone import Backbone, BackboneConfig, Seen
from robowm.world.contract import Capabilities


@dataclass(frozen=True)
class ViPRAConfig:
    """Shape and losses of the world model."""

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    horizon: int = 8
    """H, steps from the last context frame to the predicted one (ViPRA 14)"""
    tokens: int = 4
    """K, codes per latent action; must be the labeller's"""
    codes: int = 8
    """size of the labeller's codebook"""
    predict_future: bool = True
    """False is the ablation -SP2: latent actions only"""
    predict_latents: bool = True
    """False is the ablation -LA: future frame only"""
    future_weight: float = 4.0
    """weight of the future frame's L1 beside the codes' cross-entropy"""


class ViPRAWorldModel(nn.Module):
    """Predicts frame t+H and the latent actions t..t+H-1 from frames t-1, t and text."""

    mask: Tensor

    def __init__(self, config: ViPRAConfig) -> None:
        super().__init__()
        self.config = config
        b = config.backbone
        self.capabilities = Capabilities(("text",), config.horizon)
        self.backbone = Backbone(b)
        self.future_query = nn.Parameter(0.02 * torch.randn(b.grid**2, b.width))
        self.future_head = Decoder(4, b.size_px, b.grid, b.width, b.channels)
        self.code_in = nn.Embedding(config.codes + 2, b.width)  # and: begin, unknown
        self.code_step = nn.Parameter(0.02 * torch.randn(config.horizon, 1, b.width))
        self.code_token = nn.Parameter(0.02 * torch.randn(config.tokens, b.width))
        self.code_out = nn.Linear(b.width, config.codes)
        groups = [self.backbone.prefix_tokens, b.grid**2, config.horizon * config.tokens]
        mask = block_mask(groups, [False, False, True])
        self.register_buffer("mask", mask, persistent=False)

    def forward(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Training loss, and its parts."""
        return self.loss(batch)

    def loss(self, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """L1 of the future frame and cross-entropy of the codes, on what is valid.

        Args:
            batch: with frames, task, future, future_valid and codes (B, H, K).
        """
        assert batch.future is not None and batch.future_valid is not None
        assert batch.codes is not None
        drawn, logits = self._teacher_forced(batch)
        total, parts = drawn.new_zeros(()), {}
        if self.config.predict_future:
            now = batch.frames[:, -1]
            moved = (batch.future - now).abs().amax(1, keepdim=True)
            weight = (1 + 4 * (moved * 5).clamp(max=1)) * batch.future_valid[:, None, None, None]
            gap = (drawn - batch.future).abs().mean(1, keepdim=True)
            future = (gap * weight).sum() / weight.sum().clamp_min(1)
            total, parts["future_l1"] = total + self.config.future_weight * future, future.item()
        if self.config.predict_latents:
            codes = F.cross_entropy(
                logits.flatten(0, 1).float(), batch.codes.flatten(), ignore_index=INVALID_CODE
            )
            codes = codes.nan_to_num(0.0)  # a batch without one valid code
            total, parts["code_nats"] = total + codes, codes.item()
        return total, parts

    def _teacher_forced(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The future frame (B, 3, S, S) and code logits (B, H·K, codes)."""
        assert batch.codes is not None
        seen = self.backbone(batch.frames, batch.task)
        query = self.future_query.expand(len(seen.prefix), -1, -1)
        parts = [seen.prefix, query, self._code_inputs(batch.codes)]
        hidden, _ = self.backbone.trunk(torch.cat(parts, dim=1), self.mask)
        future, codes = self._split(hidden)
        return self._draw(batch.frames[:, -1], future, seen), self.code_out(codes)

    def _code_inputs(self, codes: Tensor) -> Tensor:
        """Codes (B, H, K) shifted right by one and embedded: (B, H·K, D)."""
        begin, unknown = self.config.codes, self.config.codes + 1
        known = torch.where(codes < 0, unknown, codes).flatten(1)
        shifted = F.pad(known[:, :-1], (1, 0), value=begin)
        place = (self.code_step + self.code_token).flatten(0, 1)
        return self.code_in(shifted) + place

    def _split(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        start = self.backbone.prefix_tokens
        end = start + self.config.backbone.grid**2
        return hidden[:, start:end], hidden[:, end:]

    def _draw(self, now: Tensor, future: Tensor, seen: Seen) -> Tensor:
        picture = self.future_head(future, seen.fine).float()
        drawn, change = picture.sigmoid().split([3, 1], dim=1)
        return now * (1 - change) + drawn * change  # still background is copied, not redrawn

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
        """The frame H steps ahead (B, 3, S, S) and the likeliest codes int64 (B, H, K), greedily.

        The prefix and the future are computed once and cached; codes follow one at a time.
        """
        trunk, c = self.backbone.trunk, self.config
        seen = self.backbone(context.frames, context.task)
        prefix = seen.prefix
        query = self.future_query.expand(len(prefix), -1, -1)
        length = prefix.shape[1] + query.shape[1]
        hidden, cache = trunk(torch.cat([prefix, query], dim=1), self.mask[:length, :length])
        frame = self._draw(context.frames[:, -1], hidden[:, prefix.shape[1] :], seen)
        codes = torch.full((len(prefix), c.horizon, c.tokens), INVALID_CODE, device=frame.device)
        for i in range(c.horizon * c.tokens):
            token = self._code_inputs(codes)[:, i : i + 1]
            hidden, cache = trunk(token, past=cache)
            codes.view(len(prefix), -1)[:, i] = self.code_out(hidden[:, 0]).argmax(-1)
        return frame, codes
