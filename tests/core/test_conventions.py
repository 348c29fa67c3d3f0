"""Promise 6: ties, kinks and singular points, each convention with a test."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab.testing.inputs.calls import arrays, axes, shapes


def slope(f: Any, *data: Any, upstream: Any = None) -> Any:
    """The gradients of ``f`` by each of ``data``."""
    leaves = [tl.tensor(x, dtype=float, requires_grad=True) for x in data]
    y = f(*leaves)
    gradients = tl.gradients(y, leaves, np.ones_like(y.data) if upstream is None else upstream)
    return gradients[0] if len(data) == 1 else gradients


@given(data=st.data())
def test_ties_of_extremes_share_evenly(data: Any):
    x = data.draw(arrays(data.draw(shapes(1, smallest=1)), [0.0, 1.0]))
    axis = data.draw(axes(x.ndim))
    for extreme in (np.max, np.min):
        y = extreme(x, axis=axis, keepdims=True)
        hits = x == y
        gradients = slope(lambda t, extreme=extreme: extreme(t, axis=axis), x)
        np.testing.assert_allclose(gradients, hits / hits.sum(axis=axis, keepdims=True), rtol=1e-15)


@pytest.mark.parametrize("op", [np.maximum, np.minimum])
def test_ties_of_two_operands_share_evenly(op: Any):
    a, b = slope(op, [1.0, 2.0], [1.0, 3.0])
    wins = [0.5, 0.0] if op is np.maximum else [0.5, 1.0]
    np.testing.assert_array_equal(a, wins)
    np.testing.assert_array_equal(b, 1 - np.array(wins))


@pytest.mark.parametrize("op", [np.absolute, np.fabs, lambda x: np.hypot(x, 0.0), np.std])
def test_the_zero_subgradient_where_a_length_vanishes(op: Any):
    np.testing.assert_array_equal(slope(op, [0.0, 0.0, 0.0]), [0, 0, 0])


def test_hypot_and_arctan2_at_the_origin():
    assert slope(np.hypot, 0.0, 0.0) == [0, 0]
    assert slope(np.arctan2, 0.0, 0.0) == [0, 0]


def test_relu_has_slope_0_at_0():
    np.testing.assert_array_equal(slope(tl.relu, [-1.0, 0.0, 2.0]), [0, 0, 1])


def test_clip_passes_the_gradient_at_its_limits():
    np.testing.assert_array_equal(
        slope(lambda x: np.clip(x, 0, 1), [-0.5, 0.0, 0.5, 1.0, 1.5]), [0, 1, 1, 1, 0]
    )


@pytest.mark.parametrize(
    ("x", "expected"),
    [
        ([2.0, 3.0, 4.0], [12, 8, 6]),
        ([0.0, 3.0, 4.0], [12, 0, 0]),
        ([0.0, 0.0, 4.0], [0, 0, 0]),
        ([5.0], [1]),
        ([], []),
    ],
)
def test_prod_is_exact_with_zeros_in_it(x: Any, expected: Any):
    np.testing.assert_array_equal(slope(np.prod, x), expected)


def test_cumprod_is_exact_with_zeros_in_it():
    np.testing.assert_array_equal(slope(np.cumprod, [2.0, 0.0, 3.0]), [1 + 0 + 0, 2 + 6, 0])


def test_the_characteristic_polynomial_of_a_real_matrix_is_real():
    a = [[0.5, -2.0], [1.0, 0.25]]  # its eigenvalues are not
    np.testing.assert_allclose(slope(lambda t: np.poly(t)[1], a), [[-1, 0], [0, -1]], atol=1e-15)
    np.testing.assert_allclose(slope(lambda t: np.poly(t)[2], a), [[0.25, -1], [2, 0.5]])


def test_powers_at_0():
    cases = {1.0: 1.0, 2.0: 0.0, 3.0: 0.0, 0.0: 0.0}
    for p, expected in cases.items():
        assert slope(lambda x, p=p: np.power(x, p), 0.0) == expected
        by_base, by_exponent = slope(np.power, 0.0, p)
        assert (by_base, by_exponent) == (expected, 0)


# -- nothing flows in, nothing flows out ---------------------------------------------------------

SINGULAR: dict[str, tuple[Any, list[float]]] = {
    "sqrt": (np.sqrt, [0.0, -1.0]),
    "x**0.3": (lambda x: x**0.3, [0.0, -1.0]),
    "x**-0.5": (lambda x: x**-0.5, [0.0, -1.0]),
    "x**-1": (lambda x: x**-1, [0.0]),
    "0.5**x far off": (lambda x: 0.5**x, [-1e4, -np.inf]),
    "log": (np.log, [0.0, -1.0]),
    "log2": (np.log2, [0.0, -1.0]),
    "log10": (np.log10, [0.0, -1.0]),
    "log1p": (np.log1p, [-1.0, -2.0]),
    "1/x": (lambda x: 1 / x, [0.0]),
    "x/x": (lambda x: x / x, [0.0, np.inf]),
    "reciprocal": (np.reciprocal, [0.0]),
    "arcsin": (np.arcsin, [1.0, -1.0, 2.0]),
    "arccos": (np.arccos, [1.0, -1.0, 2.0]),
    "arccosh": (np.arccosh, [1.0, 0.0]),
    "arctanh": (np.arctanh, [1.0, -1.0, 2.0]),
    "cbrt": (np.cbrt, [0.0]),
    "exp": (np.exp, [1e4, np.inf]),
    "tan": (np.tan, [np.inf]),
    "sin of inf": (np.sin, [np.inf]),
    "sinh": (np.sinh, [1e4]),
    "x * x * log x": (lambda x: x * x * np.log(x), [0.0, -1.0]),
    "logaddexp": (lambda x: np.logaddexp(x, -np.inf), [-np.inf]),
    "any at NaN": (lambda x: np.sin(x) * np.exp(x) / x + x**2 - np.sqrt(x), [np.nan]),
}


@pytest.mark.parametrize("name", SINGULAR)
@pytest.mark.parametrize("order", [1, 2])
def test_a_zero_upstream_stays_zero_at_a_singular_point(name: str, order: int):
    """``where(good, f(x), 0)``, with the points where f is singular left out."""
    f, bad = SINGULAR[name]
    good_point = 2.0 if name == "arccosh" else 0.5
    x = tl.tensor([*bad, good_point], requires_grad=True)
    mask = np.arange(x.size) == len(bad)
    with np.errstate(all="ignore"):
        y = np.where(mask, f(x), 0.0)
    gradients = tl.gradients(y.sum(), x, create_graph=order == 2)
    if order == 2:
        gradients = tl.gradients(gradients.sum(), x)
    alone = tl.tensor([good_point], requires_grad=True)
    expected = tl.gradients(f(alone).sum(), alone, create_graph=order == 2)
    if order == 2:
        expected = tl.gradients(expected.sum(), alone)
    np.testing.assert_array_equal(gradients[:-1], 0)
    np.testing.assert_allclose(gradients[-1], expected[0], rtol=1e-12)


def test_a_zero_upstream_stays_zero_in_both_operands_of_0_over_0():
    with np.errstate(all="ignore"):
        a, b = slope(
            lambda a, b: np.where(np.array([False, False, True]), a / b, 0.0),
            [0.0, 1.0, 1.0],
            [0.0, 0.0, 2.0],
        )
    np.testing.assert_array_equal(a, [0, 0, 0.5])
    np.testing.assert_array_equal(b, [0, 0, -0.25])


def test_a_zero_upstream_stays_zero_through_broadcasting():
    row = np.array([[False, True], [False, True]])
    with np.errstate(divide="ignore"):
        b = slope(lambda b: np.where(row, np.ones((2, 1)) / b, 0.0), [0.0, 0.5])
    np.testing.assert_array_equal(b, [0, -8])


def test_an_infinite_slope_that_is_asked_for_is_infinite():
    np.testing.assert_array_equal(slope(np.sqrt, [0.0, 4.0]), [np.inf, 0.25])
    np.testing.assert_array_equal(slope(np.cbrt, [0.0]), [np.inf])


@pytest.mark.parametrize("op", [np.max, np.min])
def test_the_nan_that_an_extreme_is_gets_its_gradient(op: Any):
    x = tl.tensor([[np.nan, 1.0, np.nan], [3.0, 2.0, 3.0]], requires_grad=True)
    op(x, axis=1).backward(np.array([4.0, 6.0]))
    assert x.grad[0].tolist() == [2.0, 0.0, 2.0]
    assert x.grad[1].sum() == 6.0


def test_a_nan_that_is_used_is_not_hidden():
    x = tl.tensor([np.nan, 1.0], requires_grad=True)
    (x * x).sum().backward()
    assert np.isnan(x.grad[0])
    assert x.grad[1] == 2


def test_the_users_error_state_comes_back():
    with np.errstate(invalid="warn", divide="raise", over="ignore", under="warn"):
        before = np.geterr()
        slope(lambda x: np.where(np.array([True, False]), x, np.sqrt(x)), [1.0, 0.0])
        assert np.geterr() == before
