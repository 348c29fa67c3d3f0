"""What was measured, as JSON and as a page.

Not for: measuring (``measuring.py``).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.checkers.alarms import Alarms
from benchmarks.checkers.planted import WAYS, Row
from benchmarks.checkers.slips import Slip, Slips
from benchmarks.checkers.whole import Alarm, Undecided, Whole

__all__ = ["Table"]


@dataclass
class Table:
    """Everything measured, and with what.

    Attributes
    ----------
    settings : dict of str to dict
        By part: "faults", "alarms", "catalogue", "slips"; a part that was not measured is missing.
    tools : dict of str to dict
        Setting and version of each checker.
    rows : list of Row
        Of each fault, what noticed it.
    alarms : dict of str to Alarms
        Of each tool.
    catalogue : Whole or None
        Ours on the whole catalogue.
    slips : Slips or None
        Ours on slips of one in a million.
    """

    settings: dict[str, dict[str, Any]] = field(default_factory=dict)
    tools: dict[str, dict[str, str]] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)
    alarms: dict[str, Alarms] = field(default_factory=dict)
    catalogue: Whole | None = None
    slips: Slips | None = None

    def json(self) -> str:
        """Write it down."""
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def read(cls, path: Path) -> Table:
        """Read what was written down."""
        data = json.loads(path.read_text(encoding="utf-8"))
        table = cls(data["settings"], data["tools"])
        table.rows = [Row(**row) for row in data["rows"]]
        table.alarms = {name: Alarms(**counted) for name, counted in data["alarms"].items()}
        if data["catalogue"]:
            table.catalogue = Whole(**data["catalogue"])
            table.catalogue.alarms = [Alarm(**a) for a in data["catalogue"]["alarms"]]
            undecided = data["catalogue"]["undecided"]
            table.catalogue.undecided = {name: Undecided(**u) for name, u in undecided.items()}
        if data["slips"]:
            table.slips = Slips(**data["slips"])
            table.slips.others = [Slip(**slip) for slip in data["slips"]["others"]]
        return table

    def filled(self, earlier: Table) -> Table:
        """Take from an earlier run the parts that were not measured in this one."""
        return Table(
            earlier.settings | self.settings,
            earlier.tools | self.tools,
            self.rows or earlier.rows,
            self.alarms or earlier.alarms,
            self.catalogue or earlier.catalogue,
            self.slips or earlier.slips,
        )

    def counts(self) -> dict[str, dict[str, tuple[int, int]]]:
        """Count for each tool and way what was caught, of how many."""
        counts: dict[str, dict[str, tuple[int, int]]] = {}
        for name in self.tools:
            asked = [row.caught[name] for row in self.rows if name in row.caught]
            if asked:
                counts[name] = {w: (sum(c[w] for c in asked), len(asked)) for w in WAYS}
        return counts

    def markdown(self) -> str:
        """Lay it out as a page, of those parts that were measured."""
        parts = [self._head()]
        parts += [self._summary()] if self.rows else []
        parts += [self._false()] if self.alarms else []
        parts += [_whole(self.catalogue)] if self.catalogue else []
        parts += [_slips(self.slips)] if self.slips else []
        parts += [self._faults()] if self.rows else []
        return "\n".join(line for part in parts for line in [*part, ""])

    def _head(self) -> list[str]:
        settings = [
            f"- {part}: " + ", ".join(f"{key} {value}" for key, value in settings.items())
            for part, settings in self.settings.items()
        ]
        rows = [f"- **{n}**: {t['setting']} ({t['version']})" for n, t in self.tools.items()]
        return [*INTRODUCTION, "Measured with:", "", *settings, "", *rows]

    def _summary(self) -> list[str]:
        rows = ["## Caught", "", "| tool | 1 typical point | 20 random points | our strategy |"]
        rows.append("|---|---|---|---|")
        counts, carried_over = self.counts(), [r for r in self.rows if not r.not_carried]
        for name, ways in counts.items():
            cells = " | ".join(f"{ways[w][0]} of {ways[w][1]}" for w in WAYS)
            rows.append(f"| {name}{', all faults' if name == 'ours' else ''} | {cells} |")
            if name == "ours":
                same = [sum(r.caught[name][w] for r in carried_over) for w in WAYS]
                cells = " | ".join(f"{n} of {len(carried_over)}" for n in same)
                rows.append(f"| ours, those the others can be asked about | {cells} |")
        for name in [name for name in self.tools if name not in counts]:
            why = "hung" if any(name in row.hung for row in self.rows) else "not installed"
            rows.append(f"| {name} | {why} | {why} | {why} |")
        ranks = [r.rank for r in self.rows if r.rank is not None]
        inside = [r.composite_rank for r in self.rows if r.composite_rank is not None]
        return [
            *rows, "",
            f"Blame ranks the patched operation first in {ranks.count(1)} of {len(ranks)} failures "
            f"that it explains, and inside a composite function in {inside.count(1)} of "
            f"{len(inside)}."
            + "".join(
                f" Not first: fault {r.number} ({r.name}), noticed by {r.property}."
                for r in self.rows
                if r.rank not in (None, 1) or r.composite_rank not in (None, 1)
            ),
        ]  # fmt: skip

    def _false(self) -> list[str]:
        rows = ["## False alarms", "", "| tool | ordinary inputs | zeros, ties, extremes | where |"]
        rows.append("|---|---|---|---|")
        for name, a in self.alarms.items():
            most = sorted(a.where.items(), key=lambda pair: -pair[1])[:6]
            places = ", ".join(f"{n} {k}" for n, k in most)
            ordinary = f"{a.ordinary} of {a.ordinary_points}"
            rows.append(f"| {name} | {ordinary} | {a.at_kinks} of {a.kink_points} | {places} |")
        return rows

    def _faults(self) -> list[str]:
        names = [n for n, tool in self.tools.items() if tool["version"] != "not installed"]
        head = ["fault", *names, "noticed by", "examples", "shrunk", "rank", "in composite"]
        rows = ["## Every fault", "", *LEGEND, "", "| " + " | ".join(head) + " |"]
        rows.append("|---" * len(head) + "|")
        for row in self.rows:
            marks = [_marks(row, name) for name in names]
            numbers = (row.examples, row.shrunk, row.rank, row.composite_rank)
            cells = [f"{row.number} {row.name}", *marks, row.property or "–", *map(_cell, numbers)]
            rows.append("| " + " | ".join(cells) + " |")
        reasons: dict[str, list[str]] = {}
        for row in self.rows:
            if row.not_carried:
                reasons.setdefault(row.not_carried, []).append(str(row.number))
        return [*rows, "", *[f"n/a: {', '.join(n)}: {why}." for why, n in reasons.items()]]


def _cell(value: int | None) -> str:
    return "–" if value is None else str(value)


def _marks(row: Row, tool: str) -> str:
    caught = row.caught.get(tool)
    if caught is None:
        return "hung" if tool in row.hung else "n/a"
    return " ".join("✓" if caught[way] else "·" for way in WAYS)


def _whole(whole: Whole) -> list[str]:
    seeds = "1 seed" if whole.seeds == 1 else f"{whole.seeds} seeds"
    rows = [
        "## The whole catalogue", "",
        f"`check_op`, all properties and second order, on each of the {whole.operations} "
        f"operations of the catalogue and of {whole.specimens} hand-written ones, all of them "
        f"right, for {seeds}: {whole.runs:,} runs, in which {whole.checks:,} gradients were "
        f"checked; {whole.seconds / max(whole.runs, 1):.1f} s a run. Of the single checks "
        f"{whole.undecided_checks:,} were inconclusive, which at zeros, ties and extremes is left "
        "out of the verdict of a run. "
        f"**False alarms: {len(whole.alarms)}.**"
        + ("" if whole.complete else " It was stopped before the end."),
    ]  # fmt: skip
    if whole.alarms:
        rows += ["", "| operation | seed | what was said |", "|---|---|---|"]
        rows += [f"| {a.operation} | {a.seed} | {_one_line(a.message)} |" for a in whole.alarms]
    if whole.undecided:
        rows += ["", "Inconclusive, which is told and is no pass:", ""]
        rows += ["| operation | runs | properties |", "|---|---|---|"]
        most = sorted(whole.undecided.items(), key=lambda pair: (-pair[1].runs, pair[0]))
        rows += [f"| {name} | {u.runs} | {', '.join(u.properties)} |" for name, u in most]
    return rows


def _slips(slips: Slips) -> list[str]:
    outcomes = [slip.outcome for slip in slips.others]
    meanings = {
        "zero": "by a rule that gives nothing but zeros, where it is no slip",
        "inconclusive": "told to be inconclusive",
        "missed": "missed",
        "not reached": "not reached",
    }
    counted = [f"{outcomes.count(o)} {text}" for o, text in meanings.items() if o in outcomes]
    rows = [
        "## A slip of one in a million", "",
        f"Each of the {slips.rules} rules of the catalogue's operations made too large by "
        f"{slips.size:g}, relatively, one after the other, and so what is handed on to each of the "
        f"{slips.composed} operations that are composed of others; `check_op` with at most "
        f"{slips.examples} examples, in float64. **Caught: {slips.caught} of "
        f"{slips.caught + len(slips.others)}**"
        + (f"; {', '.join(counted)}." if counted else ".")
        + ("" if slips.complete else " It was stopped before the end."),
    ]  # fmt: skip
    if slips.others:
        rows += ["", "| operation | slip in | outcome | what was said |", "|---|---|---|---|"]
        rows += [
            f"| {s.operation} | {s.place} | {s.outcome} | {_one_line(s.remark)} |"
            for s in slips.others
        ]
    return rows


def _one_line(text: str) -> str:
    return text.partition("\n")[0].replace("|", "\\|")


INTRODUCTION = [
    "# Which checker notices which fault",
    "",
    "Written by `python -m benchmarks.checkers --markdown PATH` in the repository; not edited by",
    "hand.",
    "",
    "Each fault of `benchmarks/checkers/faults.py` is planted, and each checker is asked about it",
    "in three ways: at one typical input (full arrays, fewest options, numbers on no grid and at",
    "no kink), at 20 inputs like it with other numbers, and at everything our strategies generate",
    "(shapes of all kinds, options, zeros, ties). For the others the fault becomes a custom",
    'function of theirs made of the same NumPy forward and backward computation, and "our',
    'strategy" is a loop over inputs drawn from our strategies. A fault counts as noticed if the',
    "checker objects, or raises, and is content with the same input once the fault is taken out.",
    "",
    "What this does not compare: faults of our engine have no meaning elsewhere; the others are",
    "asked for first derivatives in float64, which is what can be carried over, while ours looks",
    "at second order and float32 as well; what the carrying itself repairs (PyTorch checks",
    "shapes and dtypes of what a function returns, ours sums over broadcast axes in the rules of",
    "its table, JAX hands over copies, which may be written into) is to the credit of neither. The",
    "catalogue of faults is ours, so that ours catches most of it says that the checker was built",
    "for it, not that no other faults exist.",
    "",
]

LEGEND = [
    "Three marks a tool: typical point, 20 random points, our strategy; ✓ noticed, · not, n/a not",
    "to be asked. Of ours: the property that noticed, the examples needed, the numbers in the",
    "shrunk input, and the rank of the patched operation in the blame, of the check itself and",
    "inside `tanh(op(1 * x) / 2)`; – where there is no wrong number, or no operation, to blame.",
]
