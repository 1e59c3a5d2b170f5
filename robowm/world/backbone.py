"""What pretraining and policy share: instruction and context frames in, a transformer over them.

Whatever is learnt from video is carried to the robot by these weights alone (ViPRA, section 3).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from robowm.nn.image import Encoder, tokens
from robowm.nn.text import HashedWords
from robowm.nn.transformer import Transformer


@dataclass(frozen=True)
class BackboneConfig:
    """Shape of the shared part."""

    size_px: int = 64
    """side of the square frames, pixels"""
    context_frames: int = 2
    """T, frames the model sees: t-1 and t"""
    grid: int = 4
    """a frame becomes grid x grid tokens"""
    width: int = 128
    """D, length of a token"""
    depth: int = 4
    """transformer blocks"""
    heads: int = 4
    """attention heads"""
    text_buckets: int = 512
    """hash buckets of the instruction's words"""


class Backbone(nn.Module):
    """Turns (frames, instruction) into the prefix that every head attends to."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        width, per_frame = config.width, config.grid**2
        self.encoder = Encoder(3, config.size_px, config.grid, width)
        self.where = nn.Parameter(0.02 * torch.randn(per_frame, width))
        self.when = nn.Parameter(0.02 * torch.randn(config.context_frames, width))
        self.text = HashedWords(config.text_buckets, width)
        self.text_place = nn.Parameter(0.02 * torch.randn(width))
        self.trunk = Transformer(width, config.depth, config.heads)

    @property
    def prefix_tokens(self) -> int:
        """P, tokens of the prefix: the instruction, then the frames."""
        return 1 + self.config.context_frames * self.config.grid**2

    def prefix(self, frames: Tensor, task: list[str]) -> Tensor:
        """Embed what the model is given.

        Args:
            frames: float32 (B, T, 3, S, S) in [0, 1], oldest first.
            task: B instructions; empty strings where there is none.

        Returns:
            (B, P, D).
        """
        batch, time = frames.shape[:2]
        features = tokens(self.encoder(frames.flatten(0, 1) * 2 - 1))
        seen = features.unflatten(0, (batch, time)) + self.where + self.when[:, None]
        words = (self.text(task) + self.text_place)[:, None]
        return torch.cat([words, seen.flatten(1, 2)], dim=1)
