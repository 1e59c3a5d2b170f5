"""Shots end at hard cuts, at pauses, and nowhere else; what they look like is measured."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from robowm.video.config import IngestConfig
from robowm.video.judge import Look, look_at, verdict
from robowm.video.shots import survey

CUTS = {  # labelled in the corpus's SHOTS.tsv; the first two have none, and fast motion instead
    "mobile-aloha/static__images__preview.gif": [],
    "mobile-aloha/resources__robustness__use_cabinets_3_pots_8x_speed.mp4": [],
    "robopen/media__open_oven.mp4": [132, 226, 339, 490],
    "robot-tv/resources__clips__tele__mit-insert.mp4": [117],
}


def test_hard_cut_is_found_and_motion_is_not(make_clip, moving) -> None:
    path = make_clip("cut.mp4", np.concatenate([moving(20, seed=1), moving(15, seed=2)]))
    seen = survey(path, IngestConfig())
    assert [(shot.first, shot.last) for shot in seen.shots] == [(0, 20), (20, 35)]
    assert [shot.start_s for shot in seen.shots] == pytest.approx([0.0, 2.0])
    assert [shot.end_s for shot in seen.shots] == pytest.approx([2.0, 3.5], abs=0.05)


def test_cut_right_after_the_first_picture_is_found(make_clip, moving) -> None:
    title = np.full((1, 72, 128, 3), 250, np.uint8)
    seen = survey(make_clip("title.mp4", np.concatenate([title, moving(15)])), IngestConfig())
    assert [shot.first for shot in seen.shots] == [0, 1]


def test_pictures_held_for_several_frames_are_no_cuts(make_clip, moving) -> None:
    """A 5 Hz log of fast motion, played at 30 Hz: every sixth frame jumps."""
    big = np.stack([np.roll(moving(1)[0], 11 * n, axis=1) for n in range(12)])
    seen = survey(make_clip("held.mp4", np.repeat(big, 6, axis=0), fps=30.0), IngestConfig())
    assert len(seen.shots) == 1


def test_a_pause_ends_a_shot(make_clip, moving) -> None:
    times_s = np.arange(20) / 10 + np.where(np.arange(20) >= 12, 5.0, 0.0)
    seen = survey(make_clip("pause.mp4", moving(20), times_s=times_s), IngestConfig())
    assert [(shot.first, shot.last) for shot in seen.shots] == [(0, 12), (12, 20)]
    assert seen.shots[0].end_s == pytest.approx(1.1 + 1.0)
    assert seen.shots[1].start_s == pytest.approx(6.2)


def test_long_shots_come_in_pieces_that_hold_every_frame(make_clip, moving) -> None:
    seen = survey(make_clip("long.mp4", moving(80)), IngestConfig(max_shot_s=2.0))
    ends = [shot.last for shot in seen.shots]
    assert [shot.first for shot in seen.shots] == [0, *ends[:-1]] and ends[-1] == 80
    assert max(shot.end_s - shot.start_s for shot in seen.shots) < 2.5


def _look(pictures: np.ndarray) -> Look:
    """Pictures as `survey` hands them over: 0.1 s apart here, and larger grey ones for text."""
    large = [cv2.resize(cv2.cvtColor(p, cv2.COLOR_RGB2GRAY), (480, 270)) for p in pictures[::10]]
    return look_at(pictures, 0.1, np.stack(large))


def _reason(pictures: np.ndarray) -> str:
    return verdict(_look(pictures), frames=20, rate_hz=10.0, config=IngestConfig()).reason


def test_reasons(moving) -> None:
    usable = moving(20)
    assert _reason(usable) == "ok"
    noise = np.random.default_rng(0).integers(-4, 5, usable.shape)
    still = np.clip(usable[:1] + noise, 0, 255).astype(np.uint8)
    assert _reason(still) == "static"
    assert _reason(usable // 16) == "black"
    slide = np.full_like(usable, 255)
    slide[:, 20:40, 20:60] = usable[:, 20:40, 20:60]
    assert _reason(slide) == "diagram"
    assert _reason(np.concatenate([usable, moving(20, seed=3)], axis=2)) == "panels"
    small = np.stack([cv2.resize(picture, (64, 36)) for picture in usable])
    others = [np.stack([cv2.resize(p, (64, 36)) for p in moving(20, seed=s)]) for s in (5, 6, 7)]
    rows = [np.concatenate(pair, axis=2) for pair in ([small, others[0]], others[1:])]
    gap = np.zeros((20, 2, 128, 3), np.uint8)
    mosaic = np.concatenate([rows[0], gap, rows[1]], axis=1)
    mosaic[:, :, 63:65] = 0
    assert _reason(mosaic) == "panels"


@pytest.mark.parametrize("level", [3, 252])
def test_bars_are_outside_the_box(moving, level) -> None:
    framed = np.full((20, 90, 128, 3), level, np.uint8)
    framed[:, 9:81] = moving(20)
    left, top, right, bottom = _look(framed).box
    assert (left, right) == (0, 1)
    assert top == pytest.approx(0.1, abs=0.02) and bottom == pytest.approx(0.9, abs=0.02)


def test_a_dark_scene_is_not_taken_for_bars(moving) -> None:
    dark = np.zeros((20, 72, 128, 3), np.uint8)
    dark[:, 30:40, 60:70] = moving(20)[:, 30:40, 60:70]
    assert _look(dark).box == (0, 0, 1, 1)


@pytest.mark.corpus
@pytest.mark.parametrize("name", CUTS)
def test_labelled_cuts_of_real_clips(corpus: Path, name: str) -> None:
    seen = survey(corpus / "clips" / name, IngestConfig())
    assert [shot.first for shot in seen.shots] == [0, *CUTS[name]]
