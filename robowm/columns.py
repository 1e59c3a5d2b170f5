"""Columns added to a dataset that exists: parquet streamed, statistics beside it, nothing copied.

Parquet has no way to add a column in place, so the data files are written anew, a row group at a
time; videos are not touched. What is written here, stock lerobot opens and normalises.
"""

import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from robowm.artefact import write_json
from robowm.errors import UserError
from robowm.statistics import as_json, read_stats, replace_stats, stats_of, stats_of_span
from robowm.swap import Move, commit, open_swap

BATCH_BYTES = 8 << 20


def add_columns(
    root: Path,
    columns: Mapping[str, np.ndarray],
    features: Mapping[str, dict[str, Any]],
    counted: Mapping[str, np.ndarray] | None = None,
) -> None:
    """Add or replace columns of a dataset, every other value in it kept; all of it or nothing.

    The arguments are those of `stage_columns`.
    """
    commit(root, stage_columns(root, columns, features, counted))


def stage_columns(
    root: Path,
    columns: Mapping[str, np.ndarray],
    features: Mapping[str, dict[str, Any]],
    counted: Mapping[str, np.ndarray] | None = None,
) -> list[Move]:
    """Write a dataset's files anew with more columns; `robowm.swap.commit` puts them in place.

    Args:
        root: LeRobotDataset v3 directory.
        columns: name to array (rows,) or (rows, D) over the dataset's rows, in index order.
        features: name to lerobot feature; an `info` entry in it carries provenance.
        counted: name to bool (rows,), the rows that a column's statistics are taken over; all
            rows for those not named. A column without any such row gets no statistics.

    Returns:
        new files and their places. `info.json` is the first: then lerobot opens whatever a kill
        between two renames leaves, new columns being empty where they are not there yet.

    Raises:
        UserError: the disk is too full, or this user may not write.
    """
    root = Path(root)
    staging = open_swap(root)
    needed, free = sum(map(_size, (root / "data").glob("*/*"))), shutil.disk_usage(root).free
    if free < needed:
        raise UserError(
            f"{root}: its data files are written anew, which takes {needed >> 20} MB for a while; "
            f"{free >> 20} MB are free."
        )
    info = json.loads((root / "meta" / "info.json").read_text())
    kept = {k: v for k, v in info["features"].items() if k not in features}
    info["features"] = kept | dict(features)
    write_json(staging / "info.json", info)
    moves = [(staging / "info.json", root / "meta" / "info.json")]
    moves += _stage_data(root, staging, columns, hub_metadata(info["features"]))
    return moves + _stage_stats(root, staging, columns, counted or {})


def _size(path: Path) -> int:
    return path.stat().st_size


def _stage_data(
    root: Path, staging: Path, columns: Mapping[str, np.ndarray], metadata: dict[bytes, bytes]
) -> list[Move]:
    def change(table: Any) -> Any:
        rows = table.column("index").to_numpy()
        for name, values in columns.items():
            table = set_column(table, name, arrow_column(values[rows]))
        return table.replace_schema_metadata((table.schema.metadata or {}) | metadata)

    moves = []
    for number, path in enumerate(sorted((root / "data").glob("*/*.parquet"))):
        rewrite(path, staging / f"data_{number}.parquet", change)
        moves.append((staging / f"data_{number}.parquet", path))
    return moves


def _stage_stats(
    root: Path,
    staging: Path,
    columns: Mapping[str, np.ndarray],
    counted: Mapping[str, np.ndarray],
) -> list[Move]:
    def rows(name: str, span: slice) -> np.ndarray:
        values = columns[name][span]
        return values[counted[name][span]] if name in counted else values

    everything = slice(None)
    whole = {n: stats_of(rows(n, everything)) for n in columns if len(rows(n, everything))}

    def change(table: Any) -> Any:
        ends = (table.column(f"dataset_{end}_index").to_pylist() for end in ("from", "to"))
        spans = [slice(*pair) for pair in zip(*ends, strict=True)]
        own = {n: [stats_of_span(rows(n, span), whole[n]) for span in spans] for n in whole}
        return replace_stats(table, own, gone=columns)

    moves = []
    for number, path in enumerate(sorted((root / "meta" / "episodes").glob("*/*.parquet"))):
        rewrite(path, staging / f"episodes_{number}.parquet", change)
        moves.append((staging / f"episodes_{number}.parquet", path))
    stats = {k: v for k, v in read_stats(root).items() if k not in columns} | as_json(whole)
    write_json(staging / "stats.json", stats)
    return [*moves, (staging / "stats.json", root / "meta" / "stats.json")]


def rewrite(path: Path, out: Path, change: Callable[[Any], Any]) -> int:
    """Stream a parquet file through `change`, some 8 MB of it at a time.

    Args:
        change: from pyarrow table to pyarrow table, always of the same columns. One without rows
            is not written; if all are, neither is the file.

    Returns:
        rows written.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer, rows = None, 0
    try:
        for table in _pieces(path):
            changed = change(table)
            if len(changed):
                writer = writer or pq.ParquetWriter(out, changed.schema, compression="snappy")
                writer.write_table(changed)
                rows += len(changed)
            del table, changed
            # arrow keeps what it has freed: 60 MB over a thousand episodes
            pa.default_memory_pool().release_unused()
    finally:
        if writer is not None:
            writer.close()
    return rows


def _pieces(path: Path) -> Iterator[Any]:
    """The rows of a parquet file as tables of some BATCH_BYTES: large row groups in parts, small
    ones together. LeRobot writes one an episode, and what a file says of each of a thousand groups
    takes more memory than their labels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    waiting: list[Any] = []
    size = 0
    with pq.ParquetFile(path) as file:
        for number in range(file.num_row_groups):
            group = file.metadata.row_group(number)
            parts = max(1, -(-group.total_byte_size // BATCH_BYTES))
            batch = max(1, -(-group.num_rows // parts))
            for piece in file.iter_batches(batch, row_groups=[number], use_threads=False):
                waiting.append(piece)
                size += piece.nbytes
                if size >= BATCH_BYTES:
                    yield pa.Table.from_batches(waiting)
                    waiting, size = [], 0
        if waiting:
            yield pa.Table.from_batches(waiting)


def set_column(table: Any, name: str, values: Any) -> Any:
    """The table with a column replaced, or added at its end."""
    if name in table.column_names:
        return table.set_column(table.column_names.index(name), name, values)
    return table.append_column(name, values)


def arrow_column(values: np.ndarray) -> Any:
    """(N,) or (N, D) as the arrow array that lerobot's feature of that shape is stored in."""
    import pyarrow as pa

    if values.ndim == 1 or values.shape[1] == 1:  # a feature of shape (1,) is stored as scalars
        return pa.array(values.reshape(-1))
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def numbers(column: Any, dtype: str, shape: tuple[int, ...]) -> np.ndarray:
    """A numeric column of a parquet file, whichever way its lists are stored.

    Args:
        column: pyarrow chunked array of N rows.
        dtype, shape: as its lerobot feature says.

    Returns:
        (N, *shape), or (N,) for the shape (1,).

    Raises:
        ValueError: values are missing, or of another shape.
    """
    import pyarrow as pa

    flat = []
    for chunk in column.chunks:
        array = chunk.storage if isinstance(chunk, pa.ExtensionArray) else chunk
        while pa.types.is_nested(array.type):
            array = array.flatten()  # leaves out lists that are null, as the size then shows
        if array.null_count:
            raise ValueError("values are missing")
        flat.append(array.to_numpy(zero_copy_only=False))
    values = np.concatenate(flat) if flat else np.empty(0)
    inner = () if shape == (1,) else shape
    if values.size != len(column) * int(np.prod(inner)):
        raise ValueError(f"got {values.size} values in {len(column)} rows of shape {shape}")
    return values.reshape(len(column), *inner).astype(dtype)


def hub_metadata(features: Mapping[str, dict[str, Any]]) -> dict[bytes, bytes]:
    """The entry of a parquet schema by which Hugging Face's `datasets` knows the features."""
    from lerobot.datasets.feature_utils import get_hf_features_from_features

    stored = {
        name: feature | {"shape": tuple(feature["shape"])}
        for name, feature in features.items()
        if feature["dtype"] != "video"
    }
    metadata = get_hf_features_from_features(stored).arrow_schema.metadata
    return {b"huggingface": metadata[b"huggingface"]}
