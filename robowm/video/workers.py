"""Runs a clip's decoding in a process of its own, and survives one that crashes."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain
from typing import Any

AHEAD = 3  # jobs in hand for each worker
Job = tuple[Any, ...]


def run_jobs(
    work: Callable[..., None], jobs: Iterable[Job], workers: int, done: Callable[[], Any]
) -> list[Job]:
    """Call `work(*job)` for every job, `workers` at a time; call `done` after each.

    Args:
        work: a module-level function; what it raises is raised here.
        jobs: taken as they are needed, a few ahead: there may be millions.

    Returns:
        the jobs whose process died: a decoder that crashed, or the system out of memory.
    """
    left = iter(jobs)
    if workers == 1:
        for job in left:
            work(*job)
            done()
        return []
    fatal: list[Job] = []
    while stopped := _run_pool(work, left, workers, done):
        # jobs start in order, so the one that broke the pool is among the first that are left
        for job in stopped[:workers]:
            fatal += _run_pool(work, iter([job]), 1, done)
        left = chain(stopped[workers:], left)
    return fatal


def _run_pool(
    work: Callable[..., None], jobs: Iterator[Job], workers: int, done: Callable[[], Any]
) -> list[Job]:
    """Run jobs until there are none left, or the pool breaks; return those it left unfinished."""
    # a fork of a process that runs threads (torch, OpenCV) may hang
    spawn = multiprocessing.get_context("spawn")
    unfinished: list[Job] = []
    running: dict[Future[None], Job] = {}
    with ProcessPoolExecutor(workers, spawn, initializer=_begin) as pool:
        try:
            while True:
                while not unfinished and len(running) < AHEAD * workers:
                    job = next(jobs, None)
                    if job is None:
                        break
                    try:
                        running[pool.submit(work, *job)] = job
                    except BrokenProcessPool:
                        unfinished.append(job)
                if not running:
                    return unfinished
                finished = wait(running, return_when=FIRST_COMPLETED).done
                for future in [future for future in running if future in finished]:
                    job = running.pop(future)
                    try:
                        future.result()
                    except BrokenProcessPool:
                        unfinished.append(job)
                    else:
                        done()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _begin() -> None:
    """One core a process; ends at once on Ctrl-C and when the parent was killed."""
    import cv2

    signal.signal(signal.SIGINT, signal.SIG_DFL)
    cv2.setNumThreads(1)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_follow, args=[parent], daemon=True).start()


def _follow(parent: Any) -> None:
    parent.join()
    os._exit(1)
