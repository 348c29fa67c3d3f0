"""What a check decides, as data: a verdict, of which kind, on which numbers, about what.

Not for: deciding (``properties``), or words (``telling``), which nothing decides by.
"""

from __future__ import annotations

import enum
import functools
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from tinygrad_lab.testing.judging.arrays import Array, flat
from tinygrad_lab.testing.judging.numerical import Estimate

if TYPE_CHECKING:
    from tinygrad_lab.testing.judging.point import Point
    from tinygrad_lab.testing.judging.slope import Climb

PASS, FAIL, INCONCLUSIVE, SKIPPED = "pass", "fail", "inconclusive", "not applicable"
_RANK = {FAIL: 0, INCONCLUSIVE: 1, PASS: 2, SKIPPED: 3}  # the worst first


class Kind(enum.StrEnum):
    """What sort of fault it is: what failures are grouped by."""

    # what a function gives, and does besides
    RETURNS_NOTHING = "returns nothing"
    NOT_FLOAT = "not float"
    NOT_A_NUMBER = "not a number"
    UNTRACKED = "untracked"
    RAISES = "raises"
    FOREIGN = "foreign"
    RANDOM = "random"
    GLOBAL_STATE = "global state"
    MUTATES_INPUT = "mutates input"
    MUTATES_UPSTREAM = "mutates upstream"
    MUTATES = "mutates"
    WRITES_GRAD = "writes grad"
    # the form of its gradients, and one call beside another
    COUNT = "count"
    MISSING = "missing"
    SHAPE = "shape"
    DTYPE = "dtype"
    ALIASING = "aliasing"
    NOT_REPEATABLE = "not repeatable"
    SECOND_BACKWARD = "second backward"
    SHARED_STATE = "shared state"
    READS_LATE = "reads late"
    FAN_OUT = "fan-out"
    SUBSET = "subset"
    UNUSED_RESULT = "unused result"
    KEPT = "kept tensor"
    LAYOUT = "layout"
    FLOAT32 = "float32"
    # the numbers
    NOT_FINITE = "not finite"
    NONLINEAR = "nonlinear"
    PARTIAL_UPSTREAM = "partial upstream"
    WRONG = "wrong"
    SUBGRADIENT = "subgradient"
    SECOND_ORDER = "second order"
    UPHILL = "uphill"

    @property
    def severity(self) -> int:
        """How bad it is: 0 a wrong number, 1 no gradient, or none of the right form, 2 the rest."""
        return 0 if self in _WRONG_NUMBERS else 2 if self in _MANNERS else 1


_WRONG_NUMBERS = {
    Kind.WRONG, Kind.SUBGRADIENT, Kind.NOT_FINITE, Kind.NONLINEAR, Kind.PARTIAL_UPSTREAM,
    Kind.SECOND_ORDER, Kind.FAN_OUT, Kind.LAYOUT, Kind.FLOAT32, Kind.SHARED_STATE, Kind.READS_LATE,
    Kind.UPHILL, Kind.SUBSET, Kind.UNUSED_RESULT,
}  # fmt: skip
_MANNERS = {
    Kind.MUTATES_INPUT, Kind.MUTATES_UPSTREAM, Kind.MUTATES, Kind.WRITES_GRAD, Kind.ALIASING,
    Kind.SECOND_BACKWARD, Kind.KEPT,
}  # fmt: skip


#: How something was decided, or why it was not.
Reason = enum.Enum(
    "Reason",
    # there is nothing to look at
    "LEFT_OUT NOT_ASKED_FOR ONE_OUTPUT ONE_ELEMENT NO_ELEMENTS TOO_MANY_ELEMENTS NOT_OF_TENSORS "
    "ONE_INPUT COMPUTES_ALL ONCE_ONLY "
    "NO_DERIVATIVE CONSTANT_GRADIENT NOT_DEFINED_NEARBY NOT_A_POLYNOMIAL STEPS_ON_INTEGERS "
    "NO_FLOAT32 BEYOND_FLOAT32 COMPUTES_IN_FLOAT64 VALUE_NOT_FINITE GRADIENT_NOT_FINITE "
    "SLOPE_INFINITE SLOPE_INFINITE_EVERYWHERE SLOPE_JUMPS MEANINGLESS "
    # no number is certain enough
    "UNCERTAIN UNDERFLOW STAIRS ROUNDED_AWAY GRADIENT_IS_ROUND_OFF VALUE_JUMPS NOISE_OR_KINK "
    "SEVERAL_KINKS DROWNS OUT_OF_TIME RIGHT_BESIDE CANCELS "
    # it was decided, though not as usual
    "KINK A_SUBGRADIENT NOTHING_MOVES VANISHES BY_COMPLEX_STEP IN_LONG_DOUBLE BY_ENTRIES "
    "WITHIN_TOLERANCE RESULT_IN_FLOAT64 AT_RATE RULE_ROUNDS",
)


@dataclass(frozen=True)
class Site:
    """What a judgement concerns: an input, an element of it, or a line of a program."""

    input: int | None = None  # which, of those that are differentiated by
    name: str = ""
    index: tuple[int, ...] | None = None
    part: str = ""  # "real" or "imag" of a complex number
    line: str = ""  # as :func:`line_at` names it
    source: str = ""  # what is written there


@dataclass(frozen=True)
class Evidence:
    """What a judgement of numbers rests on, for whoever looks closer."""

    climb: Climb  # the ladder that the slope was measured by
    point: Point  # where
    gradients: Sequence[Array]  # that were compared
    upstreams: Sequence[Array]  # that they were pulled from

    @property
    def weights(self) -> Array:
        """The upstreams, in a row."""
        return flat(self.upstreams)


NOWHERE = Site()


def line_at(file: str, number: int) -> str:
    """Name a line of a program: of a cell in a notebook by the number that the reader sees.

    Examples
    --------
    >>> line_at("/home/user/model.py", 12)
    'model.py:12'
    """
    ipython: Any = sys.modules.get("IPython")
    shell = ipython and ipython.get_ipython()
    cell = shell and shell.compile.format_code_name(file)  # ("Cell", "In[3]")
    return f"cell {cell[1]}, line {number}" if cell else f"{PurePath(file).name}:{number}"


NOT_MEASURED = Estimate(math.nan, math.nan)


@dataclass(frozen=True)
class Judgement:
    """One decision."""

    verdict: str
    kind: Kind | None = None  # of what fails
    reason: Reason | None = None
    analytic: float = math.nan  # the slope that gradients promise
    estimate: Estimate = NOT_MEASURED  # the slope that was measured
    band: float = math.inf  # so far apart they may be and still agree
    resolution: float | None = None  # the smallest relative fault that would have been noticed
    site: Site = NOWHERE
    facts: Mapping[str, Any] = field(default_factory=dict)  # what else there is to say, by name
    evidence: Evidence | None = None  # of numbers
    order: int = 1  # 2 of the gradient of a gradient
    point: Point | None = None  # of the gradient, then
    notes: tuple[Judgement, ...] = ()  # what would fail elsewhere, and here is only worth knowing
    parts: tuple[Judgement, ...] = ()  # of each input, where each was measured by itself

    @property
    def climb(self) -> Climb:
        """The ladder that the slope was measured by, where one was."""
        assert self.evidence is not None
        return self.evidence.climb

    @property
    def noticeable(self) -> float:
        """How large a change of the promised slope has to be, whatever its sign, to be noticed."""
        return self.band + abs(self.analytic - self.estimate.value)

    @property
    def relative_error(self) -> float:
        """How far the promised slope is from the measured one, of the larger; 0 of no numbers."""
        size = max(abs(self.analytic), abs(self.estimate.value))
        off = abs(self.analytic - self.estimate.value)
        return round(off / size, 6) if off > 0 and math.isfinite(size) else 0.0

    def because(self, verdict: str, reason: Reason, **facts: Any) -> Judgement:
        """Give another verdict on the same numbers."""
        return replace(self, verdict=verdict, reason=reason, facts={**self.facts, **facts})


def passed(
    resolution: float | None = None, reason: Reason | None = None, **facts: Any
) -> Judgement:
    """A property holds."""
    return Judgement(PASS, reason=reason, resolution=resolution, facts=facts)


def whole(parts: Sequence[Judgement]) -> Judgement:
    """Give the worst of several judgements, of wrong numbers that which is furthest off.

    The resolution is the worst of any part, for that is what would have been seen in all of them.
    """

    def order(part: Judgement) -> tuple[int, float]:
        return _RANK[part.verdict], -part.relative_error if part.verdict == FAIL else 0.0

    worst = min(parts, key=order)
    resolutions = [part.resolution for part in parts if part.resolution is not None]
    return replace(worst, resolution=max(resolutions, default=None))


def failed(kind: Kind, site: Site = NOWHERE, **facts: Any) -> Judgement:
    """A property does not hold."""
    return Judgement(FAIL, kind, site=site, facts=facts)


def skipped(reason: Reason, **facts: Any) -> Judgement:
    """There is nothing to look at."""
    return Judgement(SKIPPED, reason=reason, facts=facts)


class DerivedOnce(Exception):  # noqa: N818 - no error either
    """A gradient says of itself that it cannot be differentiated again."""


class Drowned(Exception):  # noqa: N818 - no error either
    """Numbers differ by what may well be round-off, and nothing here tells."""


class Misbehaved(Exception):  # noqa: N818 - judged and reported, no error of the checker
    """The function under test did something that no derivative can be compared with."""

    def __init__(self, kind: Kind, site: Site = NOWHERE, **facts: Any) -> None:
        self.judgement = failed(kind, site, **facts)
        super().__init__(self.judgement)

    def __reduce__(self) -> tuple[Any, ...]:
        judgement = self.judgement
        make = functools.partial(type(self), **judgement.facts)
        return make, (judgement.kind, judgement.site), vars(self)
