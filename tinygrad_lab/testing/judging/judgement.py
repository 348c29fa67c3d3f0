"""What a check decides, as data: a verdict, of which kind, on which numbers, about what.

Not for: deciding (``properties``), or words (``telling``), which nothing decides by.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from tinygrad_lab.testing.judging.numerical import Estimate

if TYPE_CHECKING:
    from tinygrad_lab.testing.judging.point import Point
    from tinygrad_lab.testing.judging.slope import Climb

__all__ = [
    "FAIL",
    "INCONCLUSIVE",
    "NOWHERE",
    "PASS",
    "SKIPPED",
    "Evidence",
    "Judgement",
    "Kind",
    "Misbehaved",
    "Reason",
    "Site",
    "failed",
    "passed",
    "skipped",
    "undecided",
]

Array = NDArray[Any]

PASS, FAIL, INCONCLUSIVE, SKIPPED = "pass", "fail", "inconclusive", "not applicable"


class Kind(enum.StrEnum):
    """What sort of fault it is: what failures are grouped by."""

    # what a function gives
    RETURNS_NOTHING = "returns nothing"
    NOT_FLOAT = "not float"
    NOT_A_NUMBER = "not a number"
    UNTRACKED = "untracked"
    RAISES = "raises"
    RANDOM = "random"
    GLOBAL_STATE = "global state"
    # what it does besides
    MUTATES_INPUT = "mutates input"
    MUTATES_UPSTREAM = "mutates upstream"
    MUTATES = "mutates"
    WRITES_GRAD = "writes grad"
    # the form of its gradients
    COUNT = "count"
    MISSING = "missing"
    SHAPE = "shape"
    DTYPE = "dtype"
    ALIASING = "aliasing"
    # one call beside another
    NOT_REPEATABLE = "not repeatable"
    SECOND_BACKWARD = "second backward"
    SHARED_STATE = "shared state"
    FAN_OUT = "fan-out"
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


class Reason(enum.Enum):
    """How something was decided, or why it was not."""

    # nothing to look at
    LEFT_OUT = enum.auto()
    NOT_ASKED_FOR = enum.auto()
    ONE_OUTPUT = enum.auto()
    ONE_ELEMENT = enum.auto()
    NO_ELEMENTS = enum.auto()
    TOO_MANY_ELEMENTS = enum.auto()
    NOT_OF_TENSORS = enum.auto()
    NO_DERIVATIVE = enum.auto()
    CONSTANT_GRADIENT = enum.auto()
    NOT_DEFINED_NEARBY = enum.auto()
    NOT_A_POLYNOMIAL = enum.auto()
    STEPS_ON_INTEGERS = enum.auto()
    NO_FLOAT32 = enum.auto()
    COMPUTES_IN_FLOAT64 = enum.auto()
    VALUE_NOT_FINITE = enum.auto()
    GRADIENT_NOT_FINITE = enum.auto()
    SLOPE_INFINITE = enum.auto()
    SLOPE_INFINITE_EVERYWHERE = enum.auto()
    SLOPE_JUMPS = enum.auto()
    # no number is certain enough
    UNCERTAIN = enum.auto()
    UNDERFLOW = enum.auto()
    STAIRS = enum.auto()
    ROUNDED_AWAY = enum.auto()
    GRADIENT_IS_ROUND_OFF = enum.auto()
    VALUE_JUMPS = enum.auto()
    NOISE_OR_KINK = enum.auto()
    SEVERAL_KINKS = enum.auto()
    # decided, and not as usual
    KINK = enum.auto()
    A_SUBGRADIENT = enum.auto()
    BY_COMPLEX_STEP = enum.auto()
    RESULT_IN_FLOAT64 = enum.auto()
    AT_RATE = enum.auto()


@dataclass(frozen=True)
class Site:
    """What a judgement concerns.

    Attributes
    ----------
    input : int or None
        Which input, of those that are differentiated by.
    name : str
        What it is called.
    index : tuple of int or None
        Which element of it.
    part : str
        "real" or "imag" of a complex number.
    line, source : str
        File and line, "model.py:12", and what is written there.
    """

    input: int | None = None
    name: str = ""
    index: tuple[int, ...] | None = None
    part: str = ""
    line: str = ""
    source: str = ""


NOWHERE = Site()
NOT_MEASURED = Estimate(math.nan, math.nan)


@dataclass(frozen=True)
class Evidence:
    """What a judgement of numbers rests on, for whoever looks closer.

    Attributes
    ----------
    climb : Climb or None
        The ladder that the slope was measured by.
    point : Point or None
        Where: at second order, a point of the gradient.
    weights, gradients, upstreams
        The upstream in a row, the gradients that were compared, and what they were pulled from.
    """

    climb: Climb | None = None
    point: Point | None = None
    weights: Array | None = None
    gradients: Sequence[Array] = ()
    upstreams: Sequence[Array] = ()


@dataclass(frozen=True)
class Judgement:
    """One decision.

    Attributes
    ----------
    verdict : str
        ``PASS``, ``FAIL``, ``INCONCLUSIVE`` or ``SKIPPED``.
    kind : Kind or None
        Of what fails.
    reason : Reason or None
        How it was decided, or why not.
    analytic : float
        The slope that gradients promise.
    estimate : Estimate
        The slope that was measured.
    resolution : float or None
        The smallest relative fault that would have been noticed.
    site : Site
        What it concerns.
    facts : mapping
        What else there is to say, by name.
    evidence : Evidence
        What the numbers come from.
    order : int
        2 of the gradient of a gradient.
    """

    verdict: str
    kind: Kind | None = None
    reason: Reason | None = None
    analytic: float = math.nan
    estimate: Estimate = NOT_MEASURED
    resolution: float | None = None
    site: Site = NOWHERE
    facts: Mapping[str, Any] = field(default_factory=dict)
    evidence: Evidence = Evidence()
    order: int = 1

    @property
    def climb(self) -> Climb:
        """The ladder that the slope was measured by, where one was."""
        assert self.evidence.climb is not None
        return self.evidence.climb

    def because(self, verdict: str, reason: Reason, **facts: Any) -> Judgement:
        """Give another verdict on the same numbers."""
        return replace(self, verdict=verdict, reason=reason, facts={**self.facts, **facts})


def passed(
    resolution: float | None = None, reason: Reason | None = None, **facts: Any
) -> Judgement:
    """A property holds."""
    return Judgement(PASS, reason=reason, resolution=resolution, facts=facts)


def failed(kind: Kind, site: Site = NOWHERE, **facts: Any) -> Judgement:
    """A property does not hold."""
    return Judgement(FAIL, kind, site=site, facts=facts)


def undecided(reason: Reason | None) -> Judgement:
    """Nothing can be said of a property."""
    return Judgement(INCONCLUSIVE, reason=reason)


def skipped(reason: Reason, **facts: Any) -> Judgement:
    """There is nothing to look at."""
    return Judgement(SKIPPED, reason=reason, facts=facts)


class Misbehaved(Exception):  # noqa: N818 - judged and reported, no error of the checker
    """The function under test did something that no derivative can be compared with."""

    def __init__(self, kind: Kind, site: Site = NOWHERE, **facts: Any) -> None:
        self.judgement = failed(kind, site, **facts)
        super().__init__(self.judgement)
