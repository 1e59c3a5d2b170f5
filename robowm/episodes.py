"""Episodes on disk: writes, reads and extends LeRobotDataset v3 directories.

Writing goes through lerobot, so stock tools open the result. Reading is our own and plain
(parquet through pyarrow, a row group at a time): whole episodes in one go, no torch and no video
stack at import, memory flat in the number of episodes.
"""

import json
import re
import shutil
from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from robowm.columns import add_columns as add_columns  # one door: write, read, extend
from robowm.columns import numbers
from robowm.errors import UserError
from robowm.swap import finish_swap

if TYPE_CHECKING:
    from robowm.batch import Clip  # torch comes with it: 500 MB in every worker of `ingest`

IMAGE_PREFIX = "observation.images."
LABEL_COLUMNS = ("latent_action", "latent_action_index", "latent_action_valid")
DEFAULT_LABELS = "default"


def label_columns(labels: str = DEFAULT_LABELS) -> tuple[str, str, str]:
    """The columns of a label set: vectors, codes, validity. Those of "default" bear no name.

    Raises:
        UserError: not a name that may stand in a column's.
    """
    if labels == DEFAULT_LABELS:
        return LABEL_COLUMNS
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", labels):
        raise UserError(
            f"label set {labels!r}: expected a name of letters, digits, '_' and '-', at most 64, "
            "that begins with a letter or digit."
        )
    vectors, codes, valid = (f"{column}.{labels}" for column in LABEL_COLUMNS)
    return vectors, codes, valid


def labels_directory(dataset: Path, labels: str = DEFAULT_LABELS) -> Path:
    """Where a label set's model, report and pictures are: `labels`, or `labels.NAME`."""
    label_columns(labels)
    return Path(dataset) / ("labels" if labels == DEFAULT_LABELS else f"labels.{labels}")


def label_sets(features: Collection[str]) -> list[str]:
    """Names of the label sets that a dataset has."""
    first = LABEL_COLUMNS[0]
    named = sorted(f.removeprefix(f"{first}.") for f in features if f.startswith(f"{first}."))
    return [DEFAULT_LABELS] * (first in features) + named


def image_feature(size_px: int) -> dict[str, Any]:
    """The feature of a square RGB camera, stored as lossless PNG inside the parquet rows."""
    return {
        "dtype": "image",
        "shape": (size_px, size_px, 3),
        "names": ["height", "width", "channels"],
    }


def vector_feature(dtype: str, names: list[str]) -> dict[str, Any]:
    """The feature of a vector; one name an element, with its unit."""
    return {"dtype": dtype, "shape": (len(names),), "names": names}


class EpisodeWriter:
    """Appends episodes to a LeRobotDataset v3 directory, a new one unless `more`.

    Args:
        root: directory to create; must not exist.
        fps: frames a second, as stored in the dataset.
        features: lerobot feature dictionary, without the default columns.
        robot_type: name of the robot, or None for video of unknown arms and hands.
        more: `root` holds such a dataset; go on after its last episode. Until `close` it cannot be
            read, and its data and episode files stay as they are: the new rows get their own.
    """

    def __init__(
        self,
        root: Path,
        fps: int,
        features: dict[str, Any],
        robot_type: str | None = None,
        more: bool = False,
    ) -> None:
        from datasets import disable_progress_bars
        from lerobot.datasets.lerobot_dataset import LeRobotDataset

        disable_progress_bars()  # one bar an episode, over our own
        self.root = Path(root)
        self.features = features
        name = f"local/{self.root.name.strip('.') or 'dataset'}"
        if more:
            self._dataset = LeRobotDataset.resume(name, root=self.root, video_backend="pyav")
            return
        self._dataset = LeRobotDataset.create(
            repo_id=name,
            fps=fps,
            features=features,
            root=self.root,
            robot_type=robot_type,
            use_videos=any(f["dtype"] == "video" for f in features.values()),
            video_backend="pyav",  # torchcodec needs the system's FFmpeg
        )

    def add(self, columns: dict[str, np.ndarray], task: str) -> int:
        """Append one episode; every array has the T frames on its first axis.

        Returns:
            the episode's index.
        """
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) != 1:
            raise ValueError(f"columns must have one length, got {lengths}")
        for t in range(next(iter(lengths.values()))):
            row = {name: np.atleast_1d(values[t]) for name, values in columns.items()}
            self._dataset.add_frame(row | {"task": task})
        self._dataset.save_episode()
        return self._dataset.meta.total_episodes - 1

    def close(self) -> None:
        """Finish the files. A dataset that was not closed cannot be read."""
        self._dataset.finalize()
        images = self.root / "images"  # where lerobot kept pictures until they were in parquet
        if images.is_dir():
            shutil.rmtree(images)


class Episodes:
    """Read-only view of a LeRobotDataset v3 directory, an episode at a time.

    Attributes:
        root: the dataset's directory.
        fps: nominal frames a second.
        features: lerobot feature dictionary.
        lengths: int64 (episodes,), frames of each episode.
        tasks: one string an episode.

    Raises:
        UserError: `root` is not such a directory.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)
        finish_swap(self.root)
        info_path = self.root / "meta" / "info.json"
        if not info_path.is_file():
            raise UserError(
                f"{self.root} is not a dataset: no meta/info.json in it; "
                "expected a LeRobotDataset v3 directory."
            )
        self.info: dict[str, Any] = json.loads(info_path.read_text())
        if self.info.get("codebase_version") != "v3.0":
            raise UserError(
                f"{self.root} has dataset version {self.info.get('codebase_version')!r}; "
                "expected 'v3.0'. lerobot's conversion script upgrades older ones."
            )
        self.features: dict[str, Any] = self.info["features"]
        self.fps = int(self.info["fps"])
        self._index = _read_index(self.root)
        self.lengths = self._index.column("length").to_numpy().astype(np.int64)
        self.tasks = [(tasks or [""])[0] for tasks in self._index.column("tasks").to_pylist()]
        self._file = lru_cache(maxsize=2)(self._open_file)
        self._last: dict[str, tuple[tuple[str, int], Any]] = {}  # a column's latest row group

    def __len__(self) -> int:
        return len(self.lengths)

    def __repr__(self) -> str:
        return f"Episodes({str(self.root)!r}, {len(self)} episodes, {self.lengths.sum()} frames)"

    @property
    def image_keys(self) -> list[str]:
        """Camera columns, in the dataset's order."""
        return [k for k, f in self.features.items() if f["dtype"] in ("image", "video")]

    def camera(self, name: str | None = None) -> str:
        """The camera column to use: the named one, or the first.

        Raises:
            UserError: there is no camera, or none of that name.
        """
        keys = self.image_keys
        wanted = name if name is None or name in keys else IMAGE_PREFIX + name
        if not keys or (wanted is not None and wanted not in keys):
            raise UserError(f"{self.root} has no camera {name or ''!r}; it has: {keys or 'none'}.")
        return wanted or keys[0]

    def column(self, name: str, episode: int) -> np.ndarray:
        """One numeric column of one episode: (T,) or (T, D).

        Raises:
            UserError: a value is missing.
        """
        feature = self.features[name]
        try:
            return numbers(self._rows(episode, name), feature["dtype"], tuple(feature["shape"]))
        except ValueError as error:
            raise UserError(f"{self.root}: {name!r} of episode {episode}: {error}.") from error

    def clip(self, episode: int, camera: str) -> "Clip":
        """One episode as a clip: its frames, and the source's own times where they were kept."""
        from robowm.batch import Clip

        frames = self.frames(episode, camera)
        if "capture_time_s" in self.features:
            times_s = self.column("capture_time_s", episode)
        else:
            times_s = np.arange(len(frames)) / self.fps
        return Clip(frames, times_s, self.tasks[episode])

    def frames(self, episode: int, camera: str) -> np.ndarray:
        """uint8 (T, H, W, 3) RGB of one episode."""
        if self.features[camera]["dtype"] == "video":
            return self._video_frames(episode, camera)
        pictures = self._rows(episode, camera)
        chunks = [chunk.field("bytes") for chunk in pictures.chunks]
        return np.stack([_decode(value.as_buffer()) for chunk in chunks for value in chunk])

    def _row(self, episode: int) -> dict[str, Any]:
        row: dict[str, Any] = self._index.slice(episode, 1).to_pylist()[0]
        return row

    def _rows(self, episode: int, column: str) -> Any:
        """One column of one episode, as a pyarrow chunked array."""
        import pyarrow as pa

        row = self._row(episode)
        path = self.info["data_path"].format(
            chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
        )
        _, first_index, ends = self._file(path)
        start = row["dataset_from_index"] - first_index
        stop = start + row["length"]
        parts = []
        first, last = np.searchsorted(ends, [start, stop - 1], "right").tolist()
        for group in range(first, last + 1):
            begin = int(ends[group - 1]) if group else 0
            values = self._group(path, group, column)
            parts += values[max(0, start - begin) : stop - begin].chunks
        return pa.chunked_array(parts)

    def _group(self, path: str, group: int, column: str) -> Any:
        import pyarrow as pa

        if self._last.get(column, (None,))[0] != (path, group):
            self._last.pop(column, None)  # before the next is read: never two of them
            # arrow keeps what it has freed, thread by thread: +20 MB over a hundred episodes
            pa.default_memory_pool().release_unused()
            file = self._file(path)[0]
            table = file.read_row_group(group, columns=[column], use_threads=False)
            self._last[column] = ((path, group), table.column(column))
        return self._last[column][1]

    def _open_file(self, path: str) -> tuple[Any, int, np.ndarray]:
        """A data file, the index of its first row, and where each of its row groups ends."""
        import pyarrow.parquet as pq

        file = pq.ParquetFile(self.root / path)
        counts = [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)]
        first = file.read_row_group(0, columns=["index"]).column("index")[0].as_py()
        return file, first, np.cumsum(counts)

    def _video_frames(self, episode: int, camera: str) -> np.ndarray:
        import av

        row = self._row(episode)
        path = self.info["video_path"].format(
            video_key=camera,
            chunk_index=row[f"videos/{camera}/chunk_index"],
            file_index=row[f"videos/{camera}/file_index"],
        )
        start_s, end_s = (row[f"videos/{camera}/{k}_timestamp"] for k in ("from", "to"))
        half_frame_s = 0.5 / self.fps
        frames: list[np.ndarray] = []
        with av.open(str(self.root / path)) as container:
            stream = container.streams.video[0]
            assert stream.time_base is not None
            container.seek(int(start_s / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                if frame.time is None or frame.time < start_s - half_frame_s:
                    continue
                if frame.time > end_s - half_frame_s or len(frames) == row["length"]:
                    break
                frames.append(frame.to_ndarray(format="rgb24"))
        if len(frames) != row["length"]:
            raise UserError(
                f"{self.root / path} holds {len(frames)} frames of episode {episode}; "
                f"the dataset says {row['length']}."
            )
        return np.stack(frames)


def _read_index(root: Path) -> Any:
    """The episodes as a pyarrow table in order, without their statistics."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    tables = []
    for path in sorted((root / "meta" / "episodes").glob("*/*.parquet")):
        with pq.ParquetFile(path) as file:
            names = [n for n in file.schema_arrow.names if not n.startswith("stats/")]
            tables.append(file.read(columns=names))
    if not tables:
        raise UserError(f"{root} has no episode; expected parquet files in meta/episodes.")
    whole = pa.concat_tables(tables, promote_options="permissive")
    return whole.sort_by("episode_index").combine_chunks()


def held_out(episodes: int, share: float, seed: int) -> np.ndarray:
    """bool (episodes,): which ones validation keeps for itself; at least one of four or more."""
    count = max(int(episodes > 3), round(share * episodes))
    chosen = np.zeros(episodes, bool)
    chosen[np.random.default_rng((seed, 0x0E1D)).permutation(episodes)[:count]] = True
    return chosen


def _decode(png: Any) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
