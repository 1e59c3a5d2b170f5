"""A labeller that reads windows of frames (ViPRA's), with the face of one that reads pairs."""

import math
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import torch

from robowm.batch import INVALID_CODE, LatentActions
from robowm.latent.labeller import Labeller, Pairs
from robowm.latent.vipra_model import KIND, ViPRALatentConfig, ViPRALatentModel
from robowm.motion.camera import motion_between
from robowm.nn.directory import load_weights, read_config

BATCH = 8


class WindowLabeller(Labeller):
    """ViPRA's latent action model as a tool.

    The latent action of a transition depends on the window that it is seen in. A clip is cut into
    windows that meet at one frame, the last one moved back to fit (where it overlaps the one
    before, it is the one that counts); a clip shorter than a window is
    padded with its last frame, which is masked, as in training.
    """

    network: ViPRALatentModel  # type: ignore[assignment]

    @classmethod
    def read(cls, directory: Path) -> Self:
        """From a model directory.

        Raises:
            UserError: it holds something else.
        """
        network = ViPRALatentModel(read_config(directory, KIND, ViPRALatentConfig))
        load_weights(directory, network)
        return cls(network.eval())  # type: ignore[arg-type]

    @property
    def config(self) -> ViPRALatentConfig:  # type: ignore[override]
        """Its shape, its losses and its motion settings."""
        return self.network.config

    def clip(self, frames: np.ndarray) -> LatentActions:
        """See Labeller.clip; the frames should be about `config.stride_s` apart."""
        vectors, codes = self.encode(frames)
        moved = [motion_between(a, b, self.config.motion) for a, b in pairwise(frames)]
        valid = np.array([motion.valid for motion in moved], bool)
        return masked(vectors, codes, valid)

    def pairs(self, first: np.ndarray, second: np.ndarray) -> Pairs:
        """See Labeller.pairs. A pair is a clip of two frames: the rest of its window is padding."""
        clips = np.stack([first, second], axis=1)
        windows = [_padded(clip, self.config.window) for clip in clips]
        latent, codes = self._encode(windows)
        moved = [
            motion_between(a, b, self.config.motion) for a, b in zip(first, second, strict=True)
        ]
        valid = np.array([motion.valid for motion in moved], bool)
        return Pairs(latent=latent[:, 0], codes=codes[:, 0], valid=valid)

    @torch.no_grad()
    def imagine(self, first: np.ndarray, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See Labeller.imagine. The flow is measured between `first` and what was drawn."""
        drawn = []
        for i in range(0, len(first), BATCH):
            frames = self._tensor(first[i : i + BATCH])[:, None]
            chosen = torch.from_numpy(latent[i : i + BATCH])[:, None].to(frames.device)
            drawn.append(_pictures(self.network.decode(frames, chosen)[:, 0]))
        shown: np.ndarray = np.concatenate(drawn) if drawn else first
        flow = np.zeros((*first.shape[:3], 2), np.float32)
        for i, (a, b) in enumerate(zip(first, shown, strict=True)):
            flow[i] = motion_between(a, b, self.config.motion).flow
        return shown, flow

    def encode(self, frames: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Latent actions of a clip, whatever its flow says.

        Args:
            frames: uint8 (T, S, S, 3) RGB.

        Returns:
            float32 (T-1, K, code_dim) and int64 (T-1, K).
        """
        c, moves = self.config, len(frames) - 1
        vectors = np.zeros((max(moves, 0), c.tokens, c.code_dim), np.float32)
        codes = np.full((max(moves, 0), c.tokens), INVALID_CODE, np.int64)
        starts = list(window_starts(len(frames), c.window))
        windows = [_padded(frames[s : s + c.window], c.window) for s in starts]
        for start, latent, code in zip(starts, *self._encode(windows), strict=True):
            end = min(start + c.window - 1, moves)
            vectors[start:end], codes[start:end] = latent[: end - start], code[: end - start]
        return vectors, codes

    @torch.no_grad()
    def _encode(
        self, windows: list[tuple[np.ndarray, np.ndarray]]
    ) -> tuple[np.ndarray, np.ndarray]:
        latents, codes = [], []
        for i in range(0, len(windows), BATCH):
            frames, valid = zip(*windows[i : i + BATCH], strict=True)
            stacked = self._tensor(np.concatenate(frames)).unflatten(0, (len(frames), -1))
            real = torch.from_numpy(np.stack(valid)).to(stacked.device)
            latent, code = self.network.encode(stacked, real)
            latents.append(latent.float().cpu().numpy())
            codes.append(code.cpu().numpy())
        if not latents:
            k, dim = self.config.tokens, self.config.code_dim
            return np.zeros((0, 1, k, dim), np.float32), np.zeros((0, 1, k), np.int64)
        return np.concatenate(latents), np.concatenate(codes)

    def _tensor(self, frames: np.ndarray) -> torch.Tensor:
        device = next(self.network.parameters()).device
        return torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float() / 255


def window_starts(frames: int, window: int) -> Iterator[int]:
    """Where the windows of a clip begin: they meet at a frame, the last is moved back to fit.

    >>> list(window_starts(20, 8)), list(window_starts(5, 8)), list(window_starts(1, 8))
    ([0, 7, 12], [0], [])
    """
    for start in range(0, frames - 1, window - 1):
        yield max(0, min(start, frames - window))


def masked(vectors: np.ndarray, codes: np.ndarray, valid: np.ndarray) -> LatentActions:
    """Latent actions with what is not valid made so: (N, K, dim), (N, K), bool (N,)."""
    flat = vectors.reshape(len(vectors), math.prod(vectors.shape[1:])) * valid[:, None]
    codes = np.where(valid[:, None], codes, INVALID_CODE)
    return LatentActions(codes=codes, vectors=flat.astype(np.float32), valid=valid)


def _padded(frames: np.ndarray, window: int) -> tuple[np.ndarray, np.ndarray]:
    """A window of a clip's frames, the last one repeated, and which of them are real."""
    rows = np.arange(window)
    return frames[np.minimum(rows, len(frames) - 1)], rows < len(frames)


def _pictures(frames: torch.Tensor) -> np.ndarray:
    drawn: np.ndarray = (frames.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return drawn
