"""What the rows of a sweep say: which settings were varied, how much each matters, which are best.

Not for how it is drawn (``page.py``, ``parallel.py``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.lab.sweeps.status import Row
from tinygrad_lab.lab.sweeps.store import SETTINGS
from tinygrad_lab.viz.plots.runs import median

# A setting with more values than this is put into as many groups of about the same size.
_GROUPS = 8


@dataclass(frozen=True, slots=True)
class Group:
    """The runs of one setting with its seeds, or of whatever they have in common.

    Attributes
    ----------
    rows
        Rows of ``trials``, the best first.
    """

    rows: Sequence[Row]

    @property
    def loss(self) -> float:
        """The median of the final losses; infinite where half of the runs diverged."""
        return median(row["final_loss"] for row in self.rows)

    @property
    def accuracy(self) -> float:
        """The median of the accuracies."""
        return median(row["accuracy"] for row in self.rows)

    @property
    def perfect(self) -> int:
        """How many runs have every training point right."""
        return sum(row["accuracy"] == 1.0 for row in self.rows)

    @property
    def diverged(self) -> int:
        """How many runs diverged."""
        return sum(row["diverged_at"] is not None for row in self.rows)


@dataclass(frozen=True, slots=True)
class Varied:
    """A setting that has several values in a sweep.

    Attributes
    ----------
    name
        Its name.
    values
        Its values, or where these are many numbers the ends of the ranges that they are put into,
        each range with its lower end.
    is_number
        Whether its values are numbers, which have distances.
    is_ranges
        Whether ``values`` are ends of ranges.
    matters
        Which share of the variance of the ranks of the losses is between its values (η², with ranks
        as in the Kruskal-Wallis test): 0 where the loss does not depend on it, 1 where it depends
        on nothing else.
    """

    name: str
    values: Sequence[Any]
    is_number: bool
    is_ranges: bool
    matters: float

    def index(self, row: Row) -> int:
        """Return which of the values, or ranges, a row has."""
        if not self.is_ranges:
            return self.values.index(row[self.name])
        inner = self.values[1:-1]
        return int(np.searchsorted(inner, row[self.name], side="right"))

    @property
    def labels(self) -> list[str]:
        """What to call each of them."""
        if not self.is_ranges:
            return [text_of(self.name, value) for value in self.values]
        return [f"{low:.2g}–{high:.2g}" for low, high in itertools.pairwise(self.values)]


def text_of(name: str, value: Any) -> str:
    """Return a value as a page shows it.

    Examples
    --------
    >>> text_of("lr", 0.1234567), text_of("bias", 1), text_of("output_activation", None)
    ('0.123', 'yes', 'same')
    """
    if name == "bias":
        return "yes" if value else "no"
    if value is None:
        return "same"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def varied(rows: Sequence[Row]) -> list[Varied]:
    """Return the settings that differ between rows, those that matter most first."""
    ranks = _ranks([row["final_loss"] for row in rows])
    several = (_varied(name, rows, ranks) for name in SETTINGS)
    return sorted(filter(None, several), key=lambda v: -v.matters)


def by_settings(rows: Iterable[Row]) -> list[Group]:
    """Put rows of the same settings together, those with the smallest median loss first."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in SETTINGS), []).append(row)
    sorted_groups = (Group(sorted(g, key=lambda row: row["final_loss"])) for g in groups.values())
    return sorted(sorted_groups, key=lambda group: (group.loss, -group.accuracy))


def cells(rows: Iterable[Row], down: Varied, across: Varied) -> NDArray[np.float64]:
    """Return the median final loss for each pair of values, NaN where there is no run."""
    losses: dict[tuple[int, int], list[float]] = {}
    for row in rows:
        losses.setdefault((down.index(row), across.index(row)), []).append(row["final_loss"])
    table = np.full((len(down.labels), len(across.labels)), np.nan)
    for place, each in losses.items():
        table[place] = median(each)
    return table


def _varied(name: str, rows: Sequence[Row], ranks: NDArray[np.float64]) -> Varied | None:
    values = sorted({row[name] for row in rows}, key=_in_order)
    if len(values) < 2:
        return None
    is_number = all(isinstance(v, int | float) for v in values) and name != "bias"
    is_ranges = is_number and len(values) > _GROUPS
    if is_ranges:
        every = np.array([row[name] for row in rows], dtype=float)
        values = sorted(set(np.quantile(every, np.linspace(0, 1, _GROUPS + 1)).tolist()))
    setting = Varied(name, values, is_number, is_ranges, 0.0)
    places = np.array([setting.index(row) for row in rows])
    return Varied(name, values, is_number, is_ranges, _between(ranks, places))


def _in_order(value: Any) -> tuple[Any, ...]:
    """The order of values: nothing, numbers, then texts, those of numbers by their numbers."""
    if value is None:
        return (0,)
    if isinstance(value, int | float):
        return (1, value)
    numbers = value.split(",")
    if all(number.isdigit() for number in numbers):
        return (2, len(numbers), *map(int, numbers))
    return (3, value)


def _ranks(losses: Sequence[float]) -> NDArray[np.float64]:
    """Rank losses, equal ones with the mean of their ranks."""
    array = np.array(losses)
    _, inverse, counts = np.unique(array, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts - 1) / 2)[inverse]


def _between(ranks: NDArray[np.float64], places: NDArray[np.int64]) -> float:
    """Share of the variance of ranks that is between groups of them."""
    total = float(np.square(ranks - ranks.mean()).sum())
    within = sum(
        float(np.square(ranks[places == p] - ranks[places == p].mean()).sum())
        for p in np.unique(places)
    )
    return 1 - within / total if total and math.isfinite(total) else 0.0
