"""Higher orders: the gradient, a function itself, has the right derivative.

Not for: the gradient of the function (``numbers.py``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lab.testing.judging.arguments import Arguments
from tinygrad_lab.testing.judging.arrays import frozen
from tinygrad_lab.testing.judging.judgement import (
    FAIL,
    INCONCLUSIVE,
    Judgement,
    Kind,
    Misbehaved,
    Reason,
    failed,
    passed,
    skipped,
    undecided,
)
from tinygrad_lab.testing.judging.numerical import direction_like
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.judging.properties.form import well_formed
from tinygrad_lab.testing.judging.properties.numbers import directional, finite
from tinygrad_lab.testing.judging.slope import promised
from tinygrad_lab.testing.judging.subject import TensorSubject
from tinygrad_lab.transforms.containers import leaves
from tinygrad_lab.transforms.derivatives import jvp


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
    args = Arguments(tuple(arrays), tuple(range(len(arrays))))
    gradient = point.subject.derivative(args)
    if gradient is None:
        return skipped(Reason.NO_DERIVATIVE)
    if not point.size:
        return skipped(Reason.NO_ELEMENTS)
    if point.measurer.at_a_kink:
        return skipped(Reason.SLOPE_JUMPS)
    try:
        recorded = gradient.record([frozen(x) for x in arrays])
    except Misbehaved:  # a gradient that is constant, by all of its inputs
        return skipped(Reason.CONSTANT_GRADIENT)
    if not all(np.all(np.isfinite(y)) for y in recorded.outputs):
        return skipped(Reason.SLOPE_INFINITE)
    ups = [np.asarray(point.generator.uniform(0.5, 1, y.shape)) for y in recorded.outputs]
    inner = Point(gradient, arrays, recorded, ups, point.generator, point.order - 1)
    return _of_the_gradient(inner, point)


def _of_the_gradient(inner: Point, outer: Point) -> Judgement:
    """Look at some properties of the gradient as a function itself."""
    for holds in (well_formed, finite, directional, second_order):
        judgement = holds(inner)
        if judgement.verdict == FAIL and _is_round_off(judgement, outer):
            return undecided(Reason.GRADIENT_IS_ROUND_OFF)
        if judgement.verdict == FAIL:
            kind = Kind.SECOND_ORDER if judgement.kind is Kind.WRONG else judgement.kind
            innermost, order = judgement.point or inner, judgement.order + 1
            return replace(judgement, kind=kind, point=innermost, order=order)
        if judgement.verdict == INCONCLUSIVE:
            if inner.measurer.jumps(max(outer.noise)):
                return skipped(Reason.SLOPE_JUMPS)
            return undecided(judgement.reason)
    return passed()


def _is_round_off(judgement: Judgement, point: Point) -> bool:
    """Whether both slopes of a gradient are what cancellation may leave of one that vanishes."""
    if judgement.evidence is None:
        return False
    left = sum(n * x.size for n, x in zip(point.noise, point.arrays, strict=True))
    return max(abs(judgement.analytic), abs(judgement.estimate.value)) <= left
