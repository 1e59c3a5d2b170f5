"""The corpus's labelled sets through the whole of ingest, against what other readers see."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from robowm import recipes
from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.video.config import curated
from robowm.video.ingest import ingest

pytestmark = pytest.mark.corpus
CAMERA = "observation.images.main"


def _ingest(source: Path, out: Path, recipe: str, fps: int, cameras: tuple[str, ...] = ()):
    """The dataset of a labelled source, actions kept, and its manifest's rows."""
    config = curated(size_px=64, fps=fps)
    find = recipes.load(f"datasets/{recipe}").find
    done = ingest([source], out, config, find=find, cameras=cameras, keep_actions=True)
    return Episodes(done.out), pq.read_table(done.manifest).to_pylist()


def _centre(full: np.ndarray) -> np.ndarray:
    """The centre square of a picture, area-averaged to 64 px."""
    height, width = full.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    centre = full[top : top + side, left : left + side]
    return cv2.resize(centre, (64, 64), interpolation=cv2.INTER_AREA).astype(int)


def _nearest(small: np.ndarray, path: Path) -> int:
    """Which picture of a video file a stored square shows."""
    with av.open(str(path)) as container:
        pictures = []
        for frame in container.decode(video=0):
            wide = round(64 * frame.width / frame.height)
            scaled = frame.reformat(wide, 64, "rgb24", interpolation="AREA").to_ndarray()
            left = (wide - 64) // 2
            pictures.append(scaled[:, left : left + 64].astype(int))
    return int(np.argmin([np.abs(picture - small).mean() for picture in pictures]))


def test_bridge_rlds(corpus, tmp_path) -> None:
    source = corpus / "labelled/octo_bridge_rlds"
    data, rows = _ingest(source, tmp_path / "out", "bridge", 5)
    assert data.lengths.tolist() == [10] * 25 and {row["reason"] for row in rows} == {"ok"}
    assert data.tasks[0] == "put cup from counter or drying rack into sink"
    assert {row["task_from"] for row in rows} == {"dataset"}
    state, action = data.column("observation.state", 0), data.column("action", 0)
    np.testing.assert_allclose(state[0, :2], [0.23381479, 0.11244296])
    np.testing.assert_allclose(action[0, 0], 3.6480774e-10, rtol=1e-6)
    moved = np.concatenate([data.column("ee_delta", n)[:-1] for n in range(25)])
    asked = np.concatenate([data.column("action", n)[:-1, :3] for n in range(25)])
    for axis in range(3):  # what was commanded is nearly what was done, in the same frame
        assert np.corrcoef(moved[:, axis], asked[:, axis])[0, 1] > 0.8
    # the first picture of the file, found as raw JPEG bytes
    raw = next(source.rglob("*.tfrecord*")).read_bytes()
    start = raw.index(b"\xff\xd8\xff", raw.index(b"steps/observation/image_0"))
    jpeg = cv2.imdecode(np.frombuffer(raw[start : start + 3807], np.uint8), cv2.IMREAD_COLOR)
    first = _centre(cv2.cvtColor(jpeg, cv2.COLOR_BGR2RGB))
    np.testing.assert_allclose(data.frames(0, CAMERA)[0], first, atol=1)


@pytest.mark.parametrize("recipe, fps, frames", [("bridge", 5, [40, 43, 24, 37]), ("rt1", 3, None)])
def test_vpp_json(corpus, tmp_path, recipe, fps, frames) -> None:
    source = corpus / "labelled/vpp_instances" / recipe
    data, rows = _ingest(source, tmp_path / "out", recipe, fps)
    for n, row in enumerate(rows):
        truth = json.loads((source.parent / row["source"]).parent.with_suffix(".json").read_text())
        states, actions = np.array(truth["state"]), np.array(truth["action"])
        assert data.lengths[n] == len(states) == row["frames"]
        assert data.tasks[n] == row["task"] == truth["texts"][0]
        np.testing.assert_allclose(data.column("action", n)[:-1], actions, atol=1e-6)
        assert not data.column("action", n)[-1].any()
        moved = np.diff(states[:, :3], axis=0)
        np.testing.assert_allclose(data.column("ee_delta", n)[:-1], moved, atol=1e-6)
        seconds = data.column("capture_time_s", n).ravel()  # the container claims 3 a second
        np.testing.assert_allclose(seconds, np.arange(len(states)) / fps, atol=1e-9)
        video = source / truth["videos"][0]["video_path"]
        middle = len(states) // 2
        assert _nearest(data.frames(n, CAMERA)[middle], video) == middle
    assert frames is None or data.lengths.tolist() == frames
    with pytest.raises(UserError, match=f"changes per step at {fps} Hz"):
        _ingest(source, tmp_path / "slow", recipe, fps - 1)


def test_droid_json_at_another_rate(corpus, tmp_path) -> None:
    source = corpus / "labelled/ctrlworld_droid"
    data, rows = _ingest(source, tmp_path / "out", "droid", 1, cameras=("1",))
    assert len(data) == 11 and len(rows) == 11
    row = next(row for row in rows if "train/1" in row["source"])
    n = row["episode_index"]
    truth = json.loads((source / "droid_subset/annotation/train/1.json").read_text())
    assert data.tasks[n] == "Put the blue block in the green bowl"
    position = np.array(truth["observation.state.cartesian_position"])[::15]  # rows at 15 Hz
    assert len(position) == data.lengths[n] == 18
    np.testing.assert_allclose(data.column("observation.state", n)[:, :6], position, atol=1e-5)
    moved = np.diff(position[:, :3], axis=0)
    np.testing.assert_allclose(data.column("ee_delta", n)[:-1], moved, atol=1e-5)
    asked = np.array(truth["action.cartesian_position"])[::15]
    np.testing.assert_allclose(data.column("action", n)[:, :6], asked, atol=1e-5)
    video = source / "droid_subset/videos/train/1/1.mp4"
    assert _nearest(data.frames(n, CAMERA)[9], video) == 45


def test_g1_of_which_two_episodes_of_a_hundred_are_here(corpus, tmp_path) -> None:
    source = corpus / "labelled/g1_lerobot"
    data, rows = _ingest(source, tmp_path / "out", "lerobot", 2)
    missing = [row for row in rows if row["reason"] == "missing"]
    assert len(rows) == 100 and len(missing) == 98
    assert "episode 0: no video of observation.images.cam_high" in missing[0]["note"]
    assert missing[0]["task"] == "Pick up the yellow bottle on the table."
    kept = [row["source"] for row in rows if row["kept"]]
    assert kept == ["g1_lerobot/10/cam_high", "g1_lerobot/59/cam_high"]
    assert data.lengths.tolist() == [20, 19]  # 290 and 280 rows at 30 Hz
    table = pq.read_table(source / "data/chunk-000/episode_000059.parquet")
    for key in ("action", "observation.state"):
        truth = np.array(table.column(key).to_pylist())[::15]
        np.testing.assert_allclose(data.column(key, 1), truth, atol=1e-6)
    assert data.features["action"]["names"][0] == "kLeftShoulderPitch"


def test_gr00t_whose_metadata_is_broken(corpus, tmp_path) -> None:
    """info.json declares a camera that is not there, and 800 x 1280 pixels for it."""
    source = corpus / "labelled/gr00t_picknplace_lerobot"
    data, rows = _ingest(source, tmp_path / "out", "lerobot", 2)
    assert [row["source"].split("/")[-1] for row in rows] == ["ego_view"] * 5
    assert {(row["width_px"], row["height_px"]) for row in rows} == {(256, 256)}
    assert data.tasks[0] == "pick the pear from the counter and place it in the plate"
    table = pq.read_table(source / "data/chunk-000/episode_000002.parquet")
    truth = np.array(table.column("action").to_pylist())[::10]
    np.testing.assert_allclose(data.column("action", 2), truth, rtol=1e-6, atol=1e-6)
    seconds = data.column("capture_time_s", 2).ravel()
    np.testing.assert_allclose(seconds, np.arange(len(truth)) / 2, atol=1e-3)
    assert data.frames(2, CAMERA)[:, -1].mean() > 100  # the black bars of the source are gone


def test_so101_whose_videos_are_absent(corpus, tmp_path) -> None:
    source = corpus / "labelled/so101_record_test"
    with pytest.raises(UserError, match=r"none of 4 clips is usable \(4 missing\)"):
        _ingest(source, tmp_path / "out", "lerobot", 10)
    rows = pq.read_table(tmp_path / "out.manifest.parquet").to_pylist()
    assert [row["note"] for row in rows] == [
        f"episode {n}: no video of observation.images.front on disk" for n in range(4)
    ]
    assert {row["task"] for row in rows} == {"Pick the orange cube and place it in the box"}


def test_metaworld(corpus, tmp_path) -> None:
    source = corpus / "labelled/ivideogpt_metaworld_demos/coffee-push"
    data, rows = _ingest(source, tmp_path / "out", "metaworld_npz", 10)
    assert data.lengths.tolist() == [101] * 5 and set(data.tasks) == {"coffee push"}
    with np.load(sorted(source.glob("*.npz"))[0]) as truth:
        actions, stack = truth["action"], truth["observation"]
    np.testing.assert_array_equal(data.column("action", 0)[:-1], actions[1:])
    newest = _centre(stack[50, 6:9].transpose(1, 2, 0))
    np.testing.assert_allclose(data.frames(0, CAMERA)[50], newest, atol=1)
    assert rows[0]["source"].startswith("coffee-push/") and rows[0]["task_from"] == "dataset"


def test_bair_and_its_second_camera(corpus, tmp_path) -> None:
    source = corpus / "labelled/ivideogpt_samples"
    data, _ = _ingest(source, tmp_path / "out", "bair_npz", 10, cameras=("main", "aux1"))
    with np.load(source / "bair_sample.npz") as truth:
        pictures = data.frames(0, CAMERA)
        np.testing.assert_array_equal(pictures, truth["image"])
        other = data.frames(1, CAMERA).astype(int)  # a dark edge was cut off it
        assert np.abs(other - truth["aux1_image"]).mean() < np.abs(other - pictures).mean() / 2
        for n in (0, 1):
            np.testing.assert_allclose(data.column("action", n), truth["action"], atol=1e-6)


def test_something_something(corpus, tmp_path) -> None:
    folder = corpus / "clips/roboterax__video-prediction-policy"
    for clip in sorted(folder.glob("*.webm"))[:2]:
        (tmp_path / "ssv2" / clip.name.rpartition("__")[2]).parent.mkdir(exist_ok=True)
        (tmp_path / "ssv2" / clip.name.rpartition("__")[2]).symlink_to(clip.resolve())
    labels = [{"id": "1023", "label": "putting pen into cup", "template": "Putting [x] into [y]"}]
    (tmp_path / "ssv2/train.json").write_text(json.dumps(labels))
    find = recipes.load("datasets/something_something").find
    config = curated(16, 4)
    done = ingest([tmp_path / "ssv2"], tmp_path / "out", config, find=find)
    rows = pq.read_table(done.manifest).to_pylist()
    assert [(Path(r["source"]).name, r["task"]) for r in rows] == [
        ("1023.webm", "putting pen into cup"),
        ("1113.webm", ""),
    ]
