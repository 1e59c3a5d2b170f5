"""Every transition of a dataset, motion measured once, kept as memory-mapped arrays."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.latent.model import Transitions
from robowm.machine import usable_cores
from robowm.motion.config import MotionConfig
from robowm.motion.store import (
    ARRAYS,
    DONE,
    FACTS,
    create_arrays,
    fill_episode,
    open_array,
    release,
)
from robowm.progress import progress
from robowm.video.workers import run_jobs

BATCH = 32  # transitions through a network at once where nothing is trained; 256 are slower
PER_WORKER = 400  # transitions that are worth a process: it takes about a second to start


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
        for array in self.arrays.values():
            release(array)
        tensors = {k: torch.from_numpy(v).permute(0, 3, 1, 2).float() for k, v in parts.items()}
        tensors["first"] /= 255
        tensors["second"] /= 255
        return Transitions(**tensors)


def batches(count: int) -> list[slice]:
    """Slices that take `count` transitions BATCH at a time: memory flat in their number."""
    return [slice(at, at + BATCH) for at in range(0, count, BATCH)]


def measure(
    episodes: Episodes,
    camera: str,
    directory: Path,
    config: MotionConfig,
    workers: int | None = None,
) -> TransitionStore:
    """Measure flow and camera motion of every transition; goes on where an earlier run stopped.

    The result does not depend on the number of processes, nor on where it was interrupted.

    Args:
        episodes: the dataset.
        camera: its image column.
        directory: where the arrays are kept while the stage runs.
        config: how motion is measured.
        workers: processes; None is one a core, or this one alone where there is little to do.

    Raises:
        UserError: reading an episode crashes the process, or what `motions` raises.
    """
    lengths = episodes.lengths
    counts = np.maximum(lengths - 1, 0)
    starts = np.cumsum(counts) - counts
    frame_starts = np.cumsum(lengths) - lengths
    rows = [np.arange(s, s + n) for s, n in zip(frame_starts, counts, strict=True)]
    height, width = episodes.features[camera]["shape"][:2]
    create_arrays(directory, int(counts.sum()), len(lengths), height, width)
    done = open_array(directory, DONE)
    left = np.flatnonzero(~done & (counts > 0))
    jobs = [(episodes.root, camera, directory, int(i), int(starts[i]), config) for i in left]
    workers = workers or _workers(int(counts[left].sum()), config)
    with progress("optical flow of episodes", len(lengths), len(lengths) - len(jobs)) as advance:
        crashed = run_jobs(fill_episode, jobs, workers, advance)
    if crashed:
        named = ", ".join(str(job[3]) for job in crashed)
        raise UserError(
            f"{episodes.root}: reading episode {named} ended its process (a crash, or no memory "
            "left); expected frames that decode. Take it out of the dataset and label again."
        )
    return TransitionStore(
        {name: open_array(directory, name) for name in ARRAYS},
        np.concatenate(rows) if rows else np.zeros(0, np.int64),
        np.repeat(np.arange(len(lengths)), counts),
        **{name: np.array(open_array(directory, name)) for name in FACTS},
    )


def _workers(transitions: int, config: MotionConfig) -> int:
    if config.estimator.startswith("raft"):
        return 1  # torch uses all cores itself, and every process would hold the network
    return max(1, min(usable_cores(), transitions // PER_WORKER))
