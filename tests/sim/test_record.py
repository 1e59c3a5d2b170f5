"""Recordings: whole datasets that stock lerobot opens, and video that holds no actions."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest

from robowm import recipes
from robowm.artefact import open_stage, read_card
from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.sim.perform import demonstrate
from robowm.sim.record import CAMERA, RecordConfig, VideoSpec, record, record_video
from robowm.sim.robosuite_env import RobosuiteEnv
from robowm.sim.suite import Task

CONFIG = RecordConfig(episodes=2, size_px=32)


@pytest.fixture(scope="module")
def lift() -> Task:
    task: Task = recipes.load("sim_eval/robosuite").SUITE.task("Lift")
    return task


@pytest.fixture(scope="module")
def demonstrations(lift: Task, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("record") / "demonstrations"
    record(lift, out, CONFIG, workers=1)
    return out


def test_the_dataset_is_what_the_harness_promises(demonstrations: Path, lift: Task) -> None:
    episodes = Episodes(demonstrations)
    assert len(episodes) == 2 and episodes.fps == 10
    assert episodes.tasks == ["lift the red cube"] * 2
    assert episodes.info["robot_type"] == "Panda"
    assert tuple(episodes.features["action"]["names"]) == lift.action_names
    assert tuple(episodes.features["observation.state"]["names"]) == lift.state_names
    actions = episodes.column("action", 0)
    assert actions.shape == (episodes.lengths[0], 7) and np.abs(actions).max() <= 1
    assert all(10 < length < 50 for length in episodes.lengths)
    np.testing.assert_allclose(np.diff(episodes.column("capture_time_s", 0).ravel()), 0.1)
    card = read_card(demonstrations)
    assert card and card["seeds"][0] == 1_000_000 and card["attempts"] >= 2


def test_frames_and_states_are_what_the_environment_showed(demonstrations: Path) -> None:
    env = RobosuiteEnv(size_px=32)
    observation, _ = env.reset(seed=1_000_000)
    env.close()
    episodes = Episodes(demonstrations)
    np.testing.assert_array_equal(episodes.frames(0, CAMERA)[0], observation["frame"])
    np.testing.assert_array_equal(episodes.column("observation.state", 0)[0], observation["state"])


def test_stock_lerobot_opens_it(demonstrations: Path) -> None:
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset("local/demonstrations", root=demonstrations)
    row = dataset[len(dataset) - 1]
    assert row["action"].shape == (7,) and row[CAMERA].shape == (3, 32, 32)
    assert row["task"] == "lift the red cube"


def test_a_killed_recording_keeps_its_whole_episodes(
    demonstrations: Path, lift: Task, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    settings = read_card(demonstrations)
    assert settings
    stage = open_stage(out, "demonstrations", settings["settings"])
    shards = stage.work / "shards"
    shards.mkdir()
    make_env = partial(lift.make_env, robot="Panda", size_px=32)
    demonstrate(make_env, shards, CONFIG.action_noise, [1_000_000])
    (shards / "1000001.tmp.npz").write_bytes(b"cut short")
    (stage.work / "meta").mkdir()  # as if it was killed while the dataset was put together
    record(lift, out, CONFIG, workers=1)
    first, second = Episodes(demonstrations), Episodes(out)
    np.testing.assert_array_equal(first.lengths, second.lengths)
    np.testing.assert_array_equal(first.column("action", 1), second.column("action", 1))
    assert not (out / "shards").exists()


def test_a_finished_recording_is_left_as_it_is(demonstrations: Path, lift: Task) -> None:
    before = (demonstrations / "robowm.json").stat().st_mtime_ns
    assert record(lift, demonstrations, CONFIG, workers=1)["seeds"]
    assert (demonstrations / "robowm.json").stat().st_mtime_ns == before
    with pytest.raises(UserError, match="already holds a demonstrations made with other settings"):
        record(lift, demonstrations, replace(CONFIG, seed=5), workers=1)


def test_mistakes_are_refused_before_anything_is_written(lift: Task, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no robot 'Baxter'"):
        record(lift, tmp_path / "d", replace(CONFIG, robot="Baxter"))
    with pytest.raises(UserError, match="leaves the block of seeds"):
        record(lift, tmp_path / "d", replace(CONFIG, seed=999_999))
    assert not list(tmp_path.iterdir())


SPEC = VideoSpec(
    partial(RobosuiteEnv, max_steps=8), tasks=("Lift",), robots=("Panda", "Jaco"), size_px=48
)


def test_video_is_action_free_and_goes_on_after_a_kill(tmp_path: Path) -> None:
    out = tmp_path / "video"
    record_video(SPEC, out, episodes=2, workers=2)
    files = sorted(path for path in out.rglob("*") if path.is_file())
    names = [path.name for path in files]
    assert names == ["Lift_Jaco_2000001.mp4", "Lift_Panda_2000000.mp4", "robowm.json"]
    with av.open(str(files[1])) as container:
        assert [stream.type for stream in container.streams] == ["video"]
        frames = list(container.decode(video=0))
    assert (frames[0].width, frames[0].format.name) == (48, "yuv420p")
    np.testing.assert_allclose([frame.time for frame in frames], np.arange(len(frames)) / 10)
    assert not set(read_card(out) or {}) & {"actions", "action"}

    work = tmp_path / ".video.partial"  # as a kill after the first file leaves it
    out.rename(work)
    (work / names[0]).unlink()
    (work / ".Lift_Jaco_2000001.1.tmp.mp4").write_bytes(b"cut short")
    kept = (work / names[1]).stat().st_mtime_ns
    record_video(SPEC, out, episodes=2, workers=1)
    assert sorted(path.name for path in out.iterdir()) == names
    assert (out / names[1]).stat().st_mtime_ns == kept


def test_the_recipe_films_both_tasks_with_panda_among_the_arms() -> None:
    spec: VideoSpec = recipes.load("datasets/robosuite_play").SPEC
    assert set(spec.tasks) == {"Lift", "Stack"}
    assert "Panda" in spec.robots and len(spec.robots) >= 4
    assert spec.camera_jitter > 0
