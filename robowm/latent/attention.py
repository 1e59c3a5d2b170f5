"""What moved, read off a flow field: soft attention, and how the attended pixels move together.

A token looks at what moves, most at a part that it chooses by what it sees (the gripper, a link of
the arm), and reports the six numbers of the affine motion there: shift, growth, turn, two shears.
Where in the picture the part is does not enter, so the same motion has the same latent action in
another place; and growth is how motion towards the camera shows. A coarse grid of flow, which
says where and not what, reads an arm's motion half as well.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.nn.image import Residual

GRID = 16  # the network's own grid; attention and flow are on one twice as fine
FINE = 2 * GRID
MOMENTS = 6
SLOW_PX2 = 0.02  # of 64-pixel frames: below this a point's speed is noise of the flow
UNTRUSTED = 1e-6
# what is learnt may favour one place over another by e^4, no more: what moves must stay in sight in
# scenes that training did not show
MOST_PREFERRED = 2.0
SMALL_PART = 0.005  # added to a part's variance, in half picture sides squared
PICTURE_CHANNELS = 32


class MotionEncoder(nn.Module):
    """K tokens, each the motion of a part of the picture.

    Args:
        size_px: side of the frames, a multiple of 32.
        width: channels.
        tokens: K.
        dim: length of a token.
        depth: residual blocks.
    """

    x: Tensor
    y: Tensor

    def __init__(self, size_px: int, width: int, tokens: int, dim: int, depth: int) -> None:
        super().__init__()
        patch = size_px // GRID
        self.pictures = nn.Sequential(
            nn.PixelUnshuffle(patch), nn.Conv2d(6 * patch**2, PICTURE_CHANNELS, 1)
        )
        self.entry = nn.Conv2d(PICTURE_CHANNELS + 3 * (FINE // GRID) ** 2, width, 1)
        self.trunk = nn.Sequential(
            *(Residual(width) for _ in range(depth)), nn.GroupNorm(8, width), nn.GELU()
        )
        self.look = nn.Conv2d(width, tokens, 1)
        nn.init.normal_(self.look.weight, std=0.05)
        self.of_motion = nn.Parameter(0.4 * torch.randn(tokens, MOMENTS, dim))
        side = torch.linspace(-1, 1, FINE)
        self.register_buffer("x", side[None, :].expand(FINE, FINE).clone(), persistent=False)
        self.register_buffer("y", side[:, None].expand(FINE, FINE).clone(), persistent=False)

    def forward(self, first: Tensor, second: Tensor, flow: Tensor, mask: Tensor) -> Tensor:
        """The tokens, float32 (B, K, dim).

        Args:
            first, second: float32 (B, 3, S, S) in [0, 1].
            flow: float32 (B, 2, 32, 32), in pixels of a 64-pixel frame.
            mask: float32 (B, 1, 32, 32), share of each cell that can be trusted.
        """
        seen = self.pictures(torch.cat([first - 0.5, second - first], dim=1))
        moved = F.pixel_unshuffle(torch.cat([(flow / 3).tanh(), mask], dim=1), FINE // GRID)
        features = self.trunk(self.entry(torch.cat([seen, moved], dim=1)))
        with torch.autocast(flow.device.type, enabled=False):
            attention = self._attention(self.look(features.float()), flow, mask)
            return torch.einsum("bkm,kmd->bkd", self._affine(attention, flow), self.of_motion)

    def _attention(self, look: Tensor, flow: Tensor, mask: Tensor) -> Tensor:
        """Where each token looks, (B, K, 32, 32), sums to 1."""
        look = MOST_PREFERRED * torch.tanh(look / MOST_PREFERRED)
        look = F.interpolate(look, scale_factor=FINE // GRID, mode="bilinear", align_corners=False)
        speed = torch.log(flow.square().sum(1, keepdim=True) + SLOW_PX2)
        logits = look + speed + torch.log(mask + UNTRUSTED)
        return logits.flatten(2).softmax(-1).unflatten(2, (FINE, FINE))

    def _affine(self, attention: Tensor, flow: Tensor) -> Tensor:
        """Affine motion under the attention, (B, K, 6): linear in the flow there."""

        def mean(values: Tensor) -> Tensor:
            return (attention * values).sum((2, 3), keepdim=True)

        u, v = flow[:, :1], flow[:, 1:]
        mean_u, mean_v = mean(u), mean(v)
        dx, dy = self.x - mean(self.x), self.y - mean(self.y)
        du, dv = u - mean_u, v - mean_v
        size = (mean(dx**2 + dy**2) + SMALL_PART).sqrt()
        growth, turn = mean(du * dx + dv * dy), mean(dv * dx - du * dy)
        shear, skew = mean(du * dx - dv * dy), mean(du * dy + dv * dx)
        gradients = [2 * part / size for part in (growth, turn, shear, skew)]
        return torch.cat([mean_u, mean_v, *gradients], dim=3).squeeze(2)
