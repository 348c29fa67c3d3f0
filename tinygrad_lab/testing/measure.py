"""Measure the slope of a subject along a direction, as surely as can be had, and compare.

Escalation lives here: another scale, long double, kinks.  Every retry is bounded.

Not for: the arithmetic of one ladder (``numerical.py``), or what to compare (``properties.py``).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.engine import Node, propagate
from tinygrad_lab.core.graph import history
from tinygrad_lab.testing.holomorphic import complex_step
from tinygrad_lab.testing.kinks import branches, has_kinks, same_branches, subgradient_interval
from tinygrad_lab.testing.numerical import (
    BAND,
    CANCELLED,
    FIRST_STEP,
    LONG_DOUBLE_IS_LONGER,
    Comparison,
    Estimate,
    Ladder,
    climb,
    compare,
    direction_like,
    quantized,
    scales_of,
)
from tinygrad_lab.testing.report import FAIL, INCONCLUSIVE, PASS
from tinygrad_lab.testing.subjects import Evaluation, Recorded, Subject, flat

__all__ = ["Measurement", "Measurer"]

Array = NDArray[Any]

OTHER_DIRECTIONS = 8  # in some of which the ties of a median do break another way
NEARBY_POINTS = 60  # so that hardly a piece of a tie of several is missed
STEPS = (FIRST_STEP, 2.0**-9, 2.0**-13, 2.0**-18)
SHORTER_STEPS = (2.0**-26, 2.0**-34, 2.0**-42)  # where the scale of an input is not its own size
LONGER_STEPS = (2.0**-2, 1.0, 2.0**3, 2.0**6)  # over the stairs that round-off makes
DOUBTFUL = 1e-4  # relative; where a function cancels, its gradient may be off by as much
KINK, JUMP = 0.75, 1.5  # gap ratios above are not smooth (1/2), not continuous (1)
CONVERGED = 1e-6  # relative; a slope this certain at two scales needs no second opinion


@dataclass
class Climb:
    """A ladder, and how it was climbed.

    Attributes
    ----------
    ladder : Ladder
    calls : dict of float to Evaluation
        The calls of the subject, by step.
    directions : list of array
        What each input was moved along.
    missed : list of array
        How far a step fell beside what was meant, where the sum was rounded, divided by the step.
    """

    ladder: Ladder
    calls: dict[float, Evaluation]
    directions: list[Array]
    missed: list[Array]


@dataclass
class Measurement:
    """A slope that was asked for, what it is, and how that was decided."""

    verdict: str
    analytic: float
    numeric: Estimate
    resolution: float
    climb: Climb
    note: str = ""


class Measurer:
    """Evaluates a subject around one point; keeps every ladder, so that none is climbed twice."""

    def __init__(self, subject: Subject, arrays: Sequence[Array], outputs: Sequence[Array]) -> None:
        self.subject, self.arrays = subject, [np.asarray(x, dtype=np.float64) for x in arrays]
        self.outputs, self.centre = list(outputs), flat(outputs)
        self._climbs: dict[Any, Climb] = {}
        self.at_a_kink = False  # as far as was seen
        moved = max(sum(x.size for x in self.arrays), 1)
        # Many elements that move at once go far together, as the square root of their number.
        self._shorter = 2.0 ** -min(int(math.log2(moved)) // 2, 8)

    def climb(
        self, directions: Sequence[Array], first: float = FIRST_STEP, dtype: Any = np.float64
    ) -> Climb:
        """Climb a ladder along a direction, from its longest step; remember it."""
        key = (first, np.dtype(dtype).char, *(u.tobytes() for u in directions))
        if key in self._climbs:
            return self._climbs[key]
        exact = [
            quantized(x, u, first) for x, u in zip(self.arrays, directions, strict=True)
        ]
        calls: dict[float, Evaluation] = {}
        missed = [np.zeros(x.shape) for x in self.arrays]

        def along(h: float) -> Array:
            moved = []
            for i, (x, u) in enumerate(zip(self.arrays, exact, strict=True)):
                wide, step = x.astype(dtype), dtype(h) * u.astype(dtype)
                moved.append(np.asarray(wide + step))
                if h:
                    missed[i] = np.maximum(missed[i], np.abs((moved[i] - wide) - step) / abs(h))
            with np.errstate(all="ignore"):
                calls[h] = self.subject.evaluate(moved)
            row = flat(calls[h].outputs)
            if row.size != self.centre.size:  # the result's shape depends on the values
                return np.full(self.centre.size, np.nan, dtype=dtype)
            return row

        centre = self.centre if dtype is np.float64 else along(0.0)
        made = climb(along, centre.astype(dtype), first)
        self._climbs[key] = Climb(made, calls, exact, missed)
        return self._climbs[key]

    def compare(
        self, gradients: Sequence[Array], weights: Array, directions: Sequence[Array]
    ) -> Measurement:
        """Compare the slope that gradients promise along a direction with the one measured.

        Two scales that agree on another slope accuse; what passes at any scale is right, for a
        wrong slope is not met by chance to nine digits.
        """
        seen: list[Measurement] = []
        failed: list[Measurement] = []
        places = iter(self._places(directions))
        for along, first in places:
            found, crossed = self._once(gradients, weights, along, first)
            if found.verdict == PASS and (not seen or not found.climb.ladder.flat):
                return found
            seen.append(found)
            if found.verdict == FAIL and not crossed:
                failed.append(found)
            if len(failed) > 1 and _agree(failed[-1], failed[-2]):
                accused = self._unless_a_kink(failed[-2], failed[-1], weights)
                if accused.verdict == FAIL and not _converged(failed[-2:]):
                    accused = self._second_opinion(accused, gradients, weights, places)
                if accused.verdict == FAIL:
                    accused = self._unless_rounded_away(accused, weights)
                if accused.verdict == INCONCLUSIVE:
                    return self._by_complex_step(accused, gradients, weights) or accused
                return accused
        if LONG_DOUBLE_IS_LONGER and not failed:
            longer = self._long_double(gradients, weights, directions)
            if longer is not None and longer.verdict != INCONCLUSIVE:
                return longer
        best = min(seen, key=lambda m: m.resolution)
        return self._by_complex_step(best, gradients, weights) or _undecided(best)

    def _places(self, directions: Sequence[Array]) -> Iterator[tuple[Sequence[Array], float]]:
        """Give directions and first steps: from the usual to those of inputs of unusual size."""
        for step in (*STEPS, *SHORTER_STEPS):
            yield directions, step * self._shorter
        own = [_of_own_size(x, u) for x, u in zip(self.arrays, directions, strict=True)]
        if any(np.any(u != w) for u, w in zip(own, directions, strict=True)):
            for step in STEPS:
                yield own, step * self._shorter

    def _second_opinion(
        self,
        accused: Measurement,
        gradients: Sequence[Array],
        weights: Array,
        places: Iterator[tuple[Sequence[Array], float]],
    ) -> Measurement:
        """Look for what may have misled measurements that did not converge."""
        for along, first in places:
            found, _ = self._once(gradients, weights, along, first)
            if found.verdict == PASS and not found.climb.ladder.flat:
                return found
        if self._climbs_stairs(accused, gradients, weights):
            return _undecided(
                accused,
                "nothing moves over short steps, and as promised over long ones: round-off of an "
                "intermediate value, or a step function",
            )
        return accused

    def _unless_rounded_away(self, accused: Measurement, weights: Array) -> Measurement:
        """Where the function is ours: what rounding every intermediate value may do to the slope.

        To first order a result changes by the sum, over all values on the way, of cotangent times
        rounding error.
        """
        with np.errstate(all="ignore"):
            recorded = self.subject.record(self.arrays)
            noise = rounding_of(recorded, weights)
        off = abs(accused.analytic - accused.numeric.value)
        if np.isfinite(noise) and off <= BAND * noise / accused.climb.ladder.steps[0]:
            return _undecided(accused, "round-off of intermediate values hides the slope")
        return accused

    def _climbs_stairs(
        self, accused: Measurement, gradients: Sequence[Array], weights: Array
    ) -> bool:
        """Whether a function that does not move by a bit does so as promised from further off."""
        ladder, directions = accused.climb.ladder, accused.climb.directions
        if np.any(ladder.above[-1] != ladder.below[-1]):
            return False
        parts = [np.sum(np.abs(g * u)) for g, u in zip(gradients, directions, strict=True)]
        roughly = float(sum(parts)) / 3
        for step in LONGER_STEPS:
            ladder = self.climb(directions, step).ladder
            ahead, behind = (
                (x[0] - ladder.centre) @ weights / step for x in (ladder.above, ladder.below)
            )
            if max(abs(ahead - accused.analytic), abs(behind + accused.analytic)) <= roughly:
                return True
        return False

    def _once(
        self,
        gradients: Sequence[Array],
        weights: Array,
        directions: Sequence[Array],
        first: float,
        dtype: Any = np.float64,
    ) -> tuple[Measurement, bool]:
        climbed = self.climb(directions, first, dtype)
        ladder, calls, exact = climbed.ladder, climbed.calls, climbed.directions
        weights = weights.astype(dtype)
        with np.errstate(all="ignore"):
            numeric = ladder.slope(weights)
            parts = [np.asarray(g, dtype) * u for g, u in zip(gradients, exact, strict=True)]
            analytic = float(sum(np.sum(part) for part in parts))
            terms = float(sum(np.sum(np.abs(part)) for part in parts))
            pairs = zip(gradients, climbed.missed, strict=True)
            beside = float(sum(np.sum(np.abs(np.asarray(g) * off)) for g, off in pairs))
            size = ladder.size(weights)
        if np.isfinite(beside):
            numeric = Estimate(numeric.value, numeric.error + beside)
        decided: Comparison = compare(analytic, numeric, terms, size)
        still = CANCELLED * max(size, terms, float(np.sum(np.abs(weights))))
        if ladder.flat and abs(analytic) <= still:
            decided = Comparison(PASS, 0.0, math.inf)
        crossed = decided.verdict == FAIL and self._crosses(calls)
        found = Measurement(
            decided.verdict, analytic, numeric, decided.resolution, climbed, decided.note
        )
        return found, crossed

    def _crosses(self, calls: dict[float, Evaluation]) -> bool:
        """Whether the evaluations on one side took different branches: a kink lies between."""
        for sign in (1, -1):
            taken = [
                branches(history(call.roots)[::-1]) for h, call in calls.items() if h * sign > 0
            ]
            if not all(same_branches(taken[0], other) for other in taken[1:]):
                return True
        return False

    def _long_double(
        self, gradients: Sequence[Array], weights: Array, directions: Sequence[Array]
    ) -> Measurement | None:
        try:
            found, crossed = self._once(
                gradients, weights, directions, FIRST_STEP, dtype=np.longdouble
            )
        except Exception:  # noqa: BLE001 - what does not compute in long double is no fault
            return None
        native = all(
            y.dtype == np.longdouble for call in found.climb.calls.values() for y in call.outputs
        )
        return found if native and not crossed else None

    def jumps(self, noise: float) -> bool:
        """Whether the value at the point is apart from those beside it, as far as was climbed."""
        if not self._climbs:
            return False
        ladder = min((c.ladder for c in self._climbs.values()), key=lambda x: x.steps[-1])
        for side in (ladder.above, ladder.below):
            far, near = np.abs(side[-2:] - ladder.centre)
            size = np.abs(ladder.centre) + np.abs(side[-1])
            if np.any((near > KINK * far) & (near > CONVERGED * size + noise)):
                return True
        return False

    def _by_complex_step(
        self, undecided: Measurement, gradients: Sequence[Array], weights: Array
    ) -> Measurement | None:
        """Decide without a difference, where every operation is holomorphic."""
        directions = undecided.climb.directions
        with np.errstate(all="ignore"):
            numeric = complex_step(self.subject, self.arrays, self.outputs, directions, weights)
        if numeric is None:
            return None
        parts = [np.abs(g * u) for g, u in zip(gradients, directions, strict=True)]
        terms = float(sum(np.sum(part) for part in parts))
        decided = compare(undecided.analytic, numeric, terms)
        if decided.verdict == FAIL and abs(undecided.analytic - numeric.value) <= DOUBTFUL * terms:
            return None  # what has cancelled in the function has done so in its gradient
        return replace(
            undecided, verdict=decided.verdict, numeric=numeric, resolution=decided.resolution,
            note="by complex step",
        )  # fmt: skip

    def _unless_a_kink(
        self, longer: Measurement, shorter: Measurement, weights: Array
    ) -> Measurement:
        """Where one-sided slopes differ, every slope between them is right."""
        ladder = shorter.climb.ladder
        ratios = [ladder.gap_ratio(w) for w in (weights, *_units(weights, ladder.centre.size))]
        if any(abs(ratio) > JUMP for ratio in ratios):
            return _undecided(longer, "the value jumps here: a step, or round-off")
        bent = any(abs(ratio) > KINK for ratio in ratios)
        calls = shorter.climb.calls
        if not (
            bent or self._on_a_boundary(calls) or self._differs_by_direction(shorter, weights)
        ):
            return longer
        self.at_a_kink = True
        low, high, band = subgradient_interval([ladder, *self._nearby(shorter)], weights)
        if band > (high - low) / 4:
            return _undecided(longer, "noise, or a kink: the one-sided slopes are not certain")
        if low - band <= shorter.analytic <= high + band:
            shorter.verdict, shorter.note = PASS, "a subgradient: the point is a kink"
            shorter.resolution = math.inf  # whatever lies between
            return shorter
        kinks = self._kinks()
        if kinks is not None and kinks > 1:
            longer.verdict = INCONCLUSIVE
            longer.note = "at several kinks at once no slope is the right one"
        else:
            longer.note = f"kink: one-sided slopes {low:.6g} to {high:.6g}"
        return longer

    def _on_a_boundary(self, calls: dict[float, Evaluation]) -> bool:
        """Whether the point takes another branch than what lies on either side of it."""
        with np.errstate(all="ignore"):
            here = branches(history(self.subject.evaluate(self.arrays).roots)[::-1])
        return bool(here) and not any(
            same_branches(here, branches(history(call.roots)[::-1])) for call in calls.values()
        )

    def _differs_by_direction(self, measured: Measurement, weights: Array) -> bool:
        """Whether slopes along directions do not add up: no derivative here, though no bend.

        So it is where many kinks meet, as at a median of equal numbers: along every line through
        the point the function is straight, each with a slope of its own.
        """
        nodes = history(next(iter(measured.climb.calls.values())).roots)[::-1]
        if nodes and not branches(nodes):  # nothing in it has a kink
            return False
        generator = np.random.default_rng(1)
        first = [np.asarray(u) for u in measured.climb.directions]
        return any(self._bends_between(first, generator, weights) for _ in range(OTHER_DIRECTIONS))

    def _bends_between(
        self, first: Sequence[Array], generator: np.random.Generator, weights: Array
    ) -> bool:
        second = [np.asarray(direction_like(x, generator)) for x in self.arrays]
        both = [u + w for u, w in zip(first, second, strict=True)]
        a, b, c = (
            self.climb(u, 2.0**-13 * self._shorter).ladder.slope(weights)
            for u in (first, second, both)
        )
        off = abs(c.value - a.value - b.value)
        size = abs(a.value) + abs(b.value) + abs(c.value)
        return off > BAND * (a.error + b.error + c.error) + 1e-5 * size

    def _nearby(self, measured: Measurement) -> list[Ladder]:
        """Climb short ladders in the same direction from points around a kink.

        The slopes that meet there are those of all pieces around it, not only of the two that the
        line itself goes through.
        """
        generator = np.random.default_rng(0)
        found = []
        for _ in range(NEARBY_POINTS):
            moved = [
                x + 2.0**-9 * scales_of(x) * generator.uniform(-1, 1, x.shape) for x in self.arrays
            ]

            def along(h: float, base: Sequence[Array] = moved) -> Array:
                at = [x + h * u for x, u in zip(base, measured.climb.directions, strict=True)]
                row = flat(self.subject.evaluate(at).outputs)
                return row if row.size == self.centre.size else np.full(self.centre.size, np.nan)

            with np.errstate(all="ignore"):
                ladder = climb(along, first=2.0**-18, levels=2)
            if ladder.finite:
                found.append(ladder)
        return found

    def _kinks(self) -> int | None:
        for climbed in self._climbs.values():
            nodes = history(next(iter(climbed.calls.values())).roots)[::-1]
            if nodes:
                return sum(has_kinks(node) for node in nodes)
        return None


def _units(weights: Array, size: int) -> list[Array]:
    """The outputs one at a time, where there are few enough."""
    return list(np.eye(size) * weights) if size <= 64 else []


def _agree(a: Measurement, b: Measurement) -> bool:
    """Whether two measurements found the same slope, along the same direction or a shorter one."""
    x, y = a.numeric, b.numeric
    unit = abs(a.analytic / b.analytic) if a.analytic and b.analytic else 1.0
    return abs(x.value - y.value * unit) <= BAND * (x.error + y.error * unit) + 1e-6 * abs(x.value)


def _converged(found: Sequence[Measurement]) -> bool:
    return all(m.numeric.error <= CONVERGED * abs(m.numeric.value) for m in found)


def _undecided(
    measured: Measurement, note: str = "the numerical slope is not certain enough here"
) -> Measurement:
    measured.verdict, measured.note = INCONCLUSIVE, measured.note or note
    return measured


def _of_own_size(x: Array, u: Array) -> Array:
    """Shorten a direction where an input is far smaller than the scale it is moved by."""
    size = np.abs(x)
    return np.where((size > 0) & (size < scales_of(x)), u / scales_of(x) * size, u)


def rounding_of(recorded: Recorded, weights: Array) -> float:
    """Bound what rounding all intermediate values may change of a weighted sum of results."""
    total = 0.0

    def visit(node: Node, g: Any, _contributions: tuple[Any, ...]) -> None:
        nonlocal total
        if node.op is not None and isinstance(g, np.ndarray):
            total += float(np.sum(np.abs(g) * np.abs(node.value)))

    ends = np.cumsum([y.size for y in recorded.outputs])[:-1]
    ups = [
        part.reshape(y.shape).astype(y.dtype)
        for part, y in zip(np.split(weights, ends), recorded.outputs, strict=True)
    ]
    begin = [(root, u) for root, u in zip(recorded.roots, ups, strict=False) if root is not None]
    if begin:
        propagate([r for r, _ in begin], [u for _, u in begin], retain_graph=True, visit=visit)
    return total * 2.0**-53
