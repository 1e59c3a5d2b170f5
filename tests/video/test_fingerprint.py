"""Copies are recognised by how they move, in constant memory a shot."""

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from robowm.video.config import IngestConfig
from robowm.video.fingerprint import BYTES, Copies, distances, fingerprint
from robowm.video.ingest import ingest

LIMIT = IngestConfig().max_copy_distance


def _episode(path_seed: int, count: int = 30, scene_seed: int = 0) -> np.ndarray:
    """uint8 (T, 72, 128, 3): an arm's random walk over a fixed scene."""
    coarse = np.random.default_rng(scene_seed).integers(40, 200, (6, 8, 3)).astype(np.uint8)
    scene = cv2.resize(coarse, (128, 72), interpolation=cv2.INTER_CUBIC)
    rng = np.random.default_rng([9, path_seed])
    knots = rng.uniform([12, 12], [116, 60], (5, 2))
    at = np.linspace(0, 4, count)
    x, y = (np.interp(at, range(5), knots[:, axis]) for axis in (0, 1))
    frames = np.repeat(scene[None], count, axis=0)
    for frame, centre in zip(frames, zip(x, y, strict=True), strict=True):
        end = round(centre[0]), round(centre[1])
        cv2.line(frame, (64, 0), end, (230, 230, 240), 9)
        cv2.circle(frame, end, 11, (20, 20, 30), -1)
    return frames


def test_copies_are_near_and_other_episodes_of_the_scene_are_not() -> None:
    original = fingerprint(_episode(0))
    assert len(original) == BYTES
    rng = np.random.default_rng(1)
    noisy = np.clip(_episode(0) + rng.normal(0, 6, (30, 72, 128, 3)), 0, 255).astype(np.uint8)
    copies = {
        "noise": noisy,
        "half size": np.stack([cv2.resize(f, (64, 36)) for f in _episode(0)]),
        "4:3": np.stack([cv2.resize(f, (96, 72)) for f in _episode(0)]),
        "brighter": (_episode(0) * 0.9 + 12).astype(np.uint8),
        "half rate": _episode(0)[::2],
        "faster": _episode(0, count=24),
        "one look late": _episode(0)[1:],
    }
    for name, pictures in copies.items():
        assert distances(fingerprint(pictures), [original])[0] <= LIMIT, name
    others = [fingerprint(_episode(n)) for n in range(1, 25)]
    assert distances(original, others).min() > LIMIT
    assert (distances(original, [fingerprint(_episode(0, scene_seed=7))]) == 1).all()


def test_copies_remembers_what_was_added() -> None:
    copies = Copies()
    assert copies.nearest(fingerprint(_episode(0))) == (1.0, -1, 0.0)
    for n in range(300):
        copies.add(fingerprint(_episode(n, count=8)), n, n / 2)
    assert len(copies) == 300
    assert copies.nearest(fingerprint(_episode(277, count=8))) == (0.0, 277, 138.5)


@pytest.mark.parametrize("limit", [LIMIT, -1.0])
def test_ingest_drops_a_scaled_and_compressed_copy(make_clip, tmp_path, limit: float) -> None:
    make_clip("clips/a.mp4", _episode(0))
    make_clip("clips/b.mp4", _episode(1))
    small = [cv2.resize(f, (96, 54)) for f in _episode(0)]
    make_clip("clips/c.mkv", small, crf="32")
    config = IngestConfig(size_px=16, max_copy_distance=limit)
    done = ingest([tmp_path / "clips"], tmp_path / "out", config)
    rows = pq.read_table(done.manifest).to_pylist()
    if limit < 0:
        assert [row["reason"] for row in rows] == ["ok"] * 3
        return
    assert [row["reason"] for row in rows] == ["ok", "ok", "duplicate"]
    copy = rows[2]
    assert copy["note"] == "copy of clips/a.mp4 from 0.00 s"
    assert (copy["measure"], copy["limit"], copy["episode_index"]) == ("copy_distance", LIMIT, -1)
    assert copy["score"] <= LIMIT < rows[1]["copy_distance"]
    assert (done.shots, done.frames) == ({"ok": 2, "duplicate": 1}, 60)
