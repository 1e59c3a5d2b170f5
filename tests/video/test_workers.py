"""A process that dies takes one clip with it, not the run."""

import pytest

from robowm.video.workers import run_jobs

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
