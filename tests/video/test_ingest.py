"""The whole of `robowm ingest`: a messy folder in, a dataset and a manifest out."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from robowm.__main__ import main
from robowm.errors import UserError
from robowm.video.config import IngestConfig
from robowm.video.ingest import ingest
from robowm.video.judge import REASONS

CHECKOUT = Path(__file__).resolve().parents[2]
SMALL = IngestConfig(size_px=16)


def _rows(manifest: Path) -> list[dict]:
    return pq.read_table(manifest).to_pylist()


@pytest.fixture
def messy(make_clip, moving, tmp_path) -> Path:
    """A folder of two usable clips, one of them with two shots, among files that are none."""
    make_clip("clips/good.webm", moving(12, seed=1))
    make_clip("clips/deep/two.mp4", np.concatenate([moving(20, seed=2), moving(9, seed=3)]))
    make_clip("clips/odd.mp4", moving(12, height=53, width=97))
    still = make_clip("clips/still.mp4", np.repeat(moving(1), 20, axis=0))
    make_clip("clips/dark.mov", moving(12) // 20)
    make_clip("clips/short.avi", moving(3))
    make_clip("clips/one.gif", moving(1))
    (tmp_path / "clips/cut.mp4").write_bytes(still.read_bytes()[:900])
    (tmp_path / "clips/empty.mkv").touch()
    (tmp_path / "clips/notes.txt").write_text("not a clip")
    return tmp_path / "clips"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_messy_folder(messy, tmp_path, workers) -> None:
    out = tmp_path / "out"
    done = ingest([messy], out, SMALL, workers=workers)
    rows = _rows(out / "manifest.parquet")
    reasons = {row["source"]: row["reason"] for row in rows}
    assert reasons == {
        "clips/cut.mp4": "unreadable",
        "clips/dark.mov": "black",
        "clips/deep/two.mp4": "ok",
        "clips/empty.mkv": "empty_file",
        "clips/good.webm": "ok",
        "clips/odd.mp4": "ok",
        "clips/one.gif": "still_image",
        "clips/short.avi": "too_short",
        "clips/still.mp4": "static",
    }
    assert set(reasons.values()) <= REASONS.keys()
    two = [(r["start_s"], r["end_s"]) for r in rows if r["source"] == "clips/deep/two.mp4"]
    np.testing.assert_allclose(two, [(0.0, 2.0), (2.0, 2.9)], atol=0.05)
    assert [row["episode_index"] for row in rows if row["kept"]] == [0, 1, 2, 3]
    assert {row["episode_index"] for row in rows if not row["kept"]} == {-1}
    assert (done.clips, done.others, done.frames) == (9, 1, 20 + 9 + 12 + 12)
    assert done.shots["ok"] == 4
    assert sorted(p.name for p in out.iterdir()) == [
        "data",
        "manifest.parquet",
        "meta",
        "robowm.json",
        "summary.json",
    ]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clips", "out"]
    assert ingest([messy], out, SMALL) == done  # nothing to do


def test_stock_lerobot_opens_it(messy, tmp_path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    ingest([messy], tmp_path / "out", SMALL, workers=1)
    dataset = LeRobotDataset("local/out", root=tmp_path / "out")
    assert (dataset.num_episodes, len(dataset), dataset.fps) == (4, 53, 10)
    assert "action" not in dataset.features
    rows = [dataset[i] for i in range(len(dataset))]
    assert rows[0]["observation.images.main"].shape == (3, 16, 16)
    episodes = np.array([int(row["episode_index"]) for row in rows])
    times_s = np.array([float(row["capture_time_s"]) for row in rows])
    for episode, row in enumerate(r for r in _rows(tmp_path / "out/manifest.parquet") if r["kept"]):
        mine = times_s[episodes == episode]
        assert len(mine) == row["frames"]
        assert (np.diff(mine) > 0).all()
        assert row["start_s"] <= mine[0] and mine[-1] < row["end_s"]


def test_kill_and_run_again(make_clip, moving, killed_ingest, decided, tmp_path, capsys) -> None:
    for n in range(5):
        make_clip(f"clips/{n:02d}.mp4", moving(20, seed=n))
    whole = ingest([tmp_path / "clips"], tmp_path / "whole", SMALL, workers=1)
    words = ["ingest", str(tmp_path / "clips"), "--out", str(tmp_path / "out"), "--size-px", "16"]
    killed_ingest(*words)
    cache, out = tmp_path / ".out.partial/clips", tmp_path / "out"
    assert len(list(cache.glob("[!.]*/rows.json"))) == 1 and not out.exists()
    decided.clear()
    assert main([*words, "--workers", "1"]) == 0
    assert len(decided) == 4 and "kept" in capsys.readouterr().out
    assert _rows(out / "manifest.parquet") == _rows(whole.manifest)
    data = [pq.read_table(root / "data") for root in (out, whole.out)]
    assert data[0].equals(data[1])
    assert not cache.exists()


def test_killed_while_assembling(messy, tmp_path, monkeypatch) -> None:
    """Stopped between the moves of finished parts: nothing of that try is left in the result."""
    from robowm.video import assemble

    whole = ingest([messy], tmp_path / "whole", SMALL, workers=1)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(assemble.EpisodeWriter, "close", stop)
        with pytest.raises(KeyboardInterrupt):
            ingest([messy], tmp_path / "out", SMALL, workers=1)
    (tmp_path / ".out.partial/data").mkdir()
    done = ingest([messy], tmp_path / "out", SMALL, workers=1)
    assert _rows(done.manifest) == _rows(whole.manifest)
    assert not (done.out / "assembling").exists()


def test_nothing_usable_leaves_only_the_reasons(make_clip, moving, tmp_path, capsys) -> None:
    make_clip("clips/dark.mp4", moving(12) // 20)
    (tmp_path / "clips/empty.mp4").touch()
    out = tmp_path / "out"
    assert main(["ingest", str(tmp_path / "clips"), "--out", str(out), "--workers", "1"]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert "none of 2 clips is usable (1 black, 1 empty_file)" in said[-1]
    assert not out.exists() and not (tmp_path / ".out.partial").exists()
    rows = _rows(tmp_path / "out.manifest.parquet")
    assert [(row["reason"], row["kept"]) for row in rows] == [
        ("black", False),
        ("empty_file", False),
    ]


def test_users_mistakes(make_clip, moving, tmp_path, capsys) -> None:
    clip = make_clip("clips/a.mp4", moving(12))
    with pytest.raises(UserError, match="size_px is 2; expected 8 or more"):
        ingest([clip], tmp_path / "out", IngestConfig(size_px=2))
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    with pytest.raises(UserError, match="already holds other files"):
        ingest([clip], tmp_path / "taken", SMALL)
    ingest([clip.parent], tmp_path / "out", SMALL, workers=1)
    make_clip("clips/b.mp4", moving(12))
    with pytest.raises(UserError, match="when they held other files"):
        ingest([clip.parent], tmp_path / "out", SMALL)
    assert (
        main(["ingest", str(clip), "--out", str(tmp_path / "x"), "--recipe", "datasets/clip"]) == 2
    )
    assert "Did you mean 'datasets/clips_folder'" in capsys.readouterr().err


def test_an_8k_clip_fits_in_a_gigabyte(make_clip, tmp_path) -> None:
    """In a process of its own, whose peak memory is this clip's."""
    background = np.zeros((4320, 7680, 3), np.uint8)
    background[:, :, 1] = np.linspace(40, 200, 7680)

    def pictures():
        for n in range(5):
            picture = background.copy()
            picture[1000:3000, 2000 + 600 * n : 4000 + 600 * n] = (250, 40, 20)
            yield picture

    path = make_clip("8k.mp4", pictures())
    code = (
        "import json, pathlib, re, sys\n"
        "from robowm.video.config import IngestConfig\n"
        "from robowm.video.ingest import decide\n"
        "rows, arrays = decide(pathlib.Path(sys.argv[1]), IngestConfig())\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "peak_mb = int(re.search(r'VmHWM:\\s+(\\d+)', status)[1]) / 1024\n"
        "print(json.dumps([rows, [a['frames'].shape for a in arrays], peak_mb]))"
    )
    environment = os.environ | {"PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-c", code, str(path)]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    (row,), shapes, peak_mb = json.loads(said.stdout)
    assert (row["reason"], row["width_px"], row["height_px"]) == ("ok", 7680, 4320)
    assert shapes == [[5, 128, 128, 3]]
    assert peak_mb < 1000


def test_an_unexpected_error_stops_one_clip_only(make_clip, moving, tmp_path, monkeypatch) -> None:
    from robowm.video import ingest as stage

    make_clip("clips/a.mp4", moving(12))
    make_clip("clips/b.mp4", moving(12))
    real = stage.survey

    def sometimes(path: Path, config: IngestConfig):
        if path.name == "a.mp4":
            raise MemoryError("too large")
        return real(path, config)

    monkeypatch.setattr(stage, "survey", sometimes)
    done = ingest([tmp_path / "clips"], tmp_path / "out", SMALL, workers=1)
    bad, good = _rows(done.manifest)
    assert (bad["reason"], bad["note"], good["reason"]) == (
        "failed",
        "MemoryError: too large",
        "ok",
    )


@pytest.mark.corpus
def test_real_clips_of_many_kinds(corpus, tmp_path) -> None:
    wanted = {
        "ARISE-Initiative__robomimic/docs__images__task_lift_real.gif": {"ok"},
        "roboterax__video-prediction-policy/video_dataset_instance__sthv2__videos__1023.webm": {
            "ok"
        },
        "TencentARC__Moto": {"ok"},
        "dex-cap/assets__method2.mp4": {"diagram"},
        "yay-robot/static__videos__method.mp4": {"diagram"},
        "human2robot/resources__w_hang.mp4": {"panels"},
        "phantom-human-videos/static__videos__kinova_sweep_hand_grid.mp4": {"panels"},
        "robot-tv/resources__clips__tele__mit-insert.mp4": {"static", "ok"},
        "robotics-transformer2/videos__demos__pick_extinct_animal.mp4": {"ok"},
    }
    sources = [corpus / "clips" / name for name in wanted]
    done = ingest(sources, tmp_path / "out", SMALL, workers=2)
    rows = _rows(done.manifest)
    for name, reasons in wanted.items():
        end = Path(name).name
        assert {r["reason"] for r in rows if end in Path(r["source"]).parts} == reasons, name
    assert done.shots["ok"] == sum(row["kept"] for row in rows)
