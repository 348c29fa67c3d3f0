"""Whether ours notices a slip of one in a million, in every operation of the catalogue.

Each rule is made too large by that much, one after the other; where an operation is composed of
others and has no rule, its result is passed on by one that is.  ``check_op`` is to object.

Not for: faults that were reported (``planted.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.checkers.primitives import CASES, name_of
from benchmarks.checkers.spread import spread
from tinygrad_lab.core.arguments import plain
from tinygrad_lab.core.operations import defvjp, planted, primitive, vjps_of
from tinygrad_lab.testing.inputs.calls import Call
from tinygrad_lab.testing.judging.judgement import FAIL, INCONCLUSIVE
from tinygrad_lab.testing.operations import check_op

__all__ = ["SLIP", "Slip", "Slips", "places", "slips"]

SLIP = 1e-6
BEHIND = -1  # in place of the number of an argument


@dataclass
class Slip:
    """Where one was, what came of it, and what there is to say of that.

    Attributes
    ----------
    operation, place : str
    outcome : str
        "fail" where it was noticed; else "inconclusive", "missed", "zero" where the rule gives
        nothing but zeros, or "not reached" where it did not run.
    remark : str
    """

    operation: str
    place: str
    outcome: str
    remark: str


@dataclass
class Slips:
    """What ``check_op`` made of all of them.

    Attributes
    ----------
    size : float
        How much too large a rule is, relatively.
    examples : int
        Of ``check_op``.
    rules, composed : int
        How many were planted in rules, and behind operations that have none.
    caught : int
    others : list of Slip
        Those that were not.
    complete : bool
        Whether it was not stopped.
    """

    size: float = SLIP
    examples: int = 0
    rules: int = 0
    composed: int = 0
    caught: int = 0
    others: list[Slip] = field(default_factory=list)
    complete: bool = True


def places() -> list[tuple[int, int]]:
    """List where a slip can be: the index of an operation in the catalogue, and an argument.

    An operation of any number of arguments has one rule for all, which counts as that by the first.
    """
    listed = []
    for i, op in enumerate(CASES):
        rules = vjps_of(op)
        if isinstance(rules, tuple) and rules:
            listed += [(i, argnum) for argnum, rule in enumerate(rules) if rule is not None]
        else:
            listed.append((i, 0 if rules else BEHIND))
    return listed


def slips(
    wanted: Sequence[tuple[int, int]],
    examples: int,
    workers: int,
    progress: Callable[[str], None],
) -> Slips:
    """Plant one slip after the other, and count what ``check_op`` objects to."""
    checked, complete = spread(look_at, [(*place, examples) for place in wanted], workers, progress)
    others = [slip for slip in checked if slip.outcome != FAIL]
    composed = sum(argnum == BEHIND for _, argnum in wanted)
    counts = len(wanted) - composed, composed, len(checked) - len(others)
    return Slips(SLIP, examples, *counts, others, complete)


def look_at(index: int, argnum: int, examples: int) -> Slip:
    """Plant one, in whatever process."""
    op = list(CASES)[index]
    place = "its result" if argnum == BEHIND else f"its rule by argument {argnum}"
    ran: list[bool] = []
    with _planted(op, argnum, ran):
        report = check_op(op, examples=examples, raises=False)
    outcome, remark = report.verdict, ""
    if outcome == INCONCLUSIVE:
        notes = [f"{r.property}: {r.note}" for r in report.results if r.verdict == outcome]
        remark = "; ".join(notes)
    elif outcome != FAIL:
        outcome = "missed" if any(ran) else "zero" if ran else "not reached"
        remark = f"resolution {report.resolution:.0e}" if report.resolution else ""
    return Slip(name_of(op), place, outcome, remark)


def _planted(op: Any, argnum: int, ran: list[bool]) -> contextlib.AbstractContextManager[None]:
    if argnum == BEHIND:
        return _behind(op, ran)
    right = vjps_of(op)
    if isinstance(right, tuple):
        return planted(op, _slipped(right[argnum], ran), argnums=[argnum])

    def each(argnum: int, *call: Any, **options: Any) -> Any:
        return _slipped(right[argnum], ran)(*call, **options)

    return planted(op, variadic=each)


def _slipped(rule: Callable[..., Any], ran: list[bool]) -> Callable[..., Any]:
    def wrong(g: Any, *call: Any, **options: Any) -> Any:
        right = rule(g, *call, **options)
        ran.append(bool(np.any(plain(right))))
        return right * (1.0 + SLIP)

    return wrong


@primitive
def passed_on(x: Any) -> Any:
    """Give what it is given."""
    return x + 0.0


defvjp(passed_on, lambda g, y, x: g)


@contextlib.contextmanager
def _behind(op: Any, ran: list[bool]) -> Iterator[None]:
    right = CASES[op]
    CASES[op] = right.map(
        lambda call: Call(call.text, lambda *xs: passed_on(call.f(*xs)), call.arrays)
    )
    try:
        with planted(passed_on, _slipped(vjps_of(passed_on)[0], ran)):
            yield
    finally:
        CASES[op] = right
