"""The latent action model: what happened between two frames, in a few numbers and fewer codes.

An inverse dynamics encoder reads two frames (the second one seen from the first's camera) and the
optical flow between them (`attention`); a decoder must redraw flow and frame from the first frame
and the latent action alone (`bases`). The latent action is K short vectors; each also has the code
of its nearest of 8 prototypes, and the decoder must make do with those, too.

From ViPRA (arXiv 2511.07732): NSVQ, 8 codes, L1, picture and flow losses. From others: the flow is
camera-compensated and masked, and is decoded from the latent action (LAOF, 2511.16407); what is
kept is the vector before it is quantised (CoMo, 2505.17006; CLAM, 2505.04999).
"""

from dataclasses import dataclass, field
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.latent.attention import FINE, MotionEncoder
from robowm.latent.bases import MotionBases, warp, weigh
from robowm.motion.camera import MotionConfig
from robowm.nn.quantise import NSVQ

LONGEST_PX = 8.0  # of a 64-pixel frame: longer flow is a mistake more often than a motion
NOISE = 0.1  # added to the latent in training, its own spread being 1
BLUR = 1e-3
LOSS_PX = 64


@dataclass(frozen=True)
class LatentActionConfig:
    """Shape and losses of a latent action model."""

    size_px: int = 128
    """side of the square frames, pixels; a multiple of 32"""
    stride_s: float | None = None
    """time between the two frames; none takes that of the dataset on which it is trained"""
    width: int = 32
    """channels of encoder and decoder on their 16x16 grid"""
    depth: int = 2
    """residual blocks of the encoder"""
    tokens: int = 4
    """K, parts that are looked at, and codes per transition (ViPRA 16, LAPA 4)"""
    codes: int = 8
    """size of the codebook that all K share"""
    code_dim: int = 8
    """length of one token's vector"""
    latent: Literal["continuous", "quantised"] = "continuous"
    """what the latent action holds: the vectors as they are, or the codes' (ViPRA, LAPA)"""
    quantised_weight: float = 0.5
    """weight of the losses with quantised vectors beside those with continuous ones"""
    picture_weight: float = 1.0
    """weight of the L1 of the redrawn picture (it stands where ViPRA has L1 and LPIPS)"""
    flow_weight: float = 1.0
    """weight of the flow loss after its ramp; 0 is the no-flow ablation"""
    flow_from: float = 0.0
    """share of training before the flow loss begins to ramp in (ViPRA 0.2)"""
    motion: MotionConfig = field(default_factory=MotionConfig)


@dataclass(frozen=True)
class Transitions:
    """B transitions as the model trains on them.

    Attributes:
        first, second: float32 (B, 3, S, S) in [0, 1]; `second` from the first's camera.
        flow: float32 (B, 2, S, S), pixels, the camera's part removed.
        mask: float32 (B, 1, S, S), 1 where flow and `second` can be trusted.
    """

    first: Tensor
    second: Tensor
    flow: Tensor
    mask: Tensor


class LatentActionModel(nn.Module):
    """Encoder, quantiser, decoder; `forward` is the training loss."""

    spread: Tensor
    seen: Tensor

    def __init__(self, config: LatentActionConfig) -> None:
        super().__init__()
        if config.size_px % FINE:
            raise ValueError(f"size_px: got {config.size_px}, expected a multiple of {FINE}")
        self.config = config
        size, width = config.size_px, config.width
        self.encoder = MotionEncoder(size, width, config.tokens, config.code_dim, config.depth)
        self.quantiser = NSVQ(config.codes, config.code_dim)
        self.bases = MotionBases(size, width, config.tokens * config.code_dim)
        # every number of the latent has spread 1 over moving transitions, and 0 is no motion
        self.register_buffer("spread", torch.ones(config.tokens, config.code_dim))
        self.register_buffer("seen", torch.zeros(()))

    def encode(self, batch: Transitions) -> tuple[Tensor, Tensor]:
        """The latent actions (B, K, code_dim), and their codes int64 (B, K)."""
        flow, mask = self._coarse(batch)
        latent = self._scaled(self.encoder(batch.first, batch.second, flow, mask))
        quantised, codes = self.quantiser(latent)
        return (latent if self.config.latent == "continuous" else quantised), codes

    def decode(self, first: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """What the latent action does to a frame.

        Args:
            first: float32 (B, 3, S, S) in [0, 1].
            latent: float32 (B, K, code_dim).

        Returns:
            the next frame (B, 3, S, S) and the flow (B, 2, S, S) in pixels.
        """
        there, back = weigh(self.bases.fields(first), latent.flatten(1)).chunk(2, dim=1)
        size = self.config.size_px
        return warp(first, _resized(back, size)), _resized(there, size)

    def forward(self, batch: Transitions, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Training loss at `progress` in [0, 1], and its parts."""
        flow, mask = self._coarse(batch)
        latent = self._scaled(self.encoder(batch.first, batch.second, flow, mask))
        quantised, _ = self.quantiser(latent)
        bases = self.bases.fields(batch.first)
        loss = bases.new_zeros(())
        parts: dict[str, float] = {}
        variants = {"_codes": (quantised, 1.0)}
        if self.config.latent == "continuous":
            noisy = latent + NOISE * torch.randn_like(latent)
            variants = {"": (noisy, 1.0), "_codes": (quantised, self.config.quantised_weight)}
        for name, (vectors, weight) in variants.items():
            moved = weigh(bases, vectors.flatten(1)).float()
            part, figures = self._loss(batch, flow, mask, moved, progress)
            loss = loss + weight * part
            parts |= {f"{key}{name}": value for key, value in figures.items()}
        return loss, parts

    def _loss(
        self, batch: Transitions, flow: Tensor, mask: Tensor, moved: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """Flow (Charbonnier) and picture (L1), mostly where something moves."""
        c = self.config
        speed = flow.norm(dim=1, keepdim=True)
        weight = mask * (0.1 + speed.clamp(max=2) / 2)
        gap = (moved[:, :2] - flow).square().sum(1, keepdim=True)
        flow_loss = ((gap + BLUR).sqrt() * weight).sum() / weight.sum().clamp_min(1)
        first, second, trusted = (_small(x) for x in (batch.first, batch.second, batch.mask))
        redrawn = warp(first, _resized(moved[:, 2:], first.shape[-1]))
        weight = F.interpolate(weight, size=first.shape[-2:]) * trusted
        l1 = (redrawn - second).abs().mean(1, keepdim=True)
        picture = (l1 * weight).sum() / weight.sum().clamp_min(1)
        ramp = min(max((progress - c.flow_from) * 30, 0.0), 1.0)
        loss = c.picture_weight * picture + c.flow_weight * ramp * flow_loss
        return loss, {"picture": picture.item(), "flow": flow_loss.item()}

    def _coarse(self, batch: Transitions) -> tuple[Tensor, Tensor]:
        """Flow in pixels of a 64-pixel frame, averaged where trusted, and the mask: 32x32."""
        unit, cell = self.config.size_px / 64, self.config.size_px // FINE
        flow = batch.flow.clamp(-LONGEST_PX * unit, LONGEST_PX * unit) / unit
        mask = F.avg_pool2d(batch.mask, cell)
        return F.avg_pool2d(flow * batch.mask, cell) / (mask + 1e-3), mask

    def _scaled(self, latent: Tensor) -> Tensor:
        """Divided by the root mean square of what training has shown."""
        if self.training:
            with torch.no_grad():
                self.seen += 1
                share = (1 / self.seen).clamp_min(0.01)
                self.spread.lerp_(latent.square().mean(0).sqrt(), share)
        return latent / (self.spread + 1e-3)


def _small(pictures: Tensor) -> Tensor:
    """Pictures for the picture loss: at most 64 pixels a side, as fine as the flow is worth."""
    factor = pictures.shape[-1] // LOSS_PX
    return F.avg_pool2d(pictures, factor) if factor > 1 else pictures


def _resized(flow: Tensor, size_px: int) -> Tensor:
    """Flow (B, 2, 32, 32) of a 64-pixel frame at another size, in its pixels."""
    large = F.interpolate(flow.float(), size=(size_px, size_px), mode="bilinear")
    return large * (size_px / 64)
