"""Compare the slope that gradients promise with the one measured, as surely as can be had.

Most gradients agree with the first ladder that is climbed.  Where one does not, better and dearer
measurements follow, in the order in which ``Trial.judge`` lists them.  Every retry is bounded.

Not for: measuring (``slope.py``, ``noise.py``), or which slopes are compared (``properties``).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

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
from tinygrad_lab.testing.judging.noise import Noise, Rounding
from tinygrad_lab.testing.judging.numerical import (
    BAND,
    CANCELLED,
    FIRST_STEP,
    LONG_DOUBLE_IS_LONGER,
    Estimate,
    scales_of,
)
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.slope import CONVERGED, KINK, Climb, Subgradients, promised

STEPS = (FIRST_STEP, 2.0**-9, 2.0**-13, 2.0**-18)
SHORTER_STEPS = (2.0**-26, 2.0**-34, 2.0**-42)  # where the scale of an input is not its own size
LONGER_STEPS = (2.0**-2, 1.0, 2.0**3, 2.0**6)  # over the stairs that round-off makes
JUMP = 1.5  # a gap ratio above is that of a jump, not of a continuous function (1)
AGREEMENT = 1e-9  # relative; what a correct rule may lose in its own arithmetic
SHARP = 1e-7  # relative; a band that is wider calls for a better measurement
TELLING = 1e-2  # relative; a band that is wider after the last measurement decides nothing
INVISIBLE = 1e-10  # of the size of the function: a band around 0 that is as good as nothing
UNDERFLOW = 1e-300  # what is smaller has lost its digits, or all of it
SURELY = 1000.0  # so many bands apart, and nothing has to be measured better
CLEARLY = 3.0  # so many, where the noise was measured
LARGE = 4096  # more elements are not computed with in long double, which has no BLAS
NEARER = STEPS[2]  # than long steps, where something may be that they miss
NOTHING = 2.0**-60  # of the size of the function: a slope that moves no bit of it
HEIGHT = 64.0  # in last digits of a number near 1, or of the largest input: stairs of round-off
EXACTLY = Rounding(0.0, 0.0)  # as long as nobody looked


def compare(
    analytic: float,
    numeric: Estimate,
    terms: float = 0.0,
    size: float = 0.0,
    movement: float = 0.0,
    noise: Rounding = EXACTLY,
    telling: float = SHARP,
) -> Judgement:
    """Decide whether a slope is the one that was measured.

    ``terms`` are the magnitudes that ``analytic`` is the sum of, ``size`` is that of the function,
    ``movement`` its own over the steps, and ``noise`` what was measured of round-off; ``telling``
    is how wide a band may be.  The resolution is relative to the slope, or, where it vanishes, to
    the first of these that does not.
    """
    judged = functools.partial(Judgement, analytic=analytic, estimate=numeric, resolution=math.inf)
    if not math.isfinite(analytic):
        settled = math.isfinite(numeric.value) and numeric.error <= 1e-3 * (1 + abs(numeric.value))
        return judged(FAIL if settled else INCONCLUSIVE)
    if 0 < max(terms, abs(analytic), abs(numeric.value)) < UNDERFLOW:
        return judged(INCONCLUSIVE, reason=Reason.UNDERFLOW)
    own = BAND * noise.slope + 16 * float(np.finfo(np.float64).eps) * terms
    uncertain = BAND * numeric.error + own
    band = uncertain + AGREEMENT * abs(numeric.value)
    if not math.isfinite(band) or not math.isfinite(numeric.value):
        return judged(INCONCLUSIVE)
    reference = max(abs(numeric.value), abs(analytic))
    beside = max(reference, terms, movement)
    nothing = abs(analytic) <= own and band <= INVISIBLE * size
    against = reference if reference > uncertain else beside
    against = size if nothing and band > SHARP * against else against
    resolution = max(band / against, AGREEMENT) if against > 0 else math.inf
    off = abs(analytic - numeric.value)
    if off > band:
        certain = uncertain <= SHARP * max(reference, 1e-3 * terms)
        margin = SURELY if noise is EXACTLY else CLEARLY
        verdict = FAIL if certain or off > margin * uncertain else INCONCLUSIVE
    else:
        tells = min(resolution / telling, band / (SHARP * beside or 1.0)) <= 1
        verdict = PASS if tells or band == 0 else INCONCLUSIVE
    return judged(verdict, resolution=resolution)


class Trial:
    """Gradients at a point, pulled from some upstreams, to be compared with measured slopes."""

    def __init__(
        self, point: Point, gradients: Sequence[Array], upstreams: Sequence[Array]
    ) -> None:
        self.point, self.measurer = point, point.measurer
        self.gradients, self.upstreams, self.weights = gradients, upstreams, flat(upstreams)

    def judge(self, directions: Sequence[Array]) -> Judgement:
        """Compare the slopes along a direction.

        The gradient is right if it agrees sharply at any scale: a wrong slope does not do so by
        chance.  It is wrong if two scales agree on another slope, no shorter one speaks against
        them, and neither round-off nor a kink explains the difference.
        """
        usual = self._at_several_scales(directions)
        if usual.verdict == PASS:
            return usual
        for elsewhere in (self._by_complex_step, self._in_long_double):
            judgement = elsewhere(directions)
            if judgement.verdict == PASS:
                return judgement
        judgement = self._above_the_noise(directions)
        if judgement.verdict == INCONCLUSIVE:
            noise = self.measurer.noise(directions, self.upstreams).up_to(FIRST_STEP)
            by_complex_step = self._by_complex_step(directions, noise)
            if by_complex_step.verdict != INCONCLUSIVE:
                return by_complex_step
        return judgement

    # -- one ladder -------------------------------------------------------------------------------

    def _compared(
        self, climbed: Climb, noise: Rounding = EXACTLY, telling: float = SHARP
    ) -> Judgement:
        """Compare along one ladder: from both sides, or from one, where only that is sharp."""
        ladder, dtype = climbed.ladder, climbed.ladder.centre.dtype.type
        weights = self.weights.astype(dtype)
        analytic, terms = promised(self.gradients, climbed.directions, dtype)
        _, beside = promised(self.gradients, climbed.missed)
        beside = beside if math.isfinite(beside) else 0.0
        size, moved = ladder.size(weights), ladder.movement(weights)
        evidence = Evidence(climbed, self.point, self.gradients, self.upstreams)

        def judged(slope: Estimate) -> Judgement:
            numeric = Estimate(slope.value, slope.error + beside)
            judgement = compare(analytic, numeric, terms, size, moved, noise, telling)
            return replace(judgement, evidence=evidence)

        central = judged(ladder.slope(weights, noise.value))
        if central.verdict == PASS:
            return central
        sides = {sign: judged(ladder.side(weights, sign, noise.value)) for sign in (-1, 1)}
        for sign, side in sides.items():
            if side.verdict == PASS:
                return replace(side, facts={"side": sign})
        if math.isfinite(central.estimate.error):
            return central
        return min(sides.values(), key=lambda side: side.estimate.error)

    def _confirmed(self, passing: Judgement, noise: Rounding = EXACTLY) -> Judgement | None:
        """Look nearer to the point at what long steps may have missed; None if it is not so there.

        What only one side agreed with may lie behind a kink, and the point before it.  A slope that
        vanishes beside what moves over long steps may not vanish over short ones.
        """
        directions = passing.climb.directions
        dtype = passing.climb.ladder.centre.dtype.type
        if "side" in passing.facts:
            return self._confirmed_on_a_side(passing, noise)
        if not _is_visible(passing) and not passing.climb.ladder.flat:
            for along in (directions, self._of_own_size(directions)):
                nearer = self.measurer.climb(along, NEARER * self.measurer.shorter, dtype)
                if self._compared(nearer, noise).verdict == FAIL:
                    return None
        return passing

    def _confirmed_on_a_side(self, passing: Judgement, noise: Rounding) -> Judgement | None:
        nearest = SHORTER_STEPS[0] * self.measurer.shorter
        climbed = self.measurer.climb(passing.climb.directions, nearest)
        analytic, _ = promised(self.gradients, climbed.directions)
        both = climbed.ladder.slope(self.weights, noise.value)
        side = climbed.ladder.side(self.weights, passing.facts["side"], noise.value)
        is_at_an_end = math.isfinite(side.error) and not math.isfinite(both.error)
        if is_at_an_end or _near(analytic, both):
            return passing
        if not _near(analytic, side) or _near(side.value, both):
            return None
        self.measurer.at_a_kink = True  # any slope between those of the two sides is right
        return replace(passing, reason=Reason.A_SUBGRADIENT, resolution=math.inf)

    # -- as it is done usually --------------------------------------------------------------------

    def _at_several_scales(self, directions: Sequence[Array]) -> Judgement:
        """Climb ladders until one agrees sharply, or two on another slope."""
        looked: list[Judgement] = []
        failures: list[Judgement] = []
        for climbed in itertools.chain(*self._families(directions)):
            judgement = self._compared(climbed)
            if not looked and self._promises_nothing_where_nothing_moves(judgement):
                return replace(judgement, verdict=PASS, resolution=math.inf, reason=None)
            tells = _is_visible(judgement) or not (failures or (looked and climbed.ladder.flat))
            if judgement.verdict == PASS and tells:
                confirmed = self._confirmed(judgement)
                if confirmed is not None:
                    return confirmed
            looked.append(judgement)
            if judgement.verdict == FAIL:
                failures.append(judgement)
                if len(failures) > 1 and _agree(*failures[-2:]):
                    break
        return _undecided(min(looked, key=lambda j: j.resolution or 0.0))

    def _families(
        self, directions: Sequence[Array], dtype: Any = np.float64
    ) -> Iterator[Iterator[Climb]]:
        """Give ladders from the longest to the shortest; then those of inputs' own sizes."""
        measurer = self.measurer
        steps = [step * measurer.shorter for step in (*STEPS, *SHORTER_STEPS)]
        yield (measurer.climb(directions, step, dtype) for step in steps)
        own = self._of_own_size(directions)
        if _are_unusual(own, directions):
            yield (measurer.climb(own, step, dtype) for step in steps[: len(STEPS)])

    def _of_own_size(self, directions: Sequence[Array]) -> list[Array]:
        """Shorten directions where an input is far smaller than the scale it is moved by."""
        own = []
        for x, u in zip(self.measurer.arrays, directions, strict=True):
            size, scale = np.abs(x), scales_of(x)
            own.append(np.where((size > 0) & (size < scale), u / scale * size, u))
        return own

    def _promises_nothing_where_nothing_moves(self, judgement: Judgement) -> bool:
        ladder = judgement.climb.ladder
        size = ladder.size(self.weights)
        return ladder.flat and abs(judgement.analytic) <= max(NOTHING * size, UNDERFLOW)

    # -- in other arithmetic ----------------------------------------------------------------------

    def _by_complex_step(self, directions: Sequence[Array], noise: Rounding = EXACTLY) -> Judgement:
        """Compare without a difference, where every operation is holomorphic."""
        numeric = complex_step(self.measurer, directions, self.weights)
        if numeric is None:
            return Judgement(INCONCLUSIVE)
        climbed = self.measurer.climb(directions, FIRST_STEP * self.measurer.shorter)
        analytic, terms = promised(self.gradients, directions)
        # what cancels in the gradient cancels here as well
        numeric = Estimate(numeric.value, numeric.error + noise.slope)
        judgement = compare(analytic, numeric, terms, noise=noise, telling=TELLING)
        evidence = Evidence(climbed, self.point, self.gradients, self.upstreams)
        return replace(judgement, reason=Reason.BY_COMPLEX_STEP, evidence=evidence)

    def _in_long_double(self, directions: Sequence[Array]) -> Judgement:
        """Compare gradient and slope in more digits, where both are computed in them.

        What differs in float64 alone is round-off.
        """
        undecided = Judgement(INCONCLUSIVE)
        if not LONG_DOUBLE_IS_LONGER or self.point.size + self.weights.size > LARGE:
            return undecided
        gradients = self._gradients_in_long_double
        if gradients is None:
            return undecided
        longer, best = Trial(self.point, gradients, self.upstreams), undecided
        for climbed in itertools.chain(*self._families(directions, np.longdouble)):
            if not climbed.is_in(np.longdouble):
                return undecided
            judgement = longer._compared(climbed, telling=TELLING)
            if judgement.verdict == FAIL and "side" not in best.facts:
                break
            if (judgement.resolution or 0.0) < (best.resolution or math.inf):
                best = judgement
            if best.verdict == PASS and (best.resolution or 0.0) <= SHARP:
                break
        agrees = best.verdict == PASS and "side" not in best.facts and self._is_rounded(best)
        if agrees and longer._confirmed(best) is not None:
            return replace(best, reason=Reason.IN_LONG_DOUBLE)
        return undecided

    @functools.cached_property
    def _gradients_in_long_double(self) -> list[Array] | None:
        """The gradients in long double, where everything is computed in that."""
        try:
            inputs = [x.astype(np.longdouble) for x in self.measurer.arrays]
            call = self.measurer.subject.record(inputs)
            pulled = call.pull([u.astype(np.longdouble) for u in self.upstreams])
        except Exception:  # noqa: BLE001 - what does not compute in long double is no fault
            return None
        if any(getattr(x, "dtype", None) != np.longdouble for x in (*call.outputs, *pulled)):
            return None
        return [np.where(np.isfinite(g), w, g) for g, w in zip(self.gradients, pulled, strict=True)]

    def _is_rounded(self, longer: Judgement) -> bool:
        """Whether the gradient in float64 is that in long double, but for round-off."""
        analytic, terms = promised(self.gradients, longer.climb.directions)
        size = terms + longer.climb.ladder.size(self.weights)
        off = abs(analytic - longer.analytic)
        return off <= AGREEMENT * abs(longer.analytic) or off <= CANCELLED * size

    # -- with the round-off that was measured -----------------------------------------------------

    def _above_the_noise(self, directions: Sequence[Array]) -> Judgement:
        """Compare at all scales, where round-off counts as much as there was seen to be."""
        judgements = []
        for family in self._families(directions):
            climbs = list(family)
            noise = self.measurer.noise(climbs[0].directions, self.upstreams)
            judgements.append(self._settled(climbs, noise))
        usual, *own = judgements  # the latter where inputs are far smaller than their scale
        for judgement in own:
            if judgement.verdict == FAIL or (judgement.verdict == PASS and _is_visible(judgement)):
                return judgement
        return min(judgements, key=lambda j: j.verdict == INCONCLUSIVE) if own else usual

    def _settled(self, climbs: Sequence[Climb], noise: Noise) -> Judgement:
        """Decide by the sharpest of some ladders that no shorter one speaks against."""
        levels = [noise.up_to(climbed.ladder.steps[0]) for climbed in climbs]
        pairs = zip(climbs, levels, strict=True)
        looked = [self._compared(climbed, level, TELLING) for climbed, level in pairs]
        defined = [j for j in looked if math.isfinite(j.estimate.error)]
        if not defined:
            return looked[0].because(INCONCLUSIVE, Reason.NOT_DEFINED_NEARBY)
        sure = [j for j in defined if j.verdict != FAIL or not self.measurer.crosses(j.climb)]
        after = [sure[k + 1 :] for k in range(len(sure))]
        sure = [
            j
            for j, shorter in zip(sure, after, strict=True)
            if not any(_contradicts(other, j) for other in shorter)
        ]
        if not sure:
            return _undecided(defined[-1])
        best = min(sure, key=lambda j: j.estimate.error)
        if best.verdict == PASS:
            return self._confirmed(best, levels[0]) or _undecided(best)
        witnesses = [j for j in sure if j is not best and j.verdict == FAIL and _agree(best, j)]
        if best.verdict == INCONCLUSIVE or not witnesses:
            return _undecided(best)
        pair = sorted((best, witnesses[0]), key=lambda j: -j.climb.ladder.steps[0])
        accused = self._unless_a_kink(*pair)
        dropped = [j for j in defined if _contradicts(accused, j)]
        if accused.verdict == FAIL and self._climbs_stairs(accused, dropped):
            return accused.because(INCONCLUSIVE, Reason.STAIRS)
        return accused

    def _unless_a_kink(self, longer: Judgement, shorter: Judgement) -> Judgement:
        """Where one-sided slopes differ, every slope between them is right."""
        measurer, weights, climbed = self.measurer, self.weights, shorter.climb
        ladder = climbed.ladder
        alone = np.diag(weights) if weights.size <= 64 else ()  # one output at a time
        ratios = [ladder.gap_ratio(w) for w in (weights, *alone)]
        if any(abs(ratio) > JUMP for ratio in ratios):
            return longer.because(INCONCLUSIVE, Reason.VALUE_JUMPS)
        bent = any(abs(ratio) > KINK for ratio in ratios)
        if not (
            bent
            or measurer.is_on_a_boundary(climbed)
            or measurer.differs_by_direction(climbed, weights)
        ):
            return longer
        measurer.at_a_kink = True
        slopes = Subgradients.on_both_sides(ladder, weights)
        pieces = measurer.nearby(climbed.directions)
        while shorter.analytic not in slopes and (piece := next(pieces, None)) is not None:
            slopes.include(piece)
        low, high = slopes.interval
        if slopes.band > (high - low) / 4:
            return longer.because(INCONCLUSIVE, Reason.NOISE_OR_KINK)
        if shorter.analytic in slopes:
            passing = shorter.because(PASS, Reason.A_SUBGRADIENT)
            return replace(passing, resolution=math.inf)  # any slope in between is right
        if measurer.has_several_kinks():
            return longer.because(INCONCLUSIVE, Reason.SEVERAL_KINKS)
        return longer.because(FAIL, Reason.KINK, low=low, high=high)

    def _climbs_stairs(self, accused: Judgement, others: Sequence[Judgement]) -> bool:
        """Whether a function moves as promised over long steps, though not over short ones.

        Round-off makes stairs of a slope: flat ones, or parallel to what was not rounded.
        """
        ladder, directions = accused.climb.ladder, accused.climb.directions
        roughly = promised(self.gradients, directions)[1] / 3
        agreeing = [j for j in others if abs(j.estimate.value - j.analytic) <= roughly]
        largest = max(float(np.max(np.abs(x), initial=1.0)) for x in self.measurer.arrays)
        digit = float(np.finfo(np.float64).eps) * largest * float(np.sum(np.abs(self.weights)))
        if np.any(ladder.above[-1] != ladder.below[-1]):
            off = abs(accused.analytic - accused.estimate.value)
            return any(off * j.climb.ladder.steps[0] <= HEIGHT * digit for j in agreeing)
        if ladder.is_narrow:
            digit = max(digit, float(np.finfo(np.float32).eps) * ladder.size(self.weights))
        if agreeing or abs(accused.analytic) * ladder.steps[0] <= digit:
            return True
        for step in LONGER_STEPS:
            ladder = self.measurer.climb(directions, step).ladder
            ahead, behind = (
                (x[0] - ladder.centre) @ self.weights / step for x in (ladder.above, ladder.below)
            )
            if max(abs(ahead - accused.analytic), abs(behind + accused.analytic)) <= roughly:
                return True
        return False


def _undecided(judgement: Judgement, reason: Reason = Reason.UNCERTAIN) -> Judgement:
    return judgement.because(INCONCLUSIVE, judgement.reason or reason)


def _agree(a: Judgement, b: Judgement) -> bool:
    """Whether two ladders measured one slope, for certain beside how far off the promised is."""
    apart, uncertain = _apart(a, b)
    off = min(abs(j.analytic - j.estimate.value) for j in (a, b))
    return apart <= min(uncertain + CONVERGED * abs(a.estimate.value), off / 4)


def _contradicts(shorter: Judgement, longer: Judgement) -> bool:
    """Whether a ladder measured another slope than a longer one, which crossed something then."""
    apart, uncertain = _apart(longer, shorter)
    return apart > 4 * uncertain + CONVERGED * abs(longer.estimate.value)


def _apart(a: Judgement, b: Judgement) -> tuple[float, float]:
    """Say how far apart two slopes are, and how uncertain that is.

    Their directions are the same, but for the rounding of short steps.
    """
    u, w = (np.concatenate([x.ravel() for x in j.climb.directions]) for j in (a, b))
    largest = float(np.max(np.abs(w), initial=0.0)) or 1.0
    u, w = u / largest, w / largest
    unit = float(u @ w / (w @ w))
    tilted = np.abs(u - unit * w) / np.where(u == 0, 1.0, np.abs(u))
    x, y = a.estimate, Estimate(b.estimate.value * unit, b.estimate.error * abs(unit))
    tilt = float(np.max(tilted, initial=0.0)) * max(abs(x.value), abs(y.value))
    return abs(x.value - y.value), BAND * (x.error + y.error) + 2 * tilt


def _near(analytic: float, numeric: Estimate) -> bool:
    """Whether a slope is the one that was measured, as far as can be told."""
    off = abs(analytic - numeric.value)
    return off <= BAND * numeric.error + AGREEMENT * abs(numeric.value)


def _is_visible(judgement: Judgement) -> bool:
    """Whether the slope that was measured is larger than its uncertainty."""
    return abs(judgement.estimate.value) > 2 * BAND * judgement.estimate.error


def _are_unusual(own: Sequence[Array], directions: Sequence[Array]) -> bool:
    """Whether a direction by inputs' own sizes is another one than by their scales."""
    return any(np.any(w != u) for w, u in zip(own, directions, strict=True))
