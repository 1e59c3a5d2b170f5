"""Runs a clip's decoding in a process of its own, and survives one that crashes."""

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import Any

Job = tuple[Any, ...]


def run_jobs(
    work: Callable[..., None], jobs: list[Job], workers: int, done: Callable[[], Any]
) -> list[Job]:
    """Call `work(*job)` for every job, `workers` at a time; call `done` after each.

    Args:
        work: a module-level function; what it raises is raised here.

    Returns:
        the jobs whose process died: a decoder that crashed, or the system out of memory.
    """
    if workers == 1:
        for job in jobs:
            work(*job)
            done()
        return []
    fatal: list[Job] = []
    left = jobs
    while left:
        left = _run_pool(work, left, workers, done)
        # jobs start in order, so the one that broke the pool is among the first that are left
        suspects, left = left[:workers], left[workers:]
        for job in suspects:
            fatal += _run_pool(work, [job], 1, done)
    return fatal


def _run_pool(
    work: Callable[..., None], jobs: list[Job], workers: int, done: Callable[[], Any]
) -> list[Job]:
    # a fork of a process that runs threads (torch, OpenCV) may hang
    spawn = multiprocessing.get_context("spawn")
    unfinished = set()
    with ProcessPoolExecutor(workers, spawn, initializer=_begin) as pool:
        futures = {pool.submit(work, *job): n for n, job in enumerate(jobs)}
        try:
            for future in as_completed(futures):
                try:
                    future.result()
                except BrokenProcessPool:
                    unfinished.add(futures[future])
                else:
                    done()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [job for n, job in enumerate(jobs) if n in unfinished]


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
