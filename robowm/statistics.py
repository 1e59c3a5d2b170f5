"""Statistics of dataset columns as lerobot keeps them: for the whole, and for each episode.

Exact, where lerobot's own are read off histograms; taken over the rows that count, so that a
row without a latent action does not pull the mean towards zero.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
KEYS = ("min", "max", "mean", "std", "count", *QUANTILES)

type Stats = dict[str, np.ndarray]


def stats_of(rows: np.ndarray) -> Stats:
    """Statistics of one column.

    Args:
        rows: (N,) or (N, ..., D), N > 0.

    Returns:
        `count` int64 (1,), which is N; the others float64, (1,) or (D,).
    """
    flat = rows.reshape(-1, rows.shape[-1] if rows.ndim > 1 else 1).astype(np.float64)
    quantiles = np.quantile(flat, [*QUANTILES.values()], axis=0)
    return {
        "min": flat.min(0),
        "max": flat.max(0),
        "mean": flat.mean(0),
        "std": flat.std(0),
        "count": np.array([len(rows)]),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


def stats_of_span(rows: np.ndarray, whole: Stats) -> Stats:
    """Statistics of the rows of one episode that count.

    Without any, the dataset's figures with a count of 0: merging leaves everything as it is.
    """
    return stats_of(rows) if len(rows) else whole | {"count": np.array([0])}


def replace_stats(table: Any, own: Mapping[str, list[Stats]], gone: Iterable[str] = ()) -> Any:
    """An episodes table with other statistics.

    Args:
        table: pyarrow table, a row an episode.
        own: column name to statistics, one an episode; they replace those that are there.
        gone: column names whose statistics are dropped.
    """
    import pyarrow as pa

    names = {*gone, *own}
    kept = [
        column
        for column in table.column_names
        if not (column.startswith("stats/") and column.split("/")[1] in names)
    ]
    table = table.select(kept)
    for name, stats in own.items():
        for key in KEYS:
            kind = pa.list_(pa.int64() if key == "count" else pa.float64())
            values = pa.array([one[key].tolist() for one in stats], kind)
            table = table.append_column(f"stats/{name}/{key}", values)
    return table.replace_schema_metadata(None)  # it would describe the columns as they were


def read_stats(root: Path) -> dict[str, Any]:
    """`meta/stats.json`, empty where there is none."""
    path = Path(root) / "meta" / "stats.json"
    found = json.loads(path.read_text()) if path.is_file() else {}
    assert isinstance(found, dict)
    return found


def as_json(stats: Mapping[str, Stats]) -> dict[str, dict[str, list[float]]]:
    """Statistics as `meta/stats.json` holds them."""
    return {n: {key: value.tolist() for key, value in one.items()} for n, one in stats.items()}
