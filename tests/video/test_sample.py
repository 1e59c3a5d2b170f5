"""Frames are chosen by time, and cut to squares."""

from dataclasses import replace

import numpy as np
import pytest

from robowm.video.config import IngestConfig
from robowm.video.judge import look_at
from robowm.video.sample import pick, take
from robowm.video.shots import Shot, survey

GREY = np.full((2, 9, 16, 3), 128, np.uint8)


def test_pick_takes_the_frame_on_show_at_each_moment() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        times_s = np.cumsum(rng.uniform(0.005, 0.09, 80))
        picks = pick(times_s, times_s[0], times_s[-1] + 0.05, fps=10)
        moments_s = times_s[0] + np.arange(len(picks)) / 10
        assert (times_s[picks] <= moments_s + 1e-6).all()
        later = np.append(times_s, np.inf)[picks + 1]
        assert (later > moments_s).all()
        assert len(picks) == np.ceil((times_s[-1] + 0.05 - times_s[0]) * 10 - 1e-6)


@pytest.mark.parametrize("fps", [12.5, 14.985, 23.976, 29.97, 30.0, 50.0, 59.94, 60.0])
def test_pick_keeps_the_rate_of_common_clocks(fps: float) -> None:
    times_s = np.round(np.arange(600) / fps, 3)  # clocks that count milliseconds
    steps_s = np.diff(times_s[pick(times_s, 0.0, 600 / fps, fps=10)])
    assert steps_s.mean() == pytest.approx(0.1, rel=0.01)
    assert abs(steps_s - 0.1).max() < 1 / fps + 1e-3


def test_pick_repeats_nothing_of_a_slower_source() -> None:
    times_s = np.arange(20) / 5.0
    assert pick(times_s, 0.0, 4.0, fps=10).tolist() == list(range(20))


def test_variable_frame_rate_is_read_by_time(make_clip, levels, tmp_path) -> None:
    """Every frame's grey level is its own time, so a wrong pick shows in the pixels."""
    rng = np.random.default_rng(1)
    times_s = np.round(np.cumsum(rng.uniform(0.01, 0.12, 60)), 3)
    times_s -= times_s[0]
    values = np.round(20 + 50 * times_s).astype(int)
    path = make_clip("vfr.mp4", levels(values), times_s=times_s)
    seen = survey(path, IngestConfig())
    np.testing.assert_allclose(seen.times_s, times_s, atol=1e-6)
    (shot,) = seen.shots
    indices = pick(seen.times_s, shot.start_s, shot.end_s, fps=10)
    (frames,) = take(path, seen.times_s, [(shot, indices)], IngestConfig(size_px=16))
    assert frames.shape == (len(indices), 16, 16, 3) and frames.dtype == np.uint8
    shown_s = (frames.mean((1, 2, 3)) - 20) / 50
    np.testing.assert_allclose(shown_s, times_s[indices], atol=0.06)
    assert abs(shown_s - np.arange(len(indices)) / 10).max() < 0.12 + 0.06


@pytest.mark.parametrize("size", [(53, 97), (97, 53), (720, 1280), (64, 64), (48, 144)])
@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_any_shape_becomes_the_centre_square(make_clip, size, fit) -> None:
    height, width = size
    y, x = np.mgrid[:height, :width].astype(float)
    picture = np.stack([255 * x / width, 255 * y / height, 0 * x + 90], -1).astype(np.uint8)
    path = make_clip("ramp.mp4", [picture] * 3)
    times_s = np.arange(3) / 10
    grey = np.full((2, 90, 160, 3), 128, np.uint8)
    whole = look_at(grey, 0.1, grey[..., 0])
    shot = Shot(0, 3, 0.0, 0.3, whole)
    config = IngestConfig(size_px=32, fit=fit)
    (frames,) = take(path, times_s, [(shot, np.arange(3))], config)
    assert frames.shape == (3, 32, 32, 3)
    middle = frames[0, 16, 16].astype(int)
    np.testing.assert_allclose(middle[:2], 127, atol=20)
    covered = 255 * min(size) / width if fit == "crop" else 255
    inside = frames[0][:, frames[0, 16, :, 2] > 45]  # without the bars of "pad"
    assert np.ptp(inside[16, :, 0].astype(int)) == pytest.approx(covered * 31 / 32, abs=20)
    bars = (frames[0].max(-1) < 20).mean()
    assert bars == pytest.approx(0 if fit == "crop" else 1 - min(size) / max(size), abs=0.08)


@pytest.mark.parametrize("bar", [1, 5, 14, 25, 50])
def test_cropped_bars_leave_no_line(make_clip, bar) -> None:
    """Whatever share of the picture is bars, every stored pixel is of the picture."""
    picture = np.full((256, 256, 3), 200, np.uint8)
    picture[:bar] = picture[256 - bar :] = 0
    path = make_clip("bars.mp4", [picture] * 3)
    box = (0.0, bar / 256, 1.0, 1 - bar / 256)
    shot = Shot(0, 3, 0.0, 0.3, replace(look_at(GREY, 0.2, GREY[..., 0]), box=box))
    (frames,) = take(path, np.arange(3) / 10, [(shot, np.arange(3))], IngestConfig(size_px=64))
    assert frames[:, 1:-1].min() > 150 and frames.min() > 60
