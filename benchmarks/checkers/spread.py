"""Run many small jobs, over several processes if asked for.

Not for: what the jobs do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from typing import Any, TypeVar

from tinygrad_lab.lab.workers import pool_of

__all__ = ["spread"]

T = TypeVar("T")


def spread(
    job: Callable[..., T],
    arguments: Sequence[tuple[Any, ...]],
    workers: int,
    progress: Callable[[str], None],
) -> tuple[list[T], bool]:
    """Call a job with each of its arguments, and give back the results in their order.

    With several workers each is a fresh process, so that job, arguments and results have to be
    such as can be pickled.  Ctrl-C ends it with what there is by then.

    Returns
    -------
    list, bool
        The results, and whether they are all.

    Examples
    --------
    >>> spread(pow, [(2, 3), (3, 2)], workers=1, progress=lambda text: None)
    ([8, 9], True)
    """
    results: dict[int, T] = {}
    step = max(len(arguments) // 50, 1)
    try:
        for i, result in _finished(job, arguments, workers):
            results[i] = result
            if len(results) % step == 0:
                progress(f"{len(results)} of {len(arguments)}")
    except KeyboardInterrupt:
        progress(f"stopped after {len(results)} of {len(arguments)}")
    return [results[i] for i in sorted(results)], len(results) == len(arguments)


def _finished(
    job: Callable[..., T], arguments: Sequence[tuple[Any, ...]], workers: int
) -> Iterator[tuple[int, T]]:
    if workers <= 1:
        for i, options in enumerate(arguments):
            yield i, job(*options)
        return
    with pool_of(workers) as pool:
        waiting = {pool.submit(job, *options): i for i, options in enumerate(arguments)}
        for future in as_completed(waiting):
            yield waiting[future], future.result()
