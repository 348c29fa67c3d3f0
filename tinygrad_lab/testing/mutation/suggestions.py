"""What to add to tests so that a fault would be noticed: a line, run against the fault first.

Not for: which faults are noticed (``score.py``).
"""

from __future__ import annotations

import contextlib
import io
import keyword
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.operations import vjps_of
from tinygrad_lab.testing.judging.arrays import array_of
from tinygrad_lab.testing.judging.judgement import Kind
from tinygrad_lab.testing.mutation.faults import LONG, Fault, defaults_of, many, numbers
from tinygrad_lab.testing.mutation.observed import Observed, planted_at
from tinygrad_lab.testing.mutation.places import Caller, Place, Rule
from tinygrad_lab.testing.session import session
from tinygrad_lab.testing.telling.explain import unexplained
from tinygrad_lab.testing.telling.pasted import literal, spelled

#: What a strategy has to be told, where that says more than one point does.
GENERATED = {
    "sign": "@tgt.gradtest(domain=tgt.Domain(-3, 3))",
    "kink": "@tgt.gradtest(tgt.at_kinks(1, shape=(3,)))",
    "tie": "@tgt.gradtest(tgt.at_kinks(1, shape=(3,)))",
    "magnitude": "@tgt.gradtest(domain=tgt.Domain(-50, 50))",
    "broadcast": "@tgt.gradtest(tgt.tensors(2, broadcast=True))",
}
UNNOTICED = "tests run it and do not notice:"
LONGEST = 300  # characters in a line to be pasted


@dataclass(frozen=True)
class Suggestion:
    """What tests lack, and a line that would notice.

    Attributes
    ----------
    gradient, fault : str
        Which gradient, and what was wrong with it.
    why : str
        What no test has, or that none looks closely enough.
    line : str
        Python that notices, where there is one: it was run with and without the fault.
    instead : str
        A decorator that generates such inputs among others, where there is one.
    """

    gradient: str
    fault: str
    why: str
    line: str = ""
    instead: str = ""

    def __str__(self) -> str:
        why, *lines = _in_words([self])
        return f"{why}: add {' '.join(lines)}" if lines else why


def _in_words(several: Sequence[Suggestion]) -> list[str]:
    """Tell suggestions that have one line: why, and below it what to add."""
    first = several[0]
    why = f"{first.gradient}: {'; '.join(_whys(several))}"
    alternative = [f"or {first.instead}"] if first.instead else []
    return [why, *([first.line] if first.line else []), *alternative]


def together(suggestions: Iterable[Suggestion]) -> list[str]:
    """Tell suggestions in lines, those of one line in one; what there is no line for is last."""
    of_line: dict[tuple[str, str], list[Suggestion]] = {}
    for each in suggestions:
        of_line.setdefault((each.gradient, each.line), []).append(each)
    in_order = sorted(of_line.items(), key=lambda item: not item[0][1])
    return ["\n    ".join(_in_words(several)) for _, several in in_order]


def _whys(several: Sequence[Suggestion]) -> list[str]:
    unnoticed = [s.fault for s in several if s.why == UNNOTICED]
    others = dict.fromkeys(s.why for s in several if s.why != UNNOTICED)
    return [*others, *([f"{UNNOTICED} {', '.join(unnoticed)}"] if unnoticed else [])]


def suggested(
    place: Place, fault: Fault, observed: Observed, names: dict[int, str], changed: bool
) -> tuple[Suggestion, bool]:
    """Look for a line that notices a fault; and say whether the fault is known to make no odds.

    ``names`` are those of functions in the tests, by their identity; ``changed`` says whether the
    fault changed any number in the tests.
    """
    reached = bool(observed.tests(fault))
    suggestion = Suggestion(place.label, fault.name, _why(fault, observed, changed))
    tried = False
    for caller in observed.callers or _first_call(place):
        for again in _calls(fault, caller, reached):
            line, scope = _line(again, names)
            if len(line) > LONGEST:
                continue
            right = _verdict(line, scope)
            if right == "wrong" and (
                not observed.reached or _verdict(*_line(caller, names)) == "pass"
            ):
                why = f"{suggestion.why}, and there the gradient is wrong as it is"
                return replace(suggestion, line=line, why=why), False
            if right not in ("pass", "inconclusive"):
                continue
            tried = True
            with planted_at(place, fault):
                noticed = _verdict(line, scope) in ("fail", "wrong")
            if noticed:
                return replace(suggestion, line=line, instead=_instead(fault, again)), False
    return suggestion, bool(observed.reached) and (tried or not reached)


def _instead(fault: Fault, call: Caller) -> str:
    """Name a decorator, where the function is known to take an array of any shape."""
    arrays = [numbers(a) for a in call.args if numbers(a) is not None]
    fits = len(arrays) == 2 if fault.kind == "broadcast" else [x.shape for x in arrays] == [(1,)]
    return GENERATED.get(fault.kind, "") if fits else ""


def _first_call(place: Place) -> list[Caller]:
    """Make a call of an operation that no test calls, as its rules suggest."""
    if not isinstance(place, Rule):
        return []
    vjps = vjps_of(place.owner)
    number = len(vjps) if isinstance(vjps, tuple) else 2
    arrays = tuple(np.array([0.5, 0.8]) + 0.25 * i for i in range(number))
    return [Caller(place.owner, arrays, place.argnum, {})]


def _why(fault: Fault, observed: Observed, changed: bool) -> str:
    if not observed.reached:
        return "no passing gradient test runs it"
    if fault.missing and not changed:
        return f"no test has {fault.missing}"
    return UNNOTICED


def _calls(fault: Fault, caller: Caller, reached: bool) -> Iterator[Caller]:
    """List calls that may show a fault, the plainest first."""
    if fault.kind.startswith("option") and not reached:
        name = fault.kind.partition(" ")[2]
        for value in _other_values(name, caller):
            yield caller._replace(kwargs={**caller.kwargs, name: value})
        return
    if reached or fault.example is None:
        yield caller
    if caller.position is None or numbers(caller.args[caller.position]) is None:
        return
    if reached or fault.example is None:
        yield _with(caller, np.array([0.5, 0.8]))
        return
    x = np.asarray(numbers(caller.args[caller.position]), np.float64)
    arrays = [a for a in caller.args if numbers(a) is not None]
    starts = [np.array([0.5]), x] if len(arrays) == 1 and fault.kind != "tie" else [x]
    if fault.kind == "tie":
        starts.append(np.array([0.3, 0.5, -0.2]))
    if fault.kind == "broadcast":
        yield _with(caller, np.array([0.5]), {1: np.array([[0.3, -0.7], [0.2, 0.9]])})
    for start in starts:
        example = fault.example(start)
        if example is not None:
            yield _with(caller, example)


def _with(caller: Caller, x: Any, others: dict[int, Any] | None = None) -> Caller:
    args = list(caller.args)
    assert caller.position is not None
    others_at = [i for i, a in enumerate(args) if i != caller.position and numbers(a) is not None]
    for i, other in zip(others_at, (others or {}).values(), strict=False):
        args[i] = other
    args[caller.position] = x
    return caller._replace(args=tuple(args))


def _other_values(name: str, caller: Caller) -> list[Any]:
    if name == "axis":
        return [0, -1, 1]
    default = defaults_of(caller.function).get(name)
    if isinstance(default, bool):
        return [not default]
    if isinstance(default, (int, float)):
        return [default * 2 + 1, default / 2]
    return [True, 1]


# ---------------------------------------------------------------------------------------------
# A line, and running it


def _line(caller: Caller, names: dict[int, str]) -> tuple[str, dict[str, Any]]:
    """Write a call of gradcheck, and give what its names mean."""
    function, scope = caller.function, dict(caller.scope)
    call = names.get(id(function)) or caller.spelled
    if not call or call == names.get(id(function)):
        call = call or _written(function)
        scope = {} if call.startswith("np.") else {call: function}
    args = [array_of(a) for a in caller.args]
    if caller.kwargs:
        options = ", ".join(f"{k}={literal(v)}" for k, v in caller.kwargs.items())
        letters = ", ".join(f"x{i}" if len(args) > 1 else "x" for i in range(len(args)))
        call = f"lambda {letters}: {call}({letters}, {options})"
    line = f"tgt.gradcheck({', '.join([call, *map(_text, args)])})"
    return line, {**scope, "np": np, "tgt": sys.modules["tinygrad_lab.testing"]}


def _text(a: Any) -> str:
    """Write an argument as Python."""
    if not isinstance(a, np.ndarray):
        return literal(np.asarray(a) if isinstance(a, np.generic) else a)
    if a.shape == (LONG,) and np.array_equal(a, many()):
        return f"np.linspace(0.1, 1, {LONG})"
    if a.ndim > 0 and a.size > 1 and a.strides[0] < 0:
        return f"{literal(np.array(a[::-1]))}[::-1]"
    return literal(a)


def _written(function: Any) -> str:
    name = name_of(function)
    if getattr(function, "__module__", "").startswith("numpy"):
        name = spelled(function).name
    plain = re.sub(r"\W", "", name.rpartition(".")[2])
    if not plain.isidentifier() or keyword.iskeyword(plain):
        return "f"
    return name if name.isidentifier() or name.startswith("np.") else "f"


def _verdict(line: str, scope: dict[str, Any]) -> str:
    """Run a line, of which nobody hears; give a verdict, "wrong" of numbers, or "raises"."""
    quiet = io.StringIO()
    try:
        with (
            session(listeners=()),
            unexplained(),
            contextlib.redirect_stdout(quiet),
            np.errstate(all="ignore"),
        ):
            report = eval(f"{line[:-1]}, raises=False)", scope)
    except Exception:  # noqa: BLE001 - it is no input for the function
        return "raises"
    wrong = any(f.kind in (Kind.WRONG, Kind.SUBGRADIENT) for f in report.findings)
    return "wrong" if wrong else str(report.verdict)
