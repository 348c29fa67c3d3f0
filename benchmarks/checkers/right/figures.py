"""Figures of what checkers said about right functions and wrong ones, as tables.

Not for: asking them (``measuring.py``).
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Sequence

from benchmarks.checkers.right.measuring import Asked
from benchmarks.checkers.right.points import KINDS

__all__ = ["alarms", "alarms_by_kind", "by_function", "twins"]


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(x) for x in line) + " |" for line in lines)


def _share(part: int, of: int) -> str:
    return f"{100 * part / of:.1f} %" if of else "–"


def _checkers(answers: Sequence[Asked]) -> list[str]:
    return list(dict.fromkeys(a.checker for a in answers))


def alarms(answers: Sequence[Asked]) -> str:
    """For each checker: how many right functions it calls wrong, and how often it does not know."""
    rows = []
    for checker in _checkers(answers):
        mine = [a for a in answers if a.checker == checker]
        wrong = [a for a in mine if a.verdict == "fail"]
        unknown = [a for a in mine if a.verdict == "inconclusive"]
        median = statistics.median(a.seconds for a in mine) * 1e3
        slow = statistics.quantiles((a.seconds for a in mine), n=20)[-1] * 1e3
        rows.append((
            checker, len({a.function for a in mine}), len(mine),
            len({a.function for a in wrong}), f"{len(wrong)} ({_share(len(wrong), len(mine))})",
            f"{len(unknown)} ({_share(len(unknown), len(mine))})",
            f"{median:.1f} ms", f"{slow:.0f} ms", f"{sum(a.seconds for a in mine):.0f} s",
        ))  # fmt: skip
    return table(
        ("checker", "functions", "checks", "functions called wrong", "checks called wrong",
         "inconclusive", "median", "95 % within", "in all"), rows
    )  # fmt: skip


def alarms_by_kind(answers: Sequence[Asked]) -> str:
    """For each checker and kind of point: how often it objects, and how often it is undecided."""
    rows = []
    for checker in _checkers(answers):
        for verdict, word in (("fail", "called wrong"), ("inconclusive", "inconclusive")):
            mine = [a for a in answers if a.checker == checker]
            if any(a.verdict == verdict for a in mine):
                rows.append((f"{checker}, {word}", *(_at(mine, kind, verdict) for kind in KINDS)))
    return table(("", *KINDS), rows)


def _at(answers: Sequence[Asked], kind: str, verdict: str) -> str:
    there = [a for a in answers if a.kind == kind]
    return f"{sum(a.verdict == verdict for a in there)} of {len(there)}"


def by_function(answers: Sequence[Asked], is_listed: Callable[[Asked], bool]) -> str:
    """One line for each function and checker: at which kinds of points, and what was said."""
    lines: dict[tuple[str, str], list[Asked]] = {}
    for a in answers:
        if is_listed(a) and a.verdict == "fail":
            lines.setdefault((a.checker, a.function), []).append(a)
    return "\n".join(
        f"{checker}: {function}: " + ", ".join(
            f"{kind} {sum(a.kind == kind for a in group)}"
            for kind in KINDS if any(a.kind == kind for a in group)
        ) + " (" + "; ".join(sorted({a.said for a in group})) + ")"
        for (checker, function), group in lines.items()
    )  # fmt: skip


def twins(answers: Sequence[Asked]) -> str:
    """For each checker: what became of the wrong functions.  A pass is a fault that is hidden."""
    rows = []
    for checker in _checkers(answers):
        mine = [a for a in answers if a.checker == checker]
        names = {a.function for a in mine}
        count = {v: sum(a.verdict == v for a in mine) for v in ("fail", "inconclusive", "pass")}
        unnoticed = names - _named(mine, "fail")
        rows.append((
            checker, f"{len(names) - len(unnoticed)} of {len(names)}",
            f"{count['fail']} of {len(mine)}", count["inconclusive"], count["pass"],
            "; ".join(sorted(unnoticed - _named(mine, "inconclusive"))) or "none",
        ))  # fmt: skip
    return table(
        ("checker", "noticed at one of 5 points", "checks that fail", "inconclusive",
         "pass (hidden)", "passed at every point"), rows
    )  # fmt: skip


def _named(answers: Sequence[Asked], verdict: str) -> set[str]:
    return {a.function for a in answers if a.verdict == verdict}
