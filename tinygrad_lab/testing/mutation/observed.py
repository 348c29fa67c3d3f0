"""What the tests were seen to do at a place: which faults they can reach, and with which calls.

Not for: running tests (``score.py``), or what is to be suggested (``suggestions.py``).
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab.testing.mutation.classes import classes
from tinygrad_lab.testing.mutation.faults import (
    ELEMENTS,
    EVERYWHERE,
    PARTIAL,
    Call,
    Fault,
    defaults_of,
    in_the_middle,
    numbers,
    of_option,
)
from tinygrad_lab.testing.mutation.places import (
    Caller,
    Intercept,
    OfAdapted,
    Place,
    Rule,
    adapted,
)
from tinygrad_lab.testing.mutation.steps import OfStep, steps

MOST_PARTIAL = 10  # faults of a part, at a place
MOST_STEPS = 12  # of composed code
MOST_VALUES = 1000  # of which the middle is taken
LARGEST = 200  # numbers in a call that is kept as an example

#: Only one thread at a time plants faults: the derivative table and classes are there once.
PLANTING = threading.RLock()


@dataclass
class Observed:
    """What was seen at one place."""

    #: The tests that reach a fault, by its name; the empty name stands for the place itself.
    reached: dict[str, dict[str, None]] = field(default_factory=dict)
    callers: list[Caller] = field(default_factory=list)  # the first, and the smallest
    options: dict[str, Any] = field(default_factory=dict)
    has_upstream: bool = False  # a loss has none
    is_array: bool = False  # that the gradient is by
    values: list[float] = field(default_factory=list)  # some of those it was asked at

    def add(self, test: str, call: Call, caller: Caller | None, right: Any) -> None:
        """Remember one call of a test."""
        self.reached.setdefault("", {})[test] = None
        self.has_upstream = self.has_upstream or bool(call.upstreams)
        x = call.values
        self.is_array = self.is_array or x is not None
        if x is not None and len(self.values) < MOST_VALUES:
            self.values += x.ravel()[:20].tolist()
        if caller is not None:
            self._keep(caller)
            self.options = self.options or defaults_of(caller.function)
        for fault in self.partial():
            if test not in self.reached.get(fault.name, ()) and fault.reaches(call, right):
                self.reached.setdefault(fault.name, {})[test] = None

    def _keep(self, caller: Caller) -> None:
        size = _size(caller)
        if not 0 < size <= LARGEST:
            return
        if not self.callers or (size < _size(self.callers[-1]) and len(self.callers) < 3):
            args = tuple(np.array(numbers(a)) if _is_array(a) else a for a in caller.args)
            self.callers.append(caller._replace(args=args))

    def partial(self) -> Iterable[Fault]:
        """List the faults of a part that there can be."""
        yield from PARTIAL
        for name, value in self.options.items():
            if value is None or isinstance(value, (bool, int, float, str)):
                yield of_option(name, value)

    def tests(self, fault: Fault) -> list[str]:
        """List the tests that can notice a fault."""
        name = fault.name if fault.where is not None and fault.kind != "middle" else ""
        return list(self.reached.get(name, ()))


def _is_array(x: Any) -> bool:
    return numbers(x) is not None and not isinstance(x, float)


def _size(caller: Caller) -> int:
    return sum(numbers(a).size for a in caller.args if _is_array(a))


def candidates(place: Place, observed: Observed) -> tuple[list[Fault], list[Fault]]:
    """List the faults that a place can have: those that are everywhere, and those of a part."""
    if isinstance(place, OfStep):
        return [EVERYWHERE[n] for n in ("sign flipped", "doubled", "zeroed")], [ELEMENTS[0]]
    everywhere = list(EVERYWHERE.values())
    if not observed.reached:
        return everywhere, []
    if not observed.has_upstream:
        everywhere = [fault for fault in everywhere if fault.upstream is None]
    partial = [f for f in observed.partial() if observed.tests(f) or _can_be_tried(f, observed)]
    if len(set(observed.values)) > 4:
        partial.append(in_the_middle(*np.nanquantile(observed.values, [0.4, 0.6])))
    return everywhere, partial


def _can_be_tried(fault: Fault, observed: Observed) -> bool:
    """Whether there is a call to make another one of that reaches a fault."""
    return bool(observed.callers) and (observed.is_array or fault.kind.startswith("option"))


# ---------------------------------------------------------------------------------------------
# Stepping in


@contextlib.contextmanager
def intercepted(
    rules: Iterable[Rule], intercept: Intercept, *, composed: bool = False
) -> Iterator[None]:
    """Step in wherever a user's gradient is computed, until the end of the block."""
    with PLANTING, contextlib.ExitStack() as stack:
        for rule in rules:
            stack.enter_context(rule.intercepted(intercept))
        stack.enter_context(adapted(intercept))
        stack.enter_context(classes(intercept))
        if composed:
            stack.enter_context(steps(intercept))
        yield


class Watch:
    """Sees which places tests reach, and what with."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        self.rules = rules
        self.places: dict[Place, Observed] = {rule: Observed() for rule in rules}

    @contextlib.contextmanager
    def test(self, name: str) -> Iterator[None]:
        """Watch while a test runs; composed code counts where it reaches nothing else."""
        before: dict[Place, Any] = {}
        own: set[Place] = set()
        composed: dict[Place, Observed] = {}

        def noting(place: Place, call: Call, caller: Caller | None) -> Any:
            right = call.compute(call.upstreams)
            call.before = before.get(place)
            before[place] = right
            if isinstance(place, OfStep):
                if place in composed or len(composed) < MOST_STEPS:
                    composed.setdefault(place, Observed()).add(name, call, caller, right)
                return right
            own.add(place)
            self.places.setdefault(place, Observed()).add(name, call, caller, right)
            return right

        with intercepted(self.rules, noting, composed=True):
            yield
        if not own:
            for place, observed in composed.items():
                known = self.places.setdefault(place, Observed())
                for fault, tests in observed.reached.items():
                    known.reached.setdefault(fault, {}).update(tests)


class Effect:
    """What a planted fault did: whether any call was changed by it."""

    changed = False


@contextlib.contextmanager
def planted_at(place: Place, fault: Fault) -> Iterator[Effect]:
    """Make a place wrong, and right again."""
    effect = Effect()
    before: list[Any] = [None]

    def wrong(here: Place, call: Call, _caller: Caller | None) -> Any:
        if here != place:
            return call.compute(call.upstreams)
        right = call.compute(call.upstreams)
        call.before, before[0] = before[0], right
        result = fault.applied(call, right)
        if not effect.changed:
            effect.changed = _differ(right, result)
        return result

    with PLANTING, contextlib.ExitStack() as stack:
        if isinstance(place, Rule):
            stack.enter_context(place.intercepted(wrong))
        elif isinstance(place, OfAdapted):
            stack.enter_context(adapted(wrong))
        elif isinstance(place, OfStep):
            stack.enter_context(steps(wrong))
        else:
            stack.enter_context(classes(wrong, everywhere=True))
        yield effect


def _differ(a: Any, b: Any) -> bool:
    x, y = numbers(a), numbers(b)
    return x is None or y is None or not np.array_equal(x, y, equal_nan=True)
