"""Compiling beside what runs: one thread, which ends when there is nothing left to compile.

A call never waits for it, and Ctrl-C, which is for the main thread, never meets it halfway.  At the
end of the process what is being compiled is finished and what waits is left out.

Not for: compiling (``numba.py``).
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future

__all__ = ["in_background"]


class _Worker:
    """The thread, and what waits for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self.thread: threading.Thread | None = None

    def add(self, job: Callable[[], Any]) -> Future[Any]:
        """Put a job at the end of the line."""
        from concurrent.futures import Future  # loads the logging of Python

        future: Future[Any] = Future()
        with self.lock:
            self.waiting.append((job, future))
            if self.thread is None:
                self.thread = threading.Thread(target=self._work, name="tinygrad_lab compiles")
                self.thread.start()
        return future

    def _next(self) -> tuple[Callable[[], Any], Future[Any]] | None:
        with self.lock:
            if not threading.main_thread().is_alive():  # the process ends
                for _, future in self.waiting:
                    future.cancel()
                self.waiting.clear()
            if self.waiting:
                return self.waiting.popleft()
            self.thread = None
            return None

    def _work(self) -> None:
        while (item := self._next()) is not None:
            job, future = item
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - whoever asks for the result gets it
                future.set_exception(error)
            else:
                future.set_result(result)
            del item, job, future


_worker = _Worker()


def _begin_anew() -> None:
    """Forget the thread, which a forked process does not have."""
    global _worker
    _worker = _Worker()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)


def in_background(job: Callable[[], Any]) -> Future[Any]:
    """Do something in the thread that compiles, after what was asked for before."""
    return _worker.add(job)
