"""Are the latents real? A first answer, on transitions that the labeller did not train on."""

from dataclasses import dataclass

import numpy as np
import torch

from robowm.batch import LatentActions
from robowm.latent.model import LatentActionModel
from robowm.latent.transitions import TransitionStore
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


@torch.no_grad()
def reality(
    network: LatentActionModel, store: TransitionStore, rows: np.ndarray, labels: LatentActions
) -> Reality:
    """Judge a labeller on `rows` of the store (at most 512 of them, drawn with a fixed seed)."""
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(rows)[:512])
    used = torch.from_numpy(labels.codes[labels.valid])
    dead = network.config.codes - len(used.unique())
    spread = perplexity(used, network.config.codes)
    if not len(rows):
        return Reality(0.0, 0.0, 0.0, 0.0, 0.0, spread, dead, 0)
    batch = store.batch(rows)
    latent, _ = network.encode(batch)
    other = latent[torch.from_numpy(rng.permutation(len(rows)))]
    speed = batch.flow.norm(dim=1, keepdim=True) * (64 / network.config.size_px)
    moving = batch.mask * (speed > MOVING_PX)
    redrawn, flow = network.decode(batch.first, latent)
    redrawn_other, flow_other = network.decode(batch.first, other)

    def psnr(picture: torch.Tensor) -> float:
        error = ((picture - batch.second).square().mean(1, keepdim=True) * moving).sum()
        return float(-10 * torch.log10(error / moving.sum().clamp_min(1) + 1e-10))

    def cosine(drawn: torch.Tensor) -> float:
        alike = torch.nn.functional.cosine_similarity(drawn, batch.flow, dim=1)[:, None]
        return float((alike * moving).sum() / moving.sum().clamp_min(1))

    return Reality(
        psnr_true=psnr(redrawn),
        psnr_other=psnr(redrawn_other),
        psnr_still=psnr(batch.first),
        flow_cosine=cosine(flow),
        flow_cosine_other=cosine(flow_other),
        perplexity=spread,
        dead_codes=dead,
        transitions=len(rows),
    )
