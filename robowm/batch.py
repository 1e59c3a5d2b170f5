"""The data contract: what a clip, its latent actions and a training batch are, once.

Arrays on disk and in the pipeline are numpy; what a network sees is torch. Shapes are written
`B T C H W`: batch, time, channels, height, width.

    dataset column            here                     meaning
    observation.images.*      Clip.frames              uint8 T H W 3, RGB
    capture_time_s            Clip.timestamps_s        float64 T, the source's own clock
    latent_action             LatentActions.vectors    float32 T-1 D
    latent_action_index       LatentActions.codes      int64 T-1 K
    latent_action_valid       LatentActions.valid      bool T-1

The latent action of transition t→t+1 is stored on row t; an episode's last row has none and is
invalid. Padding, cuts and failed flow are invalid too: codes -1, never a silent zero.
"""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

INVALID_CODE = -1


@dataclass(frozen=True)
class Clip:
    """One shot of video.

    Attributes:
        frames: uint8 (T, H, W, 3), RGB.
        timestamps_s: float64 (T,), seconds in the source, strictly rising.
        task: what is being done, in words; empty when nobody said.
    """

    frames: np.ndarray
    timestamps_s: np.ndarray
    task: str = ""

    def __post_init__(self) -> None:
        shape, dtype = self.frames.shape, self.frames.dtype
        if dtype != np.uint8 or len(shape) != 4 or shape[-1] != 3:
            raise ValueError(f"frames: got {dtype} {shape}, expected uint8 (T, H, W, 3)")
        if self.timestamps_s.shape != shape[:1]:
            raise ValueError(f"timestamps_s: got {self.timestamps_s.shape}, expected {shape[:1]}")
        if (np.diff(self.timestamps_s) <= 0).any():
            raise ValueError("timestamps_s: expected strictly rising seconds")

    def __repr__(self) -> str:
        return f"Clip(frames={self.frames.shape}, task={self.task!r})"


@dataclass(frozen=True)
class LatentActions:
    """Latent actions of one clip's T-1 transitions.

    Attributes:
        codes: int64 (T-1, K), index into the codebook; -1 where invalid.
        vectors: float32 (T-1, D), the K quantised vectors end to end; 0 where invalid.
        valid: bool (T-1,).
    """

    codes: np.ndarray
    vectors: np.ndarray
    valid: np.ndarray

    def __post_init__(self) -> None:
        n = len(self.valid)
        want = {"codes": (np.int64, 2), "vectors": (np.float32, 2), "valid": (np.bool_, 1)}
        for name, (dtype, ndim) in want.items():
            got = getattr(self, name)
            if got.dtype != dtype or got.ndim != ndim or len(got) != n:
                raise ValueError(
                    f"{name}: got {got.dtype} {got.shape}, expected {np.dtype(dtype)} with "
                    f"{ndim} axes of which the first is {n}"
                )
        if (self.codes[~self.valid] != INVALID_CODE).any():
            raise ValueError(f"codes of invalid transitions must be {INVALID_CODE}")
        if (self.codes[self.valid] < 0).any():
            raise ValueError("codes of valid transitions must not be negative")

    def __repr__(self) -> str:
        return f"LatentActions(codes={self.codes.shape}, valid={int(self.valid.sum())})"


@dataclass(frozen=True)
class Batch:
    """What a world model or a policy trains on; parts that a run does not use are None.

    Attributes:
        frames: float32 (B, T, 3, H, W) in [0, 1], context frames, oldest first.
        task: B strings.
        future: float32 (B, 3, H, W) in [0, 1], the frame H steps after the last context frame.
        future_valid: bool (B,).
        codes: int64 (B, H, K), latent actions from the last context frame on; -1 where invalid.
        latents: float32 (B, H, D), the same as they are; NaN where invalid.
        state: float32 (B, S), proprioception, normalised.
        actions: float32 (B, H, A), normalised.
        actions_valid: bool (B, H), False on the padding after an episode's end.
    """

    frames: Tensor
    task: list[str] = field(default_factory=list)
    future: Tensor | None = None
    future_valid: Tensor | None = None
    codes: Tensor | None = None
    latents: Tensor | None = None
    state: Tensor | None = None
    actions: Tensor | None = None
    actions_valid: Tensor | None = None

    def __post_init__(self) -> None:
        if self.frames.ndim != 5 or self.frames.shape[2] != 3:
            raise ValueError(f"frames: got {tuple(self.frames.shape)}, expected (B, T, 3, H, W)")
        for name, value in self._tensors().items():
            if len(value) != len(self.frames):
                raise ValueError(f"{name}: got {len(value)} samples, frames has {len(self.frames)}")

    def to(self, device: torch.device | str) -> Self:
        """The same batch on another device."""
        return replace(self, **{k: v.to(device) for k, v in self._tensors().items()})

    def _tensors(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}


@dataclass(frozen=True)
class Observation:
    """What a controller sees at one tick, from a simulator, an imagined world or an arm.

    Attributes:
        frame: uint8 (H, W, 3) RGB of the policy's camera, at any size.
        state: float32 (S,), proprioception in the robot's own units.
        task: the instruction; empty when there is none.
    """

    frame: np.ndarray
    state: np.ndarray
    task: str = ""
