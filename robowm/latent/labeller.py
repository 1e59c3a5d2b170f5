"""A trained latent action model as a tool: frames in, latent actions out, and back."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from robowm.batch import INVALID_CODE, LatentActions
from robowm.latent import vipra_model
from robowm.latent.model import LatentActionConfig, LatentActionModel, Transitions
from robowm.motion.camera import Motion, motion_between
from robowm.nn.directory import load_weights, read_config, read_kind, resolve

KIND = "robowm_latent_action_model"
BATCH = 256


@dataclass(frozen=True)
class Pairs:
    """Latent actions of N pairs of frames.

    Attributes:
        latent: float32 (N, K, code_dim), quantised.
        codes: int64 (N, K).
        valid: bool (N,), False where flow failed; latent and codes mean nothing there.
    """

    latent: np.ndarray
    codes: np.ndarray
    valid: np.ndarray


@dataclass(frozen=True)
class Labeller:
    """A latent action model with the motion settings that it was trained with."""

    network: LatentActionModel

    @classmethod
    def load(cls, name_or_path: str | Path) -> "Labeller":
        """From a model directory or a Hub id; of the family that made it.

        Raises:
            UserError: there is none, or it is no labeller.
        """
        directory = resolve(name_or_path)
        if read_kind(directory) == vipra_model.KIND:
            from robowm.latent.window_labeller import WindowLabeller

            return WindowLabeller.read(directory)
        network = LatentActionModel(read_config(directory, KIND, LatentActionConfig))
        load_weights(directory, network)
        return cls(network.eval())

    @property
    def config(self) -> LatentActionConfig:
        """Its shape, its losses and its motion settings."""
        return self.network.config

    def clip(self, frames: np.ndarray) -> LatentActions:
        """Latent actions of a clip's T-1 transitions, as `robowm label` writes them.

        Args:
            frames: uint8 (T, S, S, 3) RGB, S as in `config.size_px`.
        """
        pairs = self.pairs(frames[:-1], frames[1:])
        codes, vectors = pairs.codes, pairs.latent.reshape(len(pairs.latent), -1)
        codes[~pairs.valid], vectors[~pairs.valid] = INVALID_CODE, 0
        return LatentActions(codes=codes, vectors=vectors, valid=pairs.valid)

    @torch.no_grad()
    def pairs(self, first: np.ndarray, second: np.ndarray) -> Pairs:
        """Latent actions from `first` to `second`, any pictures of one size.

        Args:
            first, second: uint8 (N, S, S, 3) RGB.
        """
        measured = [
            motion_between(a, b, self.config.motion) for a, b in zip(first, second, strict=True)
        ]
        parts = [
            self.network.encode(as_transitions(first[i : i + BATCH], measured[i : i + BATCH]))
            for i in range(0, len(first), BATCH)
        ]
        return Pairs(
            latent=torch.cat([latent for latent, _ in parts]).float().numpy(),
            codes=torch.cat([codes for _, codes in parts]).numpy(),
            valid=np.array([motion.valid for motion in measured]),
        )

    @torch.no_grad()
    def imagine(self, first: np.ndarray, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What latent actions do to pictures.

        Args:
            first: uint8 (N, S, S, 3) RGB.
            latent: float32 (N, K, code_dim).

        Returns:
            the next frames, uint8 (N, S, S, 3), and the flow to them, float32 (N, S, S, 2),
            pixels.
        """
        pictures = torch.from_numpy(first).permute(0, 3, 1, 2).float() / 255
        frames, flow = self.network.decode(pictures, torch.from_numpy(latent))
        drawn = (frames.clamp(0, 1) * 255).round().byte()
        return drawn.permute(0, 2, 3, 1).numpy(), flow.permute(0, 2, 3, 1).numpy()


def as_transitions(first: np.ndarray, measured: list[Motion]) -> Transitions:
    """Frames uint8 (N, S, S, 3) and the motion from each to its next, as the model takes them."""

    def tensor(arrays: list[np.ndarray]) -> torch.Tensor:
        return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float()

    return Transitions(
        first=tensor(list(first)) / 255,
        second=tensor([motion.next_frame for motion in measured]) / 255,
        flow=tensor([motion.flow for motion in measured]),
        mask=tensor([motion.mask[..., None] for motion in measured]),
    )
