"""What the checks of a whole run came to: sums by operation and test, as data and as a page.

Not for: one report (``finding.py``), or the table at the end of a run (``pytest/plugin.py``).
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from tinygrad_lab.files import write_file
from tinygrad_lab.testing.judging.judgement import FAIL, INCONCLUSIVE, PASS
from tinygrad_lab.testing.telling.finding import GradReport, message

MOST_INPUTS = 12  # whose resolutions are listed

RANK = {FAIL: 0, INCONCLUSIVE: 1, PASS: 2}


class Tally:
    """What all checks of one operation in one test came to, as plain data."""

    def __init__(self, operation: str, test: str) -> None:
        self.operation, self.test = operation, test
        self.checks = 0
        self.verdicts: Counter[str] = Counter()  # of whole checks
        self.properties: defaultdict[str, Counter[str]] = defaultdict(Counter)
        self.resolution: float | None = None
        self.resolutions: dict[str, float] = {}  # by input, the worst of any check
        self.reasons: dict[str, str] = {}  # why a property could not be decided
        self.notes: list[str] = []
        self.messages: dict[Any, str] = {}  # of each sort of fault the last

    def add(self, report: GradReport) -> None:
        """Count the results of one check."""
        self.checks += 1
        self.verdicts[report.verdict] += 1
        for result in report.results:
            self.properties[result.property][result.verdict] += 1
            if result.verdict == INCONCLUSIVE:
                self.reasons[result.property] = result.note
        if INCONCLUSIVE not in (result.verdict for result in report.results):
            self.reasons |= {f"input {part.name}": part.note for part in report.not_compared}
        if report.verdict == PASS and report.resolution is not None:
            self.resolution = max(self.resolution or 0.0, report.resolution)
        self._resolve(report.resolutions)
        self.notes += [note for note in report.notes if note not in self.notes]
        if report.findings:  # the last of its sort is what Hypothesis has shrunk to
            finding = report.findings[0]
            self.messages[finding.input, finding.kind] = message(report)

    def join(self, data: Mapping[str, Any]) -> None:
        """Add what another tally came to."""
        self.checks += data["checks"]
        self.verdicts.update(data["verdicts"])
        for name, counts in data["properties"].items():
            self.properties[name].update(counts)
        if data["resolution"] is not None:
            self.resolution = max(self.resolution or 0.0, data["resolution"])
        self._resolve(data["resolutions"])
        self.reasons |= data["undecided"]
        self.notes += [note for note in data["notes"] if note not in self.notes]
        self.messages |= {(data["test"], i): text for i, text in enumerate(data["messages"])}

    def _resolve(self, resolutions: Mapping[str, float | None]) -> None:
        for name, resolution in resolutions.items():
            if resolution is not None:
                self.resolutions[name] = max(self.resolutions.get(name, 0.0), resolution)

    @property
    def verdict(self) -> str:
        """The worst of any check; inconclusive also where nothing at all could be decided."""
        return min((v for v, n in self.verdicts.items() if n), key=RANK.__getitem__)

    @property
    def summary(self) -> str:
        """Say in a few words which properties hold, and which do not."""
        every = self.properties.items()
        worst = {name: min(counts, key=lambda v: RANK.get(v, 3)) for name, counts in every}
        parts = []
        for verdict, one, several in (
            (FAIL, "fails", "fail"),
            (INCONCLUSIVE, "undecided", "undecided"),
        ):
            names = [name for name, of_all in worst.items() if of_all == verdict]
            parts += [f"{', '.join(names)} {one if len(names) == 1 else several}"] if names else []
        return ", ".join([*parts, f"{list(worst.values()).count(PASS)} hold"])

    @property
    def undecided(self) -> str:
        """Say what could not be decided, and why, a property a line."""
        rows = [f"  {name}: {why or 'no reason given'}" for name, why in self.reasons.items()]
        return "\n".join([self.operation, *(rows or ["  nothing at all could be compared"])])

    def as_data(self) -> dict[str, Any]:
        """Give what JSON can hold."""
        return {
            "operation": self.operation, "test": self.test, "verdict": self.verdict,
            "checks": self.checks, "verdicts": dict(self.verdicts), "summary": self.summary,
            "resolution": self.resolution if self.verdict == PASS else None,
            "properties": {name: dict(counts) for name, counts in self.properties.items()},
            "resolutions": self.resolutions, "undecided": self.reasons, "notes": self.notes,
            "messages": list(dict.fromkeys(self.messages.values())),
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


def remarks(row: Mapping[str, Any]) -> list[str]:
    """Say what else there is to know of a row: the resolution by input, and the notes."""
    by_input = row["resolutions"] if row["verdict"] == PASS else {}
    worst_first = sorted(by_input.items(), key=lambda item: -item[1])
    pairs = [f"{name} {resolution_text(x)}" for name, x in worst_first]
    more = f", and {len(pairs) - MOST_INPUTS} more" if len(pairs) > MOST_INPUTS else ""
    several = [f"by input: {', '.join(pairs[:MOST_INPUTS])}{more}"] if len(pairs) > 1 else []
    return several + [f"note: {note}" for note in row["notes"]]


def unnoticed(mutants: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Say of each test that missed planted faults which ones it ran and passed, by gradient."""
    for test in dict.fromkeys(test for m in mutants for test in m["missed"]):
        missed: defaultdict[str, list[str]] = defaultdict(list)
        every: Counter[str] = Counter()
        for m in mutants:
            every[m["rule"]] += test in m["missed"] or test in m["noticed"]
            if test in m["missed"]:
                missed[m["rule"]].append(m["fault"])
        parts = [f"{rule}: {_counted(faults, every[rule])}" for rule, faults in missed.items()]
        number = sum(map(len, missed.values()))
        yield f"{test} does not notice {number} of {every.total()} ({'; '.join(parts)})"


def _counted(faults: Sequence[str], every: int) -> str:
    """Name a few faults, and count many."""
    if len(faults) == every:
        return "all"
    return ", ".join(faults) if len(faults) <= 3 else str(len(faults))


MOST_TESTS = 3  # that are named of those that notice a fault


def who_noticed(mutants: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    """Give each gradient, faults of it, and who noticed these: those that the same tests did."""
    rows: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for m in mutants:
        rows.setdefault((m["rule"], tuple(m["noticed"])), []).append(m["fault"])
    order = list(dict.fromkeys(m["rule"] for m in mutants))
    for (rule, tests), faults in sorted(rows.items(), key=lambda row: order.index(row[0][0])):
        names = [test.rpartition("::")[2] for test in tests[:MOST_TESTS]]
        names += [f"and {len(tests) - MOST_TESTS} more"] if len(tests) > MOST_TESTS else []
        yield rule, ", ".join(faults), ", ".join(names)


def write(
    path: Path, rows: Sequence[Mapping[str, Any]], mutants: Sequence[Mapping[str, Any]]
) -> None:
    """Write a report as .json or .html."""
    if path.suffix == ".json":
        text = json.dumps({"checks": in_order(rows), "mutants": mutants}, indent=1) + "\n"
    else:
        text = _page(in_order(rows), mutants)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, text.encode())


_STYLE = """
:root{color-scheme:light dark}
body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}
div{overflow-x:auto}table{border-collapse:collapse;width:100%}
td,th{text-align:left;padding:.3rem .6rem;border-top:1px solid #8884;vertical-align:top}
th{border-top:0}td.why{border-top:0;padding-top:0}.why p{margin:.2rem 0;font-size:13px;opacity:.8}
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
        for verdict in RANK
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
        escape(row["operation"]), _verdict(row["verdict"], row["verdict"]),
        resolution_text(row["resolution"]), escape(row["summary"]), str(row["checks"]),
        escape(row["test"]),
    )  # fmt: skip
    undecided = "\n".join(f"{name}: {note}" for name, note in row["undecided"].items())
    text = "\n\n".join(filter(None, [*row["messages"], undecided]))
    below = [f"<pre>{escape(text)}</pre>"] if text else []
    below += [f"<p>{escape(line)}</p>" for line in remarks(row)]
    why = f'<tr><td class="why" colspan="{len(cells)}">{"".join(below)}'
    return [_line(cells), why] if below else [_line(cells)]


def _planted(mutants: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = []
    for m in mutants:
        noticed, every = m["noticed"], len(m["noticed"]) + len(m["missed"])
        text = f"{len(noticed)} of {every} tests" if every else "no test"
        cells = (
            escape(m["rule"]), escape(m["fault"]), _verdict("pass" if noticed else "fail", text),
            "<br>".join(map(escape, noticed)), "<br>".join(map(escape, m["missed"])),
            escape(m["suggestion"].partition(": ")[2]),
        )  # fmt: skip
        rows.append(_line(cells))
    noticed = sum(bool(m["noticed"]) for m in mutants)
    missing = [escape(text) for text in unnoticed(mutants)]
    titles = ("Gradient", "Fault", "Noticed", "By", "Not by", "To notice it")
    return [
        f"<h2>Planted faults</h2><p>{noticed} of {len(mutants)} noticed</p>",
        _table(titles, rows),
        *(["<ul><li>" + "<li>".join(missing) + "</ul>"] if missing else []),
    ]


def _verdict(kind: str, text: str) -> str:
    return f'<span class="{kind}">{text}</span>'


def _line(cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells)


def _table(titles: Sequence[str], lines: Sequence[str]) -> str:
    head = "<tr>" + "".join(f"<th>{title}</th>" for title in titles)
    return "\n".join(["<div><table>", head, *lines, "</table></div>"])
