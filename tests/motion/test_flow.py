"""Every estimator answers the same way; a clip's flow is its pairs' flow; errors name the mend."""

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from robowm.errors import UserError
from robowm.motion.config import MotionConfig
from robowm.motion.dis import filled
from robowm.motion.flow import clip_flows, consistent, flow_pair, flow_pairs

SHIFT = np.array([2.0, -1.0])


def shifted(size_px: int = 64, frames: int = 4) -> np.ndarray:
    """uint8 (T, S, S, 3): a texture that moves by SHIFT a frame."""
    rng = np.random.default_rng(0)
    side = size_px + 96
    wide = sum(
        cv2.resize(rng.normal(size=(side // b, side // b, 3)), (side, side), interpolation=2)
        for b in (4, 8, 16)
    )
    wide = (128 + 40 * wide / wide.std()).clip(0, 255).astype(np.uint8)
    at = [(40 - SHIFT * t).astype(int) for t in range(frames)]
    return np.stack([wide[y : y + size_px, x : x + size_px] for x, y in at])


@pytest.mark.parametrize("size_px", [64, 288])  # one search, and two passes
@pytest.mark.parametrize("estimator", ["dis", "farneback"])
def test_flow_is_the_shift_x_before_y_in_pixels(estimator, size_px) -> None:
    frames = shifted(size_px)
    forward, backward = flow_pair(frames[0], frames[1], MotionConfig(estimator=estimator))
    assert forward.dtype == backward.dtype == np.float32
    assert forward.shape == backward.shape == (size_px, size_px, 2)
    inner = (slice(10, -10), slice(10, -10))
    assert np.linalg.norm(forward[inner] - SHIFT, axis=-1).mean() < 0.2
    assert np.linalg.norm(backward[inner] + SHIFT, axis=-1).mean() < 0.2
    assert consistent(forward, backward)[inner].all()


@pytest.mark.parametrize("estimator", ["dis", "farneback"])
def test_a_pair_has_one_flow_alone_in_a_batch_and_in_a_clip(estimator) -> None:
    config = MotionConfig(estimator=estimator)
    frames = shifted()
    in_clip = [*clip_flows(frames, config)]
    batched = flow_pairs(frames[:-1], frames[1:], config)
    assert len(in_clip) == 3 and batched[0].shape == (3, 64, 64, 2)
    for t, flows in enumerate(in_clip):
        alone = flow_pair(frames[t], frames[t + 1], config)
        for k in range(2):
            np.testing.assert_array_equal(flows[k], alone[k])
            np.testing.assert_array_equal(batched[k][t], alone[k])


def test_flow_does_not_depend_on_the_number_of_threads() -> None:
    frames = shifted(100)
    before = cv2.getNumThreads()
    try:
        found = []
        for threads in (1, 2, 5):
            cv2.setNumThreads(threads)
            found.append(flow_pair(frames[0], frames[1])[0])
    finally:
        cv2.setNumThreads(before)
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_a_clip_of_one_frame_has_no_flow() -> None:
    assert [*clip_flows(shifted(frames=1))] == []


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (MotionConfig(estimator="diss"), "Did you mean 'dis'"),  # type: ignore[arg-type]
        (MotionConfig(dis_preset="fat"), "Did you mean 'fast'"),  # type: ignore[arg-type]
    ],
)
def test_unknown_names_are_answered_with_the_nearest(config, words) -> None:
    with pytest.raises(UserError, match=words):
        flow_pair(*shifted(frames=2), config)


def test_dis_needs_no_torch() -> None:
    import subprocess

    code = (
        "import sys, numpy as np\n"
        "from robowm.motion.camera import motion_between\n"
        "import robowm.motion.store\n"
        "motion_between(*np.zeros((2, 64, 64, 3), np.uint8))\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_two_ways_of_a_still_picture_are_still() -> None:
    picture = shifted(300, frames=1)[0]
    forward, backward = flow_pair(picture, picture)
    assert np.abs(forward).max() < 0.05 and np.abs(backward).max() < 0.05


def test_what_was_filled_in_is_not_trusted() -> None:
    frames = shifted(288, frames=2)
    frames[1, 100:160, 100:160] = np.random.default_rng(1).integers(0, 255, (60, 60, 3))
    ((forward, _, trusted),) = clip_flows(frames)
    assert trusted[20:80, 20:80].all() and trusted[110:150, 110:150].mean() < 0.5
    around = np.linalg.norm(forward[110:150, 110:150] - SHIFT, axis=-1)
    assert np.median(around) < 0.5 * np.linalg.norm(SHIFT)  # near what surrounds it


def test_filling_keeps_the_trusted_and_continues_them() -> None:
    y, x = np.mgrid[:40, :60].astype(np.float32)
    plane = np.stack([0.1 * x, 3 - 0.05 * y], axis=-1)
    trusted = np.ones((40, 60), bool)
    trusted[10:22, 20:40] = False
    found = filled(np.where(trusted[..., None], plane, 50), trusted)
    np.testing.assert_allclose(found[trusted], plane[trusted], atol=1e-5)
    assert np.abs(found - plane).max() < 1.2  # the hole spans 2 px of x flow: halfway is 1
    none = np.zeros_like(trusted)
    np.testing.assert_array_equal(filled(plane, none), plane)


@pytest.mark.corpus
def test_the_default_halves_farnebacks_error_where_the_truth_is_known(corpus: Path) -> None:
    folder = corpus / "flow"
    paths = sorted((folder / "sintel_clean_easy").glob("*.png"))
    frames = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in paths]
    raw = (folder / "sintel_gt_easy" / "frame_0002.flo").read_bytes()
    width, height = np.frombuffer(raw, "<i4", 2, 4)
    truth = np.frombuffer(raw, "<f4", width * height * 2, 12).reshape(height, width, 2)

    def error(config: MotionConfig) -> float:
        flow, _ = flow_pair(*frames, config)
        return float(np.linalg.norm(flow - truth, axis=-1).mean())

    assert error(MotionConfig()) < 0.5 * error(MotionConfig(estimator="farneback"))
