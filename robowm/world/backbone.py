"""What pretraining and policy share: instruction and context frames in, a transformer over them.

Whatever is learnt from video is carried to the robot by these weights alone (ViPRA, section 3).
"""

from dataclasses import dataclass, field, replace
from typing import Annotated

import torch
import tyro
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.nn.dinov2 import SMALL, EncoderShape, read_shape
from robowm.nn.image import PATCH_PX, UNet, newest_and_changes, tokens
from robowm.nn.points import Found, Points
from robowm.nn.pretrained import RANDOM, without_place
from robowm.nn.pretrained_features import PretrainedFeatures
from robowm.nn.text import HashedWords
from robowm.nn.transformer import Transformer


@dataclass(frozen=True)
class BackboneConfig:
    """Shape of the shared part."""

    size_px: int = 64
    """side of the square frames, pixels; a multiple of 16"""
    context_frames: int = 2
    """T, frames the model sees: t-1 and t"""
    grid: int = 4
    """the picture's coarse features become grid x grid tokens"""
    points: int = 16
    """K, tokens that are a place the instruction asks for and what is there; 0 leaves them out"""
    channels: int = 32
    """channels of the fine feature map, whose cells are 4 pixels wide"""
    width: int = 128
    """D, length of a token"""
    depth: int = 4
    """transformer blocks"""
    heads: int = 4
    """attention heads"""
    text_buckets: int = 512
    """hash buckets of the instruction's words"""
    pretrained: str = ""
    """weights of a frozen image encoder (DINOv2 with registers) whose features are also seen: a
    directory, a Hub id such as facebook/dinov2-with-registers-small, or the word random; empty:
    none. Needs robowm[vipra]"""
    pretrained_shape: Annotated[EncoderShape, tyro.conf.Suppress] = field(
        default_factory=EncoderShape
    )
    """the encoder's size, which is read off its weights"""


@dataclass(frozen=True)
class Seen:
    """What the backbone makes of frames and instruction.

    Attributes:
        prefix: (B, P, D), the tokens that every head attends to.
        fine: (B, channels, S/4, S/4), the picture's fine features.
        points: what the instruction's points found; None where there are none.
        words: (B, D), the instruction.
    """

    prefix: Tensor
    fine: Tensor
    points: Found | None
    words: Tensor


class Backbone(nn.Module):
    """Turns (frames, instruction) into the prefix that every head attends to."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        if config.size_px % (4 * PATCH_PX):
            raise ValueError(
                f"size_px: got {config.size_px}, expected a multiple of {4 * PATCH_PX}"
            )
        self.config = config
        width, channels = config.width, config.channels
        self.encoder = UNet(3 * config.context_frames, PATCH_PX, channels)
        self.coarse = nn.Conv2d(3 * channels, width, 1)
        self.where = nn.Parameter(0.02 * torch.randn(config.grid**2, width))
        self.points = Points(channels, width, config.points) if config.points else None
        self.text = HashedWords(config.text_buckets, width)
        self.text_place = nn.Parameter(0.02 * torch.randn(width))
        self.trunk = Transformer(width, config.depth, config.heads)
        self.pretrained: PretrainedFeatures | None = None
        if config.pretrained:
            shape, drawn = config.pretrained_shape, config.pretrained == RANDOM
            self.pretrained = PretrainedFeatures(shape, config.context_frames, channels, drawn)

    @property
    def prefix_tokens(self) -> int:
        """P, tokens of the prefix: the instruction, then the picture's, then the points."""
        return 1 + self.config.grid**2 + self.config.points

    def words(self, task: list[str]) -> Tensor:
        """(B, D), the embedded instructions."""
        embedded: Tensor = self.text(task) + self.text_place
        return embedded

    def forward(self, frames: Tensor, task: list[str], asked: Tensor | None = None) -> Seen:
        """Embed what the model is given.

        Args:
            frames: float32 (B, T, 3, S, S) in [0, 1], oldest first.
            task: B instructions; empty strings where there is none.
            asked: (B, D), added to the instruction when the points are looked for.
        """
        beside = None if self.pretrained is None else self.pretrained(frames)
        fine, deep = self.encoder(newest_and_changes(frames), beside)
        words = self.words(task)
        coarse = tokens(F.adaptive_avg_pool2d(self.coarse(deep), self.config.grid)) + self.where
        parts = [words[:, None], coarse]
        question = words if asked is None else words + asked
        found = self.points(fine, question) if self.points is not None else None
        if found is not None:
            parts.append(found.tokens)
        return Seen(torch.cat(parts, dim=1), fine, found, words)


def read_pretrained(config: BackboneConfig, flag: str) -> BackboneConfig:
    """The configuration as a model is built from it and may be saved: with the size of the encoder
    that it names, and without the place where its weights lie.

    Raises:
        UserError: no such weights, or transformers is not installed.
    """
    name, asked = config.pretrained, config.pretrained_shape
    if not name:
        return config
    shape = read_shape(name, flag, asked if asked.width else SMALL)
    name = name if name == RANDOM else without_place(name)
    return replace(config, pretrained=name, pretrained_shape=shape)


def load_pretrained(backbone: Backbone, name: str, flag: str) -> None:
    """Load the weights `name` into a new backbone's frozen encoder; empty: there is nothing to do.

    Raises:
        UserError: no such weights, or of another size.
    """
    if name and backbone.pretrained is not None:
        backbone.pretrained.load(name, flag)
