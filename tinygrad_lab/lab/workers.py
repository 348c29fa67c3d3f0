"""Processes that work for this one: they leave Ctrl-C to it, and do not outlive it.

Not for what they do (``runner.py``).
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker, spawn
from multiprocessing.connection import wait
from multiprocessing.context import SpawnContext, SpawnProcess
from threading import Event, Lock, Thread, current_thread, main_thread
from typing import Any

# Seconds between two looks at the processes of a pool.
_LOOKS_EVERY = 0.2

_STARTING = Lock()


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
    context = _Context()
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_depend_on_parent)
    try:
        with environment_of_workers(), _ended_with_any_of(pool, context):
            yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in context.started():
            process.terminate()
        for process in context.started():
            process.join()
        raise
    pool.shutdown()


@contextmanager
def _ended_with_any_of(pool: ProcessPoolExecutor, context: _Context) -> Iterator[None]:
    """See to it that a pool breaks, and does not wait for ever, when one of its processes is ended.

    One that is ended while it sends a result leaves a part of it in the pipe that all of them
    share, and Python waits for the rest.  It gives up when nobody is left who could send it.
    """
    over = Event()

    def watch() -> None:
        while not over.is_set():
            processes = context.started()
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


@contextmanager
def undisturbed() -> Iterator[None]:
    """Start processes and threads in here: to their end, and so that they never hear of Ctrl-C.

    Ctrl-C and SIGTERM that arrive meanwhile are heard here afterwards: half a process, or half a
    cluster, could not be ended quietly.
    """
    if sys.platform == "win32" or current_thread() is not main_thread():
        yield  # signals go to the main thread
        return
    waiting: list[int] = []
    before = {
        each: signal.signal(each, lambda number, _: waiting.append(number))
        for each in (signal.SIGINT, signal.SIGTERM)
    }
    resource_tracker.ensure_running()  # the first process would start it, and unblock Ctrl-C
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # which is inherited
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for each, handler in before.items():
            signal.signal(each, handler)
        if waiting:  # whatever else they have ended
            signal.raise_signal(waiting[0])


@contextmanager
def _without_main() -> Iterator[None]:
    """Start processes that do not run the program again that they are started by.

    Python runs it in each of them, for what may be defined there.  A script that says ``run_sweep``
    outside of ``if __name__ == "__main__"`` would sweep in each; and nothing of what is sent to
    processes in here is the script's.
    """

    def without_main(name: str) -> dict[str, Any]:
        data = prepared(name)
        return {key: data[key] for key in data if not key.startswith("init_main_from_")}

    with _STARTING:
        prepared = spawn.get_preparation_data
        spawn.get_preparation_data = without_main
        try:
            yield
        finally:
            spawn.get_preparation_data = prepared


class _Process(SpawnProcess):
    def start(self) -> None:
        with undisturbed(), _without_main():
            super().start()


class _Context(SpawnContext):
    """Makes processes, and knows all of them: also one that an interrupt kept from its pool."""

    def __init__(self) -> None:
        super().__init__()
        self._processes: list[_Process] = []

    def Process(self, *args: Any, **kwargs: Any) -> _Process:  # type: ignore[override]  # noqa: N802
        process = _Process(*args, **kwargs)
        self._processes.append(process)
        return process

    def started(self) -> list[_Process]:
        """Return those that were started, also where they have ended."""
        return [process for process in self._processes if process.pid is not None]


def _depend_on_parent() -> None:
    """Ignore Ctrl-C, which the parent handles, and end with the parent instead of waiting on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
