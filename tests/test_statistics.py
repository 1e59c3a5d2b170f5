"""Our statistics are lerobot's, without its histograms."""

import numpy as np
import pyarrow as pa
import pytest
from lerobot.datasets.compute_stats import aggregate_stats, get_feature_stats

from robowm.statistics import KEYS, replace_stats, stats_of, stats_of_span


@pytest.mark.parametrize("shape", [(4000,), (4000, 3), (500, 8, 3)])
def test_they_agree_with_lerobot(shape: tuple[int, ...]) -> None:
    rows = np.random.default_rng(0).normal(3, 2, shape).astype(np.float32)
    ours = stats_of(rows)
    theirs = get_feature_stats(rows, axis=0, keepdims=rows.ndim == 1)
    assert set(ours) == set(theirs) == set(KEYS)
    for key, value in theirs.items():
        assert ours[key].shape == value.shape, key
        if key[0] != "q":
            np.testing.assert_allclose(ours[key], value, atol=2e-4)
        else:  # the two may take neighbours in a sparse tail: ranks are compared, not values
            flat = rows.reshape(-1, *value.shape)
            ranks = [(flat <= limit + 1e-6).mean(0) for limit in (ours[key], value)]
            np.testing.assert_allclose(*ranks, atol=0.002)


def test_an_episode_without_rows_does_not_weigh() -> None:
    rng = np.random.default_rng(1)
    parts = [rng.normal(size=(n, 2)) for n in (5, 0, 9)]
    whole = stats_of(np.concatenate(parts))
    merged = aggregate_stats([{"z": stats_of_span(part, whole)} for part in parts])["z"]
    for key in ("min", "max", "mean", "std", "count"):
        np.testing.assert_allclose(merged[key], whole[key], err_msg=key)


def test_only_the_named_statistics_are_replaced() -> None:
    table = pa.table(
        {"length": [3, 4], "stats/a/mean": [[1.0], [2.0]], "stats/ab/mean": [[1.0]] * 2}
    )
    own = [stats_of(np.arange(n)) for n in (3, 4)]
    changed = replace_stats(table, {"a": own}, gone=["b"])
    assert changed.column("stats/a/mean").to_pylist() == [[1.0], [1.5]]
    assert changed.column("stats/a/count").to_pylist() == [[3], [4]]
    assert "stats/ab/mean" in changed.column_names
