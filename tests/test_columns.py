"""Columns are added to a dataset without loss, whatever a kill cuts short."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from lerobot.datasets.lerobot_dataset import LeRobotDataset

from robowm import columns
from robowm.columns import add_columns, numbers, rewrite, stage_columns
from robowm.episodes import Episodes, vector_feature
from robowm.errors import UserError
from robowm.swap import STAGING

CAMERA = "observation.images.main"
VECTORS = np.random.default_rng(0).normal(size=(27, 3)).astype(np.float32)
VALID = np.arange(27) % 9 < 8  # three episodes of nine rows; the last row of each has none
FEATURES = {
    "latent_action": vector_feature("float32", ["a", "b", "c"]),
    "latent_action_valid": vector_feature("bool", ["valid"]),
}


@pytest.fixture
def dataset(tmp_path: Path, make_dataset: Callable[..., Path]) -> Path:
    return make_dataset(tmp_path / "ds", episodes=3, actions=True)


def split_files(root: Path) -> None:
    """Give every episode a data file and an episodes file of its own, as in a large dataset."""
    (data,) = (root / "data").glob("*/*.parquet")
    (meta,) = (root / "meta" / "episodes").glob("*/*.parquet")
    episodes = pq.read_table(meta)
    for i in range(len(episodes)):
        row = episodes.slice(i, 1)
        row = columns.set_column(row, "data/file_index", pa.array([i]))
        pq.write_table(row, meta.with_name(f"file-00{i}.parquet"))
        with pq.ParquetFile(data) as file:
            table = file.read_row_group(i)
        pq.write_table(table, data.with_name(f"part-{i}"))
    for i in range(len(episodes)):
        data.with_name(f"part-{i}").replace(data.with_name(f"file-00{i}.parquet"))


def stage(root: Path) -> list[tuple[Path, Path]]:
    new = {"latent_action": VECTORS, "latent_action_valid": VALID}
    return stage_columns(root, new, FEATURES, counted={"latent_action": VALID})


def test_stock_lerobot_reads_columns_and_statistics_of_valid_rows(dataset: Path) -> None:
    before = [Episodes(dataset).frames(i, CAMERA) for i in range(3)]
    new = {"latent_action": VECTORS, "latent_action_valid": VALID}
    for _ in range(2):  # the second time replaces
        add_columns(dataset, new, FEATURES, counted={"latent_action": VALID})
    stock = LeRobotDataset("local/ds", root=dataset, video_backend="pyav")
    np.testing.assert_array_equal(stock[14]["latent_action"].numpy(), VECTORS[14])
    assert not stock[17]["latent_action_valid"] and stock[16]["latent_action_valid"]
    stats = stock.meta.stats["latent_action"]
    assert stats["count"] == [24] and stock.meta.stats["latent_action_valid"]["count"] == [27]
    np.testing.assert_allclose(stats["mean"], VECTORS[VALID].mean(0), atol=1e-6)
    np.testing.assert_allclose(stats["q90"], np.quantile(VECTORS[VALID], 0.9, axis=0), atol=1e-6)
    rows = pq.read_table(dataset / "meta" / "episodes").to_pylist()
    own = VECTORS[9:17]
    np.testing.assert_allclose(rows[1]["stats/latent_action/std"], own.std(0), atol=1e-6)
    assert rows[1]["stats/latent_action/count"] == [8] and rows[1]["stats/action/count"] == [9]
    for i, frames in enumerate(before):
        np.testing.assert_array_equal(Episodes(dataset).frames(i, CAMERA), frames)


@pytest.mark.parametrize("last", [2, 5, 8])
def test_a_kill_between_two_files_is_completed(
    dataset: Path, killed_commit: Callable[..., None], last: int
) -> None:
    split_files(dataset)
    moves = stage(dataset)
    assert len(moves) == 8  # info, three of data, three of episodes, stats
    killed_commit(dataset, moves, last)
    left = shutil.copytree(dataset, dataset.with_name("left"))
    shutil.rmtree(left / STAGING)
    stock = LeRobotDataset("local/ds", root=left, video_backend="pyav")  # opens even so
    assert stock[26]["action"].shape == (2,)
    episodes = Episodes(dataset)
    assert not (dataset / STAGING).exists()
    for i in range(3):
        rows = slice(9 * i, 9 * i + 9)
        np.testing.assert_array_equal(episodes.column("latent_action", i), VECTORS[rows])
    whole = LeRobotDataset("local/ds", root=dataset, video_backend="pyav")
    np.testing.assert_array_equal(whole[20]["latent_action"].numpy(), VECTORS[20])
    assert whole.meta.stats["latent_action"]["count"] == [24]


def test_a_kill_before_the_journal_changes_nothing(
    dataset: Path, killed_commit: Callable[..., None]
) -> None:
    before = {p: p.read_bytes() for p in dataset.rglob("*.*") if p.is_file()}
    killed_commit(dataset, stage(dataset), 1)
    assert "latent_action" not in Episodes(dataset).features
    assert {p: p.read_bytes() for p in before} == before


def test_a_full_disk_is_said_before_anything_is_written(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = shutil.disk_usage(dataset)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=1))
    with pytest.raises(
        UserError, match="written anew, which takes 0 MB for a while; 0 MB are free"
    ):
        stage(dataset)
    assert not [*(dataset / STAGING).iterdir()]


def test_large_row_groups_are_streamed_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).bytes(1_000_000)
    pictures = [noise[i : i + 1000] for i in range(0, 1_000_000, 1000)]
    table = pa.table({"index": np.arange(1000), "picture": pictures})
    pq.write_table(table, tmp_path / "in.parquet")
    monkeypatch.setattr(columns, "BATCH_BYTES", 10_000)
    sizes = []

    def odd(piece: pa.Table) -> pa.Table:
        sizes.append(len(piece))
        return piece.filter(pa.array(piece.column("index").to_numpy() % 2 == 1))

    assert rewrite(tmp_path / "in.parquet", tmp_path / "out.parquet", odd) == 500
    assert max(sizes) < 20
    assert pq.read_table(tmp_path / "out.parquet") == odd(table)


def test_small_row_groups_are_written_together(tmp_path: Path) -> None:
    table = pa.table({"index": np.arange(600)})
    pq.write_table(table, tmp_path / "in.parquet", row_group_size=20)
    assert rewrite(tmp_path / "in.parquet", tmp_path / "out.parquet", lambda piece: piece) == 600
    assert pq.ParquetFile(tmp_path / "out.parquet").num_row_groups == 1
    assert pq.read_table(tmp_path / "out.parquet") == table


def test_numbers_come_out_whichever_way_lists_are_stored() -> None:
    values = np.arange(12.0, dtype=np.float32).reshape(4, 3)
    for kind in (pa.list_(pa.float32(), 3), pa.list_(pa.float64()), pa.large_list(pa.float32())):
        column = pa.chunked_array([pa.array(values.tolist(), kind)]).slice(1, 2)
        np.testing.assert_array_equal(numbers(column, "float32", (3,)), values[1:3])
    matrix = pa.chunked_array([pa.array(values.reshape(2, 2, 3).tolist())])
    np.testing.assert_array_equal(numbers(matrix, "float32", (2, 3)), values.reshape(2, 2, 3))
    scalar = pa.chunked_array([pa.array([True, False])])
    np.testing.assert_array_equal(numbers(scalar, "bool", (1,)), [True, False])
    with pytest.raises(ValueError, match="values are missing"):
        numbers(pa.chunked_array([pa.array([1.0, None])]), "float32", (1,))
    with pytest.raises(ValueError, match="got 3 values in 2 rows"):
        numbers(pa.chunked_array([pa.array([[1.0, 2.0, 3.0], None])]), "float32", (3,))
