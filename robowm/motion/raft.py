"""Optical flow by RAFT (Teed & Deng 2020), torchvision's networks, weights brought by the user."""

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from robowm.errors import UserError
from robowm.motion.config import RANDOM_WEIGHTS, MotionConfig

if TYPE_CHECKING:
    from torch import Tensor, nn

MIN_PX = 128  # RAFT's correlation pyramid needs 16 features a side, one in 8 pixels
MULTIPLE_PX = 8
SUFFIXES = (".safetensors", ".pth")


def raft_flow(first: np.ndarray, second: np.ndarray, config: MotionConfig) -> np.ndarray:
    """Flow first→second of N pairs, on the graphics card where there is one.

    Small pictures are enlarged to 128 pixels and the flow is scaled back; sides are padded to
    multiples of 8.

    Args:
        first, second: uint8 (N, H, W, 3) RGB.

    Returns:
        float32 (N, H, W, 2), pixels.

    Raises:
        UserError: the weights are not named, absent, or of another network.
    """
    import torch

    network = load_raft(config.estimator, config.raft_weights)
    device = next(network.parameters()).device
    with torch.inference_mode():
        a, b = (torch.from_numpy(np.ascontiguousarray(it)).to(device) for it in (first, second))
        flow = _flow(network, a.permute(0, 3, 1, 2), b.permute(0, 3, 1, 2))
        return flow.permute(0, 2, 3, 1).cpu().numpy()


def _flow(network: "nn.Module", first: "Tensor", second: "Tensor") -> "Tensor":
    from torch.nn import functional as F

    height, width = first.shape[-2:]
    scale = max(1.0, MIN_PX / min(height, width))
    tall, wide = round(height * scale), round(width * scale)
    pad = (0, -wide % MULTIPLE_PX, 0, -tall % MULTIPLE_PX)

    def fitted(frames: "Tensor") -> "Tensor":
        frames = frames.float() / 127.5 - 1  # torchvision's range
        if scale > 1:
            frames = F.interpolate(frames, (tall, wide), mode="bilinear", align_corners=False)
        return F.pad(frames, pad, mode="replicate")

    flow = network(fitted(first), fitted(second))[-1][..., :tall, :wide]
    if scale > 1:
        flow = F.interpolate(flow, (height, width), mode="bilinear", align_corners=False) / scale
    return flow


@cache
def load_raft(estimator: str, weights: str) -> "nn.Module":
    """A RAFT network in eval mode, kept for the life of the process.

    Args:
        estimator: "raft_small" or "raft_large".
        weights: a .safetensors or .pth file, a folder or Hub id that holds one, or "random".

    Raises:
        UserError: nothing is named, it does not exist, or is of another network.
    """
    import torch
    from torchvision.models import optical_flow

    if not weights:
        raise UserError(
            f"estimator {estimator} has no weights; expected raft_weights to name torchvision's "
            "file (.pth), a .safetensors file, or a folder or Hub id that holds one. "
            f"{RANDOM_WEIGHTS!r} gives flow without meaning, for timing."
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # random weights are at least the same ones every time
        network: nn.Module = getattr(optical_flow, estimator)(weights=None)
    if weights != RANDOM_WEIGHTS:
        _load(network, estimator, _weights_file(weights))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return network.eval().requires_grad_(False).to(device)


def _weights_file(name: str) -> Path:
    path = Path(name)
    if path.suffix in SUFFIXES:
        if path.is_file():
            return path
        raise UserError(f"raft_weights {name}: there is no such file.")
    from robowm.nn.directory import resolve

    directory = resolve(name)
    found = sorted(file for file in directory.iterdir() if file.suffix in SUFFIXES)
    if len(found) != 1:
        raise UserError(
            f"raft_weights {name} holds {len(found)} files of weights; expected one that ends "
            f"in {' or '.join(SUFFIXES)}. Name the file itself."
        )
    return found[0]


def _load(network: "nn.Module", estimator: str, path: Path) -> None:
    import safetensors.torch
    import torch

    try:
        if path.suffix == ".pth":
            state = torch.load(path, map_location="cpu", weights_only=True)
        else:
            state = safetensors.torch.load_file(path)
        network.load_state_dict(state)
    except Exception as error:  # a file that is anything at all can raise anything at all
        why = (str(error) or type(error).__name__).splitlines()[0]
        raise UserError(f"{path} does not load into torchvision's {estimator}: {why}") from None
