"""What held-out transitions say of a labeller, asked through its public face alone."""

from pathlib import Path

import cv2
import numpy as np
import torch

from robowm.artefact import write_json
from robowm.batch import LatentActions
from robowm.latent.gallery import draw_label
from robowm.latent.labeller import Labeller
from robowm.latent.report import MOVING_PX, Reality
from robowm.motion.camera import Motion, motion_between
from robowm.nn.quantise import perplexity

MOST = 256
STRIP = 8
SHOWN_PX = 64


def judge(
    labeller: Labeller,
    first: np.ndarray,
    second: np.ndarray,
    latent: np.ndarray,
    every: LatentActions,
) -> Reality:
    """Judge latent actions of N held-out transitions.

    Args:
        labeller: what made them.
        first, second: uint8 (N, S, S, 3).
        latent: float32 (N, K, code_dim).
        every: the labels of the whole dataset, for the use of the codebook.
    """
    used = torch.from_numpy(every.codes[every.valid])
    dead = labeller.config.codes - len(used.unique())
    spread = perplexity(used, labeller.config.codes)
    if not len(first):
        return Reality(0.0, 0.0, 0.0, 0.0, 0.0, spread, dead, 0)
    config = labeller.config.motion
    moved = [motion_between(a, b, config) for a, b in zip(first, second, strict=True)]
    other = latent[np.random.default_rng(0).permutation(len(latent))]
    own, flow = labeller.imagine(first, latent)
    others, flow_other = labeller.imagine(first, other)
    return Reality(
        psnr_true=_psnr(own, moved),
        psnr_other=_psnr(others, moved),
        psnr_still=_psnr(first, moved),
        flow_cosine=_cosine(flow, moved),
        flow_cosine_other=_cosine(flow_other, moved),
        perplexity=spread,
        dead_codes=dead,
        transitions=len(first),
    )


def draw_strip(
    directory: Path,
    labeller: Labeller,
    first: np.ndarray,
    second: np.ndarray,
    latent: np.ndarray,
    codes: np.ndarray,
) -> None:
    """Write `labels_0.png`, up to eight transitions, and `gallery.json`.

    Args:
        directory: where to.
        labeller: what made the labels.
        first, second: uint8 (N, S, S, 3).
        latent: float32 (N, K, code_dim).
        codes: int64 (N, K).
    """
    drawn, _ = labeller.imagine(first, latent)
    columns = []
    for before, after, redrawn, said in zip(first, second, drawn, codes, strict=True):
        small, later, ours = (_shrunk(frame) for frame in (before, after, redrawn))
        flow = motion_between(small, later, labeller.config.motion).flow
        top = draw_label(small, flow, said[:8])  # more do not fit in
        size = top.shape[1::-1]
        columns.append(np.concatenate([top, _enlarged(later, size), _enlarged(ours, size)]))
    items = []
    if columns:
        sheet = cv2.cvtColor(np.concatenate(columns, axis=1), cv2.COLOR_RGB2BGR)
        cv2.imwrite(str(directory / "labels_0.png"), sheet)
        items = [{"file": "labels_0.png", "caption": f"{len(columns)} held-out transitions"}]
    caption = (
        "Top: frame with optical flow and its first latent codes. Middle: the true next frame. "
        "Bottom: the next frame redrawn from the codes alone."
    )
    write_json(
        directory / "gallery.json", {"title": "Latent actions", "caption": caption, "items": items}
    )


def _moving(motion: Motion) -> np.ndarray:
    speed = np.linalg.norm(motion.flow, axis=-1) * (64 / len(motion.flow))
    return motion.mask & (speed > MOVING_PX)


def _psnr(drawn: np.ndarray, moved: list[Motion]) -> float:
    error, count = 0.0, 0
    for picture, motion in zip(drawn, moved, strict=True):
        gap = (picture.astype(np.float32) - motion.next_frame) / 255
        moving = _moving(motion)
        error, count = error + float((gap**2).mean(-1)[moving].sum()), count + int(moving.sum())
    return float(-10 * np.log10(error / max(count, 1) + 1e-10))


def _cosine(flow: np.ndarray, moved: list[Motion]) -> float:
    total, count = 0.0, 0
    for ours, motion in zip(flow, moved, strict=True):
        moving = _moving(motion)
        a, b = ours[moving], motion.flow[moving]
        length = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
        total += float(((a * b).sum(-1) / np.maximum(length, 1e-6)).sum())
        count += int(moving.sum())
    return total / max(count, 1)


def _shrunk(frame: np.ndarray) -> np.ndarray:
    return cv2.resize(frame, (SHOWN_PX, SHOWN_PX), interpolation=cv2.INTER_AREA)


def _enlarged(frame: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return cv2.resize(frame, (size[0], size[1]), interpolation=cv2.INTER_NEAREST)
