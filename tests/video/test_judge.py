"""Slide shows, burnt-in text, split screens and captions in bars; every reason has its score."""

import cv2
import numpy as np
import pytest

from robowm.video.config import IngestConfig
from robowm.video.judge import REASONS, look_at, verdict
from robowm.video.layout import inside_bars
from robowm.video.lettering import text_share
from robowm.video.stills import action_s

WORDS = "the robot puts a cup on the table"


def _slides(moving, count: int = 4, each: int = 8) -> np.ndarray:
    return np.concatenate([np.repeat(moving(1, seed=s), each, axis=0) for s in range(count)])


def _pushed(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    both = np.concatenate([first, second], axis=1)
    return np.stack([both[:, x : x + 128] for x in (32, 64, 96)])


def test_slide_shows_hold_no_action(moving) -> None:
    assert action_s(_slides(moving), 0.2) == 0
    a, b = moving(1, seed=1)[0], moving(1, seed=2)[0]
    held = [np.repeat(x[None], 10, axis=0) for x in (a, b)]
    pushed = np.concatenate([held[0], _pushed(a, b), held[1]])
    assert action_s(pushed, 0.2) == 0
    assert action_s(moving(30), 0.2) > 2


def test_a_pan_over_a_photograph_is_no_action_but_an_arm_under_a_moving_camera_is(moving) -> None:
    rng = np.random.default_rng(0)
    photo = cv2.resize(rng.integers(0, 255, (30, 40, 3), dtype=np.uint8), (240, 180))
    at = [(40 + 2 * n, 40 + n) for n in range(25)]
    pan = np.stack([photo[y : y + 72, x : x + 128] for x, y in at])
    assert action_s(pan, 0.2) == 0
    with_arm = pan.copy()
    for n, frame in enumerate(with_arm):
        cv2.circle(frame, (110 - 4 * n, 36), 16, (250, 40, 20), -1)
    assert action_s(with_arm, 0.2) > 2


@pytest.mark.parametrize(("lines", "most", "least"), [(0, 0.02, 0), (1, 0.12, 0.02), (8, 1, 0.3)])
def test_text_is_measured(moving, lines: int, most: float, least: float) -> None:
    frames = []
    for picture in moving(4, height=270, width=480):
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
        for n in range(lines):
            for level, thick in ((0, 4), (255, 1)):
                at = (8, 28 + 30 * n)
                cv2.putText(grey, WORDS, at, cv2.FONT_HERSHEY_SIMPLEX, 0.75, level, thick)
        frames.append(grey)
    assert least <= text_share(np.stack(frames)) <= most


@pytest.mark.parametrize("across", [False, True])
def test_a_caption_in_a_bar_goes_with_the_bar(moving, across: bool) -> None:
    framed = np.zeros((20, 112, 128, 3), np.uint8)
    framed[:, 20:92] = moving(20)
    for frame in framed:
        cv2.putText(frame, "2x speed", (30, 106), cv2.FONT_HERSHEY_SIMPLEX, 0.35, (255,) * 3, 1)
    if across:
        framed = framed.swapaxes(1, 2)
    left, top, right, bottom = inside_bars(framed.min(0), framed.max(0))
    begin, end, whole = (left, right, (top, bottom)) if across else (top, bottom, (left, right))
    assert whole == (0, 1)
    assert begin == pytest.approx(20 / 112, abs=0.02) and end == pytest.approx(92 / 112, abs=0.02)


def test_every_verdict_names_its_measure_and_limit(moving) -> None:
    config = IngestConfig()
    grey = np.full((3, 270, 480), 90, np.uint8)

    def judged(pictures: np.ndarray, frames: int = 20, rate_hz: float = 10.0):
        return verdict(look_at(pictures, 0.2, grey), frames, rate_hz, config)

    beside = np.concatenate([moving(20), moving(20, seed=3)], axis=2)
    split = np.stack([cv2.resize(frame, (128, 72)) for frame in beside])
    split[..., :64, :] //= 2
    white = np.full_like(moving(20), 255)
    white[:, 20:50, 30:90] = moving(20)[:, 20:50, 30:90]
    expected = {
        "too_short": (judged(moving(20), frames=2), "frames"),
        "slow_rate": (judged(moving(20), rate_hz=1.0), "rate_hz"),
        "black": (judged(moving(20) // 16), "brightness"),
        "static": (judged(np.repeat(moving(1), 20, axis=0)), "moved"),
        "stills": (judged(_slides(moving)), "action_s"),
        "diagram": (judged(white), "white"),
        "panels": (judged(split), "split"),
    }
    for reason, (found, measure) in expected.items():
        assert (found.reason, found.measure) == (reason, measure)
        assert found.score is not None and found.limit is not None and reason in REASONS
        below = measure in ("frames", "rate_hz", "brightness", "moved", "action_s")
        assert found.score < found.limit if below else found.score > found.limit
    assert judged(moving(20)).reason == "ok"
