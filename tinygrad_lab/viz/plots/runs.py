"""Several runs of one setting: as one table, and what is in the middle of them.

A median or another percentile is always what one of the runs gave: of two that are equally near
the higher, so that where half of the runs diverged, or never got there, the median did too.

Not for: drawing them (``curves.py``, ``comparisons.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.viz.plots.canvas import plain

__all__ = ["Runs", "as_runs", "median", "percentiles"]

T = TypeVar("T")

Runs = NDArray[np.float64]


def as_runs(runs: Any, label: str) -> Runs:
    """Return runs as one table of shape (runs, epochs), short ones padded with nan."""
    runs = list(plain(runs)) if np.iterable(plain(runs)) else []
    if runs and np.ndim(plain(runs[0])) == 0:
        runs = [runs]
    rows = [np.asarray(plain(row), dtype=np.float64) for row in runs]
    if not rows or any(row.ndim != 1 or row.size == 0 for row in rows):
        shapes = ", ".join(str(row.shape) for row in rows) or "nothing"
        raise ValueError(
            f"a learning curve{f' ({label})' if label else ''} needs shape (epochs,), or several "
            f"runs of that shape, none empty; got {shapes}"
        )
    table = np.full((len(rows), max(row.size for row in rows)), np.nan)
    for target, row in zip(table, rows, strict=True):
        target[: row.size] = row
    table[~np.isfinite(table)] = np.nan
    return table


def median(runs: Iterable[T], key: Callable[[T], Any] | None = None) -> T:
    """Return the run, or the number of a run, in the middle.

    Examples
    --------
    >>> median([3.0, 1.0, float("inf"), 2.0])
    3.0
    """
    ordered: Any = sorted(runs, key=key)
    return ordered[len(ordered) // 2]


def percentiles(table: Runs, percents: Sequence[float]) -> Runs:
    """Return percentiles at each entry, of the runs that are not nan there.

    Parameters
    ----------
    table
        Shape (runs, epochs).
    percents
        From 0 to 100.

    Returns
    -------
    numpy.ndarray
        Shape (percents, epochs); nan where no run is left.

    Examples
    --------
    >>> percentiles(np.array([[1.0, 4.0], [3.0, np.nan]]), [0, 50]).tolist()
    [[1.0, 4.0], [3.0, 4.0]]
    """
    last = np.sum(~np.isnan(table), axis=0) - 1
    places = np.floor(np.multiply.outer(percents, last) / 100 + 0.5).astype(np.intp)
    return np.take_along_axis(np.sort(table, axis=0), np.maximum(places, 0), axis=0)
