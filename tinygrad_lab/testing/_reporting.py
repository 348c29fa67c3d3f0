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
        self.message = ""

    def add(self, report: GradReport) -> None:
        """Count the results of one check."""
        self.checks += 1
        for result in report.results:
            counts = self.properties.setdefault(result.property, {})
            counts[result.verdict] = counts.get(result.verdict, 0) + 1
        if report.verdict == PASS and report.resolution is not None:
            self.resolution = max(self.resolution or 0.0, report.resolution)
        if report.findings:  # the last that fails is what Hypothesis has shrunk to
            self.message = message(report.name, report.findings[0], report.inputs)

    def join(self, data: Mapping[str, Any]) -> None:
        """Add what another tally came to."""
        self.checks += data["checks"]
        for name, counts in data["properties"].items():
            own = self.properties.setdefault(name, {})
            for verdict, number in counts.items():
                own[verdict] = own.get(verdict, 0) + number
        if data["resolution"] is not None:
            self.resolution = max(self.resolution or 0.0, data["resolution"])
        self.message = self.message or data["message"]

    @property
    def verdict(self) -> str:
        """The worst of any check; inconclusive also where nothing at all could be decided."""
        seen = {v for counts in self.properties.values() for v in counts}
        if self.message or FAIL in seen:
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

    def as_data(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return {
            "operation": self.operation, "test": self.test, "verdict": self.verdict,
            "checks": self.checks, "summary": self.summary,
            "resolution": self.resolution if self.verdict == PASS else None,
            "properties": self.properties, "message": self.message,
        }  # fmt: skip


def in_order(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sort rows so that what needs looking at comes first."""
    return sorted(rows, key=lambda row: _RANK[row["verdict"]])


def told(resolution: float | None) -> str:
    """Write a resolution, or that there is none."""
    if resolution is None:
        return ""
    return f"{resolution:.0e}" if resolution else "0"


# ---------------------------------------------------------------------------------------------
# Files


def write(path: Path, rows: list[Mapping[str, Any]], mutants: list[Mapping[str, Any]]) -> None:
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
body{font:15px/1.5 system-ui,sans-serif;max-width:68rem;margin:2rem auto;padding:0 1rem;
 color-scheme:light dark}
table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem;
 border-bottom:1px solid #8884;vertical-align:top}
.pass{color:#1a7f37}.fail{color:#cf222e}.inconclusive{color:#9a6700}pre{overflow:auto}
.pass,.fail,.inconclusive{font-weight:600}
@media(prefers-color-scheme:dark){.pass{color:#4ac26b}.fail{color:#ff7b72}
 .inconclusive{color:#e3b341}}
"""


def _page(rows: list[Mapping[str, Any]], mutants: list[Mapping[str, Any]]) -> str:
    head = (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Gradients</title><style>{_STYLE}</style><h1>Gradients</h1>"
    )
    titles = ("Operation", "Properties", "Verdict", "Resolution", "Checks", "Test")
    parts = [head, _table(titles, [_row(row) for row in rows])]
    if mutants:
        planted = [
            (_e(m["rule"]), _e(m["fault"]), _names(m["noticed"]), _names(m["missed"]))
            for m in mutants
        ]
        parts.append("<h2>Planted faults</h2>")
        parts.append(_table(("Rule", "Fault", "Noticed by", "Not noticed by"), planted))
    return "\n".join([*parts, "</html>\n"])


def _row(row: Mapping[str, Any]) -> tuple[str, ...]:
    summary = _e(row["summary"])
    if row["message"]:
        told_why = f"<pre>{_e(row['message'])}</pre>"
        summary = f"<details open><summary>{summary}</summary>{told_why}</details>"
    verdict = f'<span class="{row["verdict"]}">{row["verdict"]}</span>'
    cells = (told(row["resolution"]), str(row["checks"]), _e(row["test"]))
    return (_e(row["operation"]), summary, verdict, *cells)


def _names(tests: list[str]) -> str:
    return "<br>".join(_e(test) for test in tests) or "no test"


def _table(titles: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = ["<tr>" + "".join(f"<th>{title}</th>" for title in titles)]
    lines += ["<tr>" + "".join(f"<td>{cell}</td>" for cell in row) for row in rows]
    return "\n".join(["<table>", *lines, "</table>"])


def _e(text: str) -> str:
    return html.escape(text)
