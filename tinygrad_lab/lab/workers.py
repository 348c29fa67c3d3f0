"""Processes that work for this one: they leave Ctrl-C to it, and do not outlive it.

Not for what they do (``runner.py``).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context, parent_process
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from threading import Event, Thread

# Seconds between two looks at the processes of a pool.
_LOOKS_EVERY = 0.2


@contextmanager
def pool_of(workers: int) -> Iterator[ProcessPoolExecutor]:
    """Start processes that leave Ctrl-C to us, end with us, and are ended at once by any error.

    Parameters
    ----------
    workers
        How many.

    Examples
    --------
    >>> with pool_of(1) as pool:
    ...     pool.submit(pow, 2, 3).result()
    8
    """
    pool = ProcessPoolExecutor(
        workers, mp_context=get_context("spawn"), initializer=_depend_on_parent
    )
    try:
        with environment_of_workers(), _ended_with_any_of(pool):
            yield pool
    except BaseException:
        processes = _processes_of(pool)
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        raise
    pool.shutdown()


@contextmanager
def _ended_with_any_of(pool: ProcessPoolExecutor) -> Iterator[None]:
    """See to it that a pool breaks, and does not wait for ever, when one of its processes is ended.

    One that is ended while it sends a result leaves a part of it in the pipe that all of them
    share, and Python waits for the rest.  It gives up when nobody is left who could send it.
    """
    over = Event()

    def watch() -> None:
        while not over.is_set():
            processes = _processes_of(pool)
            sentinels = [process.sentinel for process in processes]
            if not wait(sentinels, _LOOKS_EVERY):
                over.wait(0 if sentinels else _LOOKS_EVERY)
            elif not over.is_set():
                for process in processes:
                    process.kill()
                pool._result_queue._writer.close()  # type: ignore[attr-defined]  # noqa: SLF001
                return

    watcher = Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def _processes_of(pool: ProcessPoolExecutor) -> list[BaseProcess]:
    return list((getattr(pool, "_processes", None) or {}).values())


@contextmanager
def environment_of_workers() -> Iterator[None]:
    """Set what processes that are started here are to find in their environment.

    One thread of linear algebra each, as there is one process a processor; and nothing is imported
    that lies in the current folder.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
    added = [name for name in (*names, "PYTHONSAFEPATH") if name not in os.environ]
    os.environ.update(dict.fromkeys(added, "1"))
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _depend_on_parent() -> None:
    """Ignore Ctrl-C, which the parent handles, and end with the parent instead of waiting on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
