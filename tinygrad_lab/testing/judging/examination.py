"""What is looked at of one function at one point: in which order, and what after a failure.

A failure ends nothing, but for what it makes meaningless: a gradient that is wrong along a
direction is wrong in its Jacobian as well, and one mistake is told once.

Not for: what must hold (``properties``), or how it is told (``telling``).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.testing.judging.accusing import accusing
from tinygrad_lab.testing.judging.arrays import Array, first_difference, frozen
from tinygrad_lab.testing.judging.judgement import (
    FAIL,
    INCONCLUSIVE,
    Drowned,
    Judgement,
    Kind,
    Misbehaved,
    Reason,
    skipped,
)
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.properties import PROPERTIES
from tinygrad_lab.testing.judging.running import Budget, OutOfTime
from tinygrad_lab.testing.judging.subject import Recorded, Subject
from tinygrad_lab.testing.judging.tamer import tamer

_WRITES = (Kind.MUTATES_INPUT, Kind.MUTATES_UPSTREAM)
_SAME_NUMBERS = ("tied_direction", "exact", "jacobian", "forward_and_backward", "second_order")
_PULLS_ANEW = (
    "second_backward", "linear_in_upstream", "partial_upstream", "interleaved", "changed_inputs",
    "fan_out", "layouts", "float32", "exact", "jacobian", "subsets", "unused_results",
    "kept_tensors",
)  # fmt: skip
_WHOLE_GRADIENTS = ("linear_in_upstream", *_SAME_NUMBERS[1:])

#: What a failure of a kind leaves nothing true to be said by, or only the same once more.
MEANINGLESS_AFTER: dict[Kind, Collection[str]] = {
    Kind.RANDOM: tuple(PROPERTIES),
    Kind.GLOBAL_STATE: tuple(PROPERTIES),
    Kind.MISSING: _WHOLE_GRADIENTS,
    Kind.SHAPE: _WHOLE_GRADIENTS,
    Kind.NOT_FLOAT: _WHOLE_GRADIENTS,
    Kind.NOT_REPEATABLE: _PULLS_ANEW,
    Kind.SECOND_BACKWARD: ("interleaved", "changed_inputs"),
    Kind.SHARED_STATE: ("changed_inputs",),
    Kind.MUTATES_INPUT: ("second_backward", "interleaved", "changed_inputs"),
    Kind.MUTATES_UPSTREAM: ("no_aliasing",),
    Kind.NOT_FINITE: _SAME_NUMBERS,
    Kind.WRONG: _SAME_NUMBERS,
    Kind.SUBGRADIENT: _SAME_NUMBERS,
    Kind.NONLINEAR: ("partial_upstream", *_SAME_NUMBERS),
    Kind.PARTIAL_UPSTREAM: ("jacobian",),
    Kind.SECOND_ORDER: ("second_order",),
}


Hand = Callable[[Array], Array]


class Looked(NamedTuple):
    """One property, what was decided of it, and at which point."""

    property: str
    judgement: Judgement
    point: Point | None = None


@dataclass
class Examination:
    """One function at one point, as its properties are looked at."""

    subject: Subject
    properties: Sequence[str]
    generator: np.random.Generator
    upstream: Any = None
    order: int = 1
    strict: bool = False
    tolerance: float = 0.0
    budget: Budget = field(default_factory=Budget)
    failures: list[Looked] = field(default_factory=list)

    def look(self) -> Iterator[Looked]:
        """Look at one property after the other.

        Raises
        ------
        OutOfTime
            Another budget than that of this examination is spent.
        """
        try:
            yield from self._first_call()
        except OutOfTime as spent:
            if spent.budget is not self.budget:
                raise
            yield Looked("call", out_of_time(self.budget))
        finally:
            self.failures.clear()  # an error in one holds, by its traceback, this examination

    def _failed(self, label: str, judgement: Judgement, point: Point | None = None) -> Looked:
        self.failures.append(Looked(label, judgement, point))
        return self.failures[-1]

    # -- the first call ---------------------------------------------------------------------------

    def _first_call(self) -> Iterator[Looked]:
        """See that the function and its pullback behave at all, and then look at the properties.

        What writes into what it is handed is looked at on copies after that.
        """
        writes: list[Kind] = []
        for hand in (frozen, _copied, _copied):
            try:
                point = self._begin(hand, writes)
            except Misbehaved as error:
                kind = error.judgement.kind
                yield self._failed("call", error.judgement)
                if kind not in _WRITES or kind in writes:
                    return
                writes.append(kind)
            else:
                point.pulls_once = Kind.MUTATES_INPUT in writes
                warnings.simplefilter("ignore")  # from here on at points that nobody asked about
                yield from self._properties(point)
                return

    def _begin(self, hand: Hand, writes: Collection[Kind]) -> Point:
        """Call the function and its pullback for the first time."""
        arrays = [np.array(x, dtype=np.float64) for x in self.subject.args.arrays]
        handed = [hand(x) for x in arrays]
        with accusing(Kind.MUTATES_INPUT):
            recorded = self.subject.record(handed)
        self._refuse_changed(arrays, handed, writes)
        ups = self._upstreams(recorded.outputs)
        with accusing(Kind.MUTATES_UPSTREAM, backward=True):
            point = self._point(arrays, recorded, ups, hand)
        self._refuse_changed(arrays, handed, writes, backward=True)
        return point

    def _refuse_changed(
        self,
        arrays: Sequence[Array],
        handed: Sequence[Array],
        writes: Collection[Kind],
        **facts: Any,
    ) -> None:
        i = first_difference(arrays, handed)
        if i is not None and Kind.MUTATES_INPUT not in writes:
            raise Misbehaved(Kind.MUTATES_INPUT, self.subject.site(i), **facts)

    def _upstreams(self, outputs: Sequence[Array]) -> list[Array]:
        """Draw an upstream for each output, or take the one that was given."""
        draw = self.generator
        drawn = (  # of either sign, some above 1 and some below, none near 0
            draw.choice([-1.0, 1.0], y.shape) * draw.integers(24, 97, y.shape) / 48.0
            for y in outputs
        )
        ups = [np.asarray(u, y.dtype) for u, y in zip(drawn, outputs, strict=True)]
        if self.upstream is not None:
            try:
                ups[0] = np.array(np.broadcast_to(self.upstream, ups[0].shape), ups[0].dtype)
            except ValueError:
                shapes = f"{np.shape(self.upstream)}, the output it belongs to {ups[0].shape}"
                raise ValueError(f"the upstream has shape {shapes}") from None
        return ups

    # -- the properties ---------------------------------------------------------------------------

    def _properties(self, point: Point) -> Iterator[Looked]:
        for label in self.properties:
            try:
                judgement = self._judged(label, point)
            except OutOfTime as spent:
                if spent.budget is not self.budget:
                    raise
                judgement = out_of_time(self.budget)
            if judgement.verdict != FAIL:
                yield Looked(label, judgement, point)
                continue
            yield self._failed(label, judgement, point)
            if judgement.kind is Kind.NONLINEAR and self.upstream is None:
                point = self._pulled_from_ones(point)

    def _judged(self, label: str, point: Point) -> Judgement:
        """Judge one property, if anything can be said of it after the failures so far."""
        for past in self.failures:
            kind = past.judgement.kind
            if kind is not None and label in MEANINGLESS_AFTER.get(kind, ()):
                return skipped(Reason.MEANINGLESS, after=past.property)
        try:
            with accusing(Kind.MUTATES, property=label):
                return _decided(label, point)
        except Misbehaved as error:
            for past in self.failures:
                if _is_the_same(error.judgement, past.judgement):
                    return skipped(Reason.MEANINGLESS, after=past.property)
            return error.judgement

    def _pulled_from_ones(self, point: Point) -> Point:
        """Take upstreams of ones, for which a rule that is not linear may well be right."""
        ones = [np.ones_like(u) for u in point.upstreams]
        return self._point(point.arrays, point.fresh(), ones, point.hand)

    def _point(
        self, arrays: list[Array], recorded: Recorded, upstreams: list[Array], hand: Hand
    ) -> Point:
        return Point(
            self.subject, arrays, recorded, upstreams, self.generator, self.order, hand,
            self.strict, self.tolerance,
        )  # fmt: skip


def _decided(label: str, point: Point) -> Judgement:
    """Judge one property; where round-off hides it, by points where numbers are tamer."""
    try:
        return PROPERTIES[label](point)
    except Drowned:
        for there in tamer(point):
            judgement = PROPERTIES[label](there)
            if judgement.verdict == FAIL:
                return judgement
        return Judgement(INCONCLUSIVE, reason=Reason.ROUNDED_AWAY)


def _copied(x: Array) -> Array:
    """Give an array that may be written into."""
    return np.array(x)


def _is_the_same(a: Judgement, b: Judgement) -> bool:
    """Whether two failures are one error, raised in one line."""
    errors = [type(j.facts.get("error")) for j in (a, b)]
    return a.kind is b.kind and a.site == b.site and errors[0] is errors[1]


def out_of_time(budget: Budget) -> Judgement:
    """There was no time left to look."""
    each = budget.spent / max(budget.calls, 1)
    facts = {"seconds": budget.seconds, "calls": budget.calls, "each": each}
    return Judgement(INCONCLUSIVE, reason=Reason.OUT_OF_TIME, facts=facts)
