"""Several threads for one convolution: its images are shared out among them.

NumPy lets the other threads of Python run while it copies and multiplies, so these are enough.

Not for: the threads of BLAS, which the products of a convolution are too small for.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Sequence
from contextvars import copy_context
from functools import lru_cache
from typing import Any, TypeVar

__all__ = ["get_num_threads", "in_parts", "processors", "set_num_threads"]

T = TypeVar("T")
R = TypeVar("R")

#: What other libraries of arrays are told how many threads to use by.
_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def processors() -> int:
    """Processors this process may use, which in a container can be fewer than there are."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _number_at_start() -> int:
    limits = (os.environ.get(name, "") for name in _VARIABLES)
    return max(1, min([processors(), *(int(limit) for limit in limits if limit.isdecimal())]))


_number = _number_at_start()


def get_num_threads() -> int:
    """Return how many threads a convolution may use."""
    return _number


def set_num_threads(number: int) -> None:
    """Let a convolution use so many threads.

    At the start there is one for each processor, or fewer where ``OMP_NUM_THREADS`` (or the like of
    OpenBLAS and MKL) says so.  Results do not depend on it.  The threads of BLAS are set elsewhere:
    in the environment, or with threadpoolctl.

    Raises
    ------
    ValueError
        ``number`` is no integer of 1 or more.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> before = tl.get_num_threads()
    >>> tl.set_num_threads(1)
    >>> tl.get_num_threads()
    1
    >>> tl.set_num_threads(before)
    """
    global _number
    if type(number) is not int or number < 1:
        raise ValueError(f"set_num_threads({number!r}): expected an integer of 1 or more")
    _number = number


def in_parts(work: Callable[[T], R], parts: Sequence[T]) -> list[R]:
    """Call ``work`` with each of the parts, on several threads, and list what it returns."""
    number = _number
    helpers = min(number, len(parts)) - 1
    if helpers < 1:
        return [work(part) for part in parts]
    results: list[Any] = [None] * len(parts)
    waiting = deque(enumerate(parts))

    def take_turns() -> None:
        while waiting:
            try:
                position, part = waiting.popleft()
            except IndexError:  # another thread has just taken the last one
                return
            results[position] = work(part)

    try:  # each helper in the caller's context: np.errstate is a part of that
        submit = _pool(number - 1).submit
        jobs = [submit(copy_context().run, take_turns) for _ in range(helpers)]
    except RuntimeError:  # no more threads: Python is ending, or the system has no more
        waiting.clear()
        return [work(part) for part in parts]
    try:
        take_turns()
    finally:
        waiting.clear()
        for job in jobs:
            if not job.cancel():  # it has begun
                job.result()
    return results


@lru_cache(1)
def _pool(helpers: int) -> Any:
    from concurrent.futures import ThreadPoolExecutor  # loads the logging of Python: 5 ms

    return ThreadPoolExecutor(helpers, "tinygrad_lab")


if hasattr(os, "register_at_fork"):  # a process that forks off has none of its threads
    os.register_at_fork(after_in_child=_pool.cache_clear)
