"""Tell whoever listens of every check that was finished, and keep what was told.

The pytest plugin listens; so may any other runner, by appending to :data:`LISTENERS`.

Not for: running checks (``check.py``), or pytest (``plugin.py``).
"""

from __future__ import annotations

import contextlib
import functools
import html
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ParamSpec

from tinygrad_lab.testing.report import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    GradientError,
    GradReport,
    message,
)

__all__ = ["EXAMPLES", "LISTENERS", "PROFILE", "Tally", "announced", "write"]

P = ParamSpec("P")

#: Called with the report of each finished check, whatever its verdict.
LISTENERS: list[Callable[[GradReport], None]] = []

#: How many examples a profile generates for an operation.
EXAMPLES = {"quick": 15, "default": 100, "thorough": 1000}

#: Which profile holds where a check is not told how many examples to generate.
PROFILE = {"name": "default"}

_RANK = {FAIL: 0, INCONCLUSIVE: 1, PASS: 2}


def announced(check: Callable[P, GradReport]) -> Callable[P, GradReport]:
    """Tell the listeners of a check when it is finished, and not of the checks it is made of."""

    @functools.wraps(check)
    def told(*args: P.args, **kwargs: P.kwargs) -> GradReport:
        if not LISTENERS:
            return check(*args, **kwargs)
        with _nobody_listening() as listeners:
            try:
                report = check(*args, **kwargs)
            except GradientError as error:
                for listener in listeners:
                    listener(error.report)
                raise
        for listener in listeners:
            listener(report)
        return report

    return told


@contextlib.contextmanager
def _nobody_listening() -> Iterator[list[Callable[[GradReport], None]]]:
    listeners = list(LISTENERS)
    LISTENERS.clear()
    try:
        yield listeners
    finally:
        LISTENERS[:] = listeners


class Tally:
    """What all checks of one operation in one test came to, as plain data.

    Parameters
    ----------
    operation : str
        What was checked.
    test : str
        The test that checked it.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab.testing import gradcheck
    >>> tally = Tally("tanh", "test_tanh")
    >>> tally.add(gradcheck(np.tanh, np.array([0.5])))
    >>> tally.verdict, tally.checks
    ('pass', 1)
    """

    def __init__(self, operation: str, test: str) -> None:
        self.operation, self.test = operation, test
        self.checks = 0
        self.properties: dict[str, dict[str, int]] = {}
        self.resolution: float | None = None
        self.notes: dict[str, str] = {}  # why a property could not be decided
        self.messages: dict[str, str] = {}

    def add(self, report: GradReport) -> None:
        """Count the results of one check."""
        self.checks += 1
        for result in report.results:
            counts = self.properties.setdefault(result.property, {})
            counts[result.verdict] = counts.get(result.verdict, 0) + 1
            if result.verdict == INCONCLUSIVE:
                self.notes[result.property] = result.note
        if report.verdict == PASS and report.resolution is not None:
            self.resolution = max(self.resolution or 0.0, report.resolution)
        if report.findings:  # the last of a kind that fails is what Hypothesis has shrunk to
            finding = report.findings[0]
            kind = f"{finding.input}, {finding.kind}"
            self.messages[kind] = message(report.name, finding, report.inputs)

    def join(self, data: Mapping[str, Any]) -> None:
        """Add what another tally came to."""
        self.checks += data["checks"]
        for name, counts in data["properties"].items():
            own = self.properties.setdefault(name, {})
            for verdict, number in counts.items():
                own[verdict] = own.get(verdict, 0) + number
        if data["resolution"] is not None:
            self.resolution = max(self.resolution or 0.0, data["resolution"])
        self.notes |= data["notes"]
        self.messages |= {told: told for told in data["messages"]}

    @property
    def verdict(self) -> str:
        """The worst of any check; inconclusive also where nothing at all could be decided."""
        seen = {v for counts in self.properties.values() for v in counts}
        if self.messages or FAIL in seen:
            return FAIL
        return PASS if PASS in seen and INCONCLUSIVE not in seen else INCONCLUSIVE

    @property
    def summary(self) -> str:
        """Say in a few words which properties hold, and which do not."""
        worst = {
            name: min(counts, key=lambda v: _RANK.get(v, 3))
            for name, counts in self.properties.items()
        }
        parts = []
        for verdict, word in ((FAIL, "fails"), (INCONCLUSIVE, "undecided")):
            names = [name for name, found in worst.items() if found == verdict]
            parts += [f"{', '.join(names)} {word}"] if names else []
        held = sum(found == PASS for found in worst.values())
        return ", ".join([*parts, f"{held} hold"])

    @property
    def undecided(self) -> str:
        """Say what could not be decided, and why, a property a line."""
        rows = [self.operation]
        rows += [f"  {name}: {why or 'no reason given'}" for name, why in self.notes.items()]
        return "\n".join(rows if self.notes else [*rows, "  nothing at all could be compared"])

    def as_data(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return {
            "operation": self.operation, "test": self.test, "verdict": self.verdict,
            "checks": self.checks, "summary": self.summary,
            "resolution": self.resolution if self.verdict == PASS else None,
            "properties": self.properties, "notes": self.notes,
            "messages": list(self.messages.values()),
        }  # fmt: skip


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort rows so that what needs looking at comes first."""
    return sorted(rows, key=lambda row: _RANK[row["verdict"]])


def summary_of_test(test: str, mutants: Sequence[Mapping[str, Any]]) -> str:
    """Say which planted faults a test ran and passed, gradient by gradient."""
    met = [m for m in mutants if test in m["missed"] or test in m["noticed"]]
    missed: dict[str, list[str]] = {}
    for m in met:
        if test in m["missed"]:
            missed.setdefault(m["rule"], []).append(m["fault"])
    every = {rule: sum(m["rule"] == rule for m in met) for rule in missed}
    parts = [
        f"{rule}: " + ("all" if len(faults) == every[rule] else ", ".join(faults))
        for rule, faults in missed.items()
    ]
    number = sum(len(faults) for faults in missed.values())
    return f"{test} does not notice {number} of {len(met)} ({'; '.join(parts)})"


def tests_that_miss(mutants: Sequence[Mapping[str, Any]]) -> list[str]:
    """Name the tests that do not notice a planted fault."""
    return list(dict.fromkeys(test for m in mutants for test in m["missed"]))


def told(resolution: float | None) -> str:
    """Write a resolution, or that there is none."""
    if resolution is None:
        return ""
    return f"{resolution:.0e}" if resolution else "0"


# ---------------------------------------------------------------------------------------------
# Files


def write(
    path: Path, rows: Sequence[Mapping[str, Any]], mutants: Sequence[Mapping[str, Any]]
) -> None:
    """Write a report as .json or .html, beside its place, and move it there when it is whole."""
    if path.suffix == ".json":
        text = json.dumps({"checks": in_order(rows), "mutants": mutants}, indent=1) + "\n"
    else:
        text = _page(in_order(rows), mutants)
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, beside = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        Path(beside).chmod(0o644)  # mkstemp makes it for its owner's eyes only
        Path(beside).replace(path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
div{overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.3rem .6rem;border-top:1px solid #8884;vertical-align:top}
th{border-top:0}td.why{border-top:0;padding-top:0}
pre{white-space:pre-wrap;overflow-wrap:anywhere;margin:0;padding:.6rem .8rem;
 background:#8881;border-radius:.4rem;font-size:13px}
.pass{color:#1a7f37}.fail{color:#cf222e}.inconclusive{color:#9a6700}
.pass,.fail,.inconclusive{font-weight:600;white-space:nowrap}
@media(prefers-color-scheme:dark){.pass{color:#4ac26b}.fail{color:#ff7b72}
 .inconclusive{color:#e3b341}}
"""


def _page(rows: Sequence[Mapping[str, Any]], mutants: Sequence[Mapping[str, Any]]) -> str:
    counts = [
        _verdict(verdict, f"{number} {verdict}")
        for verdict in _RANK
        if (number := sum(row["verdict"] == verdict for row in rows))
    ]
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Gradients</title><style>{_STYLE}</style><h1>Gradients</h1>"
        f"<p>{', '.join(counts) or 'none was checked'}</p>"
    )
    titles = ("Operation", "Verdict", "Resolution", "Properties", "Checks", "Test")
    parts = [head, _table(titles, [line for row in rows for line in _lines(row)])]
    return "\n".join([*parts, *(_planted(mutants) if mutants else []), "</html>\n"])


def _lines(row: Mapping[str, Any]) -> list[str]:
    cells = (
        _e(row["operation"]), _verdict(row["verdict"], row["verdict"]), told(row["resolution"]),
        _e(row["summary"]), str(row["checks"]), _e(row["test"]),
    )  # fmt: skip
    undecided = "\n".join(f"{name}: {note}" for name, note in row["notes"].items())
    text = "\n\n".join([*row["messages"], *([undecided] if undecided else [])])
    below = [f'<tr><td class="why" colspan="{len(cells)}"><pre>{_e(text)}</pre>'] if text else []
    return [_line(cells), *below]


def _planted(mutants: Sequence[Mapping[str, Any]]) -> list[str]:
    faults = list(dict.fromkeys(m["fault"] for m in mutants))
    cells: dict[str, dict[str, str]] = {}
    for m in mutants:
        noticed, missed = len(m["noticed"]), len(m["missed"])
        text = f"{noticed} of {noticed + missed} tests" if noticed + missed else "no test"
        told_of = _verdict("pass" if noticed else "fail", text)
        cells.setdefault(m["rule"], {})[m["fault"]] = told_of
    lines = [_line((_e(rule), *(row.get(f, "") for f in faults))) for rule, row in cells.items()]
    noticed = sum(bool(m["noticed"]) for m in mutants)
    missing = [_e(summary_of_test(test, mutants)) for test in tests_that_miss(mutants)]
    return [
        f"<h2>Planted faults</h2><p>{noticed} of {len(mutants)} noticed</p>",
        _table(("Gradient", *map(_e, faults)), lines),
        *(["<ul><li>" + "<li>".join(missing) + "</ul>"] if missing else []),
    ]


def _verdict(kind: str, text: str) -> str:
    return f'<span class="{kind}">{text}</span>'


def _line(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells)


def _table(titles: Sequence[str], lines: Sequence[str]) -> str:
    head = "<tr>" + "".join(f"<th>{title}</th>" for title in titles)
    return "\n".join(["<div><table>", head, *lines, "</table></div>"])


def _e(text: str) -> str:
    return html.escape(text)
