"""Exact mode: on small whole numbers nothing is rounded, so that nothing has to be tolerated.

Not for: slopes that have to be estimated (``numbers.py``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tinygrad_lab.testing.judging.arrays import Array, flat
from tinygrad_lab.testing.judging.judgement import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    Evidence,
    Judgement,
    Kind,
    Reason,
    failed,
    passed,
    skipped,
)
from tinygrad_lab.testing.judging.numerical import (
    BAND,
    FIRST_STEP,
    Estimate,
    Ladder,
    climb,
    exact_slope,
)
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.properties.numbers import finite, relative_error
from tinygrad_lab.testing.judging.slope import KINK, Climb, promised
from tinygrad_lab.testing.judging.subject import Evaluation
from tinygrad_lab.testing.judging.ties import beside
from tinygrad_lab.testing.judging.trial import Trial

EXACT = 2.0**-53  # relative: what float64 cannot hold, exact mode cannot see
MISTAKE = 1e-6  # relative; what is less may be rounding, if it looks like it
LINES = 3  # that are drawn, where a line meets a kink
TRIES = 8  # to draw other lines: several in a row may be special
SCATTERED = 8  # points at which the rounding of a rule is measured


def exact(point: Point) -> Judgement:
    """A linear or bilinear operation on small integers has its gradient without any error."""
    if not point.size:
        return skipped(Reason.NO_ELEMENTS)
    for _ in range(LINES):
        line = _Line.of(point)
        if line is None:
            return skipped(Reason.NOT_A_POLYNOMIAL)
        judgement = _along(line, point)
        if judgement.reason is not Reason.SEVERAL_KINKS:
            return judgement
    return judgement


def _along(line: _Line, point: Point) -> Judgement:
    """Compare the slope along a line with what the gradient promises there."""
    there = line.point
    if not all(np.all(np.isfinite(g)) for g in there.gradients):
        judgement = finite(there)
        left, right = (judgement.facts.get(side, 0.0) for side in ("left", "right"))
        is_smooth = judgement.verdict == FAIL and math.isclose(left, right, rel_tol=MISTAKE)
        return judgement if is_smooth else skipped(Reason.SLOPE_INFINITE)  # nobody asked for it
    slope, terms = line.promised
    right, largest = line.slope, max(terms, line.size)
    if abs(slope - right) <= _rounding_of_sum(largest, point.size + there.weights.size):
        return passed(EXACT)
    off, tolerance = relative_error(slope, right, terms), point.tolerance
    if off <= tolerance:
        return passed(tolerance, Reason.WITHIN_TOLERANCE, tolerance=tolerance, off=off)
    if _has_steps(line.values, right, there.weights):
        return skipped(Reason.STEPS_ON_INTEGERS)
    if abs(slope - right) <= MISTAKE * largest:
        noise = BAND * line.scatter()
        if abs(slope - right) <= noise:
            return passed(noise / (abs(right) or largest), Reason.RULE_ROUNDS)
    if line.is_at_a_kink:
        return skipped(Reason.SEVERAL_KINKS)
    inputs, directions = (
        dict(zip(point.subject.names, arrays, strict=True)) for arrays in (there.arrays, line.moves)
    )
    wrong = failed(Kind.WRONG, inputs=inputs, directions=directions, slope=slope, exactly=right)
    if _is_right_beside(line, abs(slope - right)) and not _is_wrong_elsewhere(point):
        return Judgement(INCONCLUSIVE, reason=Reason.RIGHT_BESIDE, facts=wrong.facts)
    return replace(
        wrong,
        analytic=slope,
        estimate=Estimate(right, 0.0),
        evidence=Evidence(line.climb, there, there.gradients, there.upstreams),
    )


@dataclass
class _Line:
    """A line through whole numbers, along which a function is a polynomial of degree two."""

    point: Point  # at whole numbers
    moves: list[Array]
    calls: Mapping[float, Evaluation]  # by step
    slopes: Array  # of every output

    @classmethod
    def of(cls, point: Point) -> _Line | None:
        """Draw one; None if the function is no such polynomial, or not defined there."""
        generator = point.generator
        inputs = [np.asarray(generator.integers(-4, 5, x.shape), float) for x in point.arrays]
        moves = [np.asarray(generator.integers(1, 3, x.shape), float) for x in point.arrays]
        moves = [u * generator.choice([-1.0, 1.0], u.shape) for u in moves]
        calls: dict[float, Evaluation] = {}

        def along(h: float) -> Array:
            moved = [x + h * u for x, u in zip(inputs, moves, strict=True)]
            calls[h] = point.subject.evaluate(moved)
            return flat(calls[h].outputs)

        try:
            slopes = exact_slope(along)
        except Exception:  # noqa: BLE001 - the function need not be defined there
            return None
        if slopes is None:
            return None
        call = point.fresh(inputs)
        drawn = (np.asarray(generator.integers(-3, 4, y.shape), float) for y in call.outputs)
        ups = [np.where(u == 0, 1.0, u) for u in drawn]
        there = replace(point, arrays=inputs, recorded=call, upstreams=ups)
        return cls(there, moves, calls, slopes)

    @property
    def slope(self) -> float:
        """The slope of the weighted sum of the outputs, exactly."""
        return float(self.slopes @ self.point.weights)

    @property
    def promised(self) -> tuple[float, float]:
        """The slope that the gradient promises, and the sum of the sizes of its terms."""
        return promised(self.point.gradients, self.moves)

    @property
    def is_right(self) -> bool:
        """Whether that is the slope, but for rounding."""
        slope, terms = self.promised
        return abs(slope - self.slope) <= MISTAKE * max(terms, self.size)

    @property
    def size(self) -> float:
        """The sizes of what it is the sum of."""
        return float(np.abs(self.slopes) @ np.abs(self.point.weights))

    @property
    def climb(self) -> Climb:
        """A ladder of one step, whose slopes are exact."""
        centre, above, below = (flat(self.calls[h].outputs) for h in (0.0, 1.0, -1.0))
        ladder = Ladder((1.0,), centre, above[None], below[None])
        return Climb(ladder, {h: self.calls[h] for h in (1.0, -1.0)}, self.moves, [])

    @property
    def is_at_a_kink(self) -> bool:
        """Whether something has several slopes here, though whole numbers do not show them."""
        measurer, weights = self.point.measurer, self.point.weights
        climbed = measurer.climb(self.moves)
        bends = abs(climbed.ladder.gap_ratio(weights)) > KINK
        return (
            bends or measurer.differs_by_direction(climbed, weights) or measurer.is_at_a_tie_inside
        )

    def values(self, h: float) -> Array:
        """Evaluate the function somewhere on the line."""
        moved = [x + h * u for x, u in zip(self.point.arrays, self.moves, strict=True)]
        return flat(self.point.subject.evaluate(moved).outputs)

    def scatter(self) -> float:
        """Measure by how much promised slopes scatter.

        Along any line they lie on another line, exactly; what bends it is rounding of the rule.
        """
        bends = []
        for _ in range(SCATTERED):
            base = [x + self.point.generator.integers(-2, 3, x.shape) for x in self.point.arrays]
            left, middle, right = (self._promised(base, k) for k in (-1, 0, 1))
            bends.append(left - 2 * middle + right)
        return float(np.sqrt(np.mean(np.square(bends)) / 6))  # a bend varies as six slopes do

    def _promised(self, base: Sequence[Array], k: int) -> float:
        moved = [x + k * u for x, u in zip(base, self.moves, strict=True)]
        gradients = self.point.pulled(self.point.upstreams, self.point.fresh(moved))
        return promised(gradients, self.moves)[0]


def _is_right_beside(line: _Line, off: float) -> bool:
    """Whether the gradient is right at every point beside, where so large a fault would be seen.

    Whole numbers are often special: a matrix of them is singular now and then.
    """
    points = beside(line.point)
    judged = (Trial(p, p.gradients, p.upstreams).judge(line.moves) for p in points)
    return bool(points) and all(
        j.verdict == PASS and j.reason is not Reason.A_SUBGRADIENT and j.noticeable < off / 2
        for j in judged
    )


def _is_wrong_elsewhere(point: Point) -> bool:
    """Whether the gradient is wrong at most of the other points of whole numbers."""
    lines = (_Line.of(point) for _ in range(TRIES))
    right = [line.is_right for line in lines if line is not None]
    return sum(right) < len(right) / 2


def _rounding_of_sum(largest: float, number: int) -> float:
    """How far off a sum of whole numbers may be: not at all, while all of them are small."""
    return 0.0 if largest < 2.0**53 else EXACT * largest * number


def _has_steps(along: Callable[[float], Array], right: float, weights: Array) -> bool:
    """Whether the slope over whole numbers is not that over short steps."""
    for first in (FIRST_STEP, 2.0**-22):
        fine = climb(along, first=first).slope(weights)
        settled = fine.error <= 1e-4 * (1 + abs(right))
        if not settled or abs(fine.value - right) > BAND * fine.error + 1e-9 * abs(right):
            return True
    return False
