"""Which pixels are what will be taken next, and where the middle of that is."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.nn.image import PATCH_PX
from robowm.nn.points import cell_centres

CHANNELS = 12
RARE = -3.0  # logit of what most pixels are not
WITHIN = 0.3  # half sides of the picture, about where the hand will be seen
ROUNDS = 4
LEAST = 0.0008  # of the picture; less is nothing


class TakenFinder(nn.Module):
    """Fine features and what is asked to an outline.

    Args:
        channels: C of the features.
        width: D, length of what is asked.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        finer = PATCH_PX // 2  # at half the picture's resolution, which costs a quarter
        self.features = nn.Sequential(
            nn.Conv2d(channels, CHANNELS * finer**2, 1), nn.PixelShuffle(finer)
        )
        self.picture = nn.Conv2d(3, CHANNELS, 4, 2, 1)
        self.both = nn.Sequential(nn.SiLU(), nn.Conv2d(CHANNELS, CHANNELS, 3, 1, 1), nn.SiLU())
        self.asked = nn.Linear(width, CHANNELS + 1)

    def forward(self, fine: Tensor, picture: Tensor, asked: Tensor) -> Tensor:
        """Logits (B, S, S) of features (B, C, S/4, S/4) of pictures (B, 3, S, S) in [0, 1]."""
        seen = self.both(self.features(fine) + self.picture(picture - 0.5))
        wanted = self.asked(asked)
        fits = (seen * wanted[:, :-1, None, None]).sum(1) + wanted[:, -1, None, None]
        fits = F.interpolate(fits[:, None].float(), picture.shape[-2:], mode="bilinear")
        return fits[:, 0] + RARE


def outline_loss(logits: Tensor, outlines: Tensor) -> Tensor:
    """Cross-entropy of pixels, and one minus the Dice overlap (Milletari et al., "V-Net", 2016),
    which small things need; over the samples whose outlines (B, S, S) are not NaN."""
    known = outlines.isfinite().all(-1).all(-1)
    if not known.any():
        return logits.sum() * 0
    logits, wanted = logits[known].flatten(1), outlines[known].flatten(1)
    pixels = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").sum(1)
    found = logits.sigmoid()
    both = 2 * (found * wanted).sum(1) + 1
    dice = 1 - both / (found.sum(1) + wanted.sum(1) + 1)
    return (pixels / logits.shape[1] * 10 + dice).mean()


def middle(outlines: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
    """The middle (B, 2) of what is outlined near places (B, 2), and whether anything is, bool (B,).

    By mean shift (Comaniciu and Meer, 2002), so that it hardly depends on where it begins: where
    the hand will be tells which part is meant.

    Args:
        outlines: (B, S, S), in [0, 1].
        near: (x, y) from -1 to 1.
    """
    size = outlines.shape[-1]
    cells = cell_centres(size, size, outlines.device)
    there = (outlines > 0.5).flatten(1).float()
    at, count = near, near.new_zeros(len(near))
    for _ in range(ROUNDS):
        away = (cells - at[:, None]).square().sum(-1)
        weight = there * torch.exp(-away / (2 * WITHIN**2))
        count = weight.sum(1)
        at = torch.where(count[:, None] > 0.5, (weight @ cells) / count.clamp_min(0.5)[:, None], at)
    return at, count > LEAST * size**2
