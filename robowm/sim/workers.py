"""Processes for simulation: one a core, one thread in each."""

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.process import BaseProcess

# More threads in each would only get in each other's way.
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "LP_NUM_THREADS": "1"}


def run_jobs[T](
    jobs: Sequence[Callable[[], T]], workers: int, on_done: Callable[[T], None]
) -> None:
    """Run picklable jobs in `workers` fresh processes, or here when it is one.

    Args:
        on_done: called here with each job's answer, as it comes.
    """
    if workers == 1:
        for job in jobs:
            on_done(job())
        return
    # spawned: a fork would inherit torch's threads and the drawing context
    with (
        one_thread_each(),
        ProcessPoolExecutor(
            workers, get_context("spawn"), initializer=serve_parent, initargs=(signal.SIG_DFL,)
        ) as pool,
    ):
        try:
            for future in as_completed([pool.submit(job) for job in jobs]):
                on_done(future.result())
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def serve_parent(on_interrupt: signal.Handlers = signal.SIG_IGN) -> None:
    """In a worker: say nothing at Ctrl-C, and end when the parent does, even by kill -9.

    Args:
        on_interrupt: SIG_IGN leaves it to the parent to end this process, SIG_DFL ends it at once.
    """
    parent = parent_process()
    if parent is None:
        return
    signal.signal(signal.SIGINT, on_interrupt)

    def end_with(parent: BaseProcess) -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=end_with, args=(parent,), daemon=True).start()


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Processes started inside inherit an environment that keeps each to one thread."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(ONE_THREAD)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
