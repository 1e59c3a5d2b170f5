"""More clips into a dataset: idempotent, whole at every moment, old episodes untouched."""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from robowm.__main__ import main
from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.video import append as stage
from robowm.video.append import append
from robowm.video.config import curated
from robowm.video.ingest import ingest

SMALL = curated(16)
OFF = ["--max-copy-distance=-1", "--min-split", "2", "--min-seam", "2", "--max-white", "2"]
SMALL_FLAGS = ["--size-px", "16", *OFF]
CAMERA = "observation.images.main"


def _rows(out: Path) -> list[dict]:
    return pq.read_table(out / "manifest.parquet").to_pylist()


def _state(out: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every file: what was not touched stays the same."""
    files = (path for path in out.rglob("*") if path.is_file())
    return {str(p.relative_to(out)): (p.stat().st_ino, p.stat().st_mtime_ns) for p in files}


@pytest.fixture
def two_days(make_clip, moving, tmp_path) -> tuple[Path, Path]:
    for n in range(3):
        make_clip(f"monday/{n}.mp4", moving(12, seed=n))
        make_clip(f"tuesday/open_drawer_{n}.mp4", moving(15, seed=10 + n))
    make_clip("tuesday/dark.mp4", moving(12) // 20)
    return tmp_path / "monday", tmp_path / "tuesday"


def test_appended_is_as_ingested_together(two_days, tmp_path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    whole = ingest(two_days, tmp_path / "whole", SMALL)
    out = tmp_path / "out"
    assert append([two_days[0]], out, SMALL).added is None  # nothing there: an ingest
    before, first = _state(out), _rows(out)
    done = append([two_days[1]], out, SMALL, workers=2)
    assert (done.added, done.clips, done.frames) == (4, 7, whole.frames)
    assert done.shots == whole.shots and done.seconds == whole.seconds
    both, together = Episodes(out), Episodes(whole.out)
    assert both.tasks == together.tasks == [""] * 3 + ["open drawer"] * 3
    for n in range(len(together)):
        np.testing.assert_array_equal(both.frames(n, CAMERA), together.frames(n, CAMERA))
    assert _rows(out)[: len(first)] == first
    assert [row["episode_index"] for row in _rows(out)] == [0, 1, 2, -1, 3, 4, 5]
    unchanged = {name for name in before if name.startswith(("data/", "meta/episodes/"))}
    assert unchanged and all(_state(out)[name] == before[name] for name in unchanged)
    stock = LeRobotDataset("local/out", root=out)
    assert (stock.num_episodes, len(stock)) == (6, 81)
    assert int(stock[80]["index"]) == 80 and int(stock[80]["episode_index"]) == 5
    assert stock.meta.stats["capture_time_s"]["count"][0] == 81
    assert sorted(p.name for p in tmp_path.iterdir()) == ["monday", "out", "tuesday", "whole"]


def test_again_does_nothing(two_days, tmp_path) -> None:
    out = tmp_path / "out"
    ingest([two_days[0]], out, SMALL)
    append([two_days[1]], out, SMALL)
    before = _state(out)
    done = append(two_days, out, SMALL)
    assert done.added == 0 and _state(out) == before
    assert ingest([two_days[0]], out, SMALL).clips == 7  # the first command: done already


def test_only_unusable_clips(two_days, tmp_path) -> None:
    out = tmp_path / "out"
    ingest([two_days[0]], out, SMALL)
    done = append([two_days[1] / "dark.mp4"], out, SMALL)
    assert done.added == 1 and done.shots == {"ok": 3, "black": 1} and len(Episodes(out)) == 3
    assert append([two_days[1] / "dark.mp4"], out, SMALL).added == 0


@pytest.mark.parametrize("exchange", [True, False])
def test_killed_at_every_step(two_days, tmp_path, monkeypatch, exchange) -> None:
    """Stopped before, in and after the step that puts the new in place, then run again."""
    base = tmp_path / "base"
    ingest([two_days[0]], base, SMALL)
    wanted = None

    class Killed(BaseException):
        pass

    def stop(*_: object, **__: object) -> None:
        raise Killed

    real = stage._exchange

    def after(*words: Path) -> None:
        real(*words)
        raise Killed

    def between(new: Path, out: Path, aside: Path) -> None:
        out.rename(aside)
        raise Killed

    steps = [("_finish", stop), ("_exchange", stop), ("_exchange", after)]
    steps += [] if exchange else [("_exchange", between)]
    if not exchange:
        monkeypatch.setattr(stage, "RENAME_EXCHANGE", 1 << 20)  # flags no kernel knows
    for n, (name, how) in enumerate(steps):
        out = tmp_path / f"out{n}"
        shutil.copytree(base, out)
        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(stage, name, how)
            append([two_days[1]], out, SMALL)
        if how is not between:
            assert len(Episodes(out)) in (3, 6)
            Episodes(out).frames(len(Episodes(out)) - 1, CAMERA)
        append([two_days[1]], out, SMALL)
        wanted = wanted or _rows(out)
        assert _rows(out) == wanted and len(Episodes(out)) == 6
        assert not (tmp_path / f".out{n}.append").exists()


def test_kill_and_run_again(make_clip, moving, killed_ingest, decided, tmp_path, capsys) -> None:
    for n in range(6):
        make_clip(f"more/{n:02d}.mp4", moving(60, seed=n))
    make_clip("first/a.mp4", moving(12))
    out = tmp_path / "out"
    ingest([tmp_path / "first"], out, SMALL)
    words = ["ingest", str(tmp_path / "more"), "--append", "--out", str(out), *SMALL_FLAGS]
    killed_ingest(*words)
    cache = tmp_path / ".out.append/clips"
    assert len(list(cache.glob("[!.]*/rows.json"))) == 1 and len(Episodes(out)) == 1
    decided.clear()
    assert main([*words, "--workers", "1"]) == 0
    assert len(decided) == 5 and "6 clips were new" in capsys.readouterr().out
    assert len({row["source"] for row in _rows(out) if row["kept"]}) == 7
    assert not cache.exists()


def test_users_mistakes(two_days, make_clip, moving, make_dataset, tmp_path, capsys) -> None:
    out = tmp_path / "out"
    ingest([two_days[0]], out, SMALL)
    with pytest.raises(UserError, match="made with size_px 16, now it is 128"):
        append([two_days[1]], out)
    with pytest.raises(UserError, match="made with keep_actions False, now it is True"):
        append([two_days[1]], out, SMALL, keep_actions=True)
    other = make_dataset(tmp_path / "other")
    with pytest.raises(UserError, match="holds something else; expected what `robowm ingest` made"):
        append([two_days[1]], other, SMALL)
    make_clip("monday/1.mp4", moving(13, seed=9))
    command = ["ingest", str(two_days[0]), "--out", str(out), *SMALL_FLAGS, "--append"]
    assert main([*command, "--workers", "1"]) == 2
    assert "1 clips have the names of clips" in capsys.readouterr().err
    assert len(Episodes(out)) == 3


def test_other_columns_are_refused(make_clip, moving, tmp_path) -> None:
    """Two datasets whose actions mean different things are not mixed."""
    from robowm import recipes

    states = np.cumsum(np.full((12, 7), 0.1), axis=0)
    for name in ("bridge", "droid"):
        (tmp_path / name / "annotation/val").mkdir(parents=True)
        label = {"texts": ["lift it"], "state": states.tolist(), "action": states[1:].tolist()}
        for key in ("action", "observation.state"):
            label[f"{key}.cartesian_position"] = np.repeat(states[:, :6], 3, axis=0).tolist()
            label[f"{key}.gripper_position"] = [0.0] * 36
        label["states"] = states.tolist()
        (tmp_path / name / "annotation/val/0.json").write_text(json.dumps(label))
        make_clip(f"{name}/videos/val/0/0.mp4", moving(12), fps=5.0)
    find = {name: recipes.load(f"datasets/{name}").find for name in ("bridge", "droid")}
    config = curated(16, 5)
    out = tmp_path / "out"
    ingest([tmp_path / "droid"], out, config, find=find["droid"], keep_actions=True)
    with pytest.raises(UserError, match=r"column action of .* is 7 numbers \(x_m.*hand_dx_m"):
        append([tmp_path / "bridge"], out, config, find=find["bridge"], keep_actions=True)
    assert len(Episodes(out)) == 1
