"""The frames of whole datasets in one memory-mapped array, so training never decodes a picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from robowm.episodes import Episodes
from robowm.episodes import held_out as held_out  # its home until reports needed it too
from robowm.errors import UserError
from robowm.policy.keyframes import closes_upwards
from robowm.progress import progress

RATE_WITHIN = 2.0
"""a dataset's time between frames may differ from a labeller's by this factor, and no more"""


@dataclass(frozen=True)
class Frames:
    """N frames of all episodes of some datasets, in order.

    Attributes:
        pixels: uint8 (N, S, S, 3), memory-mapped.
        start, end: int64 (N,), the first row of a row's episode, and the one after its last.
        task: int64 (N,), index into `tasks`.
        tasks: instructions.
        episode: int64 (N,), counted over all datasets.
        columns: further columns, (N,) or (N, D).
        closes_upwards: more of an action's last number, the gripper's, means shut.
        other: bool (N,), video of another hand than the demonstrations'; None: there is none.
    """

    pixels: np.ndarray
    start: np.ndarray
    end: np.ndarray
    task: np.ndarray
    tasks: list[str]
    episode: np.ndarray
    columns: dict[str, np.ndarray]
    closes_upwards: bool = False
    other: np.ndarray | None = None

    @property
    def gripper(self) -> np.ndarray:
        """(N,), what the gripper is told, the last number of `action`, but more where open."""
        told: np.ndarray = self.columns["action"][:, -1]
        return -told if self.closes_upwards else told

    def pictures(self, rows: np.ndarray) -> Tensor:
        """float32 (*rows.shape, 3, S, S) in [0, 1]."""
        taken = torch.from_numpy(self.pixels[rows.reshape(-1)])
        pictures = taken.permute(0, 3, 1, 2).contiguous().float() / 255
        return pictures.unflatten(0, rows.shape)

    def around(
        self, rows: np.ndarray, moments: int, horizon: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What lies about each of N rows, within its episode.

        Returns:
            int64 (N, moments), up to the row itself, an episode's first row repeated before it;
            int64 (N, horizon), from the row on, the last row repeated after it; bool (N, horizon),
            which of the latter are not such repetitions.
        """
        start, end = self.start[rows][:, None], self.end[rows][:, None]
        before = np.maximum(rows[:, None] + np.arange(1 - moments, 1), start)
        ahead = rows[:, None] + np.arange(horizon)
        return before, np.minimum(ahead, end - 1), ahead < end

    def instructions(self, rows: np.ndarray) -> list[str]:
        """The instruction of each row."""
        return [self.tasks[i] for i in self.task[rows]]


def check_fit(episodes: Episodes, camera: str, size_px: int, stride_s: float | None) -> None:
    """Refuse a dataset whose frames a labeller was not made for.

    Args:
        episodes: the dataset.
        camera: its image column.
        size_px: side of the labeller's frames.
        stride_s: time between two of them; None: not known, a labeller of before it was kept.

    Raises:
        UserError: another size, or a rate that differs by more than a factor `RATE_WITHIN`.
    """
    height, width = episodes.features[camera]["shape"][:2]
    if (height, width) != (size_px, size_px):
        raise UserError(
            f"{episodes.root} has frames of {width}x{height} pixels; the labeller expects "
            f"{size_px}x{size_px}. Ingest with --size-px {size_px}, or train one with "
            "--model.size-px."
        )
    if stride_s is None:
        return
    if stride_s <= 0:
        raise UserError(f"--model.stride-s {stride_s}: expected seconds, more than 0.")
    if not 1 / RATE_WITHIN <= episodes.fps * stride_s <= RATE_WITHIN:
        raise UserError(
            f"{episodes.root} has {episodes.fps} frames a second; the labeller expects "
            f"{1 / stride_s:.3g}. Ingest with --fps {round(1 / stride_s)}, or train one with "
            "--model.stride-s."
        )


def load_frames(
    datasets: Sequence[Episodes],
    size_px: int,
    columns: Mapping[str, str] | Sequence[str],
    directory: Path,
    camera: str | None = None,
    video: Sequence[Episodes] = (),
    others: Sequence[Episodes] = (),
) -> Frames:
    """Decode every frame once into `directory`/frames.npy.

    Args:
        datasets: one or more datasets.
        size_px: side of the square frames; others are resized.
        columns: numeric columns to read along; a mapping gives each the name it gets here.
        directory: where the array is kept while the stage runs.
        camera: the image column, or None for each dataset's first.
        video: further datasets, put last. Of these nothing but pictures and instructions is read,
            whatever columns they have; the columns are NaN there.
        others: likewise, of other hands; last of all.
    """
    labelled, datasets = len(datasets), [*datasets, *video, *others]
    lengths = np.concatenate([d.lengths for d in datasets])
    ends = np.cumsum(lengths)
    total = int(ends[-1])
    directory.mkdir(parents=True, exist_ok=True)
    pixels = np.lib.format.open_memmap(
        directory / "frames.npy", mode="w+", dtype=np.uint8, shape=(total, size_px, size_px, 3)
    )
    source = columns if isinstance(columns, Mapping) else {name: name for name in columns}
    taken: dict[str, list[np.ndarray]] = {name: [] for name in source}
    at = 0
    with progress("frames", total) as advance:
        for number, dataset in enumerate(datasets):
            key = dataset.camera(camera)
            for i in range(len(dataset)):
                frames = _sized(dataset.clip(i, key).frames, size_px)
                pixels[at : at + len(frames)] = frames
                at += len(frames)
                for name, column in source.items() if number < labelled else ():
                    taken[name].append(dataset.column(column, i))
                advance(len(frames))
    texts = [text for d in datasets for text in d.tasks]
    tasks = sorted(set(texts))
    index = {text: i for i, text in enumerate(tasks)}
    return Frames(
        pixels=pixels,
        start=np.repeat(ends - lengths, lengths),
        end=np.repeat(ends, lengths),
        task=np.repeat([index[text] for text in texts], lengths),
        tasks=tasks,
        episode=np.repeat(np.arange(len(lengths)), lengths),
        columns={name: _padded(np.concatenate(parts), total) for name, parts in taken.items()},
        closes_upwards=closes_upwards(told[:, -1] for told in taken.get("action", [])),
        other=np.arange(total) >= total - sum(int(d.lengths.sum()) for d in others),
    )


def _sized(frames: np.ndarray, size_px: int) -> np.ndarray:
    if frames.shape[1:3] == (size_px, size_px):
        return frames
    size = (size_px, size_px)
    return np.stack([cv2.resize(f, size, interpolation=cv2.INTER_AREA) for f in frames])


def _padded(values: np.ndarray, count: int) -> np.ndarray:
    if len(values) == count:
        return values
    missing = np.full((count - len(values), *values.shape[1:]), np.nan, np.float32)
    return np.concatenate([values, missing])
