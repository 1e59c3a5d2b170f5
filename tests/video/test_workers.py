"""A process that dies takes one clip with it, not the run."""

import pytest

from robowm.video.workers import AHEAD, run_jobs

# The jobs are source text for `exec`: a fresh process cannot import functions of a test module.


def test_a_crash_is_found_and_the_rest_is_done(tmp_path) -> None:
    jobs = [(f"open({str(tmp_path / name)!r}, 'w').close()",) for name in "abcd"]
    crash = ("import os; os._exit(139)",)
    jobs.insert(2, crash)
    count: list[int] = []
    assert run_jobs(exec, jobs, 2, lambda: count.append(1)) == [crash]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "c", "d"]
    assert len(count) == 4


@pytest.mark.parametrize("workers", [1, 2])
def test_errors_are_raised_here(workers) -> None:
    with pytest.raises(ValueError, match="stop"):
        run_jobs(exec, [("raise ValueError('stop')",)], workers, lambda: None)


@pytest.mark.parametrize("workers", [1, 2])
def test_jobs_are_taken_as_they_are_needed(tmp_path, workers) -> None:
    """A million clips must not be a million futures."""
    taken = finished = most = 0

    def jobs():
        nonlocal taken, most
        for n in range(40):
            taken += 1
            most = max(most, taken - finished)
            yield (f"open({str(tmp_path / str(n))!r}, 'w').close()",)

    def done() -> None:
        nonlocal finished
        finished += 1

    assert run_jobs(exec, jobs(), workers, done) == []
    assert (taken, finished, len(list(tmp_path.iterdir()))) == (40, 40, 40)
    assert most <= AHEAD * workers + 1
