"""ViPRA's latent action model at its published size (Routray et al., arXiv 2511.07732).

A clip of `window` frames goes through DINOv2 and space-time blocks that see past and future; what
is left of each frame after the first are `tokens` codes from one codebook of `codes` (NSVQ): the
latent action of the transition to it. A causal decoder redraws every next frame from the true
frames so far and the latent actions so far. The numbers are those of the released configuration
(sroutray/vipra, d5d8c0d), which has 16 tokens where the paper is said to have 8.

Different on purpose: padded transitions count in nothing and reach no other transition; codes are
first placed on samples of the first batch (robowm.nn.quantise); AdamW's second beta is 0.99.
"""

from dataclasses import dataclass, field
from math import isqrt, log2

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.batch import INVALID_CODE
from robowm.errors import UserError
from robowm.latent.backbone import Backbone, BackboneConfig
from robowm.latent.space_time import BlockShape, SpaceTime, feed_forward
from robowm.latent.vipra_loss import (
    Judges,
    ViPRALossConfig,
    flow_consistency,
    flow_share,
    perceptual_gap,
    picture_loss,
)
from robowm.motion.camera import MotionConfig
from robowm.nn.quantise import NSVQ

KIND = "robowm_vipra_latent_action_model"


@dataclass(frozen=True)
class ViPRALatentConfig:
    """Shape and losses of ViPRA's latent action model."""

    size_px: int = 224
    """side of the square frames, pixels"""
    patch_px: int = 14
    """side of a patch, pixels"""
    window: int = 8
    """T, frames of a clip, in training and in labelling"""
    stride_s: float = 0.2
    """seconds between the frames of a window (published: 3 to 6 frames a second)"""
    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    width: int = 768
    """channels of a token"""
    heads: int = 16
    """attention heads"""
    head_dim: int = 64
    """channels of a head"""
    enc_depth: int = 6
    """space-time blocks of the encoder"""
    dec_depth: int = 8
    """space-time blocks of the decoder"""
    ff_mult: float = 4.0
    """width of a feed-forward layer over that of a token, counted as without its gate"""
    ff_dropout: float = 0.1
    """share of a feed-forward layer's channels dropped in training"""
    attention_dropout: float = 0.0
    """share of attention weights dropped in training"""
    tokens: int = 16
    """K, codes per transition; a square number"""
    codes: int = 8
    """size of the codebook that all K share"""
    code_dim: int = 32
    """length of one code's vector"""
    encode_deltas: bool = False
    """quantise the difference of neighbouring frames' features, not the later one's"""
    dead_share: float = 0.015
    """a code used less than this is dead, and moved beside a used one"""
    recompute_blocks: bool = False
    """compute space-time blocks again in the backward pass: less memory, a third more time"""
    loss: ViPRALossConfig = field(default_factory=ViPRALossConfig)
    motion: MotionConfig = field(default_factory=lambda: MotionConfig(compensate_camera=False))


@dataclass(frozen=True)
class Windows:
    """B clips as the model trains on them.

    Attributes:
        frames: float32 (B, T, 3, S, S) in [0, 1]; after a clip's end its last frame is repeated.
        valid: bool (B, T), False on that padding.
        counted: bool (B, T-1), transitions that the loss counts: no padding, and flow was found.
    """

    frames: Tensor
    valid: Tensor
    counted: Tensor

    def to(self, device: torch.device) -> "Windows":
        """The same on another device."""
        parts = (self.frames, self.valid, self.counted)
        return Windows(*(part.to(device) for part in parts))


class ViPRALatentModel(nn.Module):
    """Encoder, quantiser, decoder; `forward` is the training loss.

    The backbone's weights are random until `load_backbone`.

    Raises:
        UserError: sizes that do not fit together.
    """

    def __init__(self, config: ViPRALatentConfig) -> None:
        super().__init__()
        c = self.config = config
        self.grid, self.side, halvings = _sizes(c)
        shape = BlockShape(
            c.width, c.heads, c.head_dim, c.ff_mult, c.ff_dropout, c.attention_dropout
        )
        self.backbone = Backbone(c.backbone, c.width, c.patch_px)
        again = c.recompute_blocks
        self.encoder = SpaceTime(shape, c.enc_depth, causal=False, recompute=again)
        self.to_code_dim = nn.Linear(c.width, c.code_dim)
        self.reduce = nn.ModuleList(
            nn.Conv3d(c.code_dim, c.code_dim, 3, (1, 2, 2), 1) for _ in range(halvings)
        )
        self.quantiser = NSVQ(c.codes, c.code_dim)
        self.to_condition = nn.Sequential(
            nn.Linear(c.tokens * c.code_dim, c.width),
            feed_forward(c.width, c.ff_mult, c.ff_dropout),
        )
        self.patchify = nn.Conv2d(3, c.width, c.patch_px, c.patch_px)
        self.patch_norm = nn.LayerNorm(c.width)
        self.decoder = SpaceTime(shape, c.dec_depth, causal=True, film=True, recompute=again)
        self.to_pixels = nn.Sequential(
            nn.Conv2d(c.width, 3 * c.patch_px**2, 1), nn.PixelShuffle(c.patch_px)
        )
        self.seen: tuple[Tensor, Tensor] | None = None
        """codes (M, K) and vectors before quantisation (M, K, code_dim) of the last step"""

    def encode(self, frames: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
        """The latent actions of a window's transitions.

        Args:
            frames: float32 (B, T, 3, S, S) in [0, 1], T as in `config.window`.
            valid: bool (B, T), False on padding at the end.

        Returns:
            quantised (B, T-1, K, code_dim), 0 where a frame is padding; codes int64 (B, T-1, K),
            -1 there.

        Raises:
            ValueError: a window of another length than the model was trained with.
        """
        if frames.shape[1] != self.config.window:
            raise ValueError(
                f"frames: got a window of {frames.shape[1]}, expected {self.config.window}: the "
                "encoder sees the whole window, so labels of another length mean other things"
            )
        grid = self._compress(frames, valid)
        both = valid[:, 1:] & valid[:, :-1]
        kept, codes = self.quantiser(grid[both])
        if self.training:
            self.seen = codes, grid[both].detach()
        latent = torch.zeros_like(grid, dtype=kept.dtype).masked_scatter(
            both[..., None, None], kept
        )
        every = torch.full(grid.shape[:-1], INVALID_CODE, device=grid.device)
        return latent, every.masked_scatter(both[..., None], codes)

    def _compress(self, frames: Tensor, valid: Tensor) -> Tensor:
        """(B, T, 3, S, S) to what is quantised, (B, T-1, K, code_dim)."""
        b, t = frames.shape[:2]
        x = self.backbone(frames.flatten(0, 1)).unflatten(0, (b, t))
        x = self.encoder(x, self.grid, keep=valid)
        x = x[:, 1:] - x[:, :-1] if self.config.encode_deltas else x[:, 1:]
        x = self.to_code_dim(x).permute(0, 3, 1, 2).unflatten(3, (self.grid, self.grid))
        keep = valid[:, None, 1:, None, None]
        for i, conv in enumerate(self.reduce):
            x = conv((F.leaky_relu(x, 0.1) if i else x) * keep)
        return x.flatten(3).permute(0, 2, 3, 1).float()

    def decode(self, frames: Tensor, latent: Tensor) -> Tensor:
        """Every next frame, from the true frames and the latent actions so far.

        Args:
            frames: float32 (B, T', 3, S, S) in [0, 1], T' up to window - 1.
            latent: float32 (B, T', K, code_dim), the latent action that follows each frame.

        Returns:
            (B, T', 3, S, S), unbounded.
        """
        b, t = frames.shape[:2]
        patches = self.patchify(frames.flatten(0, 1)).flatten(2).transpose(1, 2)
        cond = self.to_condition(latent.flatten(2))
        x = torch.cat([self.patch_norm(patches).unflatten(0, (b, t)), cond[:, :, None]], dim=2)
        x = self.decoder(x, self.grid, cond=cond)[:, :, :-1]
        x = x.flatten(0, 1).transpose(1, 2).unflatten(2, (self.grid, self.grid))
        return self.to_pixels(x).unflatten(0, (b, t)).float()

    @torch.no_grad()
    def rollout(self, frames: Tensor, latent: Tensor) -> Tensor:
        """Frame after frame, each drawn from those drawn before it.

        Args:
            frames: float32 (B, T0, 3, S, S) in [0, 1], the true beginning.
            latent: float32 (B, T0-1+G, K, code_dim), from the first frame on.

        Returns:
            the G frames that follow, (B, G, 3, S, S) in [0, 1].
        """
        begun = frames.shape[1]
        for t in range(begun, latent.shape[1] + 1):
            near = slice(max(0, t + 1 - self.config.window), t)  # the decoder knows no longer past
            drawn = self.decode(frames[:, near], latent[:, near])[:, -1:]
            frames = torch.cat([frames, drawn.clamp(0, 1)], dim=1)
        return frames[:, begun:]

    def forward(
        self, batch: Windows, progress: float, judges: Judges
    ) -> tuple[Tensor, dict[str, float]]:
        """Training loss at `progress` in [0, 1], and its parts."""
        latent, _ = self.encode(batch.frames, batch.valid)
        drawn = self.decode(batch.frames[:, :-1], latent)
        return self.loss(batch, drawn, progress, judges)

    def loss(
        self, batch: Windows, drawn: Tensor, progress: float, judges: Judges
    ) -> tuple[Tensor, dict[str, float]]:
        """L1, perceptual distance and, from `flow_from` on, flow consistency.

        Args:
            batch: what was encoded.
            drawn: (B, T-1, 3, S, S), what came of it.
            progress: share of training done.
            judges: the frozen networks.
        """
        c = self.config.loss
        loss = l1 = picture_loss(drawn, batch.frames, batch.counted)
        parts = {"l1": l1.item()}
        if judges.perceptual is not None:
            gap = perceptual_gap(judges.perceptual, drawn, batch.frames, batch.counted)
            loss, parts[c.perceptual] = loss + c.perceptual_weight * gap, gap.item()
        share = flow_share(progress, c)
        if judges.flow_of is not None and share > 0:
            gap = flow_consistency(judges.flow_of, drawn, batch.frames, batch.counted, c.flow_pairs)
            loss, parts["flow"] = loss + c.flow_weight * share * gap, gap.item()
        return loss, parts


def replacement_due(step: int, steps: int) -> bool:
    """Whether dead codes are replaced after `step` of `steps`: ViPRA's schedule, scaled.

    Of 300k steps: every 100 from 100 on, every 1k from 1k, 2k from 10k, 3k from 40k, 5k from 90k,
    none from 120k on; in a short run at most every 10, so that use has been counted over some.
    """
    if step % 10:
        return False
    now, before = (round(s * 300_000 / steps) for s in (step, step - 10))
    for end, every in ((1_000, 100), (10_000, 1_000), (40_000, 2_000), (90_000, 3_000)):
        if now <= end:
            return now // every > before // every
    return now < 120_000 and now // 5_000 > before // 5_000


def _sizes(c: ViPRALatentConfig) -> tuple[int, int, int]:
    """Patches along a side, tokens along a side, and the halvings between them."""
    grid, side = c.size_px // c.patch_px, isqrt(c.tokens)
    if grid * c.patch_px != c.size_px:
        raise UserError(f"--model.size-px {c.size_px}: expected a multiple of {c.patch_px} pixels.")
    halvings = log2(grid / side)
    if side * side != c.tokens or halvings != int(halvings) or halvings < 1:
        allowed = [str((grid >> n) ** 2) for n in range(1, 9) if grid % (1 << n) == 0]
        raise UserError(
            f"--model.tokens {c.tokens} over {grid}x{grid} patches: expected one of "
            f"{', '.join(allowed) or 'none: change the size'}."
        )
    return grid, side, int(halvings)
