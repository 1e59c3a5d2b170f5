"""Rows of numbers go with pictures by time; per-step changes are never thinned out."""

import numpy as np
import pytest

from robowm.errors import UserError
from robowm.video.decode import UnusableClip
from robowm.video.sources.entry import Entry
from robowm.video.sources.labels import Label, Track, attach, check_rates, deltas, same_columns

XYZ = ("x_m", "y_m", "z_m")


def _track(rows: int, rate_hz: float, steps: bool = False) -> Track:
    values = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    return Track(values, np.arange(rows) / rate_hz, XYZ, steps)


def test_a_row_is_taken_when_its_time_has_come() -> None:
    track = _track(30, 15.0)
    rows = track.at(np.arange(10) / 5.0)[:, 0] / 3
    assert rows.tolist() == [3 * n for n in range(10)]
    jittered = np.arange(30) / 15.0 + np.random.default_rng(0).uniform(0, 0.06, 30)
    assert (track.at(jittered)[:, 0] / 3 == np.arange(30)).all()


def test_rows_must_cover_the_pictures() -> None:
    with pytest.raises(UnusableClip, match=r"label_gap: rows cover 0\.00 to 2\.00 s"):
        _track(10, 5.0).at(np.arange(12) / 5.0)
    with pytest.raises(UnusableClip, match="label_gap"):
        Track(np.zeros((3, 3)), np.arange(3) + 1.0, XYZ).at(np.array([0.0, 1.0]))
    with pytest.raises(UnusableClip, match="2 rows of 3"):
        Track(np.zeros((3, 3)), np.arange(2.0), XYZ)


def test_changes_per_step_are_kept_whole_or_not_at_all() -> None:
    track = _track(20, 5.0, steps=True)
    assert len(track.at(np.arange(3, 12) / 5.0)) == 9
    with pytest.raises(UnusableClip, match="skipped_steps"):
        track.at(np.arange(0, 20, 2) / 5.0)
    entries = [
        Entry("slow", "", lambda: None, steps_hz=3.0),
        Entry("arm/7", "", lambda: None, steps_hz=5.0),
    ]  # type: ignore
    check_rates(entries, 5, keep_actions=True)
    check_rates(entries, 2, keep_actions=False)
    with pytest.raises(UserError, match=r"arm/7 are changes per step at 5 Hz.*--fps 5 or more"):
        check_rates(entries, 4, keep_actions=True)


def test_ee_delta_is_between_stored_pictures() -> None:
    positions = np.cumsum(np.random.default_rng(0).normal(size=(60, 3)), axis=0).astype(np.float32)
    label = Label(ee_position=Track(positions, np.arange(60) / 15.0, XYZ))
    moved = label.columns(np.arange(20) / 5.0)["ee_delta"]
    np.testing.assert_allclose(moved[:-1], np.diff(positions[::3], axis=0), atol=1e-6)
    assert not moved[-1].any() and moved.dtype == np.float32
    assert deltas(positions[:1]).tolist() == [[0, 0, 0]]


def test_subtitles_that_overlap_a_shot_are_its_text() -> None:
    said = ((0.0, 2.0, "pick the cup"), (2.0, 4.0, "pick the cup"), (4.0, 6.0, "pour"))
    label = Label("coffee", "sidecar", said)
    assert label.words(1.0, 3.0) == ("pick the cup", "subtitles")
    assert label.words(3.0, 5.0) == ("pick the cup pour", "subtitles")
    assert label.words(6.0, 9.0) == ("coffee", "sidecar")
    assert Label().words(0.0, 1.0) == ("", "")


def _rows(*spans: tuple[float, float]) -> list[dict]:
    return [{"start_s": s, "end_s": e, "kept": True, "frames": 5, "reason": "ok"} for s, e in spans]


def test_a_shot_without_rows_is_dropped_and_says_so() -> None:
    rows = _rows((0.0, 1.0), (1.0, 2.0))
    label = Label(tracks={"action": _track(7, 5.0)})
    shots = iter([{"shown_s": np.arange(5) / 5 + start} for start in (0.0, 1.0)])
    rows, shots = attach(label, rows, shots, keep_actions=True)
    first, second = shots
    assert first["action"].shape == (5, 3) and second is None
    assert [row["reason"] for row in rows] == ["ok", "label_gap"]
    assert not rows[1]["kept"] and rows[1]["frames"] == 0


def test_counted_rows_of_a_damaged_clip_are_refused() -> None:
    """Where pictures are counted, a lost one would move every later row."""
    rows, _ = attach(Label(end_s=2.2), _rows((0.0, 1.0), (1.0, 2.0)), iter(()), keep_actions=True)
    assert [row["reason"] for row in rows] == ["label_gap", "label_gap"]
    rows, _ = attach(Label(end_s=2.2), _rows((0.0, 2.0)), iter(()), keep_actions=False)
    assert rows[0]["kept"]


def test_all_kept_clips_have_the_same_columns() -> None:
    rows = [{"kept": True, "source": n, "columns": {"action": ["x_m"]}} for n in ("a", "b")]
    rows.append({"kept": False, "source": "c", "columns": {}})
    assert [*same_columns(rows)] == rows
    rows[1]["columns"] = {}
    with pytest.raises(UserError, match=r"b has none, a has action \(1: x_m"):
        list(same_columns(rows))
    rows[0]["columns"] = {}
    with pytest.raises(UserError, match="none of the 2 kept shots has actions"):
        list(same_columns(rows))
