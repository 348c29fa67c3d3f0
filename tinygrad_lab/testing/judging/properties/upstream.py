"""A pullback is linear in the upstream, and takes each of several outputs by itself.

Not for: the numbers that one upstream gives (``numbers.py``).
"""

from __future__ import annotations

import functools

import numpy as np

from tinygrad_lab.testing.judging.judgement import Judgement, Kind, Reason, passed, skipped
from tinygrad_lab.testing.judging.point import Point


def linear_in_upstream(point: Point) -> Judgement:
    """A pullback is linear: in multiples, in sums, in the sign; nothing in, nothing out."""
    if any(not np.all(np.isfinite(g)) for g in point.gradients):
        return skipped(Reason.GRADIENT_NOT_FINITE)
    if not point.has_finite_value:
        return skipped(Reason.VALUE_NOT_FINITE)
    ups, once = point.upstreams, point.gradients
    others = [np.asarray(point.generator.integers(-8, 9, u.shape) / 8.0) for u in ups]
    zero = point.pulled([0.0 * u for u in ups], point.recorded)
    i = next((i for i, g in enumerate(zero) if np.any(g != 0)), None)
    if i is not None:
        return point.failed(Kind.NONLINEAR, i, at_zero=True)
    for factor in (-1.0, 4.0):
        scaled = point.pulled([factor * u for u in ups], point.recorded)
        i = point.apart(scaled, [factor * g for g in once])
        if i is not None:
            facts = {"sign": True} if factor < 0 else {}
            if np.allclose(scaled[i], once[i]):
                facts["constant"] = True
            elif np.allclose(scaled[i], factor * factor * once[i]):
                facts["quadratic"] = True
            return point.failed(Kind.NONLINEAR, i, **facts)
    separate = point.pulled(others, point.recorded)
    noise = point.noise
    both = point.pulled([u + w for u, w in zip(ups, others, strict=True)], point.recorded)
    for i, (g, a, b) in enumerate(zip(both, once, separate, strict=True)):
        allowed = point.rounding * np.max(np.abs(a) + np.abs(b), initial=0.0) + noise[i]
        if not np.all(np.abs(g - (a + b)) <= allowed):
            return point.failed(Kind.NONLINEAR, i, of_sums=True)
    return passed()


def partial_upstream(point: Point) -> Judgement:
    """Of several outputs, the gradients of each alone add up to the gradient of all."""
    if len(point.upstreams) < 2:
        return skipped(Reason.ONE_OUTPUT)
    parts = []
    for k in range(len(point.upstreams)):
        ups = [u if j == k else np.zeros_like(u) for j, u in enumerate(point.upstreams)]
        parts.append(point.pulled(ups))
    total = [functools.reduce(np.add, each) for each in zip(*parts, strict=True)]
    i = point.apart(total, point.gradients)
    return passed() if i is None else point.failed(Kind.PARTIAL_UPSTREAM, i)
