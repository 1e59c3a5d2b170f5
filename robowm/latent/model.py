"""The latent action model: what happened between two frames, in a few codes.

An inverse dynamics encoder reads two frames (the second one seen from the first's camera) and
the optical flow between them; a forward decoder must redraw flow and frame from the first frame
and the codes alone. What the codes can say is 12 to 48 bits, so they cannot be a picture.
ViPRA (arXiv 2511.07732) is the model: NSVQ, 8 codes, L1, picture and flow losses; here the flow
is camera-compensated and masked, and is decoded from the latent action (LAOF, 2511.16407).
"""

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.motion.camera import MotionConfig
from robowm.nn.image import Decoder, Encoder
from robowm.nn.quantise import NSVQ


@dataclass(frozen=True)
class LatentActionConfig:
    """Shape and losses of a latent action model."""

    size_px: int = 64
    """side of the square frames, pixels"""
    grid: int = 8
    """frames become grid x grid features inside; size_px / 4 / grid is a power of two"""
    width: int = 96
    """channels of the deepest features"""
    tokens: int = 4
    """K, codes per transition (ViPRA 16, LAPA 4); a square number"""
    codes: int = 8
    """size of the codebook that all K share"""
    code_dim: int = 8
    """length of one code's vector"""
    picture_weight: float = 0.1
    """weight of the structural-similarity loss (stands where ViPRA has LPIPS)"""
    flow_weight: float = 0.1
    """weight of the flow loss after its ramp; 0 is the no-flow ablation"""
    flow_from: float = 0.0
    """share of training before the flow loss begins to ramp in"""
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

    def __init__(self, config: LatentActionConfig) -> None:
        super().__init__()
        self.config = config
        side = round(config.tokens**0.5)
        if side * side != config.tokens:
            raise ValueError(f"tokens: got {config.tokens}, expected a square number")
        self.side = side
        size, width, dim = config.size_px, config.width, config.tokens * config.code_dim
        self.encoder = Encoder(9, size, config.grid, width)
        self.to_codes = nn.Sequential(
            nn.AdaptiveAvgPool2d(2 * side),
            nn.Conv2d(width, width, 2, 2),
            nn.GELU(),
            nn.Conv2d(width, config.code_dim, 1),
        )
        self.quantiser = NSVQ(config.codes, config.code_dim)
        self.scene = Encoder(3, size, config.grid, width)
        # the latent action multiplies the scene, where it happened and everywhere: added beside
        # the scene's many channels it is ignored, and its codes collapse (docs/results.md)
        self.here = nn.Linear(config.code_dim, 2 * width)
        self.everywhere = nn.Sequential(
            nn.Linear(dim, width), nn.GELU(), nn.Linear(width, 2 * width)
        )
        self.mix = nn.Sequential(
            nn.GroupNorm(8, width), nn.GELU(), nn.Conv2d(width, width, 3, 1, 1)
        )
        self.decoder = Decoder(6, size, config.grid, width)

    def encode(self, batch: Transitions) -> tuple[Tensor, Tensor]:
        """The latent actions: quantised (B, K, code_dim) and codes int64 (B, K)."""
        flow = (batch.flow / (self.config.size_px / 16)).tanh() * batch.mask
        x = torch.cat([batch.first, batch.second, flow, batch.mask], dim=1)
        grid = self.to_codes(self.encoder(x)).flatten(2).transpose(1, 2)
        # one length for all: NSVQ's noise is as long as the error, whatever the scale
        quantised, codes = self.quantiser(F.layer_norm(grid.float(), grid.shape[-1:]))
        return quantised, codes

    def decode(self, first: Tensor, latent: Tensor) -> tuple[Tensor, Tensor]:
        """What the latent action does to a frame.

        Args:
            first: float32 (B, 3, S, S) in [0, 1].
            latent: float32 (B, K, code_dim).

        Returns:
            the next frame (B, 3, S, S) and the flow (B, 2, S, S) in pixels.
        """
        scene = self.scene(first)
        here = self.here(latent).transpose(1, 2).unflatten(2, (self.side, self.side))
        here = F.interpolate(here, size=scene.shape[-2:], mode="nearest")
        scale, shift = (here + self.everywhere(latent.flatten(1))[..., None, None]).chunk(2, dim=1)
        mixed = scene * (1 + scale) + shift
        mixed = mixed + self.mix(mixed)
        drawn, change, flow = self.decoder(mixed).float().split([3, 1, 2], dim=1)
        change = change.sigmoid()  # still background is copied, not redrawn
        flow = flow * (self.config.size_px / 64)
        return first * (1 - change) + drawn.sigmoid() * change, flow

    def forward(self, batch: Transitions, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Training loss at `progress` in [0, 1], and its parts."""
        latent, _ = self.encode(batch)
        second, flow = self.decode(batch.first, latent)
        return self.loss(batch, second, flow, progress)

    def loss(
        self, batch: Transitions, second: Tensor, flow: Tensor, progress: float
    ) -> tuple[Tensor, dict[str, float]]:
        """L1 on moving pixels, structural similarity, and flow with its ramp."""
        import kornia  # a second to import: not for --help

        c = self.config
        unit = 64 / c.size_px  # flow is judged as if the frame had 64 pixels
        speed = batch.flow.norm(dim=1, keepdim=True) * unit
        weight = batch.mask * (0.1 + speed.clamp(max=2) / 2)
        total = weight.sum().clamp_min(1)
        l1 = ((second - batch.second).abs().mean(1, keepdim=True) * weight).sum() / total
        picture = kornia.losses.ssim_loss(second * batch.mask, batch.second * batch.mask, 5)
        gap = (flow - batch.flow) * unit
        charbonnier = (gap.square().sum(1, keepdim=True) + 1e-4).sqrt()
        flow_loss = (charbonnier * weight).sum() / total
        ramp = min(max((progress - c.flow_from) * 30, 0.0), 1.0)
        loss = l1 + c.picture_weight * picture + c.flow_weight * ramp * flow_loss
        parts = {"l1": l1.item(), "picture": picture.item(), "flow": flow_loss.item()}
        return loss, parts
