"""Equal, nearly equal and vanishing eigenvalues and singular values, in every decomposition.

What is a smooth function of the matrix has its gradient there, and its second derivative: the
references are the same functions without a decomposition.  What is not has no finite gradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl

linalg = np.linalg
RNG = np.random.default_rng(5)
REAL = RNG.normal(size=(5, 5))
COMPLEX = REAL + 1j * RNG.normal(size=(5, 5))
EYE = np.eye(3)


def dagger(x: Any) -> Any:
    return np.conj(np.swapaxes(x, -1, -2))


def hermitian(x: Any) -> Any:
    return (x + dagger(x)) / 2


def cube(x: Any) -> Any:
    return x @ x @ x - 2 * x


def fraction(x: Any) -> Any:
    return linalg.inv(x + 7 * np.eye(x.shape[-1], dtype=x.dtype))


FUNCTIONS: dict[str, tuple[Any, Any]] = {  # of the eigenvalues, and of the matrix
    "itself": (lambda w: w, lambda x: x),
    "cube": (lambda w: w * w * w - 2 * w, cube),
    "fraction": (lambda w: 1 / (w + 7), fraction),
}
ODD: dict[str, tuple[Any, Any]] = {  # of the singular values, and of the matrix
    "itself": (lambda s: s, lambda x: x),
    "cube": (lambda s: s * s * s, lambda x: x @ dagger(x) @ x),
    "fraction": (
        lambda s: s / (7 + s * s),
        lambda x: linalg.inv(x @ dagger(x) + 7 * np.eye(x.shape[-2], dtype=x.dtype)) @ x,
    ),
}


def by_eigh(f: Any) -> Any:
    def rebuilt(x: Any) -> Any:
        w, v = linalg.eigh(x)
        return (v * f(w)[..., None, :]) @ dagger(v)

    return rebuilt


def by_eig(f: Any) -> Any:
    def rebuilt(x: Any) -> Any:
        w, v = linalg.eig(x)
        return (v * f(w)[..., None, :]) @ linalg.inv(v)

    return rebuilt


def by_svd(f: Any, **options: Any) -> Any:
    def rebuilt(x: Any) -> Any:
        u, s, vh = linalg.svd(x, **options)
        return (u * f(s)[..., None, :]) @ vh

    return rebuilt


def number(f: Any, x: Any) -> Any:
    """A real number of f(x): every element counts, each by itself."""
    weights = (COMPLEX if x.dtype.kind == "c" else REAL)[: x.shape[-2], : x.shape[-1]]
    return lambda x: np.sum(np.real(f(x) * weights.astype(x.dtype)))


def assert_same_slopes(f: Any, reference: Any, x: Any, tolerance: float, order: int = 1) -> None:
    f, reference = number(f, x), number(reference, x)
    if order == 2:
        direction = np.arange(1.0, 1 + x.size).reshape(x.shape) / x.size
        slope, expected = (tl.hvp(g, (x,), (direction,))[0] for g in (f, reference))
    else:
        slope, expected = tl.grad(f)(x), tl.grad(reference)(x)
    assert slope.dtype == x.dtype
    size = max(float(np.max(np.abs(expected), initial=0)), 1.0)
    np.testing.assert_allclose(slope, expected, rtol=0, atol=tolerance * size)


def turned(values: Any, dtype: Any) -> Any:
    """A Hermitian matrix of given eigenvalues."""
    n = len(values)
    q = linalg.qr((COMPLEX if np.dtype(dtype).kind == "c" else REAL)[:n, :n])[0]
    return hermitian((q * np.array(values)) @ dagger(q)).astype(dtype)


def skewed(values: Any, dtype: Any) -> Any:
    """A matrix of given eigenvalues whose vectors are not orthogonal."""
    p = (COMPLEX if np.dtype(dtype).kind == "c" else REAL)[: len(values), : len(values)]
    return ((p * np.array(values)) @ linalg.inv(p)).astype(dtype)


def of_rank(rows: int, columns: int, rank: int, dtype: Any) -> Any:
    m = COMPLEX if np.dtype(dtype).kind == "c" else REAL
    return (m[:rows, :rank] @ m[1 : 1 + rank, :columns]).astype(dtype)


SPECTRA = [
    [1.0, 1, 1], [0.0, 0, 0], [2.0, 2, 5], [0.0, 0, 1], [1.0, 1 + 1e-15, 3], [1.0, 1 + 1e-12, 3],
    [1.0, 1 + 1e-10, 1 + 2e-10], [1.0, 1 + 1e-8, 3], [1.0, 1 + 1e-6, 3], [1e-12, -1e-12, 1],
    [-1.0, 1, 1, -1], [4.0], [5.0, 5, 5, 2, 2],
]  # fmt: skip
DTYPES = [np.float64, np.complex128, np.float32, np.complex64]
HALF = [np.float64, np.complex64]


def allowed(values: Any, dtype: Any) -> float:
    """A hundred rounding errors, or what rounding makes of gaps where no limit is taken."""
    gaps = np.abs(np.subtract.outer(values, values))
    eps = float(np.finfo(dtype).eps)
    near = gaps[(gaps > eps**0.5) & (gaps < 1e-2)]
    return 100 * eps / min(near, default=0.01 if np.all(gaps < 1e-14) else eps**0.5)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("values", SPECTRA, ids=str)
def test_functions_of_hermitian_matrices(values: Any, dtype: Any):
    for f, of_matrix in FUNCTIONS.values():
        for x in (turned(values, dtype), np.diag(values).astype(dtype)):
            tolerance = allowed(values, dtype)
            assert_same_slopes(by_eigh(f), lambda x: of_matrix(hermitian(x)), x, tolerance)  # noqa: B023


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("values", SPECTRA, ids=str)
def test_functions_of_diagonalizable_matrices(values: Any, dtype: Any):
    for f, of_matrix in FUNCTIONS.values():
        for x in (skewed(values, dtype), np.diag(values).astype(dtype)):
            assert_same_slopes(by_eig(f), of_matrix, x, 1e3 * allowed(values, dtype))


SHAPES = [(m, n, r) for m, n in [(3, 3), (4, 3), (2, 4), (1, 1), (1, 3)] for r in range(min(m, n))]


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_odd_functions_of_matrices_that_lack_ranks(shape: Any, dtype: Any):
    x = of_rank(*shape, dtype)
    for f, of_matrix in ODD.values():
        tolerance = 200 * float(np.finfo(dtype).eps)
        assert_same_slopes(by_svd(f, full_matrices=False), of_matrix, x, tolerance)
        if shape[0] == shape[1]:
            assert_same_slopes(by_svd(f), of_matrix, x, tolerance)


@pytest.mark.parametrize("dtype", HALF)
@pytest.mark.parametrize("values", SPECTRA, ids=str)
def test_odd_functions_of_matrices_with_equal_singular_values(values: Any, dtype: Any):
    n = len(values)
    q = linalg.qr((COMPLEX if np.dtype(dtype).kind == "c" else REAL).T[:n, :n])[0]
    for f, of_matrix in ODD.values():
        x = (turned(values, dtype) @ q).astype(dtype)
        tolerance = 10 * allowed(np.abs(values), dtype)
        assert_same_slopes(by_svd(f), of_matrix, x, tolerance)


SECOND = [[1.0, 1, 1], [0.0, 0, 0], [2.0, 2, 5], [1.0, 1 + 1e-12, 3], [1.0, 1 + 1e-8, 3]]


@pytest.mark.parametrize("values", SECOND, ids=str)
def test_second_derivatives(values: Any):
    f, of_matrix = FUNCTIONS["cube"]
    odd, of_any = ODD["cube"]
    x = turned(values, float)
    tolerance = 1e-6 if np.ptp(values[:2]) > 0 else 1e-11
    assert_same_slopes(by_eigh(f), lambda x: of_matrix(hermitian(x)), x, tolerance, order=2)
    assert_same_slopes(by_svd(odd), of_any, x, tolerance, order=2)
    if np.any(values):
        assert_same_slopes(by_eig(f), of_matrix, skewed(values, float), 100 * tolerance, order=2)


@pytest.mark.parametrize("shape", [(4, 3, 1), (2, 4, 0), (3, 3, 1)])
def test_second_derivatives_of_matrices_that_lack_ranks(shape: Any):
    f, of_matrix = ODD["fraction"]
    x = of_rank(*shape, float)
    assert_same_slopes(by_svd(f, full_matrices=False), of_matrix, x, 1e-10, order=2)


def test_a_hessian_of_eigenvalues_alone():
    def power_sum(x: Any) -> Any:
        return np.sum(linalg.eigvalsh(x) ** 3)

    def trace(x: Any) -> Any:
        x = hermitian(x)
        return np.trace(x @ x @ x)

    np.testing.assert_allclose(tl.hessian(power_sum)(EYE), tl.hessian(trace)(EYE), atol=1e-12)


@pytest.mark.parametrize("values", [[1.0, 1, 2], [1.0, 1, 1], [2.0, 2, 1, 1]], ids=str)
@pytest.mark.parametrize("decomposed", [linalg.eigvalsh, linalg.eigvals])
def test_a_hessian_where_the_gradient_is_rounding(decomposed: Any, values: Any):
    def roots(x: Any) -> Any:
        w = decomposed(x)
        return np.real(np.sum((w * w - 3 * w + 2) ** 2))

    def of_matrix(x: Any) -> Any:
        y = x @ x - 3 * x + 2 * np.eye(len(values))
        return np.trace(y @ y)

    x = turned(values, float)
    direction = hermitian(REAL[: len(x), : len(x)])
    ours, expected = (tl.hvp(f, (x,), (direction,))[0] for f in (roots, of_matrix))
    np.testing.assert_allclose(hermitian(ours), hermitian(expected), atol=1e-8)


@pytest.mark.parametrize("x", [turned([2.0, 2, 5], float), turned([2.0, 2, 5], complex)])
def test_the_projection_on_a_subspace_of_equal_values(x: Any):
    def of_pair(x: Any) -> Any:
        v = linalg.eigh(x)[1][:, :2]
        return v @ dagger(v)

    def of_the_other(x: Any) -> Any:
        v = linalg.eigh(x)[1][:, 2:]
        return np.eye(3) - v @ dagger(v)

    assert_same_slopes(of_pair, of_the_other, x, 1e-13)
    if x.dtype.kind != "c":
        assert_same_slopes(of_pair, of_the_other, x, 1e-11, order=2)


def test_the_nearest_orthogonal_matrix():
    x = turned([3.0, 3, 3], float) @ linalg.qr(REAL[:3, :3])[0]

    def nearest(x: Any) -> Any:
        u, _, vh = linalg.svd(x)
        return u @ vh

    def by_root(x: Any) -> Any:  # x (x* x)^(-1/2), about x* x = 9
        extra = x.T @ x / 9 - EYE
        return x @ (EYE - extra / 2 + 3 * extra @ extra / 8) / 3

    assert_same_slopes(nearest, by_root, x, 1e-12)


def test_a_fit_that_is_perfect_has_no_slope():
    """There all cotangents are rounding errors, and must not be taken for a choice of vectors."""
    x = turned([2.0, 2, 5], float)
    for rebuilt in (by_eigh(lambda w: w), by_svd(lambda s: s)):
        slope = tl.grad(lambda x: np.sum((rebuilt(x) - x.copy()) ** 2))(x)  # noqa: B023
        np.testing.assert_allclose(slope, 0, atol=1e-13)
        target = x
        slope = tl.grad(lambda x: np.sum((rebuilt(x) - target) ** 2))(x)  # noqa: B023
        np.testing.assert_allclose(slope, 0, atol=1e-13)


def test_functions_one_after_the_other():
    x = turned([1.0, 1, 2], float)
    there_and_back = by_eigh(np.log)
    assert_same_slopes(lambda x: there_and_back(by_eigh(np.exp)(x)), hermitian, x, 1e-12)


def test_each_matrix_of_a_stack_for_itself():
    x = np.stack([EYE, turned([2.0, 2, 5], float), np.diag([1.0, 2, 3])])

    def one_of_them_chooses(x: Any) -> Any:
        return np.sum(by_eigh(np.exp)(x)) + np.sum(linalg.eigh(x)[1][0])

    slopes = tl.grad(one_of_them_chooses)(x)
    assert not np.all(np.isfinite(slopes[0]))
    for slope, matrix in zip(slopes[1:], x[1:], strict=True):
        alone = tl.grad(lambda x: np.sum(by_eigh(np.exp)(x)))(matrix)
        np.testing.assert_allclose(slope, alone, atol=1e-12)


# -- every way to ask for a derivative -----------------------------------------------------------


def test_every_transform():
    rebuilt = by_eigh(np.exp)
    w = REAL[:3, :3]
    expected = np.e * hermitian(w)
    _, change = tl.jvp(rebuilt, (EYE,), (w,))
    np.testing.assert_allclose(change, expected, atol=1e-14)
    np.testing.assert_allclose(tl.vjp(rebuilt, EYE)[1](w)[0], expected, atol=1e-14)
    every = tl.jacobian(rebuilt)(EYE)
    np.testing.assert_allclose(np.sum(every * w[..., None, None], (0, 1)), expected, atol=1e-14)
    inside = tl.grad(lambda x: np.sum(tl.checkpoint(rebuilt, x) * w))(EYE)
    np.testing.assert_allclose(inside, expected, atol=1e-14)


def test_backward_and_what_hangs_in_it():
    w = REAL[:3, :3]
    x = tl.tensor(EYE, requires_grad=True)
    values, vectors = linalg.eigh(x)
    doubled = vectors * 1.0
    doubled.register_hook(lambda g: g * 2)
    doubled.retain_grad()
    y = np.sum((doubled * values) @ vectors.T * w) / 3
    with tl.no_grad():
        y.backward(retain_graph=True)
    assert type(x.grad) is type(doubled.grad) is np.ndarray
    assert not np.all(np.isfinite(x.grad))  # half of it doubled: no function of the matrix
    z = np.sum((vectors * values) @ vectors.T * w)
    x.grad = None
    z.backward()
    np.testing.assert_allclose(x.grad, hermitian(w), atol=1e-14)
    with pytest.raises(RuntimeError, match="freed"):
        z.backward()


def test_the_third_derivative_is_refused():
    def third(x: Any) -> Any:
        return np.sum(tl.hessian(number(by_eigh(FUNCTIONS["cube"][0]), EYE))(x))

    with pytest.raises(linalg.LinAlgError, match="the first two"):
        tl.grad(third)(EYE)


# -- no functions of the matrix ------------------------------------------------------------------


def separately(x: Any) -> Any:
    return (linalg.eigh(x)[1] * linalg.eigvalsh(x)) @ linalg.eigh(x)[1].T


def rayleigh(x: Any) -> Any:
    v = linalg.eigh(x)[1]
    return (v * np.diagonal(v.T @ x @ v)) @ v.T


NO_FUNCTIONS: dict[str, Any] = {
    "vectors": lambda x: linalg.eigh(x)[1],
    "one vector": lambda x: linalg.eigh(x)[1][:, :1],
    "one element": lambda x: linalg.eigh(x)[1][:1, :1],
    "squares": lambda x: linalg.eigh(x)[1][:, :2] ** 2,
    "half a subspace": lambda x: (lambda v: v @ v.T)(linalg.eigh(x)[1][:, :1]),
    "unequal parts": lambda x: (lambda w, v: (v * [1, 2, 3]) @ v.T)(*linalg.eigh(x)),
    "values by position": lambda x: (lambda w, v: (v * w * [1, 2, 3]) @ v.T)(*linalg.eigh(x)),
    "quotients": rayleigh,
    "left vectors": lambda x: linalg.svd(x)[0],
    "right vectors": lambda x: linalg.svd(x)[2],
    "one of the left": lambda x: linalg.svd(x)[0][:1, :1],
    "vectors of eig": lambda x: np.real(linalg.eig(x)[1]),
    "one element of eig": lambda x: np.real(linalg.eig(x)[1][:1, :1]),
}


@pytest.mark.parametrize(
    "x", [EYE, turned([2.0, 2, 2 + 3e-16], float), 1e-10 * EYE, 1e10 * EYE, 0 * EYE],
    ids=["unit", "turned", "small", "large", "zero"],
)  # fmt: skip
@pytest.mark.parametrize("name", NO_FUNCTIONS)
def test_what_depends_on_the_choice_of_vectors_is_not_finite(name: str, x: Any):
    def weighted(x: Any) -> Any:
        y = NO_FUNCTIONS[name](x)
        return np.sum(y * REAL[: y.shape[0], : y.shape[1]])

    assert not np.all(np.isfinite(tl.grad(weighted)(x)))


@pytest.mark.parametrize("x", [EYE, turned([2.0, 2, 5], float), 1e-10 * EYE, 0 * EYE])
def test_a_matrix_that_is_decomposed_twice_is_refused(x: Any):
    value = linalg.eigvalsh
    for d, f in (
        (tl.grad, lambda x: np.sum(separately(x) * REAL[: len(x), : len(x)])),
        (tl.hessian, lambda x: np.sum(value(x) * np.exp(value(x)))),
        (tl.hessian, lambda x: np.sum((value(x) ** 2 - 4 * value(x) + 3) ** 2)),
    ):
        with pytest.raises(linalg.LinAlgError, match="decompose once"):
            d(f)(x)


@pytest.mark.parametrize("rows", [3, 4])
def test_left_and_right_vectors_of_zeros_are_not_paired(rows: int):
    x = of_rank(rows, 3, 1, float)

    def paired(x: Any) -> Any:
        u, _, vh = linalg.svd(x, full_matrices=False)
        return u @ vh

    assert not np.all(np.isfinite(tl.grad(number(paired, x))(x)))


def test_the_phase_of_a_complex_vector_is_not_unique():
    x = turned([1.0, 2, 4], complex)
    slope = tl.grad(lambda x: np.sum(np.real(linalg.eigh(x)[1] * COMPLEX[:3, :3])))(x)
    assert not np.all(np.isfinite(slope))
    assert np.all(np.isfinite(tl.grad(lambda x: np.sum(np.abs(linalg.eigh(x)[1])))(x)))


def test_vectors_of_near_values_turn_fast():
    """One of two vectors is a function of the matrix as long as their values differ."""
    gap = 1e-5
    x = np.diag([1.0, 1 + gap, 3])
    slope = tl.grad(lambda x: linalg.eigh(x)[1][0, 1] * linalg.eigh(x)[1][1, 1])(x)
    np.testing.assert_allclose(slope[0, 1], 0.5 / gap, rtol=1e-9)


BLOCKS = [EYE + np.eye(3, k=1), np.eye(2, k=1), np.eye(2) + np.eye(2, k=1)]


@pytest.mark.parametrize("jordan", BLOCKS)
def test_a_matrix_without_a_basis_of_eigenvectors(jordan: Any):
    def squares(x: Any) -> Any:
        return np.sum(np.real(linalg.eigvals(x)) ** 2)

    assert not np.any(np.isfinite(tl.grad(squares)(jordan)))


# -- stated conventions --------------------------------------------------------------------------


def test_equal_values_share_as_equal_elements_do():
    for largest in (lambda x: linalg.eigvalsh(x)[-1], lambda x: linalg.norm(x, 2)):
        np.testing.assert_allclose(tl.grad(largest)(EYE), EYE / 3, atol=1e-15)
    np.testing.assert_allclose(tl.grad(linalg.cond)(EYE), 0, atol=1e-15)


def test_the_nuclear_norm_gives_nothing_to_singular_values_of_0():
    x = of_rank(4, 3, 1, float)
    u, _, vh = linalg.svd(x)
    slope = tl.grad(lambda x: linalg.norm(x, "nuc"))(x)
    np.testing.assert_allclose(slope, u[:, :1] @ vh[:1], atol=1e-14)
