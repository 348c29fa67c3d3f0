"""The numbers: promised slopes are the measured ones, of the function and of its gradient.

Not for: measuring (``slope.py``), what excuses a difference (``trial.py``), or whole numbers
(``exact.py``).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lab.testing.judging.arrays import Arguments, Array, flat, unit
from tinygrad_lab.testing.judging.judgement import (
    FAIL,
    INCONCLUSIVE,
    PASS,
    DerivedOnce,
    Judgement,
    Kind,
    Misbehaved,
    Reason,
    failed,
    passed,
    skipped,
    whole,
)
from tinygrad_lab.testing.judging.numerical import (
    FIRST_STEP,
    Estimate,
    Ladder,
    direction_like,
    scales_of,
)
from tinygrad_lab.testing.judging.point import SCATTER, Point
from tinygrad_lab.testing.judging.properties.form import well_formed
from tinygrad_lab.testing.judging.slope import promised
from tinygrad_lab.testing.judging.subject import Subject, TensorSubject
from tinygrad_lab.testing.judging.trial import AGREEMENT, Trial, compare, is_sharp, may_be_sharp
from tinygrad_lab.transforms.containers import leaves
from tinygrad_lab.transforms.derivatives import jvp

SMALL_JACOBIAN = 6  # up to so many input elements, every entry of the Jacobian is compared
MOST_ROWS = 16  # and up to so many results
MOST_BLOCKS = 8  # so many measurements of one input: where there are many inputs, fewer
ROUGHLY = 1e-3  # relative; so well the small elements of an input have to be known
SEEN = 1e-5  # relative; elements in which such a fault would not be seen are looked at again


def finite(point: Point) -> Judgement:
    """Where the value and the slope are finite, so is the gradient."""
    infinite = [i for i, g in enumerate(point.gradients) if not np.all(np.isfinite(g))]
    infinite = [i for i in infinite if not point.forms[i].is_missing]
    if not infinite:
        return passed()
    if not point.has_finite_value:
        return skipped(Reason.VALUE_NOT_FINITE)
    for i in infinite:
        g = np.asarray(point.gradients[i])
        for where in np.argwhere(~np.isfinite(g))[:4]:
            index = tuple(int(k) for k in where)
            ladder = point.measurer.climb(point.direction(i, index), 2.0**-13).ladder
            if not ladder.finite:
                continue
            left, right, error = ladder.sides()
            slopes = np.concatenate([left, right])
            settled = np.tile(error, 2) <= 1e-3 * (1 + np.abs(slopes))
            if np.all(np.isfinite(slopes)) and np.all(settled):
                site, at = point.subject.site(i, index), point.arrays[i][index]
                sides = {"left": left @ point.weights, "right": right @ point.weights}
                return failed(Kind.NOT_FINITE, site, value=g[index], at=at, **sides)
    return passed(reason=Reason.SLOPE_INFINITE)


def directional(point: Point) -> Judgement:
    """Along a direction in each input, the gradient promises the slope that is measured.

    Each input is moved by itself, so that none hides behind a larger one.  A direction in which
    all of them move would show nothing more: its slope is the sum of theirs.
    """
    if not point.size:
        return passed(reason=Reason.NO_ELEMENTS)
    filled = [i for i, x in enumerate(point.arrays) if x.size]
    most = max(2, min(MOST_BLOCKS, 4 * MOST_BLOCKS // len(filled)))
    parts = [_by_input(point, i, most) for i in filled]
    parts = [_unless_it_drowns(point, part, parts) for part in parts]
    # evidence may be large
    parts = [part if part.verdict == FAIL else replace(part, evidence=None) for part in parts]
    return _or_by_entries(point, replace(whole(parts), parts=tuple(parts)))


def _or_by_entries(point: Point, judgement: Judgement) -> Judgement:
    """Pass where a direction tells nothing, and every entry of the Jacobian is seen to be right.

    Elements of very different sizes hide each other along a direction, and not entry by entry.
    """
    if judgement.verdict != INCONCLUSIVE:
        return judgement
    entries = jacobian(point)
    if entries.verdict != PASS or not point.sees_entries:
        return judgement
    return replace(entries, reason=Reason.BY_ENTRIES)


def _unless_it_drowns(point: Point, part: Judgement, parts: Sequence[Judgement]) -> Judgement:
    """Say that an input is not decided, where what others move hides that the value moves with it.

    Where nothing moves visibly, as in a function that is saturated, nothing hides anything; and a
    promise may be round-off itself, as that by a bias before a normalization.
    """
    promise = abs(part.analytic)
    hides = (abs(other.analytic) for other in parts if other.resolution is not None)
    if part.reason is not Reason.VANISHES or not max(hides, default=0.0) > part.band:
        return part
    noise = point.measurer.noise(part.climb.directions, point.upstreams).up_to(FIRST_STEP)
    if promise <= max(point.last_digit, SCATTER * noise.slope):
        return part
    return part.because(INCONCLUSIVE, Reason.DROWNS, slope=promise, band=part.band)


def _by_input(point: Point, i: int, most: int) -> Judgement:
    """Compare along a direction in one input; then along others in what hid behind the rest of it.

    The resolution is that of the element in which the largest relative fault would go unnoticed.
    """
    x, gradient = point.arrays[i], np.abs(point.gradients[i])
    block = np.ones(x.shape, bool)
    judged: list[Judgement] = []
    uniform = math.inf  # relative: so large has a factor of the whole gradient to be
    while len(judged) < most:
        directions = [np.zeros(each.shape) for each in point.arrays]
        directions[i] = np.where(block, direction_like(x, point.generator), 0.0)
        judgement = _along(point, directions, is_rest=bool(judged))
        evidence = judgement.evidence
        moved = directions[i] if evidence is None else evidence.climb.directions[i]  # or its own
        terms = np.where(block & np.isfinite(gradient), gradient * np.abs(moved), 0.0)
        hidden = block & (terms * SEEN < judgement.band)
        is_last = len(judged) + 1 == most or not np.any(hidden) or np.all(hidden == block)
        visible = terms if is_last else np.where(hidden, 0.0, terms)
        uniform = min(uniform, judgement.noticeable / (abs(judgement.analytic) or math.inf))
        judged.append(_of_elements(judgement, visible))
        agrees = judgement.verdict == PASS or judgement.reason is Reason.CANCELS
        if not agrees or is_last:
            break
        block = hidden
    judgement = whole(judged)
    if judgement.resolution is not None and judgement.reason is not Reason.WITHIN_TOLERANCE:
        judgement = replace(judgement, resolution=max(judgement.resolution, uniform))
    return replace(judgement, site=point.subject.site(i))


def _of_elements(judgement: Judgement, terms: Array) -> Judgement:
    """State the resolution of the smallest of the terms that a slope consists of."""
    seen = terms[terms > judgement.band]
    allowed = judgement.reason is Reason.WITHIN_TOLERANCE
    if judgement.resolution is None or allowed:
        return judgement
    if not seen.size:
        vanishes = judgement.verdict == PASS and judgement.reason in _IN_ANY_ARITHMETIC
        reason = Reason.VANISHES if vanishes else judgement.reason
        return replace(judgement, resolution=None, reason=reason)
    return replace(judgement, resolution=max(AGREEMENT, judgement.noticeable / float(np.min(seen))))


_IN_ANY_ARITHMETIC = (None, Reason.IN_LONG_DOUBLE, Reason.BY_COMPLEX_STEP)


def tied_direction(point: Point) -> Judgement:
    """The same where all elements move by the same amount, so that ties stay ties."""
    if point.size < 2:
        return skipped(Reason.ONE_ELEMENT)
    scale = max(float(np.min(scales_of(x), initial=1.0)) for x in point.arrays)
    return _along(point, [np.full(x.shape, scale) for x in point.arrays])


def _along(point: Point, directions: Sequence[Array], is_rest: bool = False) -> Judgement:
    """Compare along a direction, but for elements by which the slope is infinite.

    What is left of an input when its large elements have been looked at may be known less certainly
    than a whole input has to be: one look will do, if it shows each of them roughly.
    """
    if not point.has_finite_value:
        return Judgement(INCONCLUSIVE, reason=Reason.VALUE_NOT_FINITE)
    finite = [np.isfinite(g) for g in point.gradients]
    if not any(np.any(f & (u != 0)) for f, u in zip(finite, directions, strict=True)):
        return _without_numbers(point, [np.any(u) for u in directions])
    moves = [np.where(f, u, 0.0) for f, u in zip(finite, directions, strict=True)]
    gradients = [np.where(f, g, 0.0) for f, g in zip(finite, point.gradients, strict=True)]
    trial = Trial(point, gradients, point.upstreams)
    if is_rest:
        judgement = trial.look(moves)
        terms = np.abs(flat([g * u for g, u in zip(gradients, moves, strict=True)]))
        smallest = float(np.min(terms[terms > 0], initial=np.inf))
        off = abs(judgement.analytic - judgement.estimate.value)
        if off <= judgement.band <= ROUGHLY * smallest:
            return replace(judgement, verdict=PASS, reason=None)
    return _tried(trial, moves)


def _without_numbers(point: Point, moved: Sequence[Any]) -> Judgement:
    """Say why there is nothing to compare: a gradient that is no array, or an infinite slope."""
    if any(form.is_missing for form, moves in zip(point.forms, moved, strict=True) if moves):
        return skipped(Reason.MEANINGLESS, after="well_formed")
    return skipped(Reason.SLOPE_INFINITE_EVERYWHERE)


def _tried(trial: Trial, directions: Sequence[Array]) -> Judgement:
    """Compare gradients along a direction, and name the kind of a failure."""
    judgement = trial.judge(directions)
    if judgement.verdict == FAIL or judgement.reason is Reason.CANCELS:
        _, terms = promised(trial.gradients, judgement.climb.directions)
        off = relative_error(judgement.analytic, judgement.estimate.value, terms)
        if off <= trial.point.tolerance:
            allowed = judgement.because(
                PASS, Reason.WITHIN_TOLERANCE, tolerance=trial.point.tolerance, off=off
            )
            return replace(allowed, resolution=trial.point.tolerance)
    if judgement.verdict == FAIL:
        kind = Kind.SUBGRADIENT if judgement.reason is Reason.KINK else Kind.WRONG
        return replace(judgement, kind=kind)
    if math.isfinite(judgement.resolution or math.inf):
        return judgement
    still = judgement.reason in _IN_ANY_ARITHMETIC and judgement.climb.ladder.flat
    of_nothing = Reason.VANISHES if judgement.analytic else Reason.NOTHING_MOVES
    reason = of_nothing if still else judgement.reason
    return replace(judgement, resolution=None, reason=reason)


def relative_error(analytic: float, numeric: float, terms: float) -> float:
    """Say how far off a slope is, relative to the terms that it is the sum of."""
    size = max(terms, abs(numeric))
    return abs(analytic - numeric) / size if size and math.isfinite(size) else math.inf


def jacobian(point: Point) -> Judgement:
    """Every entry of a small Jacobian is the one that was measured."""
    if point.entries is None:
        point.entries = _judged_entries(point)
    return point.entries


def _judged_entries(point: Point) -> Judgement:
    outputs = flat(point.recorded.outputs)
    if not 0 < point.size <= SMALL_JACOBIAN or not 0 < outputs.size <= MOST_ROWS:
        return skipped(Reason.TOO_MANY_ELEMENTS, elements=SMALL_JACOBIAN, results=MOST_ROWS)
    if not point.has_finite_value:
        return skipped(Reason.VALUE_NOT_FINITE)
    units = [unit(point.upstreams, k, index) for k, index in _elements(point.upstreams)]
    rows = [point.pulled(ups, point.recorded) for ups in units]
    if not all(np.all(np.isfinite(g)) for row in rows for g in row):
        return _without_numbers(point, [True] * len(point.arrays))
    judged: list[list[Judgement]] = [[] for _ in point.arrays]
    for i, index in _elements(point.arrays):
        directions = point.direction(i, index)
        slopes = [promised(row, directions)[0] for row in rows]
        entries, site = _column(point, directions, slopes), point.subject.site(i)
        for k, judgement in enumerate(entries):
            if judgement.verdict != PASS:
                judgement = _tried(Trial(point, rows[k], units[k]), directions)
            if judgement.verdict == FAIL:
                return replace(judgement, site=site)
            visible = abs(slopes[k]) > judgement.band
            smooth = judgement.reason in _IN_ANY_ARITHMETIC
            point.sees_entries &= (visible and smooth) or not slopes[k]
            resolution = judgement.resolution if visible else None
            entry = replace(judgement, resolution=resolution, evidence=None, site=site)
            judged[i].append(entry)
    parts = tuple(whole(entries) for entries in judged if entries)
    return replace(whole(parts), parts=parts)


def _column(point: Point, directions: Sequence[Array], slopes: Sequence[float]) -> list[Judgement]:
    """Compare a column of the Jacobian, entry by entry: over few steps, if these tell."""
    sizes = np.abs(point.measurer.centre).tolist()
    if all(map(may_be_sharp, slopes, sizes)):
        quick = _entries(slopes, point.measurer.quick(directions).ladder)
        passing = (pair for pair in zip(quick, sizes, strict=True) if pair[0].verdict == PASS)
        if all(itertools.starmap(_is_known, passing)):
            return quick
    return _entries(slopes, point.measurer.climb(directions).ladder)


def _entries(promises: Sequence[float], ladder: Ladder) -> list[Judgement]:
    slopes, errors = ladder.slopes()
    largest = float(np.max(np.abs(slopes)))
    entries = []
    for slope, value, error, centre in zip(
        promises, slopes.tolist(), errors.tolist(), ladder.centre.tolist(), strict=True
    ):
        terms = max(abs(slope), largest)
        judgement = compare(slope, Estimate(value, error), terms, abs(centre))
        entries.append(judgement if ladder.finite else replace(judgement, verdict=INCONCLUSIVE))
    return entries


def _is_known(entry: Judgement, size: float) -> bool:
    """Whether an entry agrees as well as any does, or vanishes beside the output."""
    vanishes = entry.verdict == PASS and abs(entry.analytic) <= entry.band
    return is_sharp(entry) or (vanishes and entry.band <= AGREEMENT * size)


def _elements(arrays: Sequence[Array]) -> list[tuple[int, tuple[int, ...]]]:
    """List every element of some arrays: in which of them, and its index there."""
    return [(i, index) for i, x in enumerate(arrays) for index in np.ndindex(*x.shape)]


# ---------------------------------------------------------------------------------------------
# Higher orders: the gradient is a function itself


def forward_and_backward(point: Point) -> Judgement:
    """The product with a tangent, taken forwards, is the one taken backwards (order=2)."""
    subject = point.subject
    if point.order < 2 or not isinstance(subject, TensorSubject) or len(point.upstreams) != 1:
        return skipped(Reason.NOT_ASKED_FOR)
    if not point.size:
        return skipped(Reason.NO_ELEMENTS)
    moves = [direction_like(x, point.generator) for x in point.arrays]

    def of_inputs(*xs: Any) -> Any:
        return next(y for _, y in leaves(subject.fn(*subject.args.filled(xs))))

    _, tangent = jvp(of_inputs, tuple(point.arrays), tuple(moves))
    ahead, ahead_size = promised([np.asarray(tangent)], point.upstreams)
    back, back_size = promised(point.gradients, moves)
    size = ahead_size + back_size
    noise = sum(n * float(np.sum(np.abs(u))) for n, u in zip(point.noise, moves, strict=True))
    if np.isfinite(size) and not abs(ahead - back) <= 1e-9 * size + noise:
        return failed(Kind.SECOND_ORDER, tangent=True)
    return passed()


def second_order(point: Point) -> Judgement:
    """The gradient itself, as a function of inputs and upstream, has the right derivative."""
    if point.order < 2:
        return skipped(Reason.NOT_ASKED_FOR)
    arrays = [*point.arrays, *point.upstreams]
    positions, device = tuple(range(len(arrays))), point.subject.args.device
    args = Arguments(tuple(arrays), positions, device=device)
    gradient = point.subject.derivative(args)
    if gradient is None:
        return skipped(Reason.NO_DERIVATIVE)
    if not point.size:
        return skipped(Reason.NO_ELEMENTS)
    if point.measurer.at_a_kink:
        return skipped(Reason.SLOPE_JUMPS)
    try:
        recorded = gradient.record(arrays)
    except Misbehaved as error:
        if error.judgement.kind is not Kind.UNTRACKED:
            raise
        return _without_history(gradient, point)
    except DerivedOnce:
        return skipped(Reason.ONCE_ONLY)
    if not all(np.all(np.isfinite(y)) for y in recorded.outputs):
        return skipped(Reason.SLOPE_INFINITE)
    ups = [np.asarray(point.generator.uniform(0.5, 1, y.shape)) for y in recorded.outputs]
    try:
        inner = replace(
            point, subject=gradient, arrays=arrays, recorded=recorded, upstreams=ups,
            order=point.order - 1,
        )  # fmt: skip
    except DerivedOnce:
        return skipped(Reason.ONCE_ONLY)
    return _of_the_gradient(inner, point)


def _without_history(gradient: Subject, point: Point) -> Judgement:
    """Tell a gradient that is constant from one that is computed of detached values."""
    here = flat(point.gradients)
    allowed = 1e-6 * float(np.max(np.abs(here), initial=0.0)) + max(point.noise, default=0.0)
    inputs, ups = (
        [x + 2.0**-4 * direction_like(x, point.generator) for x in xs]
        for xs in (point.arrays, point.upstreams)
    )
    for moved in ([*point.arrays, *ups], [*inputs, *ups]):
        try:
            there = flat(gradient.evaluate(moved).outputs)
        except Exception:  # noqa: BLE001 - the function need not be defined there
            break
        if np.any(np.abs(there - here) > allowed):
            return replace(failed(Kind.SECOND_ORDER, without_history=True), order=2)
    return skipped(Reason.CONSTANT_GRADIENT)


def _of_the_gradient(inner: Point, outer: Point) -> Judgement:
    """Look at some properties of the gradient as a function itself."""
    for holds in (well_formed, finite, directional, second_order):
        judgement = holds(inner)
        if judgement.verdict == FAIL and _is_roundrelative_error(judgement, outer):
            return Judgement(INCONCLUSIVE, reason=Reason.GRADIENT_IS_ROUND_OFF)
        if judgement.verdict == FAIL:
            parts = tuple(_of_higher_order(part, inner) for part in judgement.parts)
            return replace(_of_higher_order(judgement, inner), parts=parts)
        if judgement.verdict == INCONCLUSIVE:
            if inner.measurer.jumps(max(outer.noise)):
                return skipped(Reason.SLOPE_JUMPS)
            return Judgement(INCONCLUSIVE, reason=judgement.reason, facts=judgement.facts)
    return passed()


def _of_higher_order(judgement: Judgement, inner: Point) -> Judgement:
    """Name a failure of the gradient for what it is of the function."""
    kind, facts, i = judgement.kind, judgement.facts, judgement.site.input
    if kind is Kind.WRONG:
        kind = Kind.SECOND_ORDER
        if i is not None and not np.any(inner.gradients[i]):
            facts = {**facts, "cut_off": True}
    point, order = judgement.point or inner, judgement.order + 1
    return replace(judgement, kind=kind, facts=facts, point=point, order=order)


def _is_roundrelative_error(judgement: Judgement, point: Point) -> bool:
    """Whether both slopes of a gradient are what cancellation may leave of one that vanishes."""
    if judgement.evidence is None:
        return False
    left = sum(n * x.size for n, x in zip(point.noise, point.arrays, strict=True))
    return max(abs(judgement.analytic), abs(judgement.estimate.value)) <= left
