"""ViPRA's training loss: L1 + 0.5 · perceptual + scheduled optical-flow consistency.

Flow consistency asks a frozen RAFT for the flow between drawn frames, and for that between the
true ones; the gradient goes through RAFT into the decoder. Only counted transitions enter any term.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from robowm.errors import UserError
from robowm.latent.perceptual import TORCHVISION, Name, download, perceptual_loss
from robowm.nn.pretrained import RANDOM, load_into, read_weights

FlowOf = Callable[[Tensor, Tensor], Tensor]
"""(first, second), both (N, 3, S, S) around [0, 1], to the flow (N, 2, S, S) in pixels"""
FLAG = "--model.loss.flow-weights"
RAFT_LEAST_PX = 128


@dataclass(frozen=True)
class ViPRALossConfig:
    """Weights of the loss and the frozen networks behind it."""

    perceptual: Name = "lpips_vgg"
    """network of the perceptual loss; all but ssim and none need robowm[perceptual]"""
    perceptual_weights: str = "torchvision"
    """of lpips_vgg: torchvision downloads them; or a file, directory, Hub id, or random"""
    perceptual_weight: float = 0.5
    """weight of the perceptual loss (L1 has 1)"""
    flow_weight: float = 0.1
    """weight of flow consistency after its ramp; 0 is the no-flow ablation, RAFT is not loaded"""
    flow_from: float = 0.2
    """share of training before flow consistency begins (60k of 300k); RAFT rests until then"""
    flow_ramp: float = 1 / 30
    """share of training over which its weight then rises (10k of 300k)"""
    flow_pairs: Literal["predicted", "true_predicted"] = "predicted"
    """predicted: between neighbouring drawn frames, as published. true_predicted: from the true
    frame to the next drawn one, which shows what that latent action alone has caused"""
    flow_updates: int = 12
    """refinement steps of RAFT"""
    flow_weights: str = "torchvision"
    """of raft_large: torchvision downloads C_T_SKHT_V2; or a file, directory, Hub id, or random"""


@dataclass(frozen=True)
class Judges:
    """The frozen networks that judge what is drawn; no part of the model, never saved with it."""

    perceptual: nn.Module | None
    flow_of: FlowOf | None

    def to(self, device: torch.device) -> "Judges":
        """The same on another device."""
        for part in (self.perceptual, self.flow_of):
            if isinstance(part, nn.Module):
                part.to(device)
        return self


def load_judges(config: ViPRALossConfig, size_px: int) -> Judges:
    """Everything the loss will need, so that what is missing is said before training begins.

    Raises:
        UserError: weights cannot be had, or the frames are too small for RAFT.
    """
    seen = config.perceptual if config.perceptual_weight else "none"
    flow = Raft(config.flow_weights, config.flow_updates, size_px) if config.flow_weight else None
    return Judges(perceptual_loss(seen, config.perceptual_weights), flow)


class Raft(nn.Module):
    """torchvision's raft_large, frozen; the last of its refinements."""

    def __init__(self, weights: str, updates: int, size_px: int) -> None:
        from torchvision.models.optical_flow import Raft_Large_Weights, raft_large

        super().__init__()
        if size_px < RAFT_LEAST_PX or size_px % 8:
            raise UserError(
                f"flow consistency needs frames of {RAFT_LEAST_PX} pixels or more, divisible by 8; "
                f"they have {size_px}. Set --model.loss.flow-weight 0 to do without."
            )
        state = None
        if weights == TORCHVISION:
            state = download(Raft_Large_Weights.C_T_SKHT_V2, FLAG)
        elif weights != RANDOM:
            state = read_weights(weights, FLAG)
        self.updates = updates
        self.network = raft_large(weights=None)
        if state is not None:
            load_into(self.network, state, weights, FLAG)
        self.eval().requires_grad_(False)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """See FlowOf."""
        with torch.autocast(first.device.type, enabled=False):
            pair = first.float() * 2 - 1, second.float() * 2 - 1
            flow: Tensor = self.network(*pair, num_flow_updates=self.updates)[-1]
        return flow


def flow_share(progress: float, config: ViPRALossConfig) -> float:
    """How much of the flow loss's weight counts at `progress` in [0, 1]: 0, the ramp, then 1.

    >>> [round(flow_share(p, ViPRALossConfig()), 2) for p in (0.19, 0.2, 0.21, 0.5)]
    [0.0, 0.0, 0.3, 1.0]
    """
    return min(max((progress - config.flow_from) / config.flow_ramp, 0.0), 1.0)


def picture_loss(drawn: Tensor, frames: Tensor, counted: Tensor) -> Tensor:
    """Mean absolute error over the counted transitions.

    Args:
        drawn: (B, T-1, 3, S, S), the frame after each but the last.
        frames: (B, T, 3, S, S).
        counted: bool (B, T-1).
    """
    gap = (drawn - frames[:, 1:]).abs().mean((2, 3, 4))
    return (gap * counted).sum() / counted.sum().clamp_min(1)


def perceptual_gap(judge: nn.Module, drawn: Tensor, frames: Tensor, counted: Tensor) -> Tensor:
    """Mean perceptual distance over the counted transitions; arguments as in picture_loss."""
    if not counted.any():
        return drawn.sum() * 0
    distance: Tensor = judge(drawn[counted], frames[:, 1:][counted])
    return distance.mean()


def flow_consistency(
    flow_of: FlowOf,
    drawn: Tensor,
    frames: Tensor,
    counted: Tensor,
    pairs: Literal["predicted", "true_predicted"] = "predicted",
) -> Tensor:
    """Mean L1 distance in pixels between the flow of drawn and of true frames, both directions.

    (arXiv 2511.07732, the flow term; brief 1.1.) Arguments as in picture_loss; a pair of drawn
    frames counts if both of their transitions do.
    """
    if pairs == "predicted":
        chosen = counted[:, 1:] & counted[:, :-1]
        ours = drawn[:, :-1][chosen], drawn[:, 1:][chosen]
        true = frames[:, 1:-1][chosen], frames[:, 2:][chosen]
    else:
        chosen = counted
        ours = frames[:, :-1][chosen], drawn[chosen]
        true = frames[:, :-1][chosen], frames[:, 1:][chosen]
    if not chosen.any():
        return drawn.sum() * 0
    with torch.no_grad():
        there, back = flow_of(*true), flow_of(true[1], true[0])
    ahead = (flow_of(*ours) - there).abs().mean()
    return 0.5 * (ahead + (flow_of(ours[1], ours[0]) - back).abs().mean())
