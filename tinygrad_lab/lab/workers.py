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
from threading import Thread


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
        with environment_of_workers():
            yield pool
    except BaseException:
        processes = list((getattr(pool, "_processes", None) or {}).values())
        pool.shutdown(wait=False, cancel_futures=True)
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
        raise
    pool.shutdown()


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
