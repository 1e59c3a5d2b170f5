"""Directories are whole or absent; the same command goes on, another one is refused."""

import sys
from collections.abc import Callable
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest

from robowm.artefact import directory_sha256, open_stage, read_card, write_json
from robowm.errors import UserError
from robowm.hold import hold, let_go


def test_a_finished_stage_is_recognised(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "model"
    stage = open_stage(out, "thing", {"steps": (1, 2)})
    (stage.work / "a.txt").write_text("x")
    assert not out.exists()
    stage.finish(score=3)
    again = open_stage(out, "thing", {"steps": [1, 2]})
    assert again.done and again.card["score"] == 3
    assert (out / "a.txt").read_text() == "x"
    assert not stage.work.exists()


def test_a_killed_stage_goes_on_with_the_same_settings_only(tmp_path: Path) -> None:
    first = open_stage(tmp_path / "m", "thing", {"steps": 1})
    (first.work / "half").write_text("x")
    assert (open_stage(tmp_path / "m", "thing", {"steps": 1}).work / "half").exists()
    assert not (open_stage(tmp_path / "m", "thing", {"steps": 2}).work / "half").exists()


OPENED = """
import sys; from pathlib import Path; from robowm.artefact import open_stage
stage = open_stage(Path(sys.argv[1]), "thing", {"steps": 1})
(stage.work / "half").write_text("x"); print("open", flush=True); sys.stdin.read()
"""


@pytest.mark.parametrize("end", [Popen.kill, lambda process: process.stdin.close()])
def test_one_process_at_a_time(tmp_path: Path, end: Callable[[Any], None]) -> None:
    out = tmp_path / "m"
    command = [sys.executable, "-c", OPENED, str(out)]
    with Popen(command, stdin=PIPE, stdout=PIPE, text=True) as other:
        assert other.stdout and other.stdout.readline() == "open\n"
        for steps in (1, 2):
            with pytest.raises(UserError, match="is being written by another process; expected"):
                open_stage(out, "thing", {"steps": steps})
        assert (tmp_path / ".m.partial" / "half").read_text() == "x"
        end(other)
        other.wait()
    stage = open_stage(out, "thing", {"steps": 1})
    assert (stage.work / "half").exists()
    stage.finish()
    assert hold(out)  # finished: held by nobody, and this process may
    let_go(out)


def test_other_contents_are_never_touched(tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="already holds other files; expected a new or empty"):
        open_stage(tmp_path / "m", "thing", {})
    assert [p.name for p in tmp_path.iterdir()] == ["m"]


def test_other_settings_are_refused(tmp_path: Path) -> None:
    open_stage(tmp_path / "m", "thing", {"steps": 1}).finish()
    with pytest.raises(UserError, match="a thing made with other settings"):
        open_stage(tmp_path / "m", "thing", {"steps": 2})


def test_a_file_or_a_place_without_write_permission_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="is a file"):
        open_stage(tmp_path / "file", "thing", {})
    with pytest.raises(UserError, match="cannot be written"):
        open_stage(tmp_path / "file" / "below", "thing", {})


def test_json_is_whole_or_absent(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"ok": 1})
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(path, {"bad": float("nan")})
    assert path.read_text() == '{\n  "ok": 1\n}\n'
    assert read_card(tmp_path) is None


def test_a_directory_hash_is_of_names_and_contents(tmp_path: Path) -> None:
    for folder, name, text in (("a", "x", "1"), ("b", "x", "1"), ("c", "y", "1"), ("d", "x", "2")):
        (tmp_path / folder / "deep").mkdir(parents=True)
        (tmp_path / folder / "deep" / name).write_text(text)
    a, b, c, d = (directory_sha256(tmp_path / folder) for folder in "abcd")
    assert a == b and len({a, c, d}) == 3
