"""What the two reports say, read from ``report_a.toml`` and ``report_b.toml``.

Not for how we run it (``studies.py``) nor for whether it is so (``measuring.py``,
``judging.py``).
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any


@dataclass(frozen=True, slots=True)
class Reported:
    """The figures that a report gives for one run on one data set.

    Attributes
    ----------
    accuracy
        In percent, as printed: an ``int`` where the report rounds to whole percent.
    loss
        After the last epoch.
    curve
        Epoch and loss, in pairs.
    remark
        What it says in words.
    """

    accuracy: tuple[float, ...] = ()
    loss: float | None = None
    curve: tuple[tuple[int, float], ...] = ()
    remark: str = ""


#: The figures of a run that no report describes.
NOTHING = Reported()


@dataclass(frozen=True, slots=True)
class Run:
    """What a report says of one run: by data set, where it says anything of that."""

    report: str
    by_data: Mapping[str, Reported]


@dataclass(frozen=True, slots=True)
class Report:
    """One of the reports: its runs and its claims, by the names that the file gives them."""

    name: str
    runs: Mapping[str, Run]
    claims: Mapping[str, str]


def read(file: str) -> Report:
    """Read one of the files beside this module.

    Examples
    --------
    >>> read("report_b.toml").runs["averaged"].by_data["xor"]
    Reported(accuracy=(), loss=0.25, curve=(), remark='')
    """
    table = tomllib.loads(files(__package__).joinpath(file).read_text(encoding="utf-8"))
    name = table["report"]
    runs = {
        key: Run(name, {data: _figures(**said) for data, said in run.items()})
        for key, run in table["runs"].items()
    }
    return Report(name, runs, table["claims"])


def _figures(accuracy: Any = (), curve: Any = (), **others: Any) -> Reported:
    """Take a table of the file; a word it should not have is a ``TypeError``."""
    return Reported(tuple(accuracy), curve=tuple(tuple(point) for point in curve), **others)


REPORT_A, REPORT_B = read("report_a.toml"), read("report_b.toml")

#: A run that no report describes.
OURS = Run("", {})
