"""The end of an ingest: the manifest, and the kept shots as a LeRobotDataset v3.

Rows come and go one at a time: memory does not grow with the number of clips.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from robowm.episodes import IMAGE_PREFIX, EpisodeWriter, image_feature, vector_feature
from robowm.progress import progress
from robowm.video.config import IngestConfig
from robowm.video.tally import Tally

MANIFEST = "manifest.parquet"
CAMERA = f"{IMAGE_PREFIX}main"
ROWS_AT_ONCE = 1000  # rows of the manifest in memory
COLUMNS = {
    "source": "string",
    "start_s": "float64",
    "end_s": "float64",
    "kept": "bool",
    "reason": "string",
    "measure": "string",
    "score": "float64",
    "limit": "float64",
    "episode_index": "int64",
    "note": "string",
    "task": "string",
    "task_from": "string",
    "key": "string",
    "frames": "int64",
    "first_frame": "int64",
    "rate_hz": "float64",
    "speed": "float64",
    "width_px": "int64",
    "height_px": "int64",
    "moved": "float64",
    "motion": "float64",
    "brightness": "float64",
    "white": "float64",
    "aspect": "float64",
    "seam": "float64",
    "split": "float64",
    "action_s": "float64",
    "text": "float64",
    "copy_distance": "float64",
    "copy_code": "string",
}


def assemble(
    work: Path, shots: Path, rows: Iterable[dict[str, Any]], config: IngestConfig, clips: int
) -> Tally:
    """Write dataset and manifest into `work`; what an earlier try left there is replaced.

    Without a kept row there is no dataset, only the manifest.

    Args:
        shots: folder of the cached arrays; a kept row's `cached` names its file there.
        rows: manifest rows, clip by clip; their `episode_index` is set here. Where they name
            `columns`, all kept ones name the same.
        clips: number of clips that they come from.
    """
    for stale in work.iterdir():
        if stale.is_dir() and stale != shots:
            shutil.rmtree(stale)
    building, tally = work / "assembling", Tally()
    building.mkdir()
    episodes: EpisodeWriter | None = None
    with (
        ManifestWriter(building / MANIFEST) as manifest,
        progress("assembling", total=clips) as advance,
    ):
        source = None
        for row in rows:
            if row["source"] != source:
                source = row["source"]
                tally.clips += 1
                advance()
            if row["kept"]:
                if episodes is None:
                    features = features_of(row, config)
                    episodes = EpisodeWriter(building / "dataset", config.fps, features)
                add_shot(episodes, shots, row)
            manifest.add(row)
            tally.add(row)
    if episodes:
        episodes.close()
        for part in (building / "dataset").iterdir():
            part.rename(work / part.name)
    (building / MANIFEST).rename(work / MANIFEST)
    shutil.rmtree(building)
    return tally


def features_of(kept: dict[str, Any], config: IngestConfig) -> dict[str, Any]:
    """The dataset's features: pictures, times, and the columns that a kept row names."""
    extra = kept.get("columns", {})
    return {
        CAMERA: image_feature(config.size_px),
        "capture_time_s": vector_feature("float64", ["s"]),
        **{name: vector_feature("float32", names) for name, names in extra.items()},
    }


def add_shot(episodes: EpisodeWriter, shots: Path, row: dict[str, Any]) -> None:
    """Append a kept row's shot from the cache, and note its `episode_index` in the row."""
    with np.load(shots / row["cached"], allow_pickle=False) as arrays:
        columns = {CAMERA: arrays["frames"]}
        columns |= {name: arrays[name] for name in episodes.features if name != CAMERA}
    row["episode_index"] = episodes.add(columns, task=row.get("task", ""))


class ManifestWriter:
    """Writes rows as parquet, ROWS_AT_ONCE at a time.

    A column that a row lacks is null; `episode_index` is then -1.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._schema = pa.schema([(n, pa.type_for_alias(kind)) for n, kind in COLUMNS.items()])
        self._file = pq.ParquetWriter(path, self._schema)
        self._rows: list[dict[str, Any]] = []

    def add(self, row: dict[str, Any]) -> None:
        """Append one row; keys that are no columns are left out."""
        self._rows.append({"episode_index": -1} | {k: row[k] for k in row.keys() & COLUMNS.keys()})
        if len(self._rows) >= ROWS_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._file.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
        self._rows = []

    def __enter__(self) -> "ManifestWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        self._file.close()
