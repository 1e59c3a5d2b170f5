"""The end of an ingest: the manifest, and the kept shots as a LeRobotDataset v3."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np

from robowm.episodes import IMAGE_PREFIX, EpisodeWriter, image_feature, vector_feature
from robowm.progress import progress
from robowm.video.config import IngestConfig

MANIFEST = "manifest.parquet"
CAMERA = f"{IMAGE_PREFIX}main"
COLUMNS = {
    "source": "string",
    "start_s": "float64",
    "end_s": "float64",
    "kept": "bool",
    "reason": "string",
    "episode_index": "int64",
    "note": "string",
    "task": "string",
    "task_from": "string",
    "key": "string",
    "frames": "int64",
    "first_frame": "int64",
    "rate_hz": "float64",
    "width_px": "int64",
    "height_px": "int64",
    "moved": "float64",
    "motion": "float64",
    "brightness": "float64",
    "white": "float64",
    "aspect": "float64",
    "seam": "float64",
}


def assemble(work: Path, shots: Path, rows: list[dict[str, Any]], config: IngestConfig) -> None:
    """Write dataset and manifest into `work`; what an earlier try left there is replaced.

    Args:
        shots: folder of the cached arrays; a kept row's `cached` names its file there.
        rows: manifest rows; their `episode_index` is set here. Where they name `columns`, all
            kept ones name the same.
    """
    for stale in work.iterdir():
        if stale.is_dir() and stale != shots:
            shutil.rmtree(stale)
    building = work / "assembling"
    kept = [row for row in rows if row["kept"]]
    features = features_of(kept, config)
    write_episodes(EpisodeWriter(building, config.fps, features), shots, kept)
    shutil.rmtree(building / "images", ignore_errors=True)  # lerobot's scratch, empty by now
    write_manifest(building / MANIFEST, rows)
    for part in building.iterdir():
        part.rename(work / part.name)
    building.rmdir()


def features_of(kept: list[dict[str, Any]], config: IngestConfig) -> dict[str, Any]:
    """The dataset's features: pictures, times, and the columns that kept rows name."""
    extra = kept[0].get("columns", {}) if kept else {}
    return {
        CAMERA: image_feature(config.size_px),
        "capture_time_s": vector_feature("float64", ["s"]),
        **{name: vector_feature("float32", names) for name, names in extra.items()},
    }


def write_episodes(writer: EpisodeWriter, shots: Path, kept: list[dict[str, Any]]) -> None:
    """Write kept shots from the cache, note their `episode_index`, and close the writer."""
    with progress("assembling", total=len(kept)) as advance:
        for row in kept:
            with np.load(shots / row["cached"]) as arrays:
                columns = {CAMERA: arrays["frames"]}
                columns |= {name: arrays[name] for name in writer.features if name != CAMERA}
            row["episode_index"] = writer.add(columns, task=row.get("task", ""))
            advance()
    writer.close()


def write_manifest(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write rows as parquet; a column that a row lacks is null, `episode_index` is -1."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in COLUMNS.items()])
    full = [{"episode_index": -1} | {k: v for k, v in row.items() if k in COLUMNS} for row in rows]
    temporary = path.with_name(f".{path.name}.tmp")
    pq.write_table(pa.Table.from_pylist(full, schema=schema), temporary)
    temporary.replace(path)
