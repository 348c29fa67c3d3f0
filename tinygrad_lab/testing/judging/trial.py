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

from tinygrad_lab.testing.judging.arrays import Array, flat, weighed
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
    FEWER_LEVELS,
    FIRST_STEP,
    LEVELS,
    LONG_DOUBLE_IS_LONGER,
    Estimate,
    direction_like,
    scales_of,
)
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.slope import CONVERGED, KINK, Climb, Subgradients, promised
from tinygrad_lab.testing.judging.tamer import tamer
from tinygrad_lab.testing.judging.ties import beside, operations_alone

STEPS = (FIRST_STEP, 2.0**-9, 2.0**-13, 2.0**-18)
SHORTER_STEPS = (2.0**-26, 2.0**-34, 2.0**-42)  # where the scale of an input is not its own size
LONGER_STEPS = (2.0**-2, 1.0, 2.0**3, 2.0**6)  # over the stairs that round-off makes
JUMP = 1.5  # a gap ratio above is that of a jump, not of a continuous function (1)
AGREEMENT = 1e-9  # relative; what a correct rule may lose in its own arithmetic
AS_GOOD = 1.45  # times the best resolution: it is written as the same
SMALL = 2.0**-7  # of the size of the function: a slope of which round-off hides some digits
SHARP = 1e-7  # relative; a band that is wider calls for a better measurement
TELLING = 1e-2  # relative; a band that is wider after the last measurement decides nothing
INVISIBLE = 1e-10  # of the size of the function: a band around 0 that is as good as nothing
UNDERFLOW = 1e-300  # what is smaller has lost its digits, or all of it
SURELY = 1000.0  # so many bands apart, and nothing has to be measured better
CLEARLY = 3.0  # so many, where the noise was measured
LARGE = 4096  # more elements are not computed with in long double, which has no BLAS
BETWEEN = 0.75  # of a step: another ladder, as certain as the one that it bears witness to
NEARER = STEPS[2]  # than long steps, where something may be that they miss
NOTHING = 2.0**-60  # of the size of the function: a slope that moves no bit of it
COARSE = 2.0**-30  # of the size of the function: noise that may be there in any precision
DIGIT = float(np.finfo(np.float64).eps)
FAR_OFF = 2.0**-6  # of the slope, and of the size of the function
HEIGHT = 64.0  # in last digits of a number near 1, or of the largest input: stairs of round-off
UNSETTLED = 1e-3  # of a slope: so much it changes with the step, where it is no smooth function's
SCATTERED = 8.0  # standard deviations: twice as many as even stairs are high, for some are higher
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
    own = BAND * noise.slope + 16 * DIGIT * terms
    uncertain = BAND * numeric.error + own
    band = uncertain + AGREEMENT * abs(numeric.value)
    off = abs(analytic - numeric.value)
    cancels = band < off <= uncertain + AGREEMENT * terms  # each of the terms may have lost as much
    band = uncertain + AGREEMENT * terms if cancels else band
    judged = functools.partial(judged, band=band, reason=Reason.CANCELS if cancels else None)
    if not math.isfinite(band) or not math.isfinite(numeric.value):
        return judged(INCONCLUSIVE)
    reference = max(abs(numeric.value), abs(analytic))
    beside = max(reference, terms, movement)
    nothing = abs(analytic) <= own and band <= INVISIBLE * size
    against = reference if reference > uncertain else beside
    against = size if nothing and band > SHARP * against else against
    resolution = max(band / against, AGREEMENT) if against > 0 else math.inf
    if cancels:
        verdict = INCONCLUSIVE
    elif off > band:
        certain = uncertain <= SHARP * max(reference, 1e-3 * terms)
        margin = SURELY if noise is EXACTLY else CLEARLY
        clear = certain or off > margin * uncertain
        verdict = FAIL if clear and off > CLEARLY * own else INCONCLUSIVE
    else:
        tells = min(resolution / telling, band / (SHARP * beside or 1.0)) <= 1
        verdict = PASS if tells or band == 0 else INCONCLUSIVE
        resolution = max(resolution, (band + off) / against) if against > 0 else math.inf
    return judged(verdict, resolution=resolution)


def may_be_sharp(slope: float, size: float) -> bool:
    """Whether a slope is large enough beside the function for few steps to show all its digits."""
    return slope == 0 or abs(slope) > SMALL * size


def is_sharp(judgement: Judgement) -> bool:
    """Whether a slope agrees as well as any does, so that no better measurement is needed."""
    resolution = judgement.resolution or math.inf
    return judgement.verdict == PASS and resolution <= AGREEMENT * AS_GOOD


class Trial:
    """Gradients at a point, pulled from some upstreams, to be compared with measured slopes."""

    def __init__(
        self,
        point: Point,
        gradients: Sequence[Array],
        upstreams: Sequence[Array],
        dtype: Any = np.float64,
    ) -> None:
        self.point, self.measurer = point, point.measurer
        self.dtype, self.eps = dtype, float(np.finfo(dtype).eps)
        self.gradients, self.upstreams, self.weights = gradients, upstreams, flat(upstreams)

    def judge(self, directions: Sequence[Array]) -> Judgement:
        """Compare the slopes along a direction.

        The gradient is right if it agrees sharply at any scale: a wrong slope does not do so by
        chance.  It is wrong if two scales agree on another slope, no shorter one speaks against
        them, and neither round-off nor a kink explains the difference.
        """
        quick = self._quickly(directions)
        if quick is not None:
            return quick
        first = self.look(directions)
        if first.verdict == FAIL:  # and on both sides: shorter steps would show the same slopes
            decided = self._at_the_point(first)
            if decided is not None:
                return decided
        if first.verdict == INCONCLUSIVE and _near(first.analytic, first.estimate):
            # what drowns in round-off does so more over shorter steps
            elsewhere = self._by_complex_step(directions) or self._in_long_double(directions)
            if elsewhere is not None and elsewhere.verdict == PASS:
                return elsewhere
        usual = self._at_several_scales(directions)
        if usual.verdict != PASS:
            usual = self._at_the_point(usual) or usual
        if usual.verdict == PASS or usual.reason is Reason.SEVERAL_KINKS:
            return usual
        longer = None if self._is_far_off(usual) else self._in_long_double(directions)
        for judgement in (self._by_complex_step(directions), longer):
            if judgement is not None and judgement.verdict == PASS:
                return judgement
        above = self._above_the_noise(directions)
        if above.verdict != FAIL and longer is not None and longer.verdict == FAIL:
            return longer
        if above.verdict != INCONCLUSIVE:
            return above
        noise = self.measurer.noise(directions, self.upstreams).up_to(FIRST_STEP)
        return self._by_complex_step(directions, noise) or above

    def _quickly(self, directions: Sequence[Array]) -> Judgement | None:
        """Pass what agrees over few steps as well as anything does; None where more are needed."""
        analytic, _ = promised(self.gradients, directions, self.dtype)
        size = float(weighed(np.abs(self.measurer.centre), np.abs(self.weights)))
        if not may_be_sharp(analytic, size):
            return None
        quick = self._compared(self.measurer.quick(directions, self.dtype))
        tells = is_sharp(quick) and ("side" in quick.facts or _is_visible(quick))
        return self._confirmed(quick) if tells else None

    def look(self, directions: Sequence[Array]) -> Judgement:
        """Compare along a direction once, and leave it at that."""
        first = FIRST_STEP * self.measurer.shorter(directions)
        return self._compared(self.measurer.climb(directions, first, self.dtype))

    # -- one ladder -------------------------------------------------------------------------------

    def _compared(
        self, climbed: Climb, noise: Rounding = EXACTLY, telling: float = SHARP
    ) -> Judgement:
        """Compare along one ladder: from both sides, or from one, where only that is sharp."""
        ladder, weights = climbed.ladder, self.weights.astype(self.dtype, copy=False)
        analytic, terms = promised(self.gradients, climbed.directions, self.dtype)
        _, beside = promised(self.gradients, climbed.missed)
        beside = beside if math.isfinite(beside) else 0.0
        size, moved = ladder.size(weights), ladder.movement(weights)
        evidence = Evidence(climbed, self.point, self.gradients, self.upstreams)

        def judged(slope: Estimate) -> Judgement:
            numeric = Estimate(slope.value, slope.error + beside, slope.rounding + beside)
            return compare(analytic, numeric, terms, size, moved, noise, telling)

        central = judged(ladder.slope(weights, noise.value))
        if central.verdict == PASS:
            return replace(central, evidence=evidence)
        sides = {sign: judged(ladder.side(weights, sign, noise.value)) for sign in (-1, 1)}
        for sign, side in sides.items():
            if side.verdict == PASS and not _is_blunter_than(side, central):
                return replace(side, facts={"side": sign}, evidence=evidence)
        is_smooth = math.isfinite(central.estimate.error)
        best = central if is_smooth else min(sides.values(), key=lambda side: side.estimate.error)
        return replace(best, evidence=evidence)

    def _confirmed(self, passing: Judgement, noise: Rounding = EXACTLY) -> Judgement | None:
        """Look nearer to the point at what long steps may have missed; None if it is not so there.

        What only one side agreed with may lie behind a kink, and the point before it.  A slope that
        vanishes beside what moves over long steps may not vanish over short ones.
        """
        directions = passing.climb.directions
        if "side" in passing.facts:
            return self._confirmed_on_a_side(passing, noise)
        if not _is_visible(passing) and not passing.climb.ladder.flat:
            for along in (directions, self._of_own_size(directions)):
                nearer = self.measurer.climb(
                    along, NEARER * self.measurer.shorter(along), self.dtype
                )
                if self._compared(nearer, noise).verdict == FAIL:
                    return None
        return passing

    def _confirmed_on_a_side(self, passing: Judgement, noise: Rounding) -> Judgement | None:
        directions = passing.climb.directions
        climbed = self._climbed_near(directions, SHORTER_STEPS[0])
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

    def _climbed_near(self, directions: Sequence[Array], step: float) -> Climb:
        """Climb few steps very near to the point, where noise is all that more of them show."""
        first = step * self.measurer.shorter(directions)
        return self.measurer.climb(directions, first, self.dtype, FEWER_LEVELS)

    def _at_the_point(self, accused: Judgement) -> Judgement | None:
        """Decide on a slope at a kink that is at the point itself: then no other look is needed.

        It is, if long steps and very short ones see the same slopes on both sides.
        """
        is_bent = self._is_bent(accused.climb)
        if not (is_bent or self.measurer.is_at_a_tie):
            return None
        nearest = self._climbed_near(accused.climb.directions, SHORTER_STEPS[1])
        apart = uncertain = size = 0.0
        for sign in (-1, 1):
            far, near = (c.ladder.side(self.weights, sign) for c in (accused.climb, nearest))
            apart = max(apart, abs(far.value - near.value))
            uncertain = max(uncertain, BAND * (far.error + near.error))
            size = max(size, abs(far.value - accused.analytic))
        if not apart <= uncertain + CONVERGED * size <= size / 8:
            return None
        judgement = self._unless_a_kink(accused)
        decided = judgement.verdict == PASS or judgement.reason is Reason.SEVERAL_KINKS
        return judgement if decided else None

    def _is_bent(self, climbed: Climb) -> bool:
        """Whether one-sided slopes differ at the point, and nothing jumps."""
        alone = np.diag(self.weights) if self.weights.size <= 64 else ()  # one result at a time
        ratios = [abs(climbed.ladder.gap_ratio(w)) for w in (self.weights, *alone)]
        return KINK < max(ratios) <= JUMP

    # -- as it is done usually --------------------------------------------------------------------

    def _at_several_scales(self, directions: Sequence[Array]) -> Judgement:
        """Climb ladders until one agrees sharply, or two on another slope."""
        looked: list[Judgement] = []
        failures: list[Judgement] = []
        for family in self._families(directions):
            before: Judgement | None = None
            for climbed in family:
                judgement = self._compared(climbed)
                if not looked and self._promises_nothing_where_nothing_moves(judgement):
                    return replace(judgement, verdict=PASS, resolution=math.inf, reason=None)
                tells = _is_visible(judgement) or not (failures or (looked and climbed.ladder.flat))
                # a blunt agreement is none with what is sharper and disagrees
                tells = tells and all(_contradicts(judgement, failure) for failure in failures)
                if judgement.verdict == PASS and tells:
                    confirmed = self._confirmed(judgement)
                    if confirmed is not None:
                        return confirmed
                looked.append(judgement)
                if judgement.verdict == FAIL or judgement.reason is Reason.CANCELS:
                    failures.append(judgement)
                    if len(failures) > 1 and _agree(*failures[-2:]):
                        return _undecided(_sharpest(looked))
                if before is not None and _drowns(judgement, before):
                    break
                before = judgement
        return _undecided(_sharpest(looked))

    def _families(self, directions: Sequence[Array]) -> Iterator[Iterator[Climb]]:
        """Give ladders from the longest to the shortest; then those of inputs' own sizes."""
        measurer = self.measurer
        shorter = measurer.shorter(directions)
        steps = {step * shorter: LEVELS for step in STEPS}
        steps |= {step * shorter: FEWER_LEVELS for step in SHORTER_STEPS}  # there noise is all
        yield (measurer.climb(directions, h, self.dtype, n) for h, n in steps.items())
        own = self._of_own_size(directions)
        if _are_unusual(own, directions):
            yield (measurer.climb(own, h, self.dtype, n) for h, n in steps.items())

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

    def _is_far_off(self, judgement: Judgement) -> bool:
        """Whether a slope is off by so much that more digits would show nothing else."""
        off = abs(judgement.analytic - judgement.estimate.value)
        size = judgement.climb.ladder.size(self.weights)
        return off > FAR_OFF * max(abs(judgement.analytic), abs(judgement.estimate.value), size)

    # -- in other arithmetic ----------------------------------------------------------------------

    def _by_complex_step(
        self, directions: Sequence[Array], noise: Rounding = EXACTLY
    ) -> Judgement | None:
        """Agree without a difference, where every operation is holomorphic."""
        numeric = complex_step(self.measurer, directions, self.weights)
        if numeric is None:
            return None
        climbed = self.measurer.climb(directions, FIRST_STEP * self.measurer.shorter(directions))
        analytic, terms = promised(self.gradients, directions)
        # what cancels in the gradient cancels here as well
        numeric = Estimate(numeric.value, numeric.error + noise.slope)
        judgement = compare(analytic, numeric, terms, noise=noise, telling=TELLING)
        evidence = Evidence(climbed, self.point, self.gradients, self.upstreams)
        judgement = replace(judgement, reason=Reason.BY_COMPLEX_STEP, evidence=evidence)
        digits = self._digit + DIGIT * climbed.ladder.size(self.weights)
        fails = noise is not EXACTLY and abs(analytic - numeric.value) > HEIGHT * digits
        return judgement if judgement.verdict == PASS or fails else None

    @property
    def _digit(self) -> float:
        """The last digit of numbers near 1, or of the largest input, in the weighted sum."""
        largest = max(float(np.max(np.abs(x), initial=1.0)) for x in self.measurer.arrays)
        return self.eps * largest * float(np.sum(np.abs(self.weights)))

    def _in_long_double(self, directions: Sequence[Array]) -> Judgement | None:
        """Compare gradient and slope in more digits, where both are computed in them.

        What differs in float64 alone is round-off.
        """
        if not LONG_DOUBLE_IS_LONGER or self.point.size + self.weights.size > LARGE:
            return None
        gradients = self._gradients_in_long_double
        if gradients is None:
            return None
        longer = Trial(self.point, gradients, self.upstreams, np.longdouble)
        first = FIRST_STEP * self.measurer.shorter(directions)
        climbed = self.measurer.climb(directions, first, np.longdouble)
        if not climbed.is_in_long_double:
            return None
        judgement = longer._at_several_scales(directions)
        if judgement.verdict != PASS and self._rounds_little(climbed):
            judgement = longer._above_the_noise(directions)
        if judgement.verdict == PASS and not self._is_rounded(judgement):
            return None
        return replace(judgement, reason=judgement.reason or Reason.IN_LONG_DOUBLE)

    def _rounds_little(self, climbed: Climb) -> bool:
        """Whether a function rounds as arithmetic does, and not on purpose."""
        noise = self.measurer.noise(climbed.directions, self.upstreams).up_to(FIRST_STEP)
        return noise.value <= COARSE * climbed.ladder.size(self.weights)

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
        if any(w.shape != np.shape(g) for g, w in zip(self.gradients, pulled, strict=True)):
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
        families = self._families(directions)
        usual = self._settled(list(next(families)))
        for climbs in families:  # where inputs are far smaller than their scale
            own = self._settled_by_own_size(climbs, usual)
            if own.verdict == FAIL:
                return own
            if own.verdict == PASS and _is_visible(own):
                sees = own.band < usual.relative_error * abs(own.estimate.value)
                return _undecided(usual) if usual.verdict == FAIL and not sees else own
            if usual.verdict == FAIL and _is_blind(usual, own):
                return usual.because(INCONCLUSIVE, Reason.ROUNDED_AWAY)
            return min((usual, own), key=lambda j: j.verdict == INCONCLUSIVE)
        return usual

    def _settled_by_own_size(self, climbs: Iterator[Climb], usual: Judgement) -> Judgement:
        """Decide by ladders of inputs' own sizes: by all of them, if two do not say the same."""
        some = list(itertools.islice(climbs, 2))
        judged = list(map(self._compared, some))
        if all(j.verdict == FAIL for j in (usual, *judged)) and _agree(*judged):
            return usual
        return self._settled([*some, *climbs])

    def _settled(self, climbs: Sequence[Climb]) -> Judgement:
        """Decide by the sharpest of some ladders; where it fails, after a look at all round-off."""
        judgement, _ = self._weighed(climbs, self._noise(climbs))
        if judgement.verdict != FAIL:
            return judgement
        noise = self._noise(climbs, farther=True)
        judgement, looked = self._weighed(climbs, noise)
        if judgement.verdict != FAIL:
            return judgement
        if self._may_be_a_last_digit(judgement) and not self._is_off_where_it_is_tamer(judgement):
            return judgement.because(INCONCLUSIVE, Reason.ROUNDED_AWAY)
        accused = self._unless_a_kink(judgement)
        if accused.verdict == FAIL and self._climbs_stairs(accused, looked, noise):
            return accused.because(INCONCLUSIVE, Reason.STAIRS)
        return accused

    def _may_be_a_last_digit(self, accused: Judgement) -> bool:
        """Whether slopes differ by no more than a rule, or a function, may lose as ``1 - s`` does.

        It need not scatter: ``log(1 + p)`` is nothing at all where ``p`` is small enough.  Over
        steps of few last digits of an input a function may be as far off as if that were rounded:
        ``1 - x * x`` moves by ``2 * h`` there, and not by ``2 * x * h``.
        """
        off = abs(accused.analytic - accused.estimate.value)
        pairs = zip(self.gradients, self.measurer.arrays, strict=True)
        inputs = float(sum(np.sum(np.abs(g * x)) for g, x in pairs))
        return off <= self._digit or off * accused.climb.ladder.steps[0] <= self.eps * inputs

    def _is_off_where_it_is_tamer(self, accused: Judgement) -> bool:
        """Whether gradients are wrong by as much where no digits are lost."""
        for there in tamer(self.point):
            pairs = zip(there.arrays, self.measurer.arrays, accused.climb.directions, strict=True)
            moves = [u / scales_of(x) * scales_of(y) for y, x, u in pairs]
            gradients = there.pulled(self.upstreams, there.recorded)
            if all(np.all(np.isfinite(g)) for g in gradients):
                judgement = Trial(there, gradients, self.upstreams).look(moves)
                alike = judgement.relative_error > accused.relative_error / 8
                if judgement.verdict == FAIL and alike and not _goes_on(judgement):
                    return True
        return False

    def _noise(self, climbs: Sequence[Climb], farther: bool = False) -> Noise:
        return self.measurer.noise(climbs[0].directions, self.upstreams, farther)

    def _level(self, climbed: Climb, noise: Noise) -> Rounding:
        """Give the noise over a ladder; of values in long double, as much less as it has digits."""
        level = noise.up_to(climbed.ladder.steps[0])
        return Rounding(level.value * self.eps / DIGIT, level.slope)

    def _weighed(self, climbs: Sequence[Climb], noise: Noise) -> tuple[Judgement, list[Judgement]]:
        """Decide by the sharpest of some ladders that no shorter one speaks against; give all."""
        looked = [self._compared(c, self._level(c, noise), TELLING) for c in climbs]
        defined = [j for j in looked if math.isfinite(j.estimate.error)]
        if not defined:
            return looked[0].because(INCONCLUSIVE, Reason.NOT_DEFINED_NEARBY), defined
        straight = [
            j for j in defined
            if j.verdict != FAIL or not (self.measurer.crosses(j.climb) or _goes_on(j))
        ]  # fmt: skip
        after = [straight[k + 1 :] for k in range(len(straight))]
        pairs = zip(straight, after, strict=True)
        sure = [j for j, shorter in pairs if not any(_contradicts(s, j) for s in shorter)]
        if not sure:
            return _undecided(defined[-1]), defined
        best = min(sure, key=lambda j: j.estimate.error)
        level = self._level(best.climb, noise)
        confirmed = self._confirmed(best, level) if best.verdict == PASS else None
        if confirmed is not None:
            return confirmed, defined
        doubted = _diverges(sure) or any(_doubts(j, best) for j in sure)
        if best.verdict == FAIL and not doubted:
            between = BETWEEN * best.climb.ladder.steps[0]
            climbed = self.measurer.climb(best.climb.directions, between, self.dtype)
            others = [*sure, self._compared(climbed, level, TELLING)]
            witnesses = [j for j in others if j is not best and _is_off(j) and _agree(best, j)]
            if witnesses:
                failing = (j for j in sure if j is best or (j.verdict == FAIL and _agree(best, j)))
                return next(failing), defined
        rounds = level.value > 4 * self.eps * best.climb.ladder.size(self.weights)
        return _undecided(best, Reason.ROUNDED_AWAY if rounds else Reason.UNCERTAIN), defined

    # -- what may excuse a slope that differs at two scales ---------------------------------------

    def _unless_a_kink(self, accused: Judgement) -> Judgement:
        """Where one-sided slopes differ, every slope between them is right."""
        measurer, weights, climbed = self.measurer, self.weights, accused.climb
        ladder = climbed.ladder
        alone = np.diag(weights) if weights.size <= 64 else ()  # one output at a time
        ratios = [ladder.gap_ratio(w) for w in (weights, *alone)]
        if any(abs(ratio) > JUMP for ratio in ratios):
            return accused.because(INCONCLUSIVE, Reason.VALUE_JUMPS)
        bent = any(abs(ratio) > KINK for ratio in ratios)
        if not (
            bent
            or measurer.is_on_a_boundary(climbed)
            or measurer.differs_by_direction(climbed, weights)
        ):
            return self._unless_a_tie(accused) if measurer.is_at_a_tie_inside else accused
        measurer.at_a_kink = True
        slopes = Subgradients.on_both_sides(ladder, weights)
        pieces = measurer.nearby(climbed.directions)
        while accused.analytic not in slopes and (piece := next(pieces, None)) is not None:
            slopes.include(piece)
        low, high = slopes.interval
        if slopes.band > (high - low) / 4:
            return accused.because(INCONCLUSIVE, Reason.NOISE_OR_KINK)
        if accused.analytic in slopes:
            passing = accused.because(PASS, Reason.A_SUBGRADIENT)
            return replace(passing, resolution=math.inf)  # any slope in between is right
        if measurer.has_several_kinks() or measurer.is_at_a_tie_inside:
            return self._unless_a_tie(accused)
        if max(low - accused.analytic, accused.analytic - high) <= self._scatter_nearby(accused):
            return accused.because(INCONCLUSIVE, Reason.ROUNDED_AWAY)
        return accused.because(FAIL, Reason.KINK, low=low, high=high)

    def _scatter_nearby(self, accused: Judgement) -> float:
        """Say how far off a rule may be by what it rounds, where inputs are far below their scale.

        So near to a kink it is that numbers may lose their digits by underflow, as the squares of
        ``1e-160`` in a norm do.  What is 0 itself is not moved: that is a kink, and no round-off.
        """
        directions = accused.climb.directions
        own = self._of_own_size(directions)
        if not _are_unusual(own, directions):
            return 0.0
        pairs = zip(self.measurer.arrays, own, strict=True)
        own = [np.where(x != 0, u, 0.0) for x, u in pairs]
        (_, small), (_, usual) = (promised(self.gradients, u) for u in (own, directions))
        if not small > 0:
            return 0.0
        noise = self.measurer.noise(own, self.upstreams).up_to(FIRST_STEP)
        return BAND * noise.slope * usual / small

    def _unless_a_tie(self, accused: Judgement) -> Judgement:
        """Where rules may each be right and their product is not, look at each, and beside it."""
        off = [j for j in map(self._beside_a_tie, beside(self.point)) if j is not None]
        wrong = [j for j in off if j.verdict == FAIL]
        if len(wrong) > len(off) / 2 or any(map(_is_wrong_alone, operations_alone(self.point))):
            return accused
        return accused.because(INCONCLUSIVE, Reason.SEVERAL_KINKS)

    def _beside_a_tie(self, there: Point) -> Judgement | None:
        """Compare over short steps; None where another tie is crossed, or nothing is defined."""
        generator = np.random.default_rng(5)
        moves = [direction_like(x, generator) for x in there.arrays]
        gradients = there.pulled(self.upstreams, there.recorded)
        if not all(np.all(np.isfinite(g)) for g in gradients):
            return None
        trial = Trial(there, gradients, self.upstreams)
        judgement = trial._compared(there.measurer.climb(moves, STEPS[-1]))
        crosses = there.measurer.crosses(judgement.climb)
        return None if crosses or not math.isfinite(judgement.band) else judgement

    def _climbs_stairs(self, accused: Judgement, looked: Sequence[Judgement], noise: Noise) -> bool:
        """Whether a function climbs stairs, as round-off makes them; what its slope is depends.

        Over short steps it is flat, or moves in parallel to what was not rounded; over long ones
        it moves as it would without them.
        """
        ladder, slope = accused.climb.ladder, accused.estimate.value
        size = ladder.size(self.weights)
        off = abs(accused.analytic - slope)
        stairs = SCATTERED * noise.stairs * self.eps / DIGIT
        if noise.is_narrow:
            stairs = max(stairs, 4 * float(np.finfo(np.float32).eps) * size)
        if off * ladder.steps[0] <= stairs:
            return True
        if not ladder.flat and abs(accused.analytic) <= NOTHING * size and not noise.is_full:
            high = 4 * HEIGHT * self.eps * size
            flat = (j.climb.ladder for j in looked if j.climb.ladder.flat)
            return any(abs(slope) * other.steps[0] > high for other in flat)
        roughly = promised(self.gradients, accused.climb.directions)[1] / 3
        agreeing = [
            j
            for j in looked
            if abs(j.estimate.value - j.analytic) <= roughly
            and (ladder.flat or _contradicts(accused, j))
        ]
        digit = self._digit
        if not ladder.flat:
            return any(off * j.climb.ladder.steps[0] <= HEIGHT * digit for j in agreeing)
        if agreeing or off * ladder.steps[0] <= digit:
            return True
        return any(
            max(abs(ahead - accused.analytic), abs(behind - accused.analytic)) <= roughly
            for ahead, behind in map(functools.partial(self._chords, accused), LONGER_STEPS)
        )

    def _chords(self, accused: Judgement, step: float) -> tuple[float, float]:
        """Give the mean slopes over a long step ahead and behind."""
        ladder = self.measurer.climb(accused.climb.directions, step, levels=1).ladder
        ahead, behind = (
            float(weighed(x[0] - ladder.centre, self.weights)) / step
            for x in (ladder.above, ladder.below)
        )
        return ahead, -behind


def _is_wrong_alone(alone: Point) -> bool:
    """Whether one operation gives none of the slopes that it has."""
    trial = Trial(alone, alone.gradients, alone.upstreams)
    generator = np.random.default_rng(6)
    drawn = [direction_like(x, generator) for x in alone.arrays]
    tied = [np.ones(x.shape) for x in alone.arrays]
    return any(trial.judge(moves).verdict == FAIL for moves in (drawn, tied))


def _undecided(judgement: Judgement, reason: Reason = Reason.UNCERTAIN) -> Judgement:
    return judgement.because(INCONCLUSIVE, judgement.reason or reason)


def _agree(a: Judgement, b: Judgement) -> bool:
    """Whether two ladders measured one slope, for certain beside how far off the promised is."""
    apart, uncertain = _apart(a, b)
    off = min(abs(j.analytic - j.estimate.value) for j in (a, b))
    return apart <= min(uncertain + CONVERGED * abs(a.estimate.value), off / 2)


def _is_blunter_than(side: Judgement, both: Judgement) -> bool:
    """Whether one side shows no other slope than both together, and that less sharply."""
    apart = abs(side.estimate.value - both.estimate.value)
    uncertain = BAND * (side.estimate.error + both.estimate.error)
    return apart <= uncertain and side.band > both.band


def _sharpest(judgements: Sequence[Judgement]) -> Judgement:
    return min(judgements, key=lambda j: j.band / (abs(j.analytic) or 1.0))


def _drowns(shorter: Judgement, longer: Judgement) -> bool:
    """Whether two ladders agree but for round-off, which grows from here on."""
    both = (longer, shorter)
    agree = all(abs(j.analytic - j.estimate.value) <= j.band for j in both)
    undecided = all(j.verdict == INCONCLUSIVE for j in both)
    return agree and undecided and shorter.band > 2 * longer.band


def _contradicts(shorter: Judgement, longer: Judgement) -> bool:
    """Whether a ladder measured another slope than a longer one, which crossed something then."""
    apart, uncertain = _apart(longer, shorter)
    return apart > 4 * uncertain + CONVERGED * abs(longer.estimate.value)


def _doubts(other: Judgement, longer: Judgement) -> bool:
    """Whether a shorter ladder measured the promised slope, and not that of a longer one."""
    if other.climb.ladder.steps[0] >= longer.climb.ladder.steps[0]:
        return False
    apart, uncertain = _apart(longer, other)
    off = abs(other.analytic - other.estimate.value)
    return off <= BAND * other.estimate.error and apart > uncertain


def _apart(a: Judgement, b: Judgement) -> tuple[float, float]:
    """Say how far apart two slopes are, and how uncertain that is.

    Their directions are the same, but for the rounding of short steps.
    """
    unit, tilted = a.climb.tilt(b.climb)
    x, y = a.estimate, Estimate(b.estimate.value * unit, b.estimate.error * abs(unit))
    tilt = tilted * max(abs(x.value), abs(y.value))
    return abs(x.value - y.value), BAND * (x.error + y.error) + 2 * tilt


def _near(analytic: float, numeric: Estimate) -> bool:
    """Whether a slope is the one that was measured, as far as can be told."""
    off = abs(analytic - numeric.value)
    return off <= BAND * numeric.error + AGREEMENT * abs(numeric.value)


def _diverges(looked: Sequence[Judgement]) -> bool:
    """Whether slopes grow and grow as steps get shorter, as at the end of a square root."""
    slopes = [j.estimate.value for j in looked if abs(j.estimate.value) > 2 * j.estimate.error]
    pairs = list(itertools.pairwise(slopes))
    return len(pairs) > 1 and all(b / a > 2 for a, b in pairs)


def _is_off(judgement: Judgement) -> bool:
    """Whether the slope that was measured is another one than the promised, as far as it tells."""
    off = abs(judgement.analytic - judgement.estimate.value)
    return off > BAND * judgement.estimate.error and judgement.verdict != PASS


def _is_visible(judgement: Judgement) -> bool:
    """Whether the slope that was measured is larger than its uncertainty."""
    return abs(judgement.estimate.value) > 2 * BAND * judgement.estimate.error


def _goes_on(judgement: Judgement) -> bool:
    """Whether a slope still changes by as much as it is, with every shorter step.

    So it does near a pole, or an end of the domain, that is nearer than the steps reach.
    """
    if _is_visible(judgement) or judgement.climb.ladder.flat:
        return False
    return judgement.estimate.error > 2 * judgement.estimate.rounding


def _is_blind(usual: Judgement, own: Judgement) -> bool:
    """Whether nothing was seen near the point, and over long steps no slope that stays the same.

    So it is of a small number whose square root is added to a large one.
    """
    if usual.reason is Reason.KINK or own.band <= abs(own.analytic):  # slopes were seen
        return False
    error, rounding = usual.estimate.error, usual.estimate.rounding
    changes = error > max(2 * rounding, UNSETTLED * abs(usual.estimate.value))
    return changes or not _is_visible(usual)


def _are_unusual(own: Sequence[Array], directions: Sequence[Array]) -> bool:
    """Whether a direction by inputs' own sizes is another one than by their scales."""
    return any(np.any(w != u) for w, u in zip(own, directions, strict=True))
