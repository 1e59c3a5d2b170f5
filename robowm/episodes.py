"""Episodes on disk: writes, reads and extends LeRobotDataset v3 directories.

Writing goes through lerobot, so stock tools open the result. Reading is our own and plain
(parquet through pyarrow): whole episodes in one go, no torch and no video stack at import.
"""

import json
import shutil
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from robowm.artefact import write_json
from robowm.errors import UserError

if TYPE_CHECKING:
    from robowm.batch import Clip  # torch comes with it: 500 MB in every worker of `ingest`

IMAGE_PREFIX = "observation.images."
LABEL_COLUMNS = ("latent_action", "latent_action_index", "latent_action_valid")


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
    """Appends episodes to a new LeRobotDataset v3 directory.

    Args:
        root: directory to create; must not exist.
        fps: frames a second, as stored in the dataset.
        features: lerobot feature dictionary, without the default columns.
        robot_type: name of the robot, or None for video of unknown arms and hands.
    """

    def __init__(
        self, root: Path, fps: int, features: dict[str, Any], robot_type: str | None = None
    ) -> None:
        from datasets import disable_progress_bars
        from lerobot.datasets.lerobot_dataset import LeRobotDataset

        disable_progress_bars()  # one bar an episode, over our own
        self.root = Path(root)
        self.features = features
        self._dataset = LeRobotDataset.create(
            repo_id=f"local/{self.root.name.strip('.') or 'dataset'}",
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
        import pyarrow.parquet as pq

        self.root = Path(root)
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
        files = sorted((self.root / "meta" / "episodes").glob("*/*.parquet"))
        rows = [row for file in files for row in pq.read_table(file).to_pylist()]
        self._episodes = sorted(rows, key=lambda row: row["episode_index"])
        self.lengths = np.array([row["length"] for row in self._episodes], np.int64)
        self.tasks = [(row["tasks"] or [""])[0] for row in self._episodes]
        self._table = lru_cache(maxsize=2)(self._read_table)

    def __len__(self) -> int:
        return len(self._episodes)

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
        """One numeric column of one episode: (T,) or (T, D)."""
        table = self._rows(episode, name)
        values = table.column(name).to_pylist()
        return np.array(values, dtype=self.features[name]["dtype"])

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
        pictures = self._rows(episode, camera).column(camera).to_pylist()
        return np.stack([_decode(picture["bytes"]) for picture in pictures])

    def _rows(self, episode: int, column: str) -> Any:
        row = self._episodes[episode]
        path = self.info["data_path"].format(
            chunk_index=row["data/chunk_index"], file_index=row["data/file_index"]
        )
        table, first_index = self._table(path, column)
        start = row["dataset_from_index"] - first_index
        return table.slice(start, row["length"])

    def _read_table(self, path: str, column: str) -> tuple[Any, int]:
        import pyarrow.parquet as pq

        table = pq.read_table(self.root / path, columns=[column, "index"])
        return table, table.column("index")[0].as_py()

    def _video_frames(self, episode: int, camera: str) -> np.ndarray:
        import av

        row = self._episodes[episode]
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
        return np.stack(frames)


def add_columns(
    root: Path, columns: dict[str, np.ndarray], features: dict[str, dict[str, Any]]
) -> None:
    """Add or replace columns of a dataset, every other byte of it kept.

    Args:
        root: LeRobotDataset v3 directory.
        columns: name to array whose first axis is the dataset's rows, in index order.
        features: name to lerobot feature; an `info` entry in it carries provenance.

    The new parquet files are complete beside the old ones before the first is swapped in.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    from lerobot.datasets.feature_utils import get_hf_features_from_features

    info = json.loads((root / "meta" / "info.json").read_text())
    info["features"] = {k: v for k, v in info["features"].items() if k not in features} | features
    schema = get_hf_features_from_features(
        {
            k: f | {"shape": tuple(f["shape"])}
            for k, f in info["features"].items()
            if f["dtype"] != "video"
        }
    ).arrow_schema
    staged: list[tuple[Path, Path]] = []
    for path in sorted((root / "data").glob("*/*.parquet")):
        table = pq.read_table(path)
        rows = table.column("index").to_numpy()
        new = {
            name: pa.array(values[rows].tolist(), type=schema.field(name).type)
            for name, values in columns.items()
        }
        arrays = [new[n] if n in new else table.column(n) for n in schema.names]
        temporary = path.with_name(f".{path.name}.tmp")
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), temporary)
        staged.append((temporary, path))
    for temporary, path in staged:
        temporary.replace(path)
    write_json(root / "meta" / "info.json", info)


def held_out(episodes: int, share: float, seed: int) -> np.ndarray:
    """bool (episodes,): which ones validation keeps for itself; at least one of four or more."""
    count = max(int(episodes > 3), round(share * episodes))
    chosen = np.zeros(episodes, bool)
    chosen[np.random.default_rng((seed, 0x0E1D)).permutation(episodes)[:count]] = True
    return chosen


def _decode(png: bytes) -> np.ndarray:
    picture = cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
