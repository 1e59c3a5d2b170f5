"""Every transition of a dataset, motion measured once, kept as memory-mapped arrays."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from robowm.artefact import read_card, write_json
from robowm.episodes import Episodes
from robowm.latent.model import Transitions
from robowm.motion.camera import MotionConfig, motion_between
from robowm.progress import progress

ARRAYS = {"first": 3, "second": 3, "flow": 2, "mask": 1}
DTYPES = {"first": np.uint8, "second": np.uint8, "flow": np.float16, "mask": np.uint8}
FACTS = {"valid": np.bool_, "agreement": np.float32, "speed": np.float32}


@dataclass(frozen=True)
class TransitionStore:
    """N transitions in the dataset's row order (an episode's last row has none).

    Attributes:
        arrays: `first`, `second` uint8 (N, S, S, 3), `flow` float16 (N, S, S, 2) pixels,
            `mask` uint8 (N, S, S, 1).
        rows: int64 (N,), the dataset row that each belongs to.
        episode: int64 (N,).
        valid: bool (N,), False where flow failed.
        agreement: float32 (N,), how well the camera fit explains the border.
        speed: float32 (N,), mean length of the flow, in pixels of a 64-pixel frame.
    """

    arrays: dict[str, np.ndarray]
    rows: np.ndarray
    episode: np.ndarray
    valid: np.ndarray
    agreement: np.ndarray
    speed: np.ndarray

    def __len__(self) -> int:
        return len(self.rows)

    def batch(self, chosen: np.ndarray) -> Transitions:
        """The chosen transitions as tensors."""
        parts = {name: np.asarray(self.arrays[name][chosen]) for name in ARRAYS}
        tensors = {k: torch.from_numpy(v).permute(0, 3, 1, 2).float() for k, v in parts.items()}
        tensors["first"] /= 255
        tensors["second"] /= 255
        return Transitions(**tensors)


def measure(
    episodes: Episodes, camera: str, directory: Path, config: MotionConfig
) -> TransitionStore:
    """Measure flow and camera motion of every transition; goes on where an earlier run stopped.

    Args:
        episodes: the dataset.
        camera: its image column.
        directory: where the arrays are kept while the stage runs.
        config: how motion is measured.
    """
    directory.mkdir(parents=True, exist_ok=True)
    lengths = episodes.lengths
    starts = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.concatenate([np.arange(s, s + n - 1) for s, n in zip(starts, lengths, strict=False)])
    episode = np.repeat(np.arange(len(lengths)), lengths - 1)
    arrays, facts = _open_arrays(episodes, camera, directory, len(rows))
    done = (read_card(directory) or {}).get("episodes_done", 0)
    at = int((lengths[:done] - 1).sum())
    with progress("optical flow", len(rows), at) as advance:
        for i in range(done, len(lengths)):
            frames = episodes.clip(i, camera).frames
            for t in range(len(frames) - 1):
                motion = motion_between(frames[t], frames[t + 1], config)
                arrays["first"][at] = frames[t]
                arrays["second"][at] = motion.next_frame
                arrays["flow"][at] = motion.flow
                arrays["mask"][at, ..., 0] = motion.mask
                speed = np.linalg.norm(motion.flow, axis=-1).mean() * 64 / len(motion.flow)
                facts["valid"][at], facts["agreement"][at] = motion.valid, motion.agreement
                facts["speed"][at] = speed
                at += 1
            advance(len(frames) - 1)
            if i % 50 == 49:
                _note(directory, i + 1)
    _note(directory, len(lengths))
    return TransitionStore(arrays, rows, episode, **{k: np.array(v) for k, v in facts.items()})


def _open_arrays(
    episodes: Episodes, camera: str, directory: Path, count: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    height, width = episodes.features[camera]["shape"][:2]

    def opened(name: str, shape: tuple[int, ...], dtype: type) -> np.ndarray:
        path = directory / f"{name}.npy"
        if path.exists():
            return np.lib.format.open_memmap(path, mode="r+")
        return np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)

    shapes = {name: (count, height, width, channels) for name, channels in ARRAYS.items()}
    arrays = {name: opened(name, shapes[name], DTYPES[name]) for name in ARRAYS}
    return arrays, {name: opened(name, (count,), dtype) for name, dtype in FACTS.items()}


def _note(directory: Path, episodes_done: int) -> None:
    card = {"kind": "transitions", "settings": {}, "episodes_done": episodes_done}
    write_json(directory / "robowm.json", card)
