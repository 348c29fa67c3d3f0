"""Measure the slope of a subject along a direction, as surely as can be had, and compare.

Escalation lives here: another scale, long double, kinks.  Every retry is bounded.

Not for: the arithmetic of one ladder (``numerical.py``), or what to compare (``properties.py``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.testing.kinks import branches, has_kinks, same_branches, subgradient_interval
from tinygrad_lab.testing.numerical import (
    BAND,
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
from tinygrad_lab.testing.subjects import Evaluation, Subject, flat, nodes_behind

__all__ = ["Measurement", "Measurer"]

Array = NDArray[Any]

NEARBY_POINTS = 60  # so that hardly a piece of a tie of several is missed
FURTHER_STEPS = (2.0**-9, 2.0**-13, 2.0**-18)


@dataclass
class Measurement:
    """A slope that was asked for, what it is, and how that was decided."""

    verdict: str
    analytic: float
    numeric: Estimate
    resolution: float
    note: str = ""
    ladder: Ladder | None = None
    evaluations: dict[float, Evaluation] | None = None
    directions: Sequence[Array] = ()


class Measurer:
    """Evaluates a subject around one point; keeps every ladder, so that none is climbed twice."""

    def __init__(self, subject: Subject, arrays: Sequence[Array], outputs: Sequence[Array]) -> None:
        self.subject, self.arrays = subject, [np.asarray(x, dtype=np.float64) for x in arrays]
        self.centre = flat(outputs)
        self._ladders: dict[Any, tuple[Ladder, dict[float, Evaluation], list[Array]]] = {}
        self.evaluations = 0
        self.at_a_kink = False  # as far as was seen
        moved = max(sum(x.size for x in self.arrays), 1)
        # Many elements that move at once go far together, as the square root of their number.
        self._shorter = 2.0 ** -min(int(math.log2(moved)) // 2, 8)

    def ladder(
        self, directions: Sequence[Array], first: float = FIRST_STEP, dtype: Any = np.float64
    ) -> tuple[Ladder, dict[float, Evaluation], list[Array]]:
        """Climb a ladder along a direction; remember the calls by their steps."""
        key = (first, np.dtype(dtype).char, *(u.tobytes() for u in directions))
        if key in self._ladders:
            return self._ladders[key]
        exact = [
            quantized(x, u, first) for x, u in zip(self.arrays, directions, strict=True)
        ]
        calls: dict[float, Evaluation] = {}

        def along(h: float) -> Array:
            moved = [
                np.asarray(x.astype(dtype) + dtype(h) * u.astype(dtype))
                for x, u in zip(self.arrays, exact, strict=True)
            ]
            self.evaluations += 1
            with np.errstate(all="ignore"):
                calls[h] = self.subject.evaluate(moved)
            row = flat(calls[h].outputs)
            if row.size != self.centre.size:  # the result's shape depends on the values
                return np.full(self.centre.size, np.nan, dtype=dtype)
            return row

        centre = self.centre if dtype is np.float64 else along(0.0)
        made = climb(along, centre.astype(dtype), first)
        self._ladders[key] = made, calls, exact
        return self._ladders[key]

    def compare(
        self, gradients: Sequence[Array], weights: Array, directions: Sequence[Array]
    ) -> Measurement:
        """Compare the slope that gradients promise along a direction with the one measured."""
        seen: list[Measurement] = []
        failed: list[Measurement] = []
        for step in (FIRST_STEP, *FURTHER_STEPS):
            first = step * self._shorter
            found, crossed = self._once(gradients, weights, directions, first)
            if found.verdict == PASS:
                return found
            seen.append(found)
            if found.verdict == FAIL and not crossed:
                failed.append(found)
            if len(failed) > 1 and _agree(failed[-1].numeric, failed[-2].numeric):
                return self._unless_a_kink(failed[-2], failed[-1], weights)
        if LONG_DOUBLE_IS_LONGER and not failed:
            longer = self._long_double(gradients, weights, directions)
            if longer is not None and longer.verdict != INCONCLUSIVE:
                return longer
        best = min(seen, key=lambda m: m.resolution)
        best.verdict = INCONCLUSIVE
        best.note = best.note or "the numerical slope is not certain enough here"
        return best

    def _once(
        self,
        gradients: Sequence[Array],
        weights: Array,
        directions: Sequence[Array],
        first: float,
        dtype: Any = np.float64,
    ) -> tuple[Measurement, bool]:
        ladder, calls, exact = self.ladder(directions, first, dtype)
        weights = weights.astype(dtype)
        with np.errstate(all="ignore"):
            numeric = ladder.slope(weights)
            parts = [np.asarray(g, dtype) * u for g, u in zip(gradients, exact, strict=True)]
            analytic = float(sum(np.sum(part) for part in parts))
            terms = float(sum(np.sum(np.abs(part)) for part in parts))
            pairs = zip(gradients, self.arrays, strict=True)
            inputs = sum(float(np.sum(np.abs(np.asarray(g) * x))) for g, x in pairs)
            size = ladder.size(weights)
        if np.isfinite(inputs):  # of the steps themselves, where a sum was rounded
            numeric = Estimate(numeric.value, numeric.error + 2.0**-54 * inputs / ladder.steps[-1])
        decided: Comparison = compare(analytic, numeric, terms, size)
        if ladder.flat and analytic == 0:
            decided = Comparison(PASS, 0.0, 0.0)
        crossed = decided.verdict == FAIL and self._crosses(calls)
        found = Measurement(
            decided.verdict, analytic, numeric, decided.resolution,
            ladder=ladder, evaluations=calls, directions=exact,
        )  # fmt: skip
        return found, crossed

    def _crosses(self, calls: dict[float, Evaluation]) -> bool:
        """Whether the evaluations on one side took different branches: a kink lies between."""
        for sign in (1, -1):
            taken = [
                branches(nodes_behind(call.roots)) for h, call in calls.items() if h * sign > 0
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
        native = found.evaluations and all(
            y.dtype == np.longdouble for call in found.evaluations.values() for y in call.outputs
        )
        return found if native and not crossed else None

    def _unless_a_kink(
        self, longer: Measurement, shorter: Measurement, weights: Array
    ) -> Measurement:
        """Where one-sided slopes differ, every slope between them is right."""
        ladder = shorter.ladder
        assert ladder is not None
        bent = any(
            abs(ladder.gap_ratio(w)) > 0.75 for w in (weights, *_units(weights, ladder.centre.size))
        )
        calls = shorter.evaluations or {}
        if not (
            bent or self._on_a_boundary(calls) or self._differs_by_direction(shorter, weights)
        ):
            return longer
        self.at_a_kink = True
        low, high, band = subgradient_interval([ladder, *self._nearby(shorter)], weights)
        if low - band <= shorter.analytic <= high + band:
            shorter.verdict, shorter.note = PASS, "a subgradient: the point is a kink"
            shorter.resolution = (high - low + band) / max(abs(low), abs(high), 1e-300)
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
            here = branches(nodes_behind(self.subject.evaluate(self.arrays).roots))
        return bool(here) and not any(
            same_branches(here, branches(nodes_behind(call.roots))) for call in calls.values()
        )

    def _differs_by_direction(self, measured: Measurement, weights: Array) -> bool:
        """Whether slopes along directions do not add up: no derivative here, though no bend.

        So it is where many kinks meet, as at a median of equal numbers: along every line through
        the point the function is straight, each with a slope of its own.
        """
        generator = np.random.default_rng(1)
        first = [np.asarray(u) for u in measured.directions]
        second = [np.asarray(direction_like(x, generator)) for x in self.arrays]
        both = [u + w for u, w in zip(first, second, strict=True)]
        a, b, c = (
            self.ladder(u, 2.0**-13 * self._shorter)[0].slope(weights)
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
                at = [x + h * u for x, u in zip(base, measured.directions, strict=True)]
                row = flat(self.subject.evaluate(at).outputs)
                return row if row.size == self.centre.size else np.full(self.centre.size, np.nan)

            with np.errstate(all="ignore"):
                ladder = climb(along, first=2.0**-18, levels=2)
            if ladder.finite:
                found.append(ladder)
        return found

    def _kinks(self) -> int | None:
        for _, calls, _ in self._ladders.values():
            nodes = nodes_behind(next(iter(calls.values())).roots)
            if nodes:
                return sum(has_kinks(node) for node in nodes)
        return None


def _units(weights: Array, size: int) -> list[Array]:
    """The outputs one at a time, where there are few enough."""
    return list(np.eye(size) * weights) if size <= 64 else []


def _agree(a: Estimate, b: Estimate) -> bool:
    return abs(a.value - b.value) <= BAND * (a.error + b.error) + 1e-6 * abs(a.value)
