"""Are the latents real? A first answer, on transitions that the labeller did not train on."""

from dataclasses import dataclass

import numpy as np
import torch

from robowm.batch import LatentActions
from robowm.latent.model import LatentActionModel, Transitions
from robowm.latent.transitions import TransitionStore, batches
from robowm.nn.quantise import perplexity


@dataclass(frozen=True)
class Reality:
    """Figures on held-out transitions; PSNR in dB on the pixels that moved.

    Attributes:
        psnr_true: next frame redrawn from its own latent action.
        psnr_other: redrawn from another transition's latent action (Genie's ΔPSNR is the gap).
        psnr_still: the first frame shown again: what doing nothing scores.
        flow_cosine: cosine between drawn and measured flow on moving pixels.
        flow_cosine_other: the same for another transition's latent action: what chance scores.
        perplexity: codes in effective use, over all K tokens.
        dead_codes: codes never used.
        transitions: how many were judged.
    """

    psnr_true: float
    psnr_other: float
    psnr_still: float
    flow_cosine: float
    flow_cosine_other: float
    perplexity: float
    dead_codes: int
    transitions: int


MOVING_PX = 0.5  # at 64 px; a still pixel says nothing of an action
MOST = 512


@torch.no_grad()
def reality(
    network: LatentActionModel, store: TransitionStore, rows: np.ndarray, labels: LatentActions
) -> Reality:
    """Judge a labeller on `rows` of the store (at most MOST of them, drawn with a fixed seed)."""
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(rows)[:MOST])
    used = torch.from_numpy(labels.codes[labels.valid])
    dead = network.config.codes - len(used.unique())
    spread = perplexity(used, network.config.codes)
    if not len(rows):
        return Reality(0.0, 0.0, 0.0, 0.0, 0.0, spread, dead, 0)
    # a batch at a time: memory must not depend on how many there are
    parts = batches(len(rows))
    latent = torch.cat([network.encode(store.batch(rows[part]))[0] for part in parts])
    other = latent[torch.from_numpy(rng.permutation(len(rows)))]
    sums = [_judge(network, store.batch(rows[at]), latent[at], other[at]) for at in parts]
    total = {name: sum(one[name] for one in sums) for name in sums[0]}
    moving = max(total.pop("moving"), 1)
    mean = {name: value / moving for name, value in total.items()}
    return Reality(
        **{name: _decibel(e) if name.startswith("psnr") else e for name, e in mean.items()},
        perplexity=spread,
        dead_codes=dead,
        transitions=len(rows),
    )


def _judge(
    network: LatentActionModel, batch: Transitions, latent: torch.Tensor, other: torch.Tensor
) -> dict[str, float]:
    """Sums over the moving pixels of a batch: their number, squared errors and cosines."""
    speed = batch.flow.norm(dim=1, keepdim=True) * (64 / network.config.size_px)
    moving = batch.mask * (speed > MOVING_PX)
    redrawn, flow = network.decode(batch.first, latent)
    redrawn_other, flow_other = network.decode(batch.first, other)

    def error(picture: torch.Tensor) -> float:
        return float(((picture - batch.second).square().mean(1, keepdim=True) * moving).sum())

    def alike(drawn: torch.Tensor) -> float:
        cosine = torch.nn.functional.cosine_similarity(drawn, batch.flow, dim=1)[:, None]
        return float((cosine * moving).sum())

    return {
        "moving": float(moving.sum()),
        "psnr_true": error(redrawn),
        "psnr_other": error(redrawn_other),
        "psnr_still": error(batch.first),
        "flow_cosine": alike(flow),
        "flow_cosine_other": alike(flow_other),
    }


def _decibel(squared_error: float) -> float:
    return float(-10 * np.log10(squared_error + 1e-10))
