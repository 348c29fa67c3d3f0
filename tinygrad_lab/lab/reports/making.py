"""Sections of the page, made in other processes as soon as the runs that they need are finished.

Not for what is in a section (``page.py``, ``sections``) nor for training (``runner.py``).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from typing import Generic, TypeVar

from tqdm import tqdm

from tinygrad_lab.lab.reports.study import Results, Runs
from tinygrad_lab.lab.runner import PATIENCE
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.streams import Forgiving

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """What waits for runs: the settings it needs, and how it is begun when they are there."""

    needs: frozenset[Settings]
    begin: Callable[[Runs], Future[T]]


class Making(Generic[T]):
    """Tasks by name, each begun as soon as what it needs is there.

    Examples
    --------
    >>> from concurrent.futures import ThreadPoolExecutor
    >>> pool = ThreadPoolExecutor(1)
    >>> task = Task(frozenset({Settings()}), lambda runs: pool.submit(len, runs))
    >>> making = Making({"one": task})
    >>> making.add(Settings(), [])
    >>> making.collect(progress=False)
    {'one': 1}
    """

    def __init__(self, tasks: Mapping[str, Task[T]]) -> None:
        self._waiting = dict(tasks)
        self._runs: dict[Settings, Results] = {}
        self._futures: dict[Future[T], str] = {}
        self._begin()

    def add(self, settings: Settings, results: Results) -> None:
        """Take the runs of a setting, and begin what waited for them."""
        self._runs[settings] = results
        self._begin()

    def _begin(self) -> None:
        ready = [key for key, task in self._waiting.items() if task.needs <= self._runs.keys()]
        for key in ready:
            self._futures[self._waiting.pop(key).begin(self._runs)] = key

    def collect(self, *, progress: bool) -> dict[str, T]:
        """Wait for everything that was begun, and return it by name."""
        results: dict[str, T] = {}
        for future in self._watched(as_completed(self._futures), progress):
            results[self._futures[future]] = future.result()
        return results

    def _watched(self, futures: Iterable[Future[T]], progress: bool) -> Iterable[Future[T]]:
        stream = Forgiving(sys.stderr)
        return tqdm(
            futures,
            total=len(self._futures),
            desc="sections",
            unit="section",
            file=stream,
            delay=PATIENCE,
            disable=not progress,
        )
