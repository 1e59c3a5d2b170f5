"""Measuring a dataset's motion: rows, order, processes, and going on after a kill."""

import os
from pathlib import Path

import numpy as np
import pytest

from robowm.episodes import Episodes
from robowm.errors import UserError
from robowm.latent.transitions import _workers, measure
from robowm.motion import store as motion_store
from robowm.motion.config import MotionConfig
from robowm.motion.store import ARRAYS, DONE, FACTS, open_array

CAMERA = "observation.images.main"


@pytest.fixture(scope="module")
def episodes(make_dataset, tmp_path_factory):
    return Episodes(make_dataset(tmp_path_factory.mktemp("measure") / "data", 4, length=5))


@pytest.fixture(scope="module")
def measured(episodes, tmp_path_factory):
    return measure(episodes, CAMERA, tmp_path_factory.mktemp("m") / "one", MotionConfig(), 1)


def assert_same(a, b) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(a.arrays[name], b.arrays[name])
    for name in [*FACTS, "rows", "episode"]:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))


def test_rows_are_all_but_each_episodes_last(measured) -> None:
    assert measured.rows.tolist() == [n for n in range(20) if n % 5 != 4]
    assert measured.episode.tolist() == [n // 4 for n in range(16)]
    assert measured.valid.all()


def test_two_processes_measure_the_same(episodes, measured, tmp_path) -> None:
    assert_same(measure(episodes, CAMERA, tmp_path, MotionConfig(), workers=2), measured)


def test_it_goes_on_with_the_episodes_that_are_left(
    episodes, measured, tmp_path, monkeypatch
) -> None:
    measure(episodes, CAMERA, tmp_path, MotionConfig())
    done = open_array(tmp_path, DONE)
    done[[1, 3]] = False  # as if killed while these two were at work
    open_array(tmp_path, "flow")[4:8] = 99
    redone = []

    def noted(*job):
        redone.append(job[3])
        motion_store.fill_episode(*job)

    monkeypatch.setattr("robowm.latent.transitions.fill_episode", noted)
    assert_same(measure(episodes, CAMERA, tmp_path, MotionConfig(), workers=1), measured)
    assert redone == [1, 3]


def test_a_batch_is_what_was_stored(measured) -> None:
    batch = measured.batch(np.array([3, 8]))
    np.testing.assert_allclose(
        batch.first[1].permute(1, 2, 0).numpy() * 255, measured.arrays["first"][8], atol=1e-4
    )
    assert batch.flow.shape == (2, 2, 32, 32) and batch.mask.shape == (2, 1, 32, 32)


def test_an_episode_that_kills_its_process_is_named(episodes, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("robowm.latent.transitions.run_jobs", lambda work, jobs, *_: jobs[2:3])
    with pytest.raises(UserError, match="reading episode 2 ended its process"):
        measure(episodes, CAMERA, tmp_path, MotionConfig())


def test_memory_does_not_grow_with_what_was_read(measured) -> None:
    def resident_kb() -> int:
        files = {str(array.filename) for array in measured.arrays.values()}
        total, ours = 0, False
        for line in Path("/proc/self/smaps").read_text().splitlines():
            if "-" in line.split(" ")[0]:
                ours = line.split(" ")[-1] in files
            elif ours and line.startswith("Rss:"):
                total += int(line.split()[1])
        return total

    _ = [array[:].copy() for array in measured.arrays.values()]
    assert resident_kb() > 100
    before = np.array(measured.arrays["flow"])
    measured.batch(np.arange(len(measured)))
    assert resident_kb() == 0
    np.testing.assert_array_equal(measured.arrays["flow"], before)


def test_processes_are_started_where_they_pay() -> None:
    cores = len(os.sched_getaffinity(0))
    raft = MotionConfig(estimator="raft_small", raft_weights="random")
    assert _workers(0, MotionConfig()) == _workers(100, MotionConfig()) == 1
    assert _workers(10**6, MotionConfig()) == cores
    assert _workers(10**6, raft) == 1  # torch uses the cores itself
