"""Several files change as one, whichever rename a SIGKILL falls on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from robowm.errors import UserError
from robowm.swap import STAGING, commit, finish_swap, open_swap


@pytest.mark.parametrize("last", [1, 2, 3, 4])
def test_all_or_nothing_after_a_kill(
    tmp_path: Path, killed_commit: Callable[..., None], last: int
) -> None:
    names = ["a.txt", "deep/b.txt", "folder"]
    (tmp_path / "deep").mkdir()
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "old.txt").write_text("old")
    for name in names[:2]:
        (tmp_path / name).write_text("old")
    staging = open_swap(tmp_path)
    for name in names[:2]:
        (staging / name.replace("/", "_")).write_text("new")
    (staging / "folder").mkdir()
    (staging / "folder" / "new.txt").write_text("new")
    moves = [(staging / name.replace("/", "_"), tmp_path / name) for name in names]
    killed_commit(tmp_path, moves, last)
    finish_swap(tmp_path)
    want = "old" if last == 1 else "new"  # before the journal stands, nothing has happened
    assert {(tmp_path / name).read_text() for name in names[:2]} == {want}
    assert [p.name for p in (tmp_path / "folder").iterdir()] == [f"{want}.txt"]
    assert (tmp_path / STAGING).exists() == (last == 1)
    open_swap(tmp_path)
    assert not [*(tmp_path / STAGING).iterdir()]


def test_nothing_to_finish_changes_nothing(tmp_path: Path) -> None:
    finish_swap(tmp_path)
    finish_swap(tmp_path / "absent")
    assert not [*tmp_path.iterdir()]


def test_a_journal_cannot_reach_outside(tmp_path: Path) -> None:
    root, other = tmp_path / "ds", tmp_path / "mine.txt"
    root.mkdir()
    other.write_text("mine")
    staging = open_swap(root)
    (staging / "x").write_text("theirs")
    journal = {"moves": [[".robowm_swap/x", "../mine.txt"]]}
    (staging / "journal.json").write_text(json.dumps(journal))
    with pytest.raises(UserError, match="outside of"):
        finish_swap(root)
    assert other.read_text() == "mine"


def test_commit_is_whole(tmp_path: Path) -> None:
    staging = open_swap(tmp_path)
    (staging / "x").write_text("1")
    commit(tmp_path, [(staging / "x", tmp_path / "new" / "x")])
    assert (tmp_path / "new" / "x").read_text() == "1"
    assert [p.name for p in tmp_path.iterdir()] == ["new"]
