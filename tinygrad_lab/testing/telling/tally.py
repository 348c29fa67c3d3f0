"""Add up the reports of many checks, an operation of a test at a time, and order the sums.

Not for: one report (``finding.py``), or the page and the file that are made of it (``page.py``).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tinygrad_lab.testing.judging.judgement import FAIL, INCONCLUSIVE, PASS
from tinygrad_lab.testing.telling.finding import GradReport, message

RANK = {FAIL: 0, INCONCLUSIVE: 1, PASS: 2}


class Tally:
    """What all checks of one operation in one test came to, as plain data."""

    def __init__(self, operation: str, test: str) -> None:
        self.operation, self.test = operation, test
        self.checks = 0
        self.properties: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.resolution: float | None = None
        self.notes: dict[str, str] = {}  # why a property could not be decided
        self.messages: dict[Any, str] = {}  # of each sort of fault the last

    def add(self, report: GradReport) -> None:
        """Count the results of one check."""
        self.checks += 1
        for result in report.results:
            self.properties[result.property][result.verdict] += 1
            if result.verdict == INCONCLUSIVE:
                self.notes[result.property] = result.note
        if report.verdict == PASS and report.resolution is not None:
            self.resolution = max(self.resolution or 0.0, report.resolution)
        if report.findings:  # the last of its sort is what Hypothesis has shrunk to
            finding = report.findings[0]
            self.messages[finding.input, finding.kind] = message(report, finding)

    def join(self, data: Mapping[str, Any]) -> None:
        """Add what another tally came to."""
        self.checks += data["checks"]
        for name, counts in data["properties"].items():
            self.properties[name].update(counts)
        if data["resolution"] is not None:
            self.resolution = max(self.resolution or 0.0, data["resolution"])
        self.notes |= data["notes"]
        self.messages |= {(data["test"], i): text for i, text in enumerate(data["messages"])}

    @property
    def verdict(self) -> str:
        """The worst of any check; inconclusive also where nothing at all could be decided."""
        verdicts = set().union(*self.properties.values())
        if self.messages or FAIL in verdicts:
            return FAIL
        return PASS if PASS in verdicts and INCONCLUSIVE not in verdicts else INCONCLUSIVE

    @property
    def summary(self) -> str:
        """Say in a few words which properties hold, and which do not."""
        every = self.properties.items()
        worst = {name: min(counts, key=lambda v: RANK.get(v, 3)) for name, counts in every}
        parts = []
        for verdict, word in ((FAIL, "fails"), (INCONCLUSIVE, "undecided")):
            names = [name for name, of_all in worst.items() if of_all == verdict]
            parts += [f"{', '.join(names)} {word}"] if names else []
        return ", ".join([*parts, f"{list(worst.values()).count(PASS)} hold"])

    @property
    def undecided(self) -> str:
        """Say what could not be decided, and why, a property a line."""
        rows = [f"  {name}: {why or 'no reason given'}" for name, why in self.notes.items()]
        return "\n".join([self.operation, *(rows or ["  nothing at all could be compared"])])

    def as_data(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return {
            "operation": self.operation, "test": self.test, "verdict": self.verdict,
            "checks": self.checks, "summary": self.summary,
            "resolution": self.resolution if self.verdict == PASS else None,
            "properties": {name: dict(counts) for name, counts in self.properties.items()},
            "notes": self.notes, "messages": list(dict.fromkeys(self.messages.values())),
        }  # fmt: skip


def together(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Join the rows of several tests of a file on one operation; lambdas stay separate."""
    joined: dict[tuple[str, str], Tally] = {}
    for row in rows:
        file, _, test = row["test"].partition("::")
        name = f"<lambda> in {test}" if row["operation"] == "<lambda>" else row["operation"]
        joined.setdefault((file, name), Tally(name, file)).join(row)
    return [tally.as_data() for tally in joined.values()]


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort rows so that what needs looking at comes first."""
    return sorted(rows, key=lambda row: RANK[row["verdict"]])


def resolution_text(resolution: float | None) -> str:
    """Write a resolution, or that there is none."""
    if resolution is None:
        return ""
    return f"{resolution:.0e}" if resolution else "0"


def unnoticed(mutants: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say of each test that missed planted faults which ones it ran and passed, by gradient."""
    for test in dict.fromkeys(test for m in mutants for test in m["missed"]):
        missed: defaultdict[str, list[str]] = defaultdict(list)
        every: Counter[str] = Counter()
        for m in mutants:
            every[m["rule"]] += test in m["missed"] or test in m["noticed"]
            if test in m["missed"]:
                missed[m["rule"]].append(m["fault"])
        parts = [
            f"{rule}: {'all' if len(faults) == every[rule] else ', '.join(faults)}"
            for rule, faults in missed.items()
        ]
        number = sum(map(len, missed.values()))
        yield f"{test} does not notice {number} of {every.total()} ({'; '.join(parts)})"
