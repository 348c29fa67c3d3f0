"""The catalogue of elementwise functions, maxima and minima, sums, differences and integrals."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_lab.testing.inputs.calls import (
    EIGHTHS, EVERYWHERE, HALVES, NOT_ZERO, Call, arrays, broadcasting, call, grid, shapes,
)  # fmt: skip
from tinygrad_lab.testing.inputs.catalogue.families import (
    NUMPY, binary, complex_too, each, extremes, family, holed, in_a_row, reductions, scans, table,
    unary, variants,
)  # fmt: skip

ANY = [((),), ((3,),), ((2, 1, 3),), ((0, 2),)]
LINE, MATRIX = [((4,),)], [((3, 4),)]
INITIAL = {"initial": [0.0, 2.5]}
NEVER_WHOLE = grid(-2.5, 2.5, offset=0.125)
STEPS = grid(0.5, 2)


@family
def powers(draw: Any, op: Any) -> Call:
    """Positive bases with any exponents, or any bases with a whole exponent that is constant."""
    if draw(st.booleans()):
        return draw(binary(grid(0.5, 3), grid(-2, 3))(op))
    x = draw(arrays(draw(shapes())))
    return call(op, [x], draw(st.sampled_from([2, 3, 0, 1, 2.0, 4, np.array([1.0])])))


@family
def limited(draw: Any, op: Any) -> Call:
    """Three operands, or limits that are numbers or missing; the limits may cross."""
    x, low, high = draw(broadcasting(3))
    values = draw(arrays(x))
    if draw(st.booleans()):
        lows, highs = [-1.125, -0.625, 1.125], [0.375, 0.875]
        return call(op, [values, draw(arrays(low, lows)), draw(arrays(high, highs))])
    limits = [{"a_min": -0.625, "a_max": None}, {"a_min": None, "a_max": 0.375}]
    if NUMPY >= "2.1.0":
        limits += [{"min": -0.625}, {"max": 0.375}]
    return call(op, [values], **draw(st.sampled_from(limits)))


def first(op: Any, *x: Any) -> Any:
    """Give the first of two results."""
    return op(*x)[0]


def second(of: Any) -> Any:
    """Calls of a family that give the second of two results."""
    return lambda op: of(op).map(
        lambda call: Call(f"{call.text}[1]", lambda *x: call.f(*x)[1], call.arrays)
    )


CASES = table({
    (
        np.negative, np.positive, np.square, np.exp, np.exp2, np.expm1, np.sin, np.cos, np.arctan,
        np.deg2rad, np.radians, np.rad2deg, np.degrees, np.sinh, np.cosh, np.tanh, np.arcsinh,
        np.conjugate, np.sinc, np.i0,
    ): unary(),
    (np.sqrt, np.log, np.log2, np.log10): unary(0.5, 4),
    (np.arcsin, np.arccos, np.arctanh): unary(-0.75, 0.75),
    (np.reciprocal, np.cbrt, np.absolute, np.fabs): unary(away=[0]),
    np.log1p: unary(-0.5, 4),
    np.tan: unary(-1.25, 1.25),
    np.arccosh: unary(1.5, 4),
    (np.add, np.subtract, np.multiply, np.logaddexp, np.logaddexp2): binary(),
    (np.remainder, np.fmod): binary(HALVES, [1, -1, 2, -2]),
    (np.power, np.float_power): powers(),
    np.divide: binary(EVERYWHERE, grid(-3, 3, away=[0, 0.25, -0.25])),
    (np.hypot, np.arctan2): binary(NOT_ZERO),
    np.copysign: binary(NOT_ZERO, NOT_ZERO),
    np.clip: limited(),
    np.heaviside: [
        binary(EIGHTHS, EVERYWHERE),
        variants(ANY, through=lambda op, at_zero: op(np.zeros(1), at_zero)),
    ],
    np.nextafter: variants([((), ()), ((3,), (2, 3)), ((2, 1), (3,))], values=NEVER_WHOLE),
    np.ldexp: variants(ANY, each(n=[2, -1]), through=lambda op, x, n: op(x, n)),
    np.divmod: second(binary(HALVES, [1, -1, 2, -2])),
    np.modf: variants(ANY, values=NEVER_WHOLE, through=first),
    np.frexp: variants(ANY, values=grid(1.25, 3, away=[2]), through=first),
    np.nan_to_num: [variants(ANY, [{}, {"nan": 1.0, "posinf": 2.0}]), complex_too()],
    np.real: [unary(), complex_too()],
    (np.imag, np.sign): complex_too(),
    np.angle: complex_too([{}, {"deg": True}]),
    np.real_if_close: [unary(), variants([((2,),)], through=lambda op, x: op(x + 0j))],
    np.unwrap: variants(
        [((4,),), ((3, 4),)], [{}, {"axis": 0, "period": 4.1}],
        through=lambda op, x, **kw: op(x * 2.03, **kw),
    ),
    # maxima and minima, between arrays and within one
    (np.maximum, np.minimum, np.fmax, np.fmin): binary(EVERYWHERE, EIGHTHS),
    (np.max, np.amax, np.amin): extremes(),
    np.min: extremes(initial=[5.125]),
    (np.nanmax, np.nanmin): holed(extremes()),
    # sums, products, differences and integrals
    np.sum: reductions(options={**INITIAL, "dtype": [np.float64]}),
    np.prod: reductions(grid(-2, 2), options={"initial": [1.0, -2.0]}),
    np.nansum: holed(reductions(options=INITIAL)),
    np.nanprod: holed(reductions(grid(-2, 2))),
    (np.cumsum, np.cumprod): scans(),
    (np.nancumsum, np.nancumprod): holed(scans()),
    ("cumulative_sum", "cumulative_prod"): [
        variants(LINE, [{}, {"include_initial": True}], values=EVERYWHERE),
        variants(
            [((2, 3, 4),)], [{"axis": -2, "include_initial": True}, {"axis": 0}], values=EVERYWHERE
        ),
    ],
    np.diff: [
        variants(MATRIX, [{}, *each(n=[0, 2, 6]), {"axis": 0, "append": 2.0}]),
        variants(
            [((3, 4), (1, 4)), ((3, 4), ())],
            through=lambda op, x, end: op(x, axis=0, prepend=end, append=end),
        ),
    ],
    np.ediff1d: [
        variants(LINE + MATRIX),
        variants([((4,), (2,))], through=lambda op, x, end: op(x, end, 1.0)),
    ],
    np.gradient: [
        variants([((3, 4),), ((3, 3, 3),)], through=in_a_row),
        variants(
            [((3, 4),), ((3,),)], each(axis=[0], edge_order=[1, 2]),
            through=lambda op, x, **kw: op(x, 0.5, **kw),
        ),
        variants(  # coordinates have to increase
            [((4, 4), (4,))], each(axis=[0, -1], edge_order=[1, 2]), values=STEPS,
            through=lambda op, x, steps, **kw: op(x, np.cumsum(steps), **kw),
        ),
        variants([((3,), ())], values=STEPS),
    ],
    np.trapezoid: [
        variants(MATRIX, [{}, {"axis": 0}, {"dx": 0.5}]),
        variants([((3, 4), (4,)), ((3, 4), (3, 4)), ((4,), (4,))]),
        variants([((3, 4), (3,))], [{"axis": 0}]),
    ],
    "trapz": np.trapezoid,
})  # fmt: skip
