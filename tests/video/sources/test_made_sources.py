"""Sources made here, one of each kind, through the whole of ingest; and the errors they answer."""

import json

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from robowm import recipes
from robowm.__main__ import main
from robowm.episodes import Episodes, EpisodeWriter, image_feature, vector_feature
from robowm.errors import UserError
from robowm.video.config import curated
from robowm.video.ingest import ingest
from robowm.video.sources.detect import recipe_for
from robowm.video.sources.entry import Search
from robowm.video.sources.hub import fetch, is_hub_id
from robowm.video.sources.lerobot import find_lerobot

CAMERA = "observation.images.main"


def _run(source, out, recipe, fps=10, keep=True, cameras=()):
    find = recipes.load(f"datasets/{recipe}").find
    config = curated(16, fps)
    done = ingest([source], out, config, find=find, cameras=cameras, keep_actions=keep)
    return Episodes(done.out), pq.read_table(done.manifest).to_pylist()


def _jpegs(pictures: np.ndarray) -> list[bytes]:
    return [cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes() for picture in pictures]


def _steps(count: int) -> dict:
    return {"steps/is_first": np.arange(count) == 0}


def test_rt1_and_droid_keys(write_tfrecord, moving, tmp_path) -> None:
    rng = np.random.default_rng(0)
    n = 12
    pose = np.cumsum(rng.normal(size=(n, 7)), axis=0).astype(np.float32)
    arm = {
        **_steps(n),
        "steps/observation/image": _jpegs(moving(n)),
        "steps/observation/natural_language_instruction": [b"move the can"] * n,
        "steps/observation/base_pose_tool_reached": pose.ravel(),
        "steps/observation/gripper_closed": np.ones(n, np.float32),
        "steps/action/world_vector": np.zeros(3 * n, np.float32),
        "steps/action/rotation_delta": np.zeros(3 * n, np.float32),
        "steps/action/gripper_closedness_action": np.linspace(-1, 1, n, dtype=np.float32),
    }
    arm = {
        k: v if isinstance(v, list) else v.astype(int if v.dtype == bool else v.dtype)
        for k, v in arm.items()
    }
    write_tfrecord(tmp_path / "rt1/fractal.tfrecord-00000-of-00001", [arm])
    data, (row,) = _run(tmp_path / "rt1", tmp_path / "a", "rt1", fps=3)
    assert (row["source"], row["task"]) == (
        "rt1/fractal.tfrecord-00000-of-00001/0/0",
        "move the can",
    )
    np.testing.assert_array_equal(data.column("observation.state", 0)[:, :7], pose)
    np.testing.assert_allclose(data.column("ee_delta", 0)[:-1], np.diff(pose[:, :3], axis=0))
    assert data.column("action", 0)[-1, 6] == 1

    n = 45
    states = rng.normal(size=(n, 6)).astype(np.float32)
    arm = {
        "steps/is_first": (np.arange(n) == 0).astype(int),
        "steps/observation/wrist_image_left": _jpegs(moving(n)),
        "steps/language_instruction": [b""] * n,
        "steps/language_instruction_2": [b"put it away"] * n,
        "steps/observation/cartesian_position": states.ravel(),
        "steps/observation/gripper_position": np.zeros(n, np.float32),
        "steps/action_dict/cartesian_position": (states + 1).ravel(),
        "steps/action_dict/gripper_position": np.ones(n, np.float32),
    }
    path = write_tfrecord(tmp_path / "droid/r2d2.tfrecord-00000-of-00001", [arm, arm])
    path.write_bytes(path.read_bytes()[:-5])
    data, rows = _run(tmp_path / "droid", tmp_path / "b", "droid", 5, cameras=("wrist_image_left",))
    assert [row["reason"] for row in rows] == ["ok", "unreadable"] and data.tasks == ["put it away"]
    np.testing.assert_array_equal(data.column("action", 0)[:, :6], states[::3] + 1)
    with pytest.raises(UserError, match=r"none of 2 clips is usable \(1 missing, 1 unreadable\)"):
        _run(tmp_path / "droid", tmp_path / "c", "droid")
    with pytest.raises(UserError, match=r"no camera 'wrist_left'\. Did you mean 'wrist_im"):
        _run(tmp_path / "droid", tmp_path / "c", "droid", cameras=("wrist_left",))


def test_lerobot_v3_is_found_by_itself(moving, tmp_path, capsys) -> None:
    features = {
        CAMERA: image_feature(64),
        "observation.state": vector_feature("float32", ["x_px", "y_px"]),
        "action": vector_feature("float32", ["dx_px", "dy_px"]),
    }
    source = tmp_path / "demo"
    writer = EpisodeWriter(source, 10, features, "square")
    for n in range(3):
        rows = np.random.default_rng(n).normal(size=(9, 2)).astype(np.float32)
        pictures = moving(9, height=64, width=64, seed=n)
        writer.add({CAMERA: pictures, "observation.state": rows, "action": rows + 1}, "push it")
    writer.close()
    command = ["ingest", str(source), "--size-px", "64", "--workers", "1"]
    assert main([*command, "--keep-actions", "--out", str(tmp_path / "kept")]) == 0
    kept, truth = Episodes(tmp_path / "kept"), Episodes(source)
    assert kept.lengths.tolist() == [9, 9, 9] and set(kept.tasks) == {"push it"}
    for n in range(3):
        np.testing.assert_array_equal(kept.column("action", n), truth.column("action", n))
        np.testing.assert_array_equal(kept.frames(n, CAMERA), truth.frames(n, CAMERA))
    assert kept.features["action"]["names"] == ["dx_px", "dy_px"]
    assert main([*command, "--out", str(tmp_path / "bare")]) == 0
    assert not {"action", "observation.state"} & Episodes(tmp_path / "bare").features.keys()
    capsys.readouterr()
    assert main([*command, "--camera", "wrist", "--out", str(tmp_path / "x")]) == 2
    assert "has no camera 'wrist'. Allowed: observation.images.main" in capsys.readouterr().err


def test_lerobot_v3_with_many_episodes_in_a_video(make_clip, moving, tmp_path) -> None:
    """Episodes are found in their file by time; one that the file ends before says so."""
    root = tmp_path / "demo"
    pictures = np.concatenate([moving(20, seed=1), moving(30, seed=2), moving(25, seed=3)])
    film = make_clip("demo/videos/observation.images.top/chunk-000/file-000.mp4", pictures, g="1")
    assert film.is_file()
    key = "observation.images.top"
    features = {key: {"dtype": "video", "shape": [9, 9, 3], "names": None}}
    info = {"codebase_version": "v3.0", "fps": 10, "features": features}
    (root / "meta/episodes/chunk-000").mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    spans = [(0.0, 2.0), (2.0, 5.0), (5.0, 7.5), (9.0, 12.0)]
    rows = [
        {
            "episode_index": n,
            "tasks": [f"task {n}"],
            "data/chunk_index": 0,
            "data/file_index": 0,
            f"videos/{key}/chunk_index": 0,
            f"videos/{key}/file_index": 0,
            f"videos/{key}/from_timestamp": start_s,
            f"videos/{key}/to_timestamp": end_s,
        }
        for n, (start_s, end_s) in enumerate(spans)
    ]
    pq.write_table(pa.Table.from_pylist(rows), root / "meta/episodes/chunk-000/file-000.parquet")
    data, rows = _run(root, tmp_path / "out", "lerobot", keep=False)
    assert [row["reason"] for row in rows] == ["ok", "ok", "ok", "unreadable"]
    assert data.lengths.tolist() == [20, 30, 25] and data.tasks == ["task 0", "task 1", "task 2"]
    for n, seed in enumerate((1, 2, 3)):
        first = cv2.resize(
            moving(20, seed=seed)[0][:, 28:100], (16, 16), interpolation=cv2.INTER_AREA
        )
        assert np.abs(data.frames(n, CAMERA)[0].astype(int) - first).mean() < 12
        assert data.column("capture_time_s", n)[0] == pytest.approx(0.0, abs=1e-6)


def test_lerobot_v2_with_gaps(make_clip, moving, tmp_path) -> None:
    """An episode without a video, one without rows, one that no list names."""
    root = tmp_path / "old"
    key = "observation.images.front"
    for n in (0, 2, 3):
        make_clip(f"old/videos/chunk-000/{key}/episode_{n:06d}.mp4", moving(12, seed=n))
    (root / "data/chunk-000").mkdir(parents=True)
    for n in (0, 1, 3):
        rows = [
            {"action": [float(t), n], "timestamp": 0.05 + t / 10, "episode_index": n}
            for t in range(12)
        ]
        path = root / f"data/chunk-000/episode_{n:06d}.parquet"
        pq.write_table(pa.Table.from_pylist(rows), path)
    (root / "meta").mkdir()
    features = {f"observation.images.{name}": {"dtype": "video"} for name in ("gone", "front")}
    features["action"] = {"dtype": "float32", "names": {"motors": ["a", "b"]}}
    (root / "meta/info.json").write_text(json.dumps({"fps": 10, "features": features}))
    lines = [{"episode_index": n, "tasks": [f"task {n}"], "length": 12} for n in range(3)]
    (root / "meta/episodes.jsonl").write_text("\n".join(map(json.dumps, lines)))
    data, rows = _run(root, tmp_path / "all", "lerobot", keep=False)
    assert [(row["source"], row["reason"], row["task"]) for row in rows] == [
        ("old/0/front", "ok", "task 0"),
        ("old/1/front", "missing", "task 1"),
        ("old/2/front", "ok", "task 2"),
        ("old/3/front", "ok", ""),
    ]
    with pytest.raises(UserError, match=r"old/2/front has none, old/0/front has action \(2: a, b"):
        _run(root, tmp_path / "kept", "lerobot")
    (root / f"videos/chunk-000/{key}/episode_000002.mp4").unlink()
    data, _ = _run(root, tmp_path / "some", "lerobot")
    np.testing.assert_array_equal(data.column("action", 1), [[t, 3] for t in range(12)])


def test_pictures_are_counted_where_the_container_lies(make_clip, moving, tmp_path) -> None:
    states = np.random.default_rng(0).normal(size=(12, 7))
    label = {
        "texts": ["", "close the lid"],
        "videos": [{"video_path": "videos/val/3/rgb.mp4"}],
        "state": states.tolist(),
        "action": states[1:].tolist(),
    }
    for split in ("val", "cut", "gone"):
        label["videos"] = [{"video_path": f"videos/{split}/3/rgb.mp4"}]
        (tmp_path / f"set/annotation/{split}").mkdir(parents=True)
        (tmp_path / f"set/annotation/{split}/3.json").write_text(json.dumps(label))
    make_clip("set/videos/val/3/rgb.mp4", moving(12), fps=3.0)
    make_clip("set/videos/cut/3/rgb.mp4", moving(11), fps=3.0)
    data, rows = _run(tmp_path / "set", tmp_path / "out", "bridge", fps=5)
    assert [row["reason"] for row in rows] == ["label_gap", "missing", "ok"]
    assert rows[0]["note"] == "2.40 s of rows for 2.20 s of pictures"
    assert rows[2]["task"] == "close the lid" and rows[2]["end_s"] == pytest.approx(2.4)
    np.testing.assert_allclose(data.column("capture_time_s", 0).ravel(), np.arange(12) / 5)
    moved = np.diff(states[:, :3].astype(np.float32), axis=0)
    np.testing.assert_allclose(data.column("ee_delta", 0)[:-1], moved)
    assert "Allowed" not in rows[1]["note"] and "gone/3/rgb.mp4 is absent" in rows[1]["note"]


def test_lerobot_that_is_none(tmp_path) -> None:
    (tmp_path / "meta").mkdir()
    (tmp_path / "meta/info.json").write_text("{}")
    with pytest.raises(UserError, match="cannot be read as a LeRobotDataset"):
        find_lerobot(Search((str(tmp_path),)))
    (tmp_path / "meta/info.json").write_text('{"features": {"action": {"dtype": "float32"}}}')
    with pytest.raises(UserError, match="has no camera"):
        find_lerobot(Search((str(tmp_path),)))


def test_robomimic_hdf5(moving, tmp_path) -> None:
    h5py = pytest.importorskip("h5py")
    hand = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    with h5py.File(tmp_path / "low_dim.hdf5", "w") as file:
        for n in (0, 1, 10):
            demo = file.create_group(f"data/demo_{n}")
            demo["actions"] = np.full((40, 7), n, np.float32)
            demo["obs/agentview_image"] = moving(40, seed=n)
            demo["obs/robot0_eef_pos"] = hand
        arguments = {"env_name": "Lift", "env_kwargs": {"control_freq": 20}}
        file["data"].attrs["env_args"] = json.dumps(arguments)
    data, rows = _run(tmp_path / "low_dim.hdf5", tmp_path / "out", "robomimic_hdf5", fps=20)
    assert [row["source"].split("/")[1] for row in rows] == ["demo_0", "demo_1", "demo_10"]
    assert data.lengths.tolist() == [40] * 3 and set(data.tasks) == {"Lift"}
    assert (data.column("action", 2) == 10).all()
    np.testing.assert_allclose(data.column("ee_delta", 0)[:-1], np.diff(hand, axis=0))
    with pytest.raises(UserError, match="changes per step at 20 Hz"):
        _run(tmp_path / "low_dim.hdf5", tmp_path / "slow", "robomimic_hdf5", fps=10)
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad/noise.hdf5").write_bytes(b"no hdf5")
    with pytest.raises(UserError, match=r"none of 1 clips is usable \(1 unreadable\)"):
        _run(tmp_path / "bad", tmp_path / "y", "robomimic_hdf5", keep=False)


def test_mixed_columns_are_refused(write_tfrecord, moving, tmp_path) -> None:
    def episode(extra: dict) -> dict:
        images = {"steps/observation/image_0": _jpegs(moving(8))}
        return {"steps/is_first": np.arange(8), **images, **extra}

    full = episode({"steps/action": np.zeros(56, np.float32)})
    write_tfrecord(tmp_path / "b/a.tfrecord", [full, episode({})])
    with pytest.raises(UserError, match=r"b/a.tfrecord/1/0 has none, b/a.tfrecord/0/0 has action"):
        _run(tmp_path / "b", tmp_path / "out", "bridge", fps=5)
    assert not (tmp_path / "out").exists()
    data, _ = _run(tmp_path / "b", tmp_path / "out", "bridge", fps=5, keep=False)
    assert len(data) == 2


def test_which_recipe(make_dataset, make_clip, moving, tmp_path, capsys) -> None:
    clip = str(make_clip("clips/a.mp4", moving(12)))
    demo = str(make_dataset(tmp_path / "demo", episodes=1))
    (tmp_path / "np").mkdir()
    np.savez(tmp_path / "np/a.npz", x=1)
    assert recipe_for((clip, str(tmp_path / "clips"))) == "clips_folder"
    assert recipe_for((demo,)) == "lerobot"
    assert recipe_for(("https://example.org/a.mp4",)) == "youtube"
    with pytest.raises(UserError, match=r"several kinds.*demo: lerobot.*--append"):
        recipe_for((clip, demo))
    with pytest.raises(UserError, match="give --recipe bair_npz or metaworld_npz"):
        recipe_for((str(tmp_path / "np"),))
    flags = ["--out", str(tmp_path / "x"), "--recipe"]
    assert main(["ingest", clip, *flags, "robosuite_play"]) == 2
    assert "recipe 'robosuite_play' reads no clips" in capsys.readouterr().err
    assert main(["ingest", clip, *flags, "brige"]) == 2
    assert "Did you mean 'datasets/bridge'" in capsys.readouterr().err


def test_the_hub_out_of_reach(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clips").mkdir()
    assert is_hub_id("lerobot/pusht")
    for path in ("clips/pusht", "clips", "a/b/c", "./a", "/a/b", "other/a.mp4", "https://x.org/a"):
        assert not is_hub_id(path), path
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UserError, match=r"nobody/nothing is no folder here.*it cannot be had"):
        fetch("nobody/nothing")


def test_a_snapshot_of_the_hub_has_its_own_name(make_clip, moving, tmp_path) -> None:
    make_clip("hub/datasets--lab--clips/snapshots/0123abc/deep/a.mp4", moving(12))
    source = tmp_path / "hub/datasets--lab--clips/snapshots/0123abc"
    done = ingest([source], tmp_path / "out", curated(16))
    assert pq.read_table(done.manifest).column("source").to_pylist() == ["lab/clips/deep/a.mp4"]
