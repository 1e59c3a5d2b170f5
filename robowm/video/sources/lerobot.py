"""LeRobotDatasets as sources: v2.0, v2.1 and v3.0, video or image cameras.

The files on disk are believed, not what `info.json` says of them: cameras that are declared and
absent, sizes that are wrong and episodes that were never copied all occur. Every episode that the
metadata or the files know has an entry; one whose pictures are absent says so in the manifest.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from robowm.episodes import IMAGE_PREFIX
from robowm.errors import UserError, nearest
from robowm.video.decode import UnusableClip, name_of
from robowm.video.sources.arrays import open_reel
from robowm.video.sources.clocks import open_window
from robowm.video.sources.entry import Entry, Found, Missing, Search, state_of
from robowm.video.sources.labels import ACTION, STATE, Label, Track

INFO = "meta/info.json"


@dataclass(frozen=True)
class Video:
    """Where an episode's pictures are; `end_s` None: the whole file."""

    path: Path
    start_s: float = 0.0
    end_s: float | None = None


@dataclass
class Episode:
    """What is known of one episode; `data` None: no rows are on disk."""

    index: int
    task: str = ""
    data: Path | None = None
    videos: dict[str, Video] = field(default_factory=dict)


def find_lerobot(search: Search) -> Found:
    """Every episode of the datasets, once for each camera.

    Raises:
        UserError: a source is no LeRobotDataset, or has no camera of that name.
    """
    return Found([entry for source in search.sources for entry in _entries(Path(source), search)])


def _entries(root: Path, search: Search) -> Iterable[Entry]:
    try:
        info = json.loads((root / INFO).read_text())
        features = {name: dict(feature) for name, feature in info["features"].items()}
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise UserError(
            f"{root} cannot be read as a LeRobotDataset ({INFO}: {error}); expected v2.0 to v3.0."
        ) from error
    third = str(info.get("codebase_version", "")).startswith("v3") or _parquets(root)
    episodes = _third(root) if third else _second(root)
    cameras = _cameras(root, features, episodes, search.cameras)
    for episode in episodes:
        for camera in cameras:
            name = f"{name_of(root)}/{episode.index}/{camera.removeprefix(IMAGE_PREFIX)}"
            yield _entry(name, episode, camera, features)


def _cameras(
    root: Path, features: dict[str, Any], episodes: list[Episode], wanted: tuple[str, ...]
) -> list[str]:
    declared = [k for k, f in features.items() if f.get("dtype") in ("image", "video")]
    present = dict.fromkeys(key for episode in episodes for key in episode.videos)
    images = [key for key in declared if features[key]["dtype"] == "image"]
    real = [key for key in declared if key in present or key in images]
    every = list(dict.fromkeys([*real, *present, *declared]))
    if not every:
        raise UserError(f"{root} has no camera: no feature of dtype video or image.")
    for name in wanted:
        if name not in every and IMAGE_PREFIX + name not in every:
            raise UserError(f"{root} has no camera {name!r}. {nearest(name, every)}")
    return [n if n in every else IMAGE_PREFIX + n for n in wanted] or every[:1]


def _entry(name: str, episode: Episode, camera: str, features: dict[str, Any]) -> Entry:
    data, video = episode.data, episode.videos.get(camera)
    files = [path for path in (data, video.path if video else None) if path]
    state = "\n".join([state_of(*files), episode.task])
    label = partial(read_label, data, episode.index, episode.task, _names(features))
    if video and video.end_s is None:
        return Entry(name, state, video.path, label)
    if video:
        return Entry(name, state, partial(open_window, *vars(video).values()), label)
    if data and features.get(camera, {}).get("dtype") == "image":
        clip = partial(open_reel, load_images, data, episode.index, camera)
        return Entry(name, state, clip, label)
    absent = f"no video of {camera}" + ("" if data else " and no rows") + " on disk"
    label = partial(Label, episode.task, "dataset")
    return Entry(name, state, Missing(f"episode {episode.index}: {absent}"), label)


def _second(root: Path) -> list[Episode]:
    """v2: a parquet and an mp4 an episode; tasks in episodes.jsonl."""
    found: dict[int, Episode] = {}
    listed = root / "meta" / "episodes.jsonl"
    lines = listed.read_text().splitlines() if listed.is_file() else []
    for row in map(json.loads, filter(str.strip, lines)):
        task = next(iter(row.get("tasks") or []), "")
        found[row["episode_index"]] = Episode(row["episode_index"], task)
    for path in sorted(root.glob("data/**/episode_*.parquet")):
        found.setdefault(_number(path), Episode(_number(path))).data = path
    for path in sorted(root.glob("videos/**/episode_*.mp4")):
        episode = found.setdefault(_number(path), Episode(_number(path)))
        episode.videos[path.parent.name] = Video(path)
    return [found[index] for index in sorted(found)]


def _number(path: Path) -> int:
    return int(path.stem.rpartition("_")[2])


def _parquets(root: Path) -> list[Path]:
    return sorted(root.glob("meta/episodes/*/*.parquet"))


def _third(root: Path) -> list[Episode]:
    """v3: many episodes a file; the parquet files under meta/episodes say where each lies."""
    import pyarrow.parquet as pq

    found = []
    for file in _parquets(root):
        names = [n for n in pq.read_schema(file).names if not n.startswith("stats/")]
        for row in pq.read_table(file, columns=names).to_pylist():
            at = (row["data/chunk_index"], row["data/file_index"])
            data = root / "data/chunk-{:03d}/file-{:03d}.parquet".format(*at)
            episode = Episode(row["episode_index"], next(iter(row["tasks"] or []), ""))
            episode.data = data if data.is_file() else None
            for key in {n.split("/")[1] for n in names if n.startswith("videos/")}:
                about = {n: row[f"videos/{key}/{n}"] for n in VIDEO_COLUMNS}
                if any(value is None for value in about.values()):
                    continue
                chunk, number, start_s, end_s = about.values()
                path = root / f"videos/{key}/chunk-{chunk:03d}/file-{number:03d}.mp4"
                if path.is_file():
                    episode.videos[key] = Video(path, start_s, end_s)
            found.append(episode)
    if not found:
        raise UserError(f"{root} has no meta/episodes/*/*.parquet; expected them in version 3.0.")
    return sorted(found, key=lambda episode: episode.index)


VIDEO_COLUMNS = ("chunk_index", "file_index", "from_timestamp", "to_timestamp")


def _names(features: dict[str, Any]) -> dict[str, tuple[str, ...]]:
    """Names of the elements of actions and states, as far as they are declared."""
    return {key: tuple(_flat(features.get(key, {}).get("names"))) for key in (ACTION, STATE)}


def _flat(names: Any) -> list[str]:
    if isinstance(names, dict):
        names = list(names.values())
    if isinstance(names, list):
        return [name for part in names for name in _flat(part)]
    return [str(names)] if names is not None else []


def _rows(data: Path, index: int, columns: list[str]) -> Any:
    import pyarrow.parquet as pq

    have = set(pq.read_schema(data).names)
    chosen = [column for column in columns if column in have]
    table = pq.read_table(data, columns=chosen, filters=[("episode_index", "=", index)])
    if not len(table):
        raise UnusableClip("missing", f"no rows of episode {index} in {data.name}")
    return table


def _times_s(table: Any) -> np.ndarray:
    times_s = np.array(table.column("timestamp").to_pylist(), np.float64).reshape(-1)
    return times_s - times_s[0]


def load_images(data: Path, index: int, camera: str) -> tuple[list[bytes], np.ndarray]:
    """Encoded pictures of an image camera and their times."""
    table = _rows(data, index, [camera, "timestamp"])
    if camera not in table.column_names:
        raise UnusableClip("missing", f"no column {camera} in {data.name}")
    return [row["bytes"] or b"" for row in table.column(camera).to_pylist()], _times_s(table)


def read_label(
    data: Path | None, index: int, task: str, names: dict[str, tuple[str, ...]]
) -> Label:
    """Task, actions and states of one episode; rows are on the clock of their `timestamp`."""
    if data is None:
        return Label(task, "dataset")
    table = _rows(data, index, [ACTION, STATE, "timestamp"])
    times_s = _times_s(table)
    tracks = {}
    for key in (ACTION, STATE):
        if key in table.column_names:
            values = np.array(table.column(key).to_pylist(), np.float32).reshape(len(times_s), -1)
            width = values.shape[1]
            said = names[key] if len(names[key]) == width else tuple(map(str, range(width)))
            tracks[key] = Track(values, times_s, said)
    return Label(task, "dataset", tracks=tracks)
