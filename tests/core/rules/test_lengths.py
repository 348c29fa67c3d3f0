"""Lengths of 0 at second order, and of any size: absolute values, hypotenuses, norms, spreads."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl

norm, vector_norm = np.linalg.norm, np.linalg.vector_norm
ORIGIN = np.zeros(3)


def as_complex(x: Any) -> Any:
    return x[:1] + 1j * x[1:2]


SQUARES: dict[str, tuple[Any, Any]] = {  # of lengths, and the same without them
    "norm": (lambda x: norm(x) ** 2, lambda x: np.sum(x * x)),
    "norm of complex numbers": (
        lambda x: norm(as_complex(x)) ** 2,
        lambda x: x[0] * x[0] + x[1] * x[1],
    ),
    "hypot": (lambda x: np.hypot(x[0], x[1]) ** 2, lambda x: x[0] * x[0] + x[1] * x[1]),
    "abs": (lambda x: np.sum(np.abs(x) ** 2), lambda x: np.sum(x * x)),
    "fabs": (lambda x: np.sum(np.fabs(x) ** 2), lambda x: np.sum(x * x)),
    "abs of complex numbers": (
        lambda x: np.sum(np.abs(as_complex(x)) ** 2),
        lambda x: x[0] * x[0] + x[1] * x[1],
    ),
    "distances": (
        lambda x: np.sum(np.abs(x[:, None] - x) ** 2),
        lambda x: np.sum((x[:, None] - x) ** 2),
    ),
    "rows": (
        lambda x: np.sum(norm(x[:, None] * np.ones(2), axis=1, keepdims=True) ** 2),
        lambda x: 2 * np.sum(x * x),
    ),
    "a matrix": (
        lambda x: norm(np.outer(x, [1.0, 2]), "fro") ** 2,
        lambda x: 5 * np.sum(x * x),
    ),
    "std": (lambda x: np.std(x) ** 2, np.var),
    "nanstd": (lambda x: np.nanstd(x, ddof=1) ** 2, lambda x: np.var(x, ddof=1)),
    "another even function": (lambda x: np.cos(norm(x)), lambda x: 1 - np.sum(x * x) / 2),
    "beside something else": (
        lambda x: norm(x) ** 2 * np.exp(x[0]) + np.sum(x**3),
        lambda x: np.sum(x * x) * np.exp(x[0]) + np.sum(x**3),
    ),
    "a fourth power": (lambda x: norm(x, 3) ** 4, lambda x: np.sum(x * x) ** 2),
}
POINTS = {"origin": ORIGIN, "equal": np.ones(3), "one zero": np.array([0.0, 1.0, -2.0])}


@pytest.mark.parametrize("name", SQUARES)
def test_even_functions_of_a_length_of_0_have_their_second_derivative(name: str):
    f, g = SQUARES[name]
    np.testing.assert_allclose(tl.hessian(f)(ORIGIN), tl.hessian(g)(ORIGIN), atol=1e-12)
    np.testing.assert_allclose(
        tl.hvp(f, (ORIGIN,), (np.arange(3.0),))[0],
        tl.hessian(g)(ORIGIN) @ np.arange(3.0),
        atol=1e-12,
    )
    if name.startswith(("abs", "fabs", "distances", "rows", "std", "nanstd", "hypot")):
        for point in POINTS.values():
            np.testing.assert_allclose(tl.hessian(f)(point), tl.hessian(g)(point), atol=1e-12)


NOT_SMOOTH: dict[str, Any] = {
    "norm": norm,
    "hypot": lambda x: np.hypot(x[0], x[1]),
    "abs of complex numbers": lambda x: np.sum(np.abs(as_complex(x))),
    "std": np.std,
    "a length and something else": lambda x: norm(x[:2]) * x[2],
    "square and length": lambda x: norm(x) ** 2 + norm(x),
    **{f"square of order {p}": lambda x, p=p: norm(x, p) ** 2 for p in (1, 1.5, 3, 4, np.inf)},
    "square of matrix order 1": lambda x: norm(np.outer(x, [1.0, 2]), 1) ** 2,
    "square of the nuclear norm": lambda x: norm(np.diag(x), "nuc") ** 2,
    "nuclear norm": lambda x: norm(np.diag(x), "nuc"),
}


@pytest.mark.parametrize("name", NOT_SMOOTH)
def test_other_second_derivatives_at_0_are_not_finite(name: str):
    assert np.all(tl.grad(NOT_SMOOTH[name])(ORIGIN) == 0)
    assert not np.all(np.isfinite(tl.hessian(NOT_SMOOTH[name])(ORIGIN)))


def test_orders_between_1_and_2_curve_without_bound_where_an_element_is_0():
    curve = tl.hessian(lambda x: norm(x, 1.5))(np.array([1.0, 0.0]))
    assert curve[1, 1] == np.inf


def test_a_penalty_of_absolute_values_has_no_curve():
    np.testing.assert_array_equal(tl.hessian(lambda x: np.sum(np.abs(x)))(ORIGIN), np.zeros((3, 3)))


def test_of_several_cotangents_each():
    def slopes(x: Any) -> Any:
        return tl.jacobian(lambda x: np.stack([norm(x) ** 2, 3 * np.cos(norm(x))]))(x)

    expected = np.multiply.outer([2.0, -3.0], np.eye(3))
    np.testing.assert_allclose(tl.jacobian(slopes)(ORIGIN), expected, atol=1e-12)


# -- any size ------------------------------------------------------------------------------------

LENGTHS: dict[str, Any] = {
    "abs": lambda x: np.sum(np.abs(x)),
    "hypot": lambda x: np.hypot(x[0], x[1]) + np.hypot(x[2], x[1]),
    "std": np.std,
    "nanstd": lambda x: np.nanstd(x, ddof=1),
    "rows": lambda x: np.sum(norm(np.stack([x, x[::-1] / 2]), axis=1)),
    "frobenius": lambda x: norm(np.outer(x, [1.0, 2]).astype(x.dtype), "fro"),
    "complex": lambda x: norm(x[:2] + 1j * x[1:].astype(x.dtype)),
    **{f"order {p}": lambda x, p=p: norm(x, p) for p in (None, 1, 1.5, 2, 3, 8, 0.5, -1, -3)},
}


@np.errstate(over="ignore", divide="ignore")
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("name", LENGTHS)
def test_what_a_length_gives_back_does_not_depend_on_its_size(name: str, dtype: Any):
    """Where squares overflow NumPy's length is infinite, where they underflow it is 0."""
    f, parts = LENGTHS[name], np.array([3.0, -1, 0.5], dtype)
    expected, info = tl.grad(f)(parts), np.finfo(dtype)
    for exponent in range(info.minexp + 4, info.maxexp - 4, info.maxexp // 16):
        x = np.ldexp(parts, exponent)
        np.testing.assert_allclose(tl.grad(f)(x), expected, rtol=512 * info.eps)
        np.testing.assert_allclose(tl.vmap(tl.grad(f))(x[None])[0], expected, rtol=512 * info.eps)


@np.errstate(over="ignore")
def test_rows_of_any_size_beside_each_other():
    rows = np.array([[3e200, 4e200], [0, 0], [3, 4], [3e-200, -4e-200], [np.inf, 1]])
    slopes = tl.grad(lambda x: np.sum(norm(x, axis=1)))(rows)
    np.testing.assert_allclose(slopes[:4], [[0.6, 0.8], [0, 0], [0.6, 0.8], [0.6, -0.8]])
    assert np.isnan(slopes[4, 0])


@pytest.mark.parametrize("small", [0.0, 1e-9, 1e-150, 1e-160, 1e-200, 1e-300])
def test_a_length_bends_where_one_part_is_small(small: float):
    curve = tl.hessian(lambda x: np.hypot(x[0], x[1]))(np.array([small, 2.0]))
    np.testing.assert_allclose(curve, [[0.5, -small / 4], [-small / 4, small * small / 8]])


# -- roots ---------------------------------------------------------------------------------------


def central(f: Any, p: Any, h: float = 1e-6) -> Any:
    return np.array([(f(p + h * e) - f(p - h * e)) / (2 * h) for e in np.eye(p.size)])


def of_roots(p: Any) -> Any:
    return np.sum(np.abs(np.roots(p)) ** 2 + np.cos(np.real(np.roots(p))))


@pytest.mark.parametrize(
    "p",
    [[1, -3, 2, 0], [2, 1, 0, 3], [1, 0, 3, 4], [2, 0, 0, 1], [3, 1], [1, 0], [1, 2, 3, 4, 5]],
    ids=str,
)
def test_roots_move_with_every_coefficient_the_zeros_included(p: Any):
    p = np.array(p, dtype=float)
    np.testing.assert_allclose(tl.grad(of_roots)(p), central(of_roots, p), rtol=1e-6, atol=1e-7)
    curve = np.stack([central(lambda q: tl.grad(of_roots)(q)[i], p) for i in range(p.size)])  # noqa: B023
    np.testing.assert_allclose(tl.hessian(of_roots)(p), curve, rtol=1e-5, atol=1e-5)


def test_roots_at_infinity_and_double_roots_have_no_finite_slope():
    slope = tl.grad(of_roots)(np.array([0.0, 1, -3, 2]))
    np.testing.assert_allclose(slope[1:], tl.grad(of_roots)(np.array([1.0, -3, 2])))
    assert np.isnan(slope[0])
    for p in ([1.0, -2, 1], [1.0, -3, 2, 0, 0]):
        assert not np.all(np.isfinite(tl.grad(of_roots)(np.array(p))))
