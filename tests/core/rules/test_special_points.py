"""Singular matrices, norms at 0, ties, NaN, and what NumPy itself refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tests.support import check_gradients

linalg = np.linalg
SINGULAR = [
    np.zeros((1, 1)),
    np.zeros((2, 2)),
    np.array([[1.0, 2.0], [2.0, 4.0]]),
    np.zeros((3, 3)),
    np.array([[1.0, 2, 3], [2, 4, 6], [1, 0, 1]]),  # rank 2
    np.array([[1.0, 2, 3], [2, 4, 6], [-1, -2, -3]]),  # rank 1
    np.stack([np.eye(3), np.diag([1.0, 0, 2])]),
]


def slope(f: Any, *data: Any) -> Any:
    leaves = [tl.tensor(x, requires_grad=True) for x in data]
    y = f(*leaves)
    gradients = tl.gradients(y, leaves, np.ones_like(y.data))
    return gradients[0] if len(data) == 1 else gradients


@pytest.mark.parametrize("a", SINGULAR, ids=lambda a: f"{a.shape}-{linalg.matrix_rank(a)}")
def test_the_determinant_of_a_singular_matrix_has_its_gradient(a: Any):
    check_gradients(linalg.det, a)


def test_the_third_derivative_of_a_singular_determinant_is_refused_not_wrong():
    with pytest.raises(linalg.LinAlgError, match="Singular matrix"):
        check_gradients(linalg.det, SINGULAR[4], order=3)


def test_determinants_to_the_third_order():
    check_gradients(linalg.det, SINGULAR[4] + np.diag([2.0, -1, 1]), order=3)


def test_the_logarithm_of_a_vanishing_determinant_has_an_infinite_slope():
    g = slope(lambda a: linalg.slogdet(a)[1], np.diag([1.0, 0.0]))
    assert g[1, 1] == np.inf


@pytest.mark.parametrize("order", [None, 2, 1, 3, 1.5, np.inf])
def test_norms_take_the_zero_subgradient_at_0(order: Any):
    g = slope(lambda x: linalg.norm(x, order), np.zeros(3))
    np.testing.assert_array_equal(g, [0, 0, 0])
    by_order = slope(lambda x: linalg.norm(x, order), np.array([3.0, 0.0]))
    np.testing.assert_allclose(by_order, [1, 0])


@pytest.mark.parametrize("order", ["fro", 1, np.inf])
def test_matrix_norms_take_the_zero_subgradient_at_0(order: Any):
    np.testing.assert_array_equal(
        slope(lambda x: linalg.norm(x, order), np.zeros((2, 2))), np.zeros((2, 2))
    )


def test_equal_elements_share_in_sorting_and_quantiles():
    x = np.array([2.0, 1.0, 2.0, 0.0, 1.0])
    leaf = tl.tensor(x, requires_grad=True)
    np.sort(leaf).backward([1.0, 2, 3, 5, 9])
    np.testing.assert_allclose(leaf.grad, [7, 2.5, 7, 1, 2.5])
    np.testing.assert_allclose(slope(np.median, np.array([1.0, 1, 1, 7, 0])), [1 / 3] * 3 + [0, 0])
    np.testing.assert_allclose(slope(np.ptp, np.array([1.0, 1, 0])), [0.5, 0.5, -1])
    np.testing.assert_allclose(slope(np.fmax, np.ones(1), np.ones(1)), [[0.5], [0.5]])


NAN = np.array([1.0, np.nan, 3.0])


@pytest.mark.parametrize(
    ("op", "expected"),
    [
        (np.nansum, [1, 0, 1]),
        (np.nanmean, [0.5, 0, 0.5]),
        (np.nanmax, [0, 0, 1]),
        (np.nanmin, [1, 0, 0]),
        (np.nanprod, [3, 0, 1]),
        (np.nanmedian, [0.5, 0, 0.5]),
        (np.nanvar, [-1, 0, 1]),
        (np.nanstd, [-0.5, 0, 0.5]),
        (np.nan_to_num, [1, 0, 1]),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_is_nan_is_absent(op: Any, expected: Any):
    np.testing.assert_allclose(slope(op, NAN), expected)
    np.testing.assert_allclose(slope(lambda x: op(x * x), NAN), 2 * np.nan_to_num(NAN) *
                               slope(op, NAN * NAN))  # fmt: skip


def test_nan_loses_against_a_number():
    a, b = slope(np.fmax, NAN, np.array([np.nan, 2.0, 5.0]))
    np.testing.assert_array_equal(a, [1, 0, 0])
    np.testing.assert_array_equal(b, [0, 1, 1])


def test_a_median_of_nan_is_nan():
    assert np.isnan(np.median(tl.tensor(NAN, requires_grad=True)).data)


@pytest.mark.parametrize("x", [0.0, 1e-9, 6.37, 25.0, -3.5])
@pytest.mark.parametrize("op", [np.sinc, np.i0], ids=lambda op: op.__name__)
def test_special_functions_to_the_third_order(op: Any, x: float):
    size = float(np.i0(x)) if op is np.i0 else 1.0
    check_gradients(lambda t: op(t) / size, np.array([x]), order=3)


def test_sinc_far_out():
    x = 123.25
    u = np.pi * x
    exact = np.pi * (np.cos(u) / u - np.sin(u) / u**2)
    assert slope(np.sinc, x) == pytest.approx(exact, rel=1e-9)


@pytest.mark.parametrize(
    "f",
    [
        linalg.det,
        linalg.inv,
        lambda a: linalg.cholesky(a @ a.T),
        lambda a: linalg.eigh(a + a.T)[1] ** 2,
        lambda a: linalg.svd(a)[0] ** 2,
        lambda a: linalg.solve(a, a * a),
        lambda a: np.sort(a) ** 2,
        lambda a: linalg.norm(a, 3, -1),
        lambda a: np.fft.rfft(a).real ** 2,
        lambda a: np.cov(a),
    ],
)
def test_the_third_order_of_a_sample(f: Any):
    a = np.array([[2.25, 0.5], [-0.75, 1.25]])
    check_gradients(f, a, order=3, tolerance=1e-5)


def test_the_remainder_of_polynomials():
    def remainder(u: Any, v: Any) -> Any:
        return np.polydiv(u, v)[1]

    check_gradients(remainder, np.array([1.1, 2.3, -0.7, 4.0]), np.array([1.5, 0.4, -0.3]))
    check_gradients(remainder, np.array([1.1, 2.3, 3.0]), np.array([0.5, 2.0]))
    check_gradients(lambda u: remainder(u, [1.5, 1.0, 2.0]), np.array([1.1, 2.3]))


def leaf(*shape: int) -> Any:
    return tl.tensor(np.linspace(0.5, 2.5, int(np.prod(shape))).reshape(shape), requires_grad=True)


REFUSED: dict[str, tuple[Any, type[Exception]]] = {
    "linalg.inv": (lambda: linalg.inv(leaf(2, 3)), linalg.LinAlgError),
    "linalg.det": (lambda: linalg.det(leaf(2, 3)), linalg.LinAlgError),
    "linalg.solve": (lambda: linalg.solve(leaf(2, 2) * 0, leaf(2)), linalg.LinAlgError),
    "linalg.cholesky": (lambda: linalg.cholesky(-leaf(2, 2)), linalg.LinAlgError),
    "linalg.eigh": (lambda: linalg.eigh(leaf(2, 3)), linalg.LinAlgError),
    "linalg.matrix_power": (lambda: linalg.matrix_power(leaf(2, 3), 2), linalg.LinAlgError),
    "linalg.svd": (lambda: linalg.svd(leaf(2, 3)), ValueError),
    "linalg.qr": (lambda: linalg.qr(leaf(3, 2), "complete"), ValueError),
    "linalg.norm": (lambda: linalg.norm(leaf(2, 2), "sum"), ValueError),
    "sort": (lambda: np.sort(leaf(2), axis=1), np.exceptions.AxisError),
    "median": (lambda: np.median(leaf(2), axis=2), np.exceptions.AxisError),
    "diff": (lambda: np.diff(leaf(2), axis=1), np.exceptions.AxisError),
    "split": (lambda: np.split(leaf(3), 2), ValueError),
    "array_split": (lambda: np.array_split(leaf(3), 2, axis=1), np.exceptions.AxisError),
    "quantile": (lambda: np.quantile(leaf(3), 1.5), ValueError),
    "average": (lambda: np.average(leaf(3), weights=np.zeros(3)), ZeroDivisionError),
    "insert": (lambda: np.insert(leaf(3), 5, 1.0), IndexError),
    "delete": (lambda: np.delete(leaf(3), 5), IndexError),
    "pad": (lambda: np.pad(leaf(3), 1, "sideways"), ValueError),
    "pad(float64(3,), 1, end_values=1)": (lambda: np.pad(leaf(3), 1, end_values=1), ValueError),
    "take_along_axis": (lambda: np.take_along_axis(leaf(3), np.array([4]), 0), IndexError),
    "block": (lambda: np.block([leaf(2), leaf(2, 2)[:, :1]]), ValueError),
    "hstack": (lambda: np.hstack([leaf(2, 2), leaf(3, 2)]), ValueError),
    "convolve": (lambda: np.convolve(leaf(3), np.zeros(0)), ValueError),
    "gradient": (lambda: np.gradient(leaf(1)), ValueError),
    "fft.fft": (lambda: np.fft.fft(leaf(3), n=0), ValueError),
    "vecdot": (lambda: np.vecdot(leaf(3), leaf(2)), ValueError),
    "cross": (lambda: np.cross(leaf(4), leaf(4)), ValueError),
    "nan_to_num": (lambda: np.nan_to_num(leaf(2), copy=False), TypeError),
    "choose": (lambda: np.choose(np.array([0, 3]), [leaf(2), leaf(2)]), ValueError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_bad_input_raises_numpys_own_exception_and_names_the_operation(name: str):
    call, kind = REFUSED[name]
    with pytest.raises(kind) as refusal:
        call()
    assert isinstance(refusal.value, kind)
    assert name in str(refusal.value)


@pytest.mark.parametrize("p", [-1, -2, -0.5])
def test_one_zero_holds_a_norm_of_negative_order_at_zero(p: float):
    with np.errstate(divide="ignore"):
        assert not np.any(slope(lambda x: linalg.vector_norm(x, ord=p), np.array([1.5, 0.0, -2])))


def test_the_second_derivative_of_tanh_far_out_is_no_underflow():
    x = np.array([-250.0, 0.0, 20.0, 300.0])
    second = tl.grad(lambda y: tl.grad(lambda z: np.tanh(z).sum())(y).sum())(x)
    exact = -8 * np.sign(x) * np.exp(-2 * np.abs(x))
    assert second == pytest.approx(exact, rel=1e-13, abs=0)
