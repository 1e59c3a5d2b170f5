"""Worker processes end with their parent, however that ends."""

import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from robowm.sim.workers import run_jobs

CHECKOUT = Path(__file__).resolve().parents[2]

PARENT = """
import sys, time
from functools import partial
from robowm.sim.workers import run_jobs

if __name__ == "__main__":
    run_jobs([partial(exec, "import os; print(os.getpid(), flush=True)"),
              partial(time.sleep, 600)], 2, lambda done: None)
"""


def test_jobs_give_their_answers_wherever_they_run() -> None:
    for workers in (1, 2):
        answers: list[int] = []
        run_jobs([os.getpid, os.getpid], workers, answers.append)
        assert len(answers) == 2
        assert (os.getpid() in answers) == (workers == 1)


def test_a_failing_job_is_heard_of() -> None:
    with pytest.raises(ZeroDivisionError):
        run_jobs([partial(divmod, 1, 0)], 2, print)


def test_workers_do_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    program = tmp_path / "parent.py"
    program.write_text(PARENT)
    with subprocess.Popen(
        [sys.executable, str(program)],
        env=os.environ | {"PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) != parent.pid  # a worker is at work
        parent.send_signal(signal.SIGKILL)
        # communicate() returns when the last holder of the pipe, a worker, is gone
        parent.communicate(timeout=30)
    assert parent.returncode == -signal.SIGKILL
