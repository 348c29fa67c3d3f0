"""What a study is: rows of settings beside what was reported for them, and claims about them.

Not for which studies there are (``studies.py``), nor for how they are judged (``judging.py``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tinygrad_lab.lab.reports.reported import NOTHING, Reported
from tinygrad_lab.lab.reports.shares import Share
from tinygrad_lab.lab.settings import Settings
from tinygrad_lab.lab.training import Result

#: The runs of one setting, one for each seed.
Results = Sequence[Result]

#: All runs so far, by setting; a setting that was not run (interrupted) is missing.
Runs = Mapping[Settings, Results]


@dataclass(frozen=True, slots=True)
class Row:
    """One setting on one data set, beside what was reported for it.

    Attributes
    ----------
    report
        ``"A"``, ``"B"``, or ``""`` where no report has it.
    label
        What distinguishes the row within its study; rows on both data sets share it.
    settings
        What is run.
    reported
        The figures of the report; empty where it gives none.
    finding
        What to say where the reported figures are not among those measured.
    quick
        Whether a quick report has it too.
    seeds
        How many, where that does not depend on the report: a promise made for twenty seeds, or a
        setting beyond those of the reports.
    """

    report: str
    label: str
    settings: Settings
    reported: Reported = NOTHING
    finding: str = ""
    quick: bool = True
    seeds: int | None = None

    @property
    def name(self) -> str:
        """The label with the report before it."""
        return f"{self.report}: {self.label}" if self.report else self.label


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a claim holds, by how many runs it is so, and the other numbers it stands on."""

    holds: bool
    share: Share
    evidence: str


#: Judges a claim by the runs of each of its settings, in their order.
Judge = Callable[..., Verdict]


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that the runs of some settings can confirm or contradict."""

    text: str
    settings: tuple[Settings, ...]
    judge: Judge

    def verdict(self, runs: Runs) -> Verdict | None:
        """Judge the claim; None while one of its settings has not been run."""
        if any(setting not in runs for setting in self.settings):
            return None
        return self.judge(*(runs[setting] for setting in self.settings))


@dataclass(frozen=True, slots=True)
class Study:
    """A question, the settings that answer it, and the claims made about it.

    Raises
    ------
    ValueError
        At construction, for a ``key`` that cannot be part of a file's name.

    Examples
    --------
    >>> Study("learning-rate", "Learning rate", "All else as before.", rows=()).key
    'learning-rate'
    >>> Study("../evil", "", "", rows=())
    Traceback (most recent call last):
      ...
    ValueError: a study's key names its files: up to 80 letters a-z, digits, '-' and '_'...
    """

    key: str
    title: str
    text: str
    rows: tuple[Row, ...]
    claims: tuple[Claim, ...] = ()

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,79}", self.key):
            raise ValueError(
                "a study's key names its files: up to 80 letters a-z, digits, '-' and '_', such as "
                f"'learning-rate', not {self.key!r}"
            )
