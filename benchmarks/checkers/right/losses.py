"""Right losses: softmax and what is made of it, divergences, mixtures.

Not for: losses with kinks (``kinks.py``), or densities and their supports (``densities.py``).
"""

from __future__ import annotations

import numpy as np

from benchmarks.checkers.right.points import Where, above, beside, between, reals
from benchmarks.checkers.right.right import Array, Right, elementwise, of_one_number

LOGITS = reals((5,), saturated=(8.0, 30.0), huge=(50.0, 600.0), tiny=(1e-9, 1e-2))
BATCH = reals((3, 4), saturated=(8.0, 30.0), huge=(50.0, 600.0), tiny=(1e-9, 1e-2))
CLASSES = np.array([0, 2, 1])
ONE_HOT = np.eye(4)[CLASSES]
UNIT = between(0.0, 1.0, (4,), middle=False)


def log_sum_exp(x: Array) -> Array:
    """Along the last axis, without overflow."""
    m = np.max(x, axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(x - m), axis=-1, keepdims=True)) + m


def softmax(x: Array) -> Array:
    """Along the last axis, without overflow."""
    e = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return e / np.sum(e, axis=-1, keepdims=True)


def softmax_vjp(g: Array, x: Array) -> Array:
    """The pullback of ``softmax``."""
    p = softmax(x)
    return p * (g - np.sum(g * p, axis=-1, keepdims=True))


def _naive_softmax(x: Array) -> Array:
    e = np.exp(x)
    return e / np.sum(e)


def _log_softmax_vjp(g: Array, x: Array) -> Array:
    return g - softmax(x) * np.sum(g, axis=-1, keepdims=True)


def _cross_entropy(x: Array) -> Array:
    return np.mean(-np.sum(ONE_HOT * (x - log_sum_exp(x)), -1))


def _cross_entropy_of_probabilities(x: Array) -> Array:
    return -np.log(softmax(x)[0])


def _mixture(x: Array, m: Array, a: Array) -> Array:
    """Minus the log-likelihood of numbers under a mixture of unit normals, with logits ``a``."""
    z = (a - log_sum_exp(a)) - 0.5 * (x[:, None] - m) ** 2
    return -np.sum(log_sum_exp(z))


def _mixture_gradient(x: Array, m: Array, a: Array) -> tuple[Array, Array, Array]:
    z = (a - log_sum_exp(a)) - 0.5 * (x[:, None] - m) ** 2
    r = softmax(z)
    d = r * (x[:, None] - m)
    return np.sum(d, 1), -np.sum(d, 0), -np.sum(r - softmax(a), 0)


def _attention(q: Array, k: Array, v: Array) -> Array:
    return softmax(q @ k.T) @ v


def _attention_vjp(g: Array, q: Array, k: Array, v: Array) -> tuple[Array, Array, Array]:
    ds = softmax_vjp(g @ v.T, q @ k.T)
    return ds @ k, ds.T @ q, softmax(q @ k.T).T @ g


def _focal(x: Array) -> Array:
    p = softmax(x)[1]
    return -((1 - p) ** 2) * np.log(p)


def _focal_gradient(x: Array) -> Array:
    p = softmax(x)
    q = p[1]
    by_q = 2 * (1 - q) * np.log(q) - (1 - q) ** 2 / q
    return by_q * q * ((np.arange(x.size) == 1) - p)


def _contrastive(x: Array, y: Array) -> Array:
    s = x @ y.T * 5
    return -np.mean(np.sum(np.eye(3) * (s - log_sum_exp(s)), -1))


def _contrastive_gradient(x: Array, y: Array) -> tuple[Array, Array]:
    d = (softmax(x @ y.T * 5) - np.eye(3)) / 3 * 5
    return d @ y, d.T @ x


def _bce(x: Array, t: Array) -> Array:
    return np.mean(np.maximum(x, 0) - x * t + np.log1p(np.exp(-abs(x))))


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


MASK = np.where(np.tri(3) > 0, 0.0, -1e9)
TARGETS = np.array([0.0, 1.0, 1.0, 0.25])
MIXTURE: Where = {
    "ordinary": lambda rng: (rng.normal(size=4), rng.normal(size=3), rng.normal(size=3)),
    "saturated": lambda rng: (np.r_[10 + rng.normal(size=2), -10 + rng.normal(size=2)],
                              np.array([10.0, 0.0, -10.0]), rng.normal(size=3)),
    "huge": lambda rng: (100 * rng.normal(size=4), 100 * rng.normal(size=3), rng.normal(size=3)),
    "near ties": lambda rng: (rng.normal(size=4), 1 + 1e-9 * rng.normal(size=3), np.zeros(3)),
}  # fmt: skip

FUNCTIONS: list[Right] = [
    Right("softmax", softmax, softmax_vjp, LOGITS),
    Right("softmax, naive", _naive_softmax, softmax_vjp,
          reals((5,), saturated=(8.0, 30.0), huge=(50.0, 300.0))),
    Right("softmax of rows", softmax, softmax_vjp, BATCH),
    Right("softmax by its jacobian", softmax,
          lambda g, x: (np.diagflat(softmax(x)) - np.outer(softmax(x), softmax(x))) @ g, LOGITS),
    Right("log-softmax", lambda x: x - log_sum_exp(x), _log_softmax_vjp, BATCH),
    Right("log of softmax", lambda x: np.log(softmax(x)), _log_softmax_vjp,
          reals((5,), saturated=(8.0, 30.0), huge=None)),
    Right("log-sum-exp", lambda x: log_sum_exp(x)[..., 0],
          lambda g, x: g[..., None] * softmax(x), BATCH),
    Right("cold softmax", lambda x: softmax(x / 0.02), lambda g, x: softmax_vjp(g, x / 0.02) / 0.02,
          reals((4,), ordinary=0.2, saturated=(0.5, 2.0), huge=(3.0, 9.0))),
    of_one_number("cross-entropy", _cross_entropy, lambda x: (softmax(x) - ONE_HOT) / 3, BATCH),
    of_one_number("cross-entropy of probabilities", _cross_entropy_of_probabilities,
                  lambda x: softmax(x) - (np.arange(x.size) == 0),
                  reals((4,), saturated=(8.0, 30.0), huge=None)),
    of_one_number("smoothed cross-entropy",
                  lambda x: -np.sum((0.9 * np.eye(5)[1] + 0.02) * (x - log_sum_exp(x))),
                  lambda x: softmax(x) - (0.9 * np.eye(5)[1] + 0.02), LOGITS),
    of_one_number("binary cross-entropy of logits", lambda x: _bce(x, TARGETS),
                  lambda x: (_sigmoid(x) - TARGETS) / x.size,
                  reals((4,), saturated=(8.0, 36.0), huge=(50.0, 600.0), kinks=(0.0,))),
    of_one_number("binary cross-entropy", lambda p: -np.sum(TARGETS * np.log(p)
                                                           + (1 - TARGETS) * np.log(1 - p)),
                  lambda p: (p - TARGETS) / (p * (1 - p)), UNIT),
    of_one_number("focal loss", _focal, _focal_gradient,
                  reals((4,), saturated=(4.0, 20.0), huge=None)),
    of_one_number("entropy of softmax", lambda x: -np.sum(softmax(x) * (x - log_sum_exp(x))),
                  lambda x: -softmax(x) * ((x - log_sum_exp(x))
                                           - np.sum(softmax(x) * (x - log_sum_exp(x)))), LOGITS),
    of_one_number("divergence of two softmaxes",
                  lambda x, y: np.sum(softmax(x) * ((x - log_sum_exp(x)) - (y - log_sum_exp(y)))),
                  lambda x, y: (softmax_vjp((x - log_sum_exp(x)) - (y - log_sum_exp(y)), x),
                                softmax(y) - softmax(x)),
                  reals((4,), (4,), saturated=(8.0, 30.0), huge=(50.0, 300.0))),
    of_one_number("negative log-likelihood of a mixture", _mixture, _mixture_gradient, MIXTURE),
    of_one_number("contrastive loss", _contrastive, _contrastive_gradient,
                  reals((3, 2), (3, 2), saturated=(2.0, 4.0), huge=(5.0, 10.0))),
    Right("attention", _attention, _attention_vjp,
          reals((3, 2), (4, 2), (4, 3), saturated=(2.0, 6.0), huge=(8.0, 30.0))),
    Right("attention with a mask", lambda q, k, v: softmax(q @ k.T + MASK) @ v,
          lambda g, q, k, v: (lambda ds: (ds @ k, ds.T @ q, softmax(q @ k.T + MASK).T @ g))(
              softmax_vjp(g @ v.T, q @ k.T + MASK)),
          reals((3, 2), (3, 2), (3, 2), saturated=(2.0, 6.0), huge=(8.0, 20.0))),
    of_one_number("mean squared error", lambda x, y: np.mean((x - y) ** 2),
                  lambda x, y: (2 * (x - y) / x.size, 2 * (y - x) / x.size),
                  reals((4,), (4,), huge=(1e2, 1e8))),
    of_one_number("Poisson loss of a log-rate", lambda x: np.sum(np.exp(x) - 3 * x),
                  lambda x: np.exp(x) - 3, reals((4,), saturated=(5, 30), huge=(50.0, 300.0))),
    of_one_number("gaussian loss with a log-variance",
                  lambda m, s: np.sum(0.5 * (m * m * np.exp(-s) + s)),
                  lambda m, s: (m * np.exp(-s), 0.5 - 0.5 * m * m * np.exp(-s)),
                  reals((3,), (3,), saturated=(4.0, 15.0), huge=(20.0, 60.0))),
    of_one_number("Kullback-Leibler of counts", lambda p, q: np.sum(p * np.log(p / q) - p + q),
                  lambda p, q: (np.log(p / q), 1 - p / q),
                  beside(above(0.0, (3,), end=(1e-9, 1e-3)), above(0.0, (3,), end=(1e-6, 1e-3)))),
    of_one_number("triplet loss, softened", lambda a, p, n: np.log1p(np.exp(np.sum((a - p) ** 2)
                                                                           - np.sum((a - n) ** 2))),
                  lambda a, p, n: tuple(
                      d / (1 + np.exp(np.sum((a - n) ** 2) - np.sum((a - p) ** 2)))
                      for d in (2 * (n - p), 2 * (p - a), 2 * (a - n))),
                  reals((3,), (3,), (3,), saturated=(2.0, 4.0), huge=(5.0, 9.0))),
    of_one_number("log of a sum of a few exponentials", lambda x: np.log(np.sum(np.exp(x))),
                  lambda x: np.exp(x) / np.sum(np.exp(x)),
                  reals((4,), saturated=(8, 30), huge=(50.0, 600.0))),
    elementwise("exp clipped at 700", lambda x: np.exp(np.minimum(x, 700.0)),
                lambda x: np.exp(np.minimum(x, 700.0)) * (x < 700),
                reals(saturated=(5, 30), huge=(50, 690), kinks=(0.0,))),
]  # fmt: skip
