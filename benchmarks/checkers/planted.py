"""Which planted faults a checker notices, and what ours says of them.

A fault is asked about in three ways: at one typical input, at 20 inputs like it, and at everything
that our strategies generate.  What a checker says counts as noticing only if it is content with
the same input once the fault is taken out.

Not for: what the checkers are (``tools.py``), or at which inputs they are asked (``points.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.checkers.faults import FAULTS, Fault
from benchmarks.checkers.points import carried, points, specimen_of
from benchmarks.checkers.tools import HungError, Ours, Tool
from tinygrad_lab.testing.inputs.calls import Call
from tinygrad_lab.testing.judging.judgement import FAIL
from tinygrad_lab.testing.telling.finding import GradientError, GradReport
from tinygrad_lab.testing.telling.ledger import blame

__all__ = ["WAYS", "Row", "look_for"]

WAYS = ("typical", "random", "strategy")


@dataclass
class Row:
    """What became of one fault.

    Attributes
    ----------
    number, name, family
        Of the fault.
    not_carried : str
        Why the other tools cannot be asked; empty where they can.
    caught : dict of str to dict of str to bool
        By tool and way (``typical``, ``random``, ``strategy``); a tool that was not asked is not
        there.
    hung : list of str
        The tools that did not come back.
    examples : int or None
        How many examples ours needed.
    shrunk : int or None
        How many numbers the smallest failing input that ours reports has.
    property : str
        Which property of ours noticed.
    rank : int or None
        Place of the patched operation in the ledger of ours, where one was drawn up.
    composite_rank : int or None
        The same inside ``tanh(op(1 * x) / 2)``.
    """

    number: int
    name: str
    family: str
    not_carried: str
    caught: dict[str, dict[str, bool]] = field(default_factory=dict)
    hung: list[str] = field(default_factory=list)
    examples: int | None = None
    shrunk: int | None = None
    property: str = ""
    rank: int | None = None
    composite_rank: int | None = None


def look_for(index: int, tools: Sequence[Tool], examples: int) -> Row:
    """Ask every tool about one fault: that of an index in ``FAULTS``, which can be sent about."""
    fault = FAULTS[index]
    specimen = specimen_of(fault)
    row = Row(fault.number, fault.name, fault.family, carried(fault))
    _ours_by_strategy(fault, examples, row)
    if specimen is None:
        row.caught["ours"] |= {"typical": True, "random": True}  # its one input is a typical one
        return row
    asked = points(specimen, examples)
    for tool in tools:
        ours = isinstance(tool, Ours)
        if row.not_carried and not ours:
            continue
        ways = WAYS[:2] if ours else WAYS
        try:
            noticed = {way: _notices(tool, fault, asked[way]) for way in ways}
        except HungError:
            row.hung.append(tool.name)
        else:
            row.caught[tool.name] = row.caught.get(tool.name, {}) | noticed
    return row


def _notices(tool: Tool, fault: Fault, calls: Sequence[Call]) -> bool:
    """Whether it objects at some point, and does not without the fault."""
    left = iter(enumerate(calls))
    while True:
        with fault.plant():
            objection = next(((i, call) for i, call in left if tool.alarm(call, i)), None)
        if objection is None:
            return False
        i, call = objection
        if not tool.alarm(call, i):
            return True


def _ours_by_strategy(fault: Fault, examples: int, row: Row) -> None:
    """Run the fault's own check; count what it needs, and look at where it arrives."""
    checked: list[tuple[Call, GradReport]] = []
    mine = row.caught.setdefault("ours", {})
    with fault.plant():
        try:
            fault.check(examples, 0, lambda *pair: checked.append(pair))
        except GradientError as error:
            finding = error.report.findings[0]
        else:
            mine["strategy"] = False
            return
    mine["strategy"] = True
    row.property = finding.property
    if not checked:  # a module, at one input
        return
    row.examples = 1 + next(i for i, (_, report) in enumerate(checked) if report.verdict == FAIL)
    smallest = checked[-1][0]
    row.shrunk = sum(np.size(x) for x in smallest.arrays if isinstance(x, np.ndarray))
    if fault.blamed:
        row.rank = _rank(finding.blame, fault.blamed)
        with fault.plant():
            row.composite_rank = _composite_rank(smallest.f, smallest.arrays, fault.blamed)


def _rank(ledger: Any, blamed: str) -> int | None:
    """Count from 1; 0 where the ledger does not have it."""
    if ledger is None:
        return None
    places = enumerate(ledger.entries, start=1)
    return next((place for place, entry in places if blamed in entry.suspects), 0)


def _composite_rank(f: Any, arrays: Sequence[Any], blamed: str) -> int | None:
    """Rank the operation among others, where the fault makes a number wrong there."""

    def composite(*xs: Any) -> Any:
        wide = [x * 1.0 if getattr(x, "requires_grad", False) else x for x in xs]
        return np.tanh(f(*wide) / 2.0)

    try:
        with np.errstate(all="ignore"):
            ledger = blame(composite, *arrays)
    except Exception:  # noqa: BLE001 - a rule that raises leaves nothing to account for
        return None
    wrong = np.isfinite(ledger.discrepancy) and abs(ledger.discrepancy) > 1e-9
    return _rank(ledger, blamed) if wrong else None
