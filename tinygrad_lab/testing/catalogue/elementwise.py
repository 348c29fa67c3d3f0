"""The catalogue of elementwise functions beyond plain calculus, complex parts included."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.rules.mathematical import elementwise
from tinygrad_lab.testing.catalogue import (
    CASES,
    EIGHTHS,
    EVERYWHERE,
    HALVES,
    Call,
    binary,
    elementwise_calls,
    grid,
    unary,
)
from tinygrad_lab.testing.catalogue.variants import NONE, one_of, variants

ANY = [((),), ((3,),), ((2, 1, 3),), ((0, 2),)]
PAIRS = [((), ()), ((3,), (2, 3)), ((2, 1), (3,)), ((2, 0), ())]
BETWEEN = grid(-2.5, 2.5, offset=0.125)  # never whole


def as_complex(op: Any) -> Any:
    """``op`` of x + i y, its real and its imaginary part in a row."""

    def row(x: Any, y: Any, **kwargs: Any) -> Any:
        z = op(x + 1j * y, **kwargs)
        return np.concatenate([np.ravel(np.real(z)), np.ravel(np.imag(z))])

    return row


def complex_too(op: Any, options: Any = NONE) -> Any:
    return variants(op, [((2,), (2,))], options, values=grid(0.5, 2), through=as_complex(op))


def second(made: Call) -> Call:
    """The second of two results."""
    return Call(f"{made.text}[1]", lambda *x: made.f(*x)[1], made.arrays)


CASES |= {
    np.fmax: binary(np.fmax, EVERYWHERE, EIGHTHS),
    np.fmin: binary(np.fmin, EVERYWHERE, EIGHTHS),
    np.heaviside: one_of(
        binary(np.heaviside, EIGHTHS, EVERYWHERE),
        variants(np.heaviside, ANY, through=lambda at_zero: np.heaviside(np.zeros(1), at_zero)),
    ),
    np.nextafter: variants(np.nextafter, PAIRS[:3], values=BETWEEN),
    np.ldexp: variants(np.ldexp, ANY, [{"n": 2}, {"n": -1}], through=lambda x, n: np.ldexp(x, n)),
    np.divmod: elementwise_calls(np.divmod, HALVES, [1, -1, 2, -2]).map(second),
    np.modf: variants(np.modf, ANY, values=BETWEEN, through=lambda x: np.modf(x)[0]),
    np.frexp: variants(
        np.frexp, ANY, values=grid(1.25, 3, away=[2]), through=lambda x: np.frexp(x)[0]
    ),
    np.nan_to_num: one_of(
        variants(np.nan_to_num, ANY, [{}, {"nan": 1.0, "posinf": 2.0}]),
        complex_too(np.nan_to_num),
    ),
    np.sinc: unary(np.sinc),
    elementwise.sinc_derivative: variants(
        elementwise.sinc_derivative,
        ANY,
        [{"order": 1}, {"order": 2}, {"order": 5}],
        through=lambda x, order: elementwise.sinc_derivative(4 * x, order) / 8**order,
        values=grid(-3, 3),
    ),
    np.i0: unary(np.i0),
    elementwise.bessel_i: variants(
        elementwise.bessel_i,
        ANY,
        [{"order": 0}, {"order": 1}, {"order": 4}],
        through=elementwise.bessel_i,
        values=grid(-3, 3),
    ),
    np.real: one_of(unary(np.real), complex_too(np.real)),
    np.imag: complex_too(np.imag),
    np.angle: complex_too(np.angle, [{}, {"deg": True}]),
    elementwise.angle: complex_too(elementwise.angle),
    np.real_if_close: one_of(
        unary(np.real_if_close),
        variants(np.real_if_close, [((2,),)], through=lambda x: np.real_if_close(x + 0j)),
    ),
    np.sign: complex_too(np.sign),
}
