"""Files that lie about time: sped up, replayed, with clocks that stand still or run backwards."""

import contextlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pyarrow.parquet as pq
import pytest

from robowm.errors import UserError
from robowm.video.clock import speed_of
from robowm.video.config import IngestConfig
from robowm.video.ingest import ingest
from robowm.video.shots import survey


@pytest.mark.parametrize(
    ("name", "speed"),
    [
        ("rollout--5x.mov", 5),
        ("use_cabinets_3_pots_8x_speed.mp4", 8),
        ("videos_2x/carrot.mp4", 2),
        ("drawer (1.5x).mp4", 1.5),
        ("4x-4x.mp4", 1),  # which of them?
        ("rt2x/pick_coke_can.mp4", 1),
        ("clip_1920x1080.mp4", 1),
        ("grid_2x2.mp4", 1),
        ("0.5x.mp4", 1),  # slow motion is no speed-up, and rarely means the whole file
        ("plain.mp4", 1),
    ],
)
def test_speed_is_read_from_names_with_care(name: str, speed: float) -> None:
    assert speed_of(Path("some/folder") / name, IngestConfig()) == speed
    assert speed_of(Path(name), IngestConfig(speed=3.0)) == 3


def _capture_times(out: Path) -> np.ndarray:
    table = pq.read_table(out / "data")
    return np.array(table.column("capture_time_s").to_pylist()).ravel()


def test_sped_up_footage_is_sampled_in_true_time(make_clip, moving, tmp_path) -> None:
    clip = make_clip("pick_2x.mp4", moving(60), fps=30.0)
    done = ingest([clip], tmp_path / "out", IngestConfig(size_px=16))
    (row,) = pq.read_table(done.manifest).to_pylist()
    # two seconds of file are four of life: at 10 Hz, 40 pictures instead of 20
    assert row["frames"] in (40, 41) and row["speed"] == 2.0
    assert row["end_s"] == pytest.approx(2.0, abs=0.04)  # where a player finds it
    times_s = _capture_times(done.out)
    assert np.diff(times_s).mean() == pytest.approx(0.1, abs=0.003)
    as_shown = ingest([clip], tmp_path / "shown", IngestConfig(size_px=16, speed=1.0))
    assert as_shown.frames in (20, 21)


def test_a_log_replayed_at_another_rate_keeps_its_own_time(make_clip, moving, tmp_path) -> None:
    clip = make_clip("rt1.mp4", moving(24), fps=30.0)  # 3 Hz, replayed at 30
    done = ingest([clip], tmp_path / "out", IngestConfig(size_px=16, source_hz=3.0))
    np.testing.assert_allclose(_capture_times(done.out), np.arange(24) / 3.0)
    (row,) = pq.read_table(done.manifest).to_pylist()
    assert row["rate_hz"] == pytest.approx(3.0, abs=0.01)
    assert row["speed"] == pytest.approx(10.0, abs=0.5)


def test_times_that_repeat_or_go_back_are_passed_over(tmp_path, moving) -> None:
    """A recorder's clock that stalls and jumps back; some of it cannot even be written."""
    ticks = [0, 40, 80, 80, 120, 60, 160, 200, 200, 240, 280]
    path = tmp_path / "clock.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=25)
        stream.width, stream.height, stream.pix_fmt = 128, 72, "yuvj420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for n, picture in enumerate(moving(len(ticks))):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuvj420p")
            frame.pts, frame.time_base = n, Fraction(1, 1000)
            for packet in stream.encode(frame):
                packet.pts = packet.dts = ticks[n]
                with contextlib.suppress(av.error.FFmpegError):
                    container.mux(packet)
    seen = survey(path, IngestConfig())
    assert (np.diff(seen.times_s) > 0).all()
    np.testing.assert_allclose(seen.times_s, np.unique(ticks)[np.unique(ticks) != 60] / 1000)


def test_settings_of_time_are_checked() -> None:
    with pytest.raises(UserError, match=r"speed is -1\.0; expected 0 or more"):
        IngestConfig(speed=-1.0).check()
    with pytest.raises(UserError, match="source_hz is nan; expected 0 or more"):
        IngestConfig(source_hz=float("nan")).check()


@pytest.mark.corpus
def test_real_clips_of_odd_rates_keep_their_own_times(corpus: Path) -> None:
    """13.8 to 59.9 Hz: times as the container states them, samples within one frame of theirs."""
    from robowm.video.sample import pick

    names = [
        "robotics-transformer2/videos__demos__pick_extinct_animal.mp4",
        "simpler-env/static__videos__sysid__good_control.mp4",
        "robot-tv/resources__clips__tele__pipette.mp4",
        "robo-affordances/resources__human_vrb.mp4",
    ]
    for name in names:
        path = corpus / "clips" / name
        with av.open(str(path)) as container:
            stated = sorted({f.time for f in container.decode(video=0) if f.time is not None})
        seen = survey(path, IngestConfig())
        np.testing.assert_allclose(seen.times_s, stated, atol=1e-9)
        shot = max(seen.shots, key=lambda it: it.last - it.first)
        mine = seen.times_s[shot.first : shot.last]
        chosen = mine[pick(mine, shot.start_s, shot.end_s, 10)]
        moments = shot.start_s + np.arange(len(chosen)) / 10
        longest = np.diff(mine).max()
        if longest < 0.1:
            assert (moments - chosen > -1e-5).all() and (moments - chosen <= longest + 1e-5).all()
