"""The catalogue of differences, integrals, ranges, interpolation, convolution and polynomials."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.rules.mathematical import sequences
from tinygrad_lab.testing.catalogue import CASES, EVERYWHERE, grid
from tinygrad_lab.testing.catalogue.variants import in_a_row, one_of, variants

LINE, MATRIX, CUBE = [((4,),)], [((3, 4),)], [((2, 3, 4),)]
STEPS = grid(0.5, 2)
POSITIVE = grid(0.75, 3)
POINTS = np.array([0.0, 0.5, 1.25, 2.0])
BETWEEN = [-0.5, 0.15, 0.3, 0.75, 1.0, 1.6, 2.3]  # no point within 1/16


def options(name: str, *given: Any) -> list[dict[str, Any]]:
    return [{name: g} for g in given]


def coordinates(steps: Any) -> Any:
    """Increasing coordinates, from the steps between them."""
    return np.cumsum(steps)


SPACED = [{"axis": axis, "edge_order": order} for axis in (0, -1) for order in (1, 2)]

CASES |= {
    np.diff: one_of(
        variants(np.diff, MATRIX, [{}, *options("n", 0, 2, 6), {"axis": 0, "append": 2.0}]),
        variants(
            np.diff,
            [((3, 4), (1, 4)), ((3, 4), ())],
            through=lambda x, end: np.diff(x, axis=0, prepend=end, append=end),
        ),
    ),
    np.ediff1d: one_of(
        variants(np.ediff1d, LINE + MATRIX),
        variants(np.ediff1d, [((4,), (2,))], through=lambda x, e: np.ediff1d(x, e, 1.0)),
    ),
    np.gradient: one_of(
        variants(np.gradient, [((3, 4),), ((3, 3, 3),)], through=in_a_row(np.gradient)),
        variants(
            np.gradient,
            [((3, 4),), ((3,),)],
            SPACED[:2],
            through=lambda x, **kw: np.gradient(x, 0.5, **kw),
        ),
        variants(
            np.gradient,
            [((4, 4), (4,))],
            SPACED,
            values=STEPS,
            through=lambda x, steps, **kw: np.gradient(x, coordinates(steps), **kw),
        ),
        variants(np.gradient, [((3,), ())], values=STEPS),
    ),
    np.trapezoid: one_of(
        variants(np.trapezoid, MATRIX, [{}, {"axis": 0}, {"dx": 0.5}]),
        variants(np.trapezoid, [((3, 4), (4,)), ((3, 4), (3, 4)), ((4,), (4,))]),
        variants(np.trapezoid, [((3, 4), (3,))], [{"axis": 0}]),
    ),
    np.unwrap: variants(
        np.unwrap,
        LINE + MATRIX,
        [{}, {"axis": 0, "period": 4.1}],
        through=lambda x, **kw: np.unwrap(x * 2.03, **kw),
    ),
}

for name in ("cumulative_sum", "cumulative_prod"):
    if hasattr(np, name):
        op = getattr(np, name)
        CASES[op] = one_of(
            variants(op, LINE, [{}, {"include_initial": True}], values=EVERYWHERE),
            variants(
                op, CUBE, [{"axis": -2, "include_initial": True}, {"axis": 0}], values=EVERYWHERE
            ),
        )

ENDS = [((3,), (3,)), ((), (2,)), ((), ())]
RANGE = [{"num": 4}, {"num": 3, "endpoint": False, "axis": -1}, {"num": 1}, {"num": 0}]

CASES |= {
    np.linspace: one_of(
        variants(np.linspace, ENDS, RANGE),
        variants(np.linspace, ENDS, through=lambda a, b: np.linspace(a, b, 3, retstep=True)[1]),
    ),
    np.logspace: variants(np.logspace, ENDS, [{**o, "base": 2.0} for o in RANGE]),
    np.geomspace: variants(np.geomspace, ENDS, RANGE, values=POSITIVE),
    np.interp: one_of(
        variants(
            np.interp,
            [((5,), (4,)), ((2, 2), (4,))],
            [{}, {"left": 1.0}, {"right": -1.0}],
            values=BETWEEN,
            through=lambda x, f, **kw: np.interp(x, POINTS, f, **kw),
        ),
        variants(
            np.interp,
            [((3,), (4,))],
            values=BETWEEN,
            through=lambda x, f: np.interp(x * 0.8 + 0.03, POINTS[::-1], f, period=1.9),
        ),
        variants(
            np.interp,
            [((4,), (4,))],
            through=lambda xp, f: np.interp(
                BETWEEN, POINTS + np.tanh(xp) / 64, f, left=np.sum(xp), right=np.sum(f)
            ),
        ),
    ),
    sequences.interp: one_of(
        variants(
            sequences.interp,
            [((5,), (4,))],
            values=BETWEEN,
            through=lambda x, f: sequences.interp(x, POINTS, f, None, None),
        ),
        variants(
            sequences.interp,
            [((4,), (4,), (), ())],
            through=lambda xp, f, left, right: sequences.interp(
                np.array(BETWEEN), POINTS + np.tanh(xp) / 64, f, left, right
            ),
        ),
    ),
    sequences.convolve_full: variants(sequences.convolve_full, [((3,), (2,)), ((2,), (4,))]),
    np.bincount: variants(
        np.bincount,
        [((4,),)],
        [{}, {"minlength": 7}],
        through=lambda w, **kw: np.bincount(np.array([0, 3, 3, 1]), w, **kw),
    ),
    np.histogram: variants(
        np.histogram,
        [((5,),)],
        [{}, {"density": True}, {"bins": 3, "range": (0, 2)}],
        values=POSITIVE,
        through=lambda w, **kw: np.histogram([0.1, 2.0, 1.1, 0.7, 1.9], weights=w, **kw)[0],
    ),
}

SEQUENCES = [((4,), (3,)), ((2,), (4,)), ((3,), (3,)), ((1,), (2,)), ((4,), (2,))]
CASES |= {
    op: variants(op, SEQUENCES, options("mode", "full", "same", "valid"))
    for op in (np.convolve, np.correlate)
}

# Polynomials

CASES |= {
    np.polyval: variants(np.polyval, [((3,), (2, 2)), ((1,), ()), ((4,), (0,))]),
    np.vander: variants(np.vander, LINE, [{}, {"N": 2, "increasing": True}, {"N": 1}, {"N": 0}]),
    np.polymul: variants(np.polymul, [((3,), (2,)), ((1,), (2,))], values=POSITIVE),
    np.polyadd: variants(np.polyadd, [((3,), (2,)), ((1,), (2,)), ((2,), (2,))]),
    np.polysub: variants(np.polysub, [((3,), (2,)), ((1,), (2,)), ((2,), (2,))]),
    np.polydiv: variants(
        np.polydiv,
        [((4,), (2,)), ((3,), (3,)), ((3,), (1,))],
        values=[1, 2, 0.5, -2, 4],
        through=lambda u, v: np.polydiv(u, v)[0],
        never=["zero-size"],  # a constant
    ),
    np.polyder: variants(np.polyder, LINE, options("m", 0, 1, 2)),
    np.polyint: one_of(
        variants(np.polyint, LINE, [{}, {"m": 2, "k": 1.0}, {"m": 2, "k": [1.0, -1.0]}]),
        variants(np.polyint, [((3,),)], through=lambda p: np.polyint(p, 2, p[1:])),
    ),
    np.poly: one_of(
        variants(np.poly, [((3,),), ((1,),)], never=["zero-size"]),  # a constant
        variants(
            np.poly,
            [((3, 3),)],
            values=grid(-0.5, 0.5),
            through=lambda a: np.poly(a + np.diag([1.0, 4, 9])),
        ),
    ),
    np.roots: variants(
        np.roots,
        [((4,),)],
        values=grid(-0.25, 0.25),
        through=lambda p: np.roots(
            np.concatenate([[0.0], p / 32 + np.array([1.0, -14, 49, -36]), [0.0]])
        ),
    ),
    np.polyfit: one_of(
        variants(
            np.polyfit,
            [((4,), (4,)), ((4,), (4, 2))],
            options("deg", 1, 2),
            values=grid(-0.25, 0.25),
            through=lambda x, y, deg: np.polyfit(x + np.arange(4), y, deg),
        ),
        variants(
            np.polyfit,
            [((4,), (4,))],
            values=STEPS,
            through=lambda w, y: np.polyfit(np.arange(4.0), y, 1, w=w),
        ),
    ),
    np.apply_along_axis: variants(
        np.apply_along_axis,
        CUBE,
        options("axis", 0, -1),
        through=lambda x, axis: np.apply_along_axis(lambda row: np.outer(row, row[:2]), axis, x),
    ),
    np.apply_over_axes: variants(
        np.apply_over_axes,
        CUBE,
        options("axes", 0, (0, -1)),
        through=lambda x, axes: np.apply_over_axes(np.sum, x, axes),
    ),
}
