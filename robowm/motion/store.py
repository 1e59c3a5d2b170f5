"""Motion of a dataset's every transition, in memory-mapped arrays that several processes fill.

No torch here: this is what the worker processes of `robowm label` import.
"""

import mmap
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from robowm.episodes import Episodes
from robowm.motion.camera import motions
from robowm.motion.config import MotionConfig

ARRAYS = {"first": 3, "second": 3, "flow": 2, "mask": 1}
DTYPES = {"first": np.uint8, "second": np.uint8, "flow": np.float16, "mask": np.uint8}
FACTS = {"valid": np.bool_, "agreement": np.float32, "speed": np.float32}
DONE = "done"


def create_arrays(
    directory: Path, transitions: int, episodes: int, height: int, width: int
) -> None:
    """Make the arrays that are not there yet, full of zeros; each is whole or absent.

    Args:
        directory: made if it does not exist.
        transitions: N, the arrays' first axis.
        episodes: how many flags `done` has.
        height, width: of a frame, pixels.
    """
    directory.mkdir(parents=True, exist_ok=True)
    shapes: dict[str, tuple[int, ...]] = {DONE: (episodes,)}
    shapes |= {name: (transitions, height, width, channels) for name, channels in ARRAYS.items()}
    shapes |= dict.fromkeys(FACTS, (transitions,))
    for name, dtype in {**DTYPES, **FACTS, DONE: np.bool_}.items():
        path = _path(directory, name)
        if not path.exists():
            temporary = path.with_suffix(".tmp")
            np.lib.format.open_memmap(temporary, "w+", dtype=dtype, shape=shapes[name])
            temporary.rename(path)


def open_array(directory: Path, name: str) -> np.ndarray:
    """One array, memory-mapped, to read and write."""
    return np.lib.format.open_memmap(_path(directory, name), mode="r+")


def release(array: np.ndarray) -> None:
    """Let go of what was read of a memory-mapped array: memory stays flat, the file keeps it."""
    mapped = getattr(array, "_mmap", None)
    if mapped is not None:
        mapped.madvise(mmap.MADV_DONTNEED)


def fill_episode(
    dataset: Path, camera: str, directory: Path, episode: int, start: int, config: MotionConfig
) -> None:
    """Measure one episode and write its slices; its flag in `done` is set last.

    What is written goes to the system at once, so it survives this process being killed.

    Args:
        dataset: LeRobotDataset v3 directory.
        camera: its image column.
        directory: with the arrays of `create_arrays`.
        episode: index of the episode.
        start: row of its first transition.
        config: how motion is measured.
    """
    frames = _dataset(dataset).frames(episode, camera)
    arrays = {name: open_array(directory, name) for name in [*ARRAYS, *FACTS, DONE]}
    flow16 = arrays["flow"].view(np.int16)  # as OpenCV hands out half floats
    for at, motion in enumerate(motions(frames, config), start):
        arrays["first"][at] = frames[at - start]
        arrays["second"][at] = motion.next_frame
        flow16[at] = cv2.convertFp16(motion.flow)  # numpy's rounding is the same, 30 times slower
        arrays["mask"][at, ..., 0] = motion.mask
        arrays["valid"][at], arrays["agreement"][at] = motion.valid, motion.agreement
        dx, dy = motion.flow[..., 0], motion.flow[..., 1]  # linalg.norm: the same, 9 times slower
        arrays["speed"][at] = np.sqrt(dx**2 + dy**2).mean() * 64 / len(motion.flow)
    arrays[DONE][episode] = True


@lru_cache(maxsize=1)
def _dataset(root: Path) -> Episodes:
    return Episodes(root)


def _path(directory: Path, name: str) -> Path:
    return directory / f"{name}.npy"
