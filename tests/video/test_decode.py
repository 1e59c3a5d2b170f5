"""Files are found, opened and refused with a reason."""

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from robowm.errors import UserError
from robowm.video.config import IngestConfig
from robowm.video.decode import UnusableClip, find_clips, open_video
from robowm.video.shots import survey


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.MOV", "a.avi", "a.webm", "a.gif"])
def test_every_format_is_read(make_clip, moving, name) -> None:
    frames = moving(12)
    path = make_clip(name, frames)
    with open_video(path) as video:
        got = [(time_s, video.small(frame, 128, 72)) for time_s, frame in video.frames()]
        assert (video.width_px, video.height_px, video.note) == (128, 72, "")
        assert video.end_s == pytest.approx(1.2, abs=0.03)
    np.testing.assert_allclose([time_s for time_s, _ in got], np.arange(12) / 10, atol=1e-3)
    for (_, picture), want in zip(got, frames, strict=True):
        assert np.abs(picture.astype(int) - want).mean() < 20  # a GIF has 256 colours


def _sound(path: Path) -> None:
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        tone = np.sin(np.arange(16000) / 10).astype(np.float32)[None]
        frame = av.AudioFrame.from_ndarray(tone, format="fltp", layout="mono")
        frame.rate = 16000
        container.mux([*stream.encode(frame), *stream.encode(None)])


def test_what_is_no_video_has_its_reason(make_clip, moving, tmp_path) -> None:
    whole = make_clip("whole.mp4", moving(20)).read_bytes()
    bad = {
        "empty_file": b"",
        "unreadable": whole[: len(whole) // 2],  # the index of an mp4 is at its end
        "still_image": cv2.imencode(".png", moving(1)[0])[1].tobytes(),
    }
    for reason, content in bad.items():
        path = tmp_path / f"{reason}.mp4"
        path.write_bytes(content)
        with pytest.raises(UnusableClip) as raised:
            survey(path, IngestConfig())
        assert raised.value.reason == reason and raised.value.note
    texts = {"text": "a shopping list\n" * 50, "playlist": "#EXTM3U\n#EXTINF:1,\nwhole.mp4\n"}
    for name, text in texts.items():
        path = tmp_path / f"{name}.mp4"
        path.write_text(text)
        with pytest.raises(UnusableClip, match="unreadable"):
            survey(path, IngestConfig())
    _sound(tmp_path / "sound.mp4")
    with pytest.raises(UnusableClip, match=r"no_video_stream: holds only: audio"):
        survey(tmp_path / "sound.mp4", IngestConfig())
    with pytest.raises(UnusableClip, match="still_image: one frame"):
        survey(make_clip("one.gif", moving(1)), IngestConfig())


def test_a_cut_off_file_with_its_index_first_keeps_what_decodes(make_clip, moving) -> None:
    path = make_clip("streamed.mp4", moving(60), movflags="faststart", g="5")
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    seen = survey(path, IngestConfig())
    assert 10 < len(seen.times_s) < 55
    assert "of 6.0 s read" in seen.note


def test_broken_files_are_quiet(make_clip, moving, capfd) -> None:
    path = make_clip("noise.mp4", moving(60), movflags="faststart")
    content = bytearray(path.read_bytes())
    rng = np.random.default_rng(0)
    for at in rng.integers(len(content) // 2, len(content), 200):
        content[at] = rng.integers(256)
    path.write_bytes(bytes(content))
    assert len(survey(path, IngestConfig()).times_s) > 5
    assert capfd.readouterr().err == ""


def test_an_8k_clip_is_made_small_as_it_is_decoded(make_clip) -> None:
    big = np.zeros((4320, 7680, 3), np.uint8)
    big[:, :3840] = (200, 100, 50)
    path = make_clip("8k.mp4", [big] * 3, g="1")
    with open_video(path) as video:
        pictures = [video.small(frame, 128, 72) for _, frame in video.frames()]
    assert (video.width_px, video.height_px) == (7680, 4320)
    assert [picture.shape for picture in pictures] == [(72, 128, 3)] * 3
    assert abs(pictures[0][36, 20].astype(int) - (200, 100, 50)).max() < 8


def test_find_clips_names_files_without_ambiguity(tmp_path, monkeypatch) -> None:
    for name in ("a/clips/x.mp4", "a/clips/deep/Y.WebM", "b/clips/x.mp4", "a/clips/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "a/clips/.hidden.mp4").touch()
    monkeypatch.chdir(tmp_path)
    clips, others = find_clips([Path("a/clips")])
    assert list(clips) == ["clips/deep/Y.WebM", "clips/x.mp4"] and others == 1
    clips, _ = find_clips([Path("a/clips"), Path("b/clips"), Path("b/clips/x.mp4")])
    assert list(clips) == ["a/clips/x.mp4", "b/clips/x.mp4", "clips/deep/Y.WebM"]
    monkeypatch.chdir("a/clips")
    assert "clips/x.mp4" in find_clips([Path()])[0]


def test_no_clips_is_the_users_mistake(tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(UserError, match=r"no clips in .*1 other files.*\.avi, \.gif.*\.webm"):
        find_clips([tmp_path])
    with pytest.raises(UserError, match="does not exist; expected a video file or a folder"):
        find_clips([tmp_path / "absent"])
    with pytest.raises(UserError, match="no SRC"):
        find_clips([])
