"""The battery tells labels that are the action from noise and from pictures; formulas by hand."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from robowm.batch import LatentActions
from robowm.episodes import Episodes, EpisodeWriter, image_feature, vector_feature
from robowm.errors import UserError
from robowm.latent.labeller import Pairs
from robowm.latent.reality import leaks, redraw, transfer, truth
from robowm.latent.reality.algebra import Related, additivity, algebra, relate, reversal, spcfc
from robowm.latent.reality.battery import moving_tests
from robowm.latent.reality.codebook import codebook_use, perplexity
from robowm.latent.reality.footage import Measured, draw_sample, measure_pairs, other_episode
from robowm.latent.reality.probes import probe_one
from robowm.latent.reality.result import Result, not_run
from robowm.latent.reality.truth import mean_flow, read_truth
from robowm.latent.reality.verdict import MISSED, NOTHING, REAL, judge
from robowm.metrics.bootstrap import Estimate
from robowm.motion.camera import MotionConfig, motion_between

SIZE, SIDE, CODES, REACH = 64, 22, 8, 4.0
CAMERA = "observation.images.main"


@dataclass(frozen=True)
class FakeConfig:
    motion: MotionConfig = field(default_factory=MotionConfig)
    size_px: int = SIZE
    codes: int = CODES


class Oracle:
    """Its latent actions are the square's displacement; it redraws by moving the square."""

    def __init__(self) -> None:
        self.config = FakeConfig()
        self.known: dict[bytes, tuple[int, np.ndarray]] = {}

    def render(self, seed: int, centre: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng(seed)
        scene = cv2.resize(rng.integers(60, 200, (16, 16, 3), dtype=np.uint8), (SIZE, SIZE))
        tile = cv2.resize(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8), (SIDE, SIDE))
        move = np.column_stack([np.eye(2), centre - SIDE / 2])
        drawn = cv2.warpAffine(tile, move, (SIZE, SIZE))
        alpha = cv2.warpAffine(np.ones((SIDE, SIDE), np.float32), move, (SIZE, SIZE))[..., None]
        frame = (scene * (1 - alpha) + drawn * alpha).round().clip(0, 255).astype(np.uint8)
        self.known[frame.tobytes()] = (seed, centre)
        return frame

    def pairs(self, first: np.ndarray, second: np.ndarray) -> Pairs:
        moves = np.stack([self._move(a, b) for a, b in zip(first, second, strict=True)])
        bins = ((moves / (2 * REACH) + 0.5) * CODES).astype(np.int64).clip(0, CODES - 1)
        latent = moves[:, :, None].astype(np.float32)
        return Pairs(latent, bins, np.ones(len(moves), bool))

    def _move(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        a, b = self.known.get(first.tobytes()), self.known.get(second.tobytes())
        if a and b and a[0] == b[0]:
            return b[1] - a[1]
        motion = motion_between(first, second, self.config.motion)
        return mean_flow(motion.flow, motion.mask).astype(float)

    def clip(self, frames: np.ndarray) -> LatentActions:
        pairs = self.pairs(frames[:-1], frames[1:])
        flat = pairs.latent.reshape(len(pairs.latent), -1)
        return LatentActions(pairs.codes, flat, pairs.valid)

    def imagine(self, first: np.ndarray, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        frames, flows = [], np.zeros((len(first), SIZE, SIZE, 2), np.float32)
        for i, move in enumerate(latent[..., 0].astype(float)):
            seed, centre = self.known[first[i].tobytes()]
            frames.append(self.render(seed, centre + move))
            x, y = (int(v) for v in centre - SIDE / 2)
            flows[i, y : y + SIDE, x : x + SIDE] = move
        return np.stack(frames), flows


class Noise(Oracle):
    """Latent actions that have nothing to do with the frames; it redraws the first frame."""

    def pairs(self, first: np.ndarray, second: np.ndarray) -> Pairs:
        rng = np.random.default_rng(int(second.astype(np.int64).sum()))
        latent = rng.normal(size=(len(first), 2, 1)).astype(np.float32)
        codes = rng.integers(0, CODES, (len(first), 2))
        return Pairs(latent, codes, np.ones(len(first), bool))

    def imagine(self, first: np.ndarray, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        flow = np.random.default_rng(0).normal(size=(len(first), 1, 1, 2))
        return first, np.broadcast_to(flow, (len(first), SIZE, SIZE, 2)).astype(np.float32)


class PictureCode(Oracle):
    """Its latent action is the next frame itself, so it redraws anything."""

    def pairs(self, first: np.ndarray, second: np.ndarray) -> Pairs:
        pictures = [motion_between(a, b).next_frame for a, b in zip(first, second, strict=True)]
        latent = np.stack(pictures).reshape(len(first), 1, -1).astype(np.float32)
        codes = (latent[..., :2].reshape(len(first), 2) % CODES).astype(np.int64)
        return Pairs(latent, codes, np.ones(len(first), bool))

    def imagine(self, first: np.ndarray, latent: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        drawn = latent.reshape(first.shape).astype(np.uint8)
        return drawn, np.zeros((len(first), SIZE, SIZE, 2), np.float32)


ORACLE = Oracle()


@pytest.fixture(scope="module")
def squares(tmp_path_factory: pytest.TempPathFactory) -> Episodes:
    """Six episodes of a square that moves by its action, up to 3 pixels a step."""
    root = tmp_path_factory.mktemp("squares") / "ds"
    features = {
        CAMERA: image_feature(SIZE),
        "action": vector_feature("float32", ["dx_px", "dy_px", "gripper"]),
    }
    writer = EpisodeWriter(root, 10, features, "square")
    for seed in range(6):
        rng = np.random.default_rng(seed)
        aims = rng.uniform(SIDE / 2 + 8, SIZE - SIDE / 2 - 8, (4, 2))
        centres = np.concatenate(
            [a + (b - a) * np.linspace(0, 1, 7)[:-1, None] for a, b in pairwise(aims)]
        ) + rng.uniform(-1, 1, (18, 2))
        moves = np.vstack([np.diff(centres, axis=0), np.zeros((1, 2))])
        writer.add(
            {
                CAMERA: np.stack([ORACLE.render(seed, c) for c in centres]),
                "action": np.column_stack([moves, np.ones(18)]).astype(np.float32),
            },
            "",
        )
    writer.close()
    return Episodes(root)


def battery(labeller: Oracle, episodes: Episodes) -> dict[str, Result]:
    """All but the leaks, without their minutes of MLP probes."""
    labeller.known = ORACLE.known
    chosen = list(range(len(episodes)))
    readings = read_truth(labeller, Noise(), episodes, CAMERA, chosen, "action")
    assert not isinstance(readings, str)
    sample = draw_sample(labeller, episodes, CAMERA, chosen, 30)
    assert not isinstance(sample, str)
    moved = transfer.transfer_to_others(labeller, sample.now)
    clips = [labeller.clip(episodes.frames(i, CAMERA)) for i in chosen]
    results = [
        probe_one("linear", readings, None, False, 3),
        transfer.transfer(sample.now, moved),
        transfer.cycle(labeller, sample.now, moved),
        redraw.psnr_gain(labeller, sample.now),
        *algebra(relate(labeller, sample)),
        redraw.cut_test(labeller, sample.now),
        codebook_use(clips, CODES),
    ]
    return {result.name: result for result in results}


def test_labels_that_are_the_action_pass(squares: Episodes) -> None:
    found = battery(Oracle(), squares)
    for name in ("probe_linear", "transfer", "cycle", "psnr_gain", "spcfc", "cut", "codebook"):
        assert found[name].passed, (name, found[name])
    value = found["probe_linear"].value
    assert value is not None and value.value > 0.99 and value.low is not None and value.low > 0.98
    dims = found["probe_linear"].details["per_dimension"]["latent actions"]
    assert np.isnan(dims["gripper"])  # it never varies: left out, not a perfect score
    assert found["reversal"].value == Estimate(0, 0, 0)
    verdict = judge(list(found.values()))
    assert verdict.outcome in (REAL, MISSED) and not verdict.no_better


def test_noise_fails_loudly(squares: Episodes) -> None:
    found = battery(Noise(), squares)
    verdict = judge(list(found.values()))
    assert verdict.outcome == NOTHING and found["probe_linear"].title in verdict.no_better
    assert "NOT shown to be better" in verdict.sentence
    without_truth = judge([r for name, r in found.items() if name != "probe_linear"])
    assert without_truth.outcome == NOTHING
    assert {found["transfer"].title, found["psnr_gain"].title} <= set(without_truth.no_better)


def test_a_picture_code_fails_the_cut_test(squares: Episodes) -> None:
    labeller = PictureCode()
    sample = draw_sample(labeller, squares, CAMERA, range(6), 30)
    assert not isinstance(sample, str)
    cut = redraw.cut_test(labeller, sample.now)
    assert not cut.passed and cut.better is False
    assert redraw.psnr_gain(labeller, sample.now).passed  # what it draws is good: that is the trap
    assert judge([cut]).outcome == NOTHING


def test_camera_motion_leaks_only_without_compensation(squares: Episodes) -> None:
    labeller, without = Oracle(), Oracle()
    without.config = FakeConfig(MotionConfig(compensate_camera=False))
    sample = draw_sample(labeller, squares, CAMERA, range(6), 30)
    assert not isinstance(sample, str)
    leak = leaks.camera_leak(labeller, without, sample.now, ("linear",))
    assert leak.value is not None and leak.passed
    assert leak.baselines["latents, compensation off"].value > leak.value.value + 0.2
    own = leaks.camera_leak(without, None, sample.now, ("linear",))
    assert not own.passed


def test_a_passing_patch_is_in_the_flow_and_not_in_noise(squares: Episodes) -> None:
    sample = draw_sample(Oracle(), squares, CAMERA, range(6), 30)
    assert not isinstance(sample, str)
    leak = leaks.distractor_leak(Oracle(), sample.now, ("linear",))
    noise = leaks.distractor_leak(Noise(), sample.now, ("linear",))
    assert leak.value is not None and noise.value is not None
    assert leak.baselines["flow at the object"].value > 0.8  # it is there to be seen
    assert leak.baselines["flow on a 4x4 grid"].value > leak.value.value + 0.1
    assert noise.value.value < 0.05 and noise.passed


def test_a_missing_truth_is_no_failure() -> None:
    absent = not_run("probe_linear", "True action", "no truth")
    fine = Result("psnr_gain", "ΔPSNR", Estimate(3, 2.5, 3.5), passed=True, better=True)
    verdict = judge([absent, fine])
    assert verdict.outcome == REAL and verdict.not_run == ["True action: no truth"]
    assert "Nothing was compared with true actions" in verdict.sentence


def test_one_probe_is_enough_and_a_missed_gate_is_no_nothing() -> None:
    linear = Result("probe_linear", "ridge", Estimate(0.1), passed=False, better=False)
    mlp = Result("probe_mlp", "MLP", Estimate(0.5), passed=False, better=True)
    assert judge([linear, mlp]).outcome == MISSED
    assert judge([linear, replace(mlp, better=False)]).outcome == NOTHING


def test_a_weak_picture_alone_is_no_nothing() -> None:
    flow = Result("transfer", "transfer", Estimate(0.6), passed=False, better=True)
    picture = Result("psnr_gain", "ΔPSNR", Estimate(0.0), passed=False, better=False)
    assert judge([flow, picture]).outcome == MISSED
    assert judge([replace(flow, better=False), picture]).outcome == NOTHING
    action = Result("probe_linear", "ridge", Estimate(0.5), passed=True, better=True)
    assert judge([action, replace(flow, better=False), picture]).outcome == MISSED
    collapsed = Result("codebook", "codes", Estimate(1.0), passed=False, better=False)
    assert judge([action, collapsed]).outcome == NOTHING


def test_the_shaken_camera_moves_by_its_truth(squares: Episodes) -> None:
    first = np.stack([squares.frames(i, CAMERA)[0] for i in range(4)])
    still = measure_pairs(Oracle(), first, first, np.arange(4))
    shaken = leaks.shake(still)
    centre = np.array([(SIZE - 1) / 2] * 2)
    for a, b, (dx, dy, degrees, zoom) in zip(
        shaken.first, shaken.second, shaken.truth, strict=True
    ):
        camera = motion_between(a, b).camera.astype(float)
        # what the camera does, the picture does the other way round
        back = np.linalg.inv(camera[:, :2])
        assert back @ (centre - camera[:, 2]) - centre == pytest.approx([dx, dy], abs=0.35)
        assert np.rad2deg(np.arctan2(back[1, 0], back[0, 0])) == pytest.approx(degrees, abs=0.4)
        assert np.log(np.hypot(back[0, 0], back[1, 0])) == pytest.approx(zoom, abs=0.01)


def test_the_distractor_keeps_away_from_what_moves() -> None:
    moving = np.zeros((SIZE, SIZE), bool)
    moving[:, :32] = True
    x, _ = leaks.quiet_corner(moving, 12, np.random.default_rng(0))
    assert x >= 32


def test_transfer_cosines_by_hand() -> None:
    source = np.zeros((1, 64, 64, 2), np.float32)
    source[0, :32, :, 0] = 2
    where = np.linalg.norm(source, axis=-1) > 0.5
    elsewhere = np.zeros_like(source)
    elsewhere[0, 32:, :, 0] = 3  # the same direction, in another place
    assert transfer.motion_cosine(elsewhere, source, where) == pytest.approx(1)
    assert transfer.pixel_cosine(elsewhere, source, where) == pytest.approx(0)
    half = source.copy()
    half[0, :16, :, 0] = -2
    assert transfer.pixel_cosine(half, source, where) == pytest.approx(0)
    faint = 0.1 * source  # under half a pixel nothing counts as moved
    assert transfer.motion_cosine(faint, source, where) == pytest.approx(0)


def test_chance_agreement_by_hand() -> None:
    codes = np.array([[0, 1], [0, 1], [0, 2], [1, 2]])
    assert transfer.chance_agreement(codes).tolist() == [0.625, 0.625, 0.625, 0.375]


def test_algebra_by_hand() -> None:
    rng = np.random.default_rng(0)
    episode = np.repeat(np.arange(4), 25)
    ab, bc = rng.normal(size=(2, 100, 3))
    perfect = Related(ab, bc, -bc, ab + bc, ab, ab, episode)
    other = other_episode(episode, rng)
    value = reversal(perfect, other).value
    assert value is not None and value.value == pytest.approx(0)
    value = additivity(perfect, other).value
    assert value is not None and value.value == pytest.approx(0)
    unrelated = replace(perfect, cb=rng.normal(size=(100, 3)))
    value = reversal(unrelated, other).value
    assert value is not None and 0.8 < value.value < 1.25
    picture = replace(perfect, cb=ab)  # both hold the frame in the middle
    value = spcfc(picture, other).value
    assert value is not None and value.value == pytest.approx(1)


def test_codebook_figures() -> None:
    assert perplexity(np.array([5.0, 5, 5, 5])) == pytest.approx(4)
    assert perplexity(np.array([7.0, 0, 0])) == pytest.approx(1)

    def labels(codes: np.ndarray) -> LatentActions:
        return LatentActions(codes, codes.astype(np.float32), np.ones(len(codes), bool))

    rng = np.random.default_rng(0)
    lively = codebook_use([labels(rng.integers(0, 8, (20, 2))) for _ in range(6)], 8)
    assert lively.passed and lively.better and lively.details["dead_codes"] == 0
    constant = codebook_use([labels(np.full((20, 2), i)) for i in range(8)], 8)
    assert not constant.passed and constant.details["constant_clips"] == 1
    collapsed = codebook_use([labels(np.full((20, 2), 3)) for _ in range(6)], 8)
    assert collapsed.better is False and collapsed.details["dead_codes"] == 7


def test_dims_by_number_and_name() -> None:
    names = ["x", "y", "gripper"]
    assert truth.pick_dims(names, None) == [0, 1, 2]
    assert truth.pick_dims(names, "2, x") == [2, 0]
    with pytest.raises(UserError, match=r"--dims 'z': expected 0 to 2 or a name\. Allowed"):
        truth.pick_dims(names, "z")


def test_span_puts_transitions_side_by_side() -> None:
    values = np.arange(4)[:, None]
    assert truth.stack(values, 1).tolist() == [[0], [1], [2], [3]]
    assert truth.stack(values, 3).tolist() == [[0, 1, 2], [1, 2, 3]]


def test_truth_is_read_beside_the_transitions_that_follow_it(squares: Episodes) -> None:
    labeller = Oracle()
    labeller.known = ORACLE.known
    found = read_truth(labeller, Noise(), squares, CAMERA, [0, 1], "action", "dx_px,1", span=2)
    assert not isinstance(found, str)
    assert found.dims == ["dx_px", "dy_px"] and len(found.truth) == 2 * 16  # of 17 transitions
    own = found.features["latent"]
    assert own.shape[1] == 4 and found.features["flow grid"].shape[1] == 64
    # z_t is the truth of row t, and z_t+1 stands beside it
    np.testing.assert_allclose(own[:, :2], found.truth, atol=1e-5)
    np.testing.assert_allclose(own[:15, 2:], found.truth[1:16], atol=1e-5)
    assert found.camera_px < 0.25  # the camera stands still: the higher gate holds
    constant = read_truth(labeller, Noise(), squares, CAMERA, [0, 1], "action", "gripper")
    assert constant == "nothing in 'action' varies in these episodes"
    alone = read_truth(labeller, Noise(), squares, CAMERA, [0], "action")
    assert isinstance(alone, str) and "at least two episodes" in alone


@pytest.mark.parametrize("rows", [40, 8])  # more and fewer rows than columns
def test_principal_components_are_the_strongest(rows: int) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(rows, 12)) * np.array([9, 5] + [0.1] * 10) + 3
    found = truth.principal(values, 2)
    centred = values - values.mean(0)
    assert found[:, 0] @ found[:, 1] == pytest.approx(0, abs=1e-6)
    spread = (found**2).sum(0)
    assert spread[0] > spread[1] and 0.98 < spread.sum() / (centred**2).sum() < 1


def test_nothing_moves(make_dataset: Callable[..., Path], tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "still", 10, {CAMERA: image_feature(SIZE)})
    for seed in range(2):
        frame = np.random.default_rng(seed).integers(0, 255, (SIZE, SIZE, 3), dtype=np.uint8)
        writer.add({CAMERA: np.stack([frame] * 5)}, "")
    writer.close()
    episodes = Episodes(tmp_path / "still")
    reason = draw_sample(Oracle(), episodes, CAMERA, [0, 1], 10)
    assert isinstance(reason, str) and "nothing moves" in reason
    assert all(r.passed is None and r.reason == reason for r in moving_tests(Oracle(), reason))


def test_masked_flow_is_no_motion() -> None:
    flow = np.full((1, 64, 64, 2), 3, np.float32)
    mask = np.zeros((1, 64, 64), bool)
    sample = Measured(*[np.zeros(0)] * 10)
    assert len(sample) == 0
    assert mean_flow(flow[0], mask[0]).tolist() == [0, 0]
