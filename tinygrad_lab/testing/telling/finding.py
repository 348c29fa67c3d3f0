"""What a check reports: results, findings, and the error that a wrong gradient raises.

Not for: explaining a judgement (``explain.py``), or the sentences of it (``words.py``).
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import starmap
from typing import Any, NamedTuple

from tinygrad_lab.testing.judging.judgement import FAIL, INCONCLUSIVE, PASS, Kind
from tinygrad_lab.testing.judging.numerical import Estimate

LINES_IN_SHORT = 2  # of a finding that is not the first of a message


@dataclass
class Finding:
    """One fault.

    Attributes
    ----------
    property, kind
        The property that does not hold, and what sort of fault it is.
    text, lines
        The sentence, "gradient by input 0 is wrong", and further lines: where, which numbers.
    input, index
        Which input it concerns, and the element of it that is most wrong, or None.
    analytic, numeric, error
        The two values of that element, and the relative error.
    diagnosis
        The pattern of the numbers, in words.
    blame, reproducer
        The ledger, and a program that shows the fault, where there is one.  The ledger holds the
        graph, which stays in its process: a finding that was pickled has none.
    site
        File and line at fault: of a backward pass by hand its first wrong one, or where the guilty
        operation was called.
    cause
        The operation, or the line, that certainly made it; "" where that is not known.
    """

    property: str
    kind: Kind
    text: str
    input: int | None = None
    lines: list[str] = field(default_factory=list)
    index: tuple[int, ...] | None = None
    analytic: float | None = None
    numeric: Estimate | None = None
    error: float | None = None
    diagnosis: str = ""
    blame: Any = None
    reproducer: str = ""
    site: str = ""
    cause: str = ""

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "blame": None}


class Part(NamedTuple):
    """What became of one property for one input."""

    name: str
    verdict: str
    resolution: float | None = None
    note: str = ""


@dataclass(frozen=True)
class Result:
    """What became of one property: its verdict, and the smallest relative fault it would notice.

    Where each input was measured by itself, ``parts`` says the same of each of them.
    """

    property: str
    verdict: str
    resolution: float | None = None
    note: str = ""
    parts: tuple[Part, ...] = ()


@dataclass
class GradReport:
    """The outcome of a check.

    Attributes
    ----------
    name, inputs
        What was checked, and at what.
    results
        A :class:`Result` for each property that was looked at, in that order.
    findings
        The faults, the worst first: wrong numbers, then what is no gradient by its form, then what
        else the function does.
    notes
        What is worth knowing, and is no fault.
    """

    name: str
    results: list[Result] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    inputs: str = ""
    notes: list[str] = field(default_factory=list)

    def add_notes(self, notes: Iterable[str]) -> None:
        """Add what has not been noted yet."""
        self.notes += [note for note in dict.fromkeys(notes) if note not in self.notes]

    @property
    def verdict(self) -> str:
        """``pass``, ``fail``, or ``inconclusive``.

        It is a pass where nothing was left undecided, and, where inputs were measured one by one,
        numbers were compared for each of them.
        """
        if self.findings:
            return FAIL
        verdicts = [result.verdict for result in self.results]
        undecided = INCONCLUSIVE in verdicts or PASS not in verdicts or self.not_compared
        return INCONCLUSIVE if undecided else PASS

    @property
    def not_compared(self) -> list[Part]:
        """Of the inputs that were to be measured, those of which no number could be compared."""
        parts = {part.name: part for result in self.results for part in result.parts}
        compared = {p.name for r in self.results for p in r.parts if p.verdict == PASS}
        return [part for name, part in parts.items() if name not in compared]

    @property
    def passed(self) -> bool:
        """Whether every property holds, and each could be decided."""
        return self.verdict == PASS

    @property
    def resolutions(self) -> dict[str, float | None]:
        """The smallest relative fault that would have been seen, by the name of each input.

        It is that of whichever property looked closest, of those that measured the input by itself
        and here: exact mode, which looks at whole numbers, is not among them.  None where nothing
        moves with an input, or nothing could be decided.
        """
        closest: dict[str, float | None] = {}
        for name, verdict, resolution, _ in (p for r in self.results for p in r.parts):
            before = closest.setdefault(name, None)
            if verdict == PASS and resolution is not None:
                closest[name] = resolution if before is None else min(before, resolution)
        return closest

    @property
    def resolution(self) -> float | None:
        """The smallest relative fault that would have been seen in any of the inputs.

        So it is the largest of ``resolutions``; where no property measured inputs by themselves, it
        is that of the property that looked closest.  None where no number was compared, or none
        could be decided on.
        """
        by_input = self.resolutions
        if by_input:
            return max((r for r in by_input.values() if r is not None), default=None)
        resolutions = (r.resolution for r in self.results if r.verdict == PASS)
        return min((r for r in resolutions if r is not None), default=None)

    def __str__(self) -> str:
        rows = [f"{self.name}: {self.verdict}"]
        if self.resolution is not None and self.verdict == PASS:
            rows[0] += f", a relative error of {self.resolution:.0e} would have been seen"
        if len(self.resolutions) > 1:
            rows += textwrap.wrap(
                "by input: " + ", ".join(starmap(_resolved, self.resolutions.items())),
                100, initial_indent="  ", subsequent_indent="    ",
            )  # fmt: skip
        for r in self.results:
            row = f"  {r.property:<20} {r.verdict}"
            if r.resolution is not None:
                row += f", resolution {r.resolution:.0e}"
            rows.append(row + (f" ({r.note})" if r.note else ""))
        rows += [f"  note: {note}" for note in self.notes]
        if self.findings:
            rows.append(message(self))
        return "\n".join(rows)


def _resolved(name: str, resolution: float | None) -> str:
    return f"{name} {'-' if resolution is None else f'{resolution:.0e}'}"


class GradientError(AssertionError):
    """A gradient is wrong, or the function has none that can be checked.

    Attributes
    ----------
    report : GradReport
        The outcome of the whole check.
    finding : Finding
        The fault in the message.
    """

    report: GradReport
    finding: Finding

    def __reduce__(self) -> tuple[Any, ...]:
        # Of its own type for Hypothesis alone (see _TYPES): another process has only this one.
        return GradientError, self.args, vars(self)


GradientError.__module__ = "tinygrad_lab.testing"


#: Of each operation and severity.  Hypothesis takes failures of one type from one line for the
#: same fault, and shrinks towards the smallest of them.  One mistake shows in one input or another,
#: and in other ways at other shapes, so neither makes another type; but a wrong number does not
#: shrink to a lesser fault.
_TYPES: dict[tuple[str, int], type[GradientError]] = {}


def raise_for(report: GradReport, cause: BaseException | None = None) -> None:
    """Raise the first finding of a report, if it has one."""
    if not report.findings:
        return
    finding = report.findings[0]
    about = {"__doc__": GradientError.__doc__, "__module__": GradientError.__module__}
    of_its_own = type("GradientError", (GradientError,), about)
    sort = (report.name, finding.kind.severity)
    error = _TYPES.setdefault(sort, of_its_own)(message(report))
    error.report, error.finding = report, finding
    try:
        raise error from cause
    finally:
        del error, cause  # a frame that holds the error that holds it is freed late


def message(report: GradReport) -> str:
    """Lay out the findings of a report: the worst in full, the others in short below it."""
    worst, *others = report.findings
    rows = [f"{report.name}, {_headline(worst)}"]
    if report.inputs:
        rows.append(f"  {report.inputs}")
    rows += [f"  {line}" for line in worst.lines]
    if worst.blame is not None:
        rows.append(f"  {worst.blame.line()}")
    if worst.reproducer:
        rows.append("  reproduce:")
        rows += [f"    {line}" for line in worst.reproducer.splitlines()]
    if others:
        rows.append("besides:" if len(others) == 1 else f"besides, {len(others)} more:")
    for finding in others:
        rows.append(f"  {_headline(finding)}")
        rows += [f"    {line}" for line in finding.lines[:LINES_IN_SHORT]]
    return "\n".join(rows)


def _headline(finding: Finding) -> str:
    size = "" if finding.error is None else f" (relative error {finding.error:.1e})"
    return f"{finding.text}{size}"
