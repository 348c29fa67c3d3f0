"""Compare the slope that gradients promise with the one measured, as surely as can be had.

Escalation lives here: another scale, long double, kinks, a complex step.  Every retry is bounded.

Not for: measuring (``slope.py``), or which slopes are compared (``properties``).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node, propagate
from tinygrad_lab.testing.judging.arrays import Array, flat
from tinygrad_lab.testing.judging.holomorphic import complex_step
from tinygrad_lab.testing.judging.judgement import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    Evidence,
    Judgement,
    Reason,
)
from tinygrad_lab.testing.judging.numerical import (
    BAND,
    CANCELLED,
    FIRST_STEP,
    LONG_DOUBLE_IS_LONGER,
    Estimate,
    scales_of,
)
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.slope import CONVERGED, KINK, promised, subgradient_interval

STEPS = (FIRST_STEP, 2.0**-9, 2.0**-13, 2.0**-18)
SHORTER_STEPS = (2.0**-26, 2.0**-34, 2.0**-42)  # where the scale of an input is not its own size
LONGER_STEPS = (2.0**-2, 1.0, 2.0**3, 2.0**6)  # over the stairs that round-off makes
DOUBTFUL = 1e-4  # relative; where a function cancels, its gradient may be off by as much
JUMP = 1.5  # a gap ratio above is that of a jump, not of a continuous function (1)
AGREEMENT = 1e-9  # relative; what a correct rule may lose in its own arithmetic
TELLING = 1e-7  # relative; a wider band than this decides nothing
INVISIBLE = 1e-10  # of the size of the function: a slope below this counts as 0
UNDERFLOW = 1e-290  # what is smaller has lost its digits, or all of it


def compare(analytic: float, numeric: Estimate, terms: float = 0.0, size: float = 0.0) -> Judgement:
    """Decide whether a slope is the one that was measured.

    ``terms`` are the magnitudes that ``analytic`` is the sum of, for its own round-off, and
    ``size`` is that of the function.  The resolution is relative to the slope, or, where it
    vanishes, to the terms that cancel in it and the function.
    """
    judged = functools.partial(Judgement, analytic=analytic, estimate=numeric, resolution=math.inf)
    if not math.isfinite(analytic):
        settled = math.isfinite(numeric.value) and numeric.error <= 1e-3 * (1 + abs(numeric.value))
        return judged(FAIL if settled else INCONCLUSIVE)
    if 0 < max(terms, abs(analytic), abs(numeric.value)) < UNDERFLOW:
        return judged(INCONCLUSIVE, reason=Reason.UNDERFLOW)
    uncertain = BAND * numeric.error + 16 * float(np.finfo(np.float64).eps) * terms
    band = uncertain + AGREEMENT * abs(numeric.value)
    judged = functools.partial(judged, band=band)
    reference = max(abs(numeric.value), abs(analytic))
    against = reference if reference > uncertain else max(reference, terms, size)
    resolution = max(band / against, AGREEMENT) if against > 0 else math.inf
    if not math.isfinite(band) or not math.isfinite(numeric.value):
        return judged(INCONCLUSIVE)
    if abs(analytic - numeric.value) > band:
        certain = uncertain <= TELLING * max(reference, 1e-3 * terms)
        clear = abs(analytic - numeric.value) > 1000 * uncertain
        return judged(FAIL if certain or clear else INCONCLUSIVE, resolution=resolution)
    nothing = abs(analytic) <= CANCELLED * max(size, terms)
    vanishes = nothing and reference <= uncertain <= INVISIBLE * size
    agrees = band <= TELLING * max(reference, terms) or vanishes or band == 0
    return judged(PASS if agrees else INCONCLUSIVE, resolution=resolution)


class Trial:
    """Gradients at a point, pulled from some upstreams, to be compared with measured slopes."""

    def __init__(
        self, point: Point, gradients: Sequence[Array], upstreams: Sequence[Array]
    ) -> None:
        self.point, self.measurer = point, point.measurer
        self.gradients, self.upstreams, self.weights = gradients, upstreams, flat(upstreams)

    def judge(self, directions: Sequence[Array]) -> Judgement:
        """Compare the slopes along a direction.

        The gradient is wrong if two scales agree on another slope.  It is right if it passes at any
        scale: a wrong slope does not agree to nine digits by chance.
        """
        tried: list[Judgement] = []
        failures: list[Judgement] = []
        places = iter(self._places(directions))
        for along, first in places:
            judgement, crossed = self._once(along, first)
            if judgement.verdict == PASS and (not tried or not judgement.climb.ladder.flat):
                return judgement
            tried.append(judgement)
            if judgement.verdict == FAIL and not crossed:
                failures.append(judgement)
            if len(failures) > 1 and _agree(failures[-1], failures[-2]):
                return self._unless_excused(failures[-2], failures[-1], places)
        if LONG_DOUBLE_IS_LONGER and not failures:
            longer = self._long_double(directions)
            if longer is not None and longer.verdict != INCONCLUSIVE:
                return longer
        best = min(tried, key=lambda j: j.band / (abs(j.analytic) or 1.0))
        return self._by_complex_step(best) or _undecided(best)

    def _places(self, directions: Sequence[Array]) -> Iterator[tuple[Sequence[Array], float]]:
        """Give directions and first steps: from the usual to those of inputs of unusual size."""
        arrays, shorter = self.measurer.arrays, self.measurer.shorter(directions)
        for step in (*STEPS, *SHORTER_STEPS):
            yield directions, step * shorter
        own = [_of_own_size(x, u) for x, u in zip(arrays, directions, strict=True)]
        if any(np.any(u != w) for u, w in zip(own, directions, strict=True)):
            for step in STEPS:
                yield own, step * shorter

    def _once(
        self, directions: Sequence[Array], first: float, dtype: Any = np.float64
    ) -> tuple[Judgement, bool]:
        """Compare at one scale; where it fails, also whether the ladder crosses a kink."""
        climbed = self.measurer.climb(directions, first, dtype)
        ladder, weights = climbed.ladder, self.weights.astype(dtype)
        numeric = ladder.slope(weights)
        analytic, terms = promised(self.gradients, climbed.directions, dtype)
        _, beside = promised(self.gradients, climbed.missed)
        size = ladder.size(weights)
        if np.isfinite(beside):
            numeric = Estimate(numeric.value, numeric.error + beside)
        judgement = compare(analytic, numeric, terms, size)
        still = CANCELLED * max(size, terms, float(np.sum(np.abs(weights))))
        if ladder.flat and abs(analytic) <= still:
            judgement = replace(judgement, verdict=PASS, resolution=math.inf, reason=None)
        crossed = judgement.verdict == FAIL and self.measurer.crosses(climbed)
        evidence = Evidence(climbed, self.point, self.gradients, self.upstreams)
        return replace(judgement, evidence=evidence), crossed

    # -- what may excuse a slope that differs at two scales ---------------------------------------

    def _unless_excused(
        self, longer: Judgement, shorter: Judgement, places: Iterator[tuple[Sequence[Array], float]]
    ) -> Judgement:
        accused = self._unless_a_kink(longer, shorter)
        slopes = (longer.estimate, shorter.estimate)
        converged = all(x.error <= CONVERGED * abs(x.value) for x in slopes)
        if accused.verdict == FAIL and not converged:
            accused = self._second_opinion(accused, places)
        if accused.verdict == FAIL:
            accused = self._unless_rounded_away(accused)
        if accused.verdict == INCONCLUSIVE:
            return self._by_complex_step(accused) or accused
        return accused

    def _unless_a_kink(self, longer: Judgement, shorter: Judgement) -> Judgement:
        """Where one-sided slopes differ, every slope between them is right."""
        measurer, weights, climbed = self.measurer, self.weights, shorter.climb
        ladder = climbed.ladder
        alone = np.diag(weights) if weights.size <= 64 else ()  # one output at a time
        ratios = [ladder.gap_ratio(w) for w in (weights, *alone)]
        if any(abs(ratio) > JUMP for ratio in ratios):
            return _undecided(longer, Reason.VALUE_JUMPS)
        bent = any(abs(ratio) > KINK for ratio in ratios)
        if not (
            bent
            or measurer.is_on_a_boundary(climbed)
            or measurer.differs_by_direction(climbed, weights)
        ):
            return longer
        measurer.at_a_kink = True
        ladders = [ladder, *measurer.nearby(climbed.directions)]
        low, high, band = subgradient_interval(ladders, weights)
        if band > (high - low) / 4:
            return _undecided(longer, Reason.NOISE_OR_KINK)
        if low - band <= shorter.analytic <= high + band:
            passing = shorter.because(PASS, Reason.A_SUBGRADIENT)
            return replace(passing, resolution=math.inf)  # any slope in between is right
        if measurer.has_several_kinks():
            return longer.because(INCONCLUSIVE, Reason.SEVERAL_KINKS)
        return longer.because(FAIL, Reason.KINK, low=low, high=high)

    def _second_opinion(
        self, accused: Judgement, places: Iterator[tuple[Sequence[Array], float]]
    ) -> Judgement:
        """Look for what may have misled measurements that did not converge."""
        for along, first in places:
            judgement, _ = self._once(along, first)
            if judgement.verdict == PASS and not judgement.climb.ladder.flat:
                return judgement
        return _undecided(accused, Reason.STAIRS) if self._climbs_stairs(accused) else accused

    def _climbs_stairs(self, accused: Judgement) -> bool:
        """Whether a function that is constant over short steps moves as promised over long ones."""
        ladder, directions = accused.climb.ladder, accused.climb.directions
        if np.any(ladder.above[-1] != ladder.below[-1]):
            return False
        roughly = promised(self.gradients, directions)[1] / 3
        for step in LONGER_STEPS:
            ladder = self.measurer.climb(directions, step).ladder
            ahead, behind = (
                (x[0] - ladder.centre) @ self.weights / step for x in (ladder.above, ladder.below)
            )
            if max(abs(ahead - accused.analytic), abs(behind + accused.analytic)) <= roughly:
                return True
        return False

    def _unless_rounded_away(self, accused: Judgement) -> Judgement:
        """Excuse a difference that rounding the intermediate values may have made."""
        moved = 0.0  # to first order, by cotangent times rounding error, summed over them all

        def visit(node: Node, g: Any, _contributions: tuple[Any, ...]) -> None:
            nonlocal moved
            if node.op is not None and isinstance(g, np.ndarray):
                moved += float(np.sum(np.abs(g) * np.abs(node.value)))

        call = self.measurer.subject.record(self.measurer.arrays)
        ups = [u.astype(y.dtype) for u, y in zip(self.upstreams, call.outputs, strict=True)]
        begin = [(x, u) for x, u in zip(call.roots, ups, strict=False) if x is not None]
        if begin:
            roots, ups = zip(*begin, strict=True)
            propagate(roots, ups, retain_graph=True, visit=visit)
        noise = moved * 2.0**-53
        off = abs(accused.analytic - accused.estimate.value)
        if np.isfinite(noise) and off <= BAND * noise / accused.climb.ladder.steps[0]:
            return _undecided(accused, Reason.ROUNDED_AWAY)
        return accused

    # -- other arithmetic -------------------------------------------------------------------------

    def _long_double(self, directions: Sequence[Array]) -> Judgement | None:
        try:
            judgement, crossed = self._once(directions, FIRST_STEP, dtype=np.longdouble)
        except Exception:  # noqa: BLE001 - what does not compute in long double is no fault
            return None
        outputs = (y for call in judgement.climb.calls.values() for y in call.outputs)
        return judgement if all(y.dtype == np.longdouble for y in outputs) and not crossed else None

    def _by_complex_step(self, uncertain: Judgement) -> Judgement | None:
        """Decide without a difference, where every operation is holomorphic."""
        directions = uncertain.climb.directions
        numeric = complex_step(self.measurer, directions, self.weights)
        if numeric is None:
            return None
        _, terms = promised(self.gradients, directions)
        judgement = compare(uncertain.analytic, numeric, terms)
        off = abs(uncertain.analytic - numeric.value)
        if judgement.verdict == FAIL and off <= DOUBTFUL * terms:
            return None  # terms that cancel in the function cancel in its gradient too
        return replace(judgement, reason=Reason.BY_COMPLEX_STEP, evidence=uncertain.evidence)


def _agree(a: Judgement, b: Judgement) -> bool:
    """Whether two measurements gave one slope, along the same direction or a shorter one."""
    x, y = a.estimate, b.estimate
    unit = abs(a.analytic / b.analytic) if a.analytic and b.analytic else 1.0
    return abs(x.value - y.value * unit) <= BAND * (x.error + y.error * unit) + 1e-6 * abs(x.value)


def _undecided(judgement: Judgement, reason: Reason = Reason.UNCERTAIN) -> Judgement:
    return judgement.because(INCONCLUSIVE, judgement.reason or reason)


def _of_own_size(x: Array, u: Array) -> Array:
    """Shorten a direction where an input is far smaller than the scale it is moved by."""
    size = np.abs(x)
    return np.where((size > 0) & (size < scales_of(x)), u / scales_of(x) * size, u)
