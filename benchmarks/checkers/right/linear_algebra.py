"""Right functions of matrices: solving, factors, spectra that are nearly degenerate.

Symmetric matrices are made symmetric inside, so that every direction is a direction.

Not for: products alone (``reductions.py``, ``layers.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.checkers.right.points import Draw, Where, beside, reals
from benchmarks.checkers.right.right import Array, Right, of_one_number

N = 3


def symmetric(a: Array) -> Array:
    """The symmetric part."""
    return (a + a.T) / 2


def _rotation(rng: np.random.Generator) -> Array:
    return np.linalg.qr(rng.normal(size=(N, N)))[0]


def _spectrum(*values: float) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[Array]:
        q = _rotation(rng)
        return (symmetric((q * np.array(values)) @ q.T),)

    return draw


def _close(low: float, high: float) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[Array]:
        q = _rotation(rng)
        gap = 10 ** rng.uniform(low, high)
        return (symmetric((q * np.array([1.0, 1.0 + gap, 3.0])) @ q.T),)

    return draw


def _normal(scale: float, shift: float = 0.0, shape: tuple[int, ...] = (N, N)) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[Array]:
        a = scale * rng.normal(size=shape)
        return (a + scale * shift * np.eye(N) if shift else a,)

    return draw


GENERAL: Where = {
    "ordinary": _normal(1.0, 3.0), "huge": _normal(1e5, 3.0), "tiny": _normal(1e-5, 3.0),
    "domain end": lambda rng: ((lambda q: q * 10.0 ** np.array([0, -1, -rng.uniform(2, 6)]) @ q.T)(
        _rotation(rng)),),
}  # fmt: skip
DEFINITE: Where = {
    "ordinary": _spectrum(1.0, 2.0, 4.0), "huge": _spectrum(1e6, 2e6, 5e6),
    "tiny": _spectrum(1e-6, 2e-6, 5e-6),
    "domain end": lambda rng: _spectrum(10 ** rng.uniform(-8, -2), 1.0, 3.0)(rng),
}  # fmt: skip
SPECTRA: Where = {
    "ordinary": _spectrum(-1.0, 2.0, 4.0), "huge": _spectrum(1e5, 2e5, 5e5),
    "tiny": _spectrum(1e-5, 2e-5, -5e-5), "near ties": _close(-6, -2),
}  # fmt: skip


def _with_vector(where: Where) -> Where:
    return beside(where, {"ordinary": lambda rng: (rng.normal(size=N),)})


def _solve_vjp(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    by_b = np.linalg.solve(a.T, g)
    return -np.outer(by_b, np.linalg.solve(a, b)), by_b


def _cholesky_vjp(g: Array, a: Array) -> Array:
    low = np.linalg.cholesky(symmetric(a))
    p = np.tril(low.T @ g) * (1 - np.eye(N) / 2)
    inverse = np.linalg.inv(low)
    return symmetric(inverse.T @ p @ inverse)


def _eigenvalues_vjp(g: Array, a: Array) -> Array:
    _, v = np.linalg.eigh(symmetric(a))
    return symmetric((v * g) @ v.T)


def _squared_vectors(a: Array) -> Array:
    """The squares of the eigenvectors, which do not depend on their signs."""
    return np.linalg.eigh(symmetric(a))[1] ** 2


def _squared_vectors_vjp(g: Array, a: Array) -> Array:
    w, v = np.linalg.eigh(symmetric(a))
    gaps = w - w[:, None]
    f = (1 - np.eye(N)) / (gaps + np.eye(N))
    return symmetric(v @ (f * (v.T @ (g * 2 * v))) @ v.T)


def _through_spectrum(f: Any, slope: Any) -> tuple[Any, Any]:
    """A function of a symmetric matrix by its eigenvalues; its pullback by divided differences."""

    def value(a: Array) -> Array:
        w, v = np.linalg.eigh(symmetric(a))
        return (v * f(w)) @ v.T

    def vjp(g: Array, a: Array) -> Array:
        w, v = np.linalg.eigh(symmetric(a))
        gap = w[:, None] - w
        small = abs(gap) < 1e-6 * abs(w[:, None] + w)
        ratio = np.where(small, slope((w[:, None] + w) / 2),
                         (f(w)[:, None] - f(w)) / np.where(small, 1.0, gap))  # fmt: skip
        return symmetric(v @ (ratio * (v.T @ g @ v)) @ v.T)

    return value, vjp


def _expm(a: Array) -> Array:
    """By scaling, a series and squaring."""
    b = a / 64
    term = total = np.eye(N) + 0 * b
    for k in range(1, 24):
        term = term @ b / k
        total = total + term
    for _ in range(6):
        total = total @ total
    return total


def _expm_vjp(g: Array, a: Array) -> Array:
    """The upper right block of the exponential of [[A', G], [0, A']]."""
    big = np.concatenate([np.concatenate([a.T, g], 1), np.concatenate([0 * a, a.T], 1)], 0) / 64
    term = total = np.eye(2 * N) + 0 * big
    for k in range(1, 24):
        term = term @ big / k
        total = total + term
    for _ in range(6):
        total = total @ total
    return total[:N, N:]


def _singular_vjp(g: Array, a: Array) -> Array:
    u, _, v = np.linalg.svd(a, full_matrices=False)
    return (u * g) @ v


def _lstsq(a: Array, b: Array) -> Array:
    return np.linalg.solve(a.T @ a, a.T @ b)


def _lstsq_vjp(g: Array, a: Array, b: Array) -> tuple[Array, Array]:
    x = _lstsq(a, b)
    h = np.linalg.solve(a.T @ a, g)
    return np.outer(b - a @ x, h) - np.outer(a @ h, x), a @ h


def _mahalanobis(a: Array, x: Array) -> Array:
    return x @ np.linalg.solve(symmetric(a), x)


def _mahalanobis_gradient(a: Array, x: Array) -> tuple[Array, Array]:
    y = np.linalg.solve(symmetric(a), x)
    return -np.outer(y, y), 2 * y


def _gaussian_process(a: Array, y: Array) -> Array:
    """Minus the log marginal likelihood, by Cholesky."""
    low = np.linalg.cholesky(symmetric(a))
    z = np.linalg.solve(low, y)
    return 0.5 * np.sum(z * z) + np.sum(np.log(np.diagonal(low)))


def _gaussian_process_gradient(a: Array, y: Array) -> tuple[Array, Array]:
    z = np.linalg.solve(symmetric(a), y)
    return symmetric(np.linalg.inv(symmetric(a)) - np.outer(z, z)) / 2, z


def _kernel(x: Array, y: Array) -> Array:
    """A Gaussian process on points that may come close to each other."""
    k = np.exp(-0.5 * (x[:, None] - x) ** 2) + 1e-3 * np.eye(x.size)
    return 0.5 * y @ np.linalg.solve(k, y)


def _kernel_gradient(x: Array, y: Array) -> tuple[Array, Array]:
    e = np.exp(-0.5 * (x[:, None] - x) ** 2)
    z = np.linalg.solve(e + 1e-3 * np.eye(x.size), y)
    by_k = -0.5 * np.outer(z, z)
    return 2 * np.sum(by_k * e * (x - x[:, None]), 1), z


def _nearby(rng: np.random.Generator, gap: float) -> tuple[Array, Array]:
    x = rng.normal(size=4)
    x[1] = x[0] + gap
    return x, rng.normal(size=4)


def _dominant(a: Array) -> Array:
    return np.linalg.eigh(symmetric(a))[0][-1]


def _nuclear_gradient(a: Array) -> Array:
    u, _, v = np.linalg.svd(a, full_matrices=False)
    return u @ v


def _spectral_gradient(a: Array) -> Array:
    u, _, v = np.linalg.svd(a, full_matrices=False)
    return np.outer(u[:, 0], v[0])


def _log_condition(a: Array) -> Array:
    s = np.linalg.svd(a, full_matrices=False)[1]
    return np.log(s[0] / s[-1])


def _log_condition_gradient(a: Array) -> Array:
    u, s, v = np.linalg.svd(a, full_matrices=False)
    return np.outer(u[:, 0], v[0]) / s[0] - np.outer(u[:, -1], v[-1]) / s[-1]


def _skew(w: Array) -> Array:
    z = 0 * w[0]
    return np.stack([
        np.stack([z, -w[2], w[1]]), np.stack([w[2], z, -w[0]]), np.stack([-w[1], w[0], z]),
    ])  # fmt: skip


def _unskew(g: Array) -> Array:
    return np.stack([g[2, 1] - g[1, 2], g[0, 2] - g[2, 0], g[1, 0] - g[0, 1]])


_ROOT = _through_spectrum(lambda w: np.sqrt(w), lambda w: 0.5 / np.sqrt(w))
_LOG = _through_spectrum(lambda w: np.log(w), lambda w: 1 / w)
_TANH = _through_spectrum(lambda w: np.tanh(w), lambda w: 1 - np.tanh(w) ** 2)
INVERSE_VJP = lambda g, a: -np.linalg.inv(a).T @ g @ np.linalg.inv(a).T

FUNCTIONS: list[Right] = [
    Right("inverse", lambda a: np.linalg.inv(a), INVERSE_VJP, GENERAL),
    Right("solve", lambda a, b: np.linalg.solve(a, b), _solve_vjp, _with_vector(GENERAL)),
    of_one_number("determinant", lambda a: np.linalg.det(a),
                  lambda a: np.linalg.det(a) * np.linalg.inv(a).T, GENERAL),
    of_one_number("log-determinant", lambda a: np.linalg.slogdet(a)[1],
                  lambda a: np.linalg.inv(a).T, GENERAL),
    of_one_number("log of the determinant", lambda a: np.log(np.linalg.det(symmetric(a))),
                  lambda a: symmetric(np.linalg.inv(symmetric(a))), DEFINITE),
    of_one_number("log-determinant by Cholesky",
                  lambda a: 2 * np.sum(np.log(np.diagonal(np.linalg.cholesky(symmetric(a))))),
                  lambda a: symmetric(np.linalg.inv(symmetric(a))), DEFINITE),
    Right("Cholesky factor", lambda a: np.linalg.cholesky(symmetric(a)), _cholesky_vjp, DEFINITE),
    Right("eigenvalues", lambda a: np.linalg.eigh(symmetric(a))[0], _eigenvalues_vjp, SPECTRA),
    of_one_number("largest eigenvalue", _dominant,
                  lambda a: (lambda v: np.outer(v, v))(np.linalg.eigh(symmetric(a))[1][:, -1]),
                  {**SPECTRA, "near ties": lambda rng: (-_close(-6, -2)(rng)[0],)}),
    Right("squared eigenvectors", _squared_vectors, _squared_vectors_vjp, SPECTRA),
    Right("singular values", lambda a: np.linalg.svd(a, full_matrices=False)[1], _singular_vjp,
          {**GENERAL, "near ties": _close(-6, -2)}),
    of_one_number("nuclear norm", lambda a: np.sum(np.linalg.svd(a, full_matrices=False)[1]),
                  _nuclear_gradient, GENERAL),
    of_one_number("spectral norm", lambda a: np.linalg.svd(a, full_matrices=False)[1][0],
                  _spectral_gradient, GENERAL),
    of_one_number("log of the condition", _log_condition, _log_condition_gradient, GENERAL),
    of_one_number("Frobenius norm", lambda a: np.sqrt(np.sum(a * a)),
                  lambda a: a / np.sqrt(np.sum(a * a)), GENERAL),
    Right("matrix square root", *_ROOT, DEFINITE),
    Right("matrix logarithm", *_LOG, DEFINITE),
    Right("tanh of a matrix", *_TANH,
          {"ordinary": _spectrum(-1.0, 0.5, 2.0), "near ties": _close(-5, -2),
           "saturated": _spectrum(4.0, 7.0, 9.0)}),
    Right("matrix exponential", _expm, _expm_vjp,
          {"ordinary": _normal(1.0), "tiny": _normal(1e-6), "huge": _normal(5.0),
           "near ties": _close(-9, -3)}),
    Right("least squares", _lstsq, _lstsq_vjp,
          {"ordinary": lambda rng: (rng.normal(size=(5, 3)), rng.normal(size=5)),
           "huge": lambda rng: (1e4 * rng.normal(size=(5, 3)), rng.normal(size=5)),
           "domain end": lambda rng: (
               rng.normal(size=(5, 3)) @ np.diag([1, 1, 10 ** -rng.uniform(1, 3)]),
               rng.normal(size=5))}),
    of_one_number("Mahalanobis distance", _mahalanobis, _mahalanobis_gradient,
                  _with_vector(DEFINITE)),
    of_one_number("gaussian process", _gaussian_process, _gaussian_process_gradient,
                  _with_vector(DEFINITE)),
    of_one_number("gaussian process on points", _kernel, _kernel_gradient,
                  {"ordinary": lambda rng: _nearby(rng, 0.5), "near ties": lambda rng: _nearby(
                      rng, 10 ** rng.uniform(-9, -2)),
                   "huge": lambda rng: (1e3 * rng.normal(size=4), rng.normal(size=4))}),
    Right("matrix power", lambda a: a @ a @ a,
          lambda g, a: g @ (a @ a).T + a.T @ g @ a.T + (a @ a).T @ g, GENERAL),
    of_one_number("trace of an inverse", lambda a: np.trace(np.linalg.inv(a)),
                  lambda a: -(np.linalg.inv(a) @ np.linalg.inv(a)).T, GENERAL),
    Right("bilinear form", lambda x, a, y: x @ a @ y,
          lambda g, x, a, y: (g * (a @ y), g * np.outer(x, y), g * (x @ a)),
          reals((3,), (3, 3), (3,), saturated=None, huge=(1e2, 1e5))),
    Right("stacked solve", lambda a, b: np.linalg.solve(a, b[..., None])[..., 0],
          lambda g, a, b: (lambda h: (-h[..., None] * np.linalg.solve(a, b[..., None])[..., 0][:,
              None], h))(
              np.linalg.solve(np.swapaxes(a, -1, -2), g[..., None])[..., 0]),
          {"ordinary": lambda rng: (rng.normal(size=(2, 3, 3)) + 3 * np.eye(3),
              rng.normal(size=(2, 3))),
           "huge": lambda rng: (1e4 * (rng.normal(size=(2, 3, 3)) + 3 * np.eye(3)),
                                rng.normal(size=(2, 3)))}),
    Right("skew exponential: a rotation", lambda w: _expm(_skew(w)),
          lambda g, w: _unskew(_expm_vjp(g, _skew(w))),
          reals((3,), ordinary=1.0, saturated=(2.0, 4.0), huge=None, tiny=(1e-9, 1e-2))),
]  # fmt: skip
