"""Right log-densities and likelihoods, and the ends of their supports.

Not for: mixtures of them (``losses.py``).
"""

from __future__ import annotations

import numpy as np
from scipy import special  # type: ignore[import-untyped, unused-ignore]

from benchmarks.checkers.right.points import Draw, Where, above, beside, between, fixed, reals
from benchmarks.checkers.right.right import Array, Right, elementwise, of_one_number

POSITIVE = above(0.0, huge=(1e2, 1e5), end=(1e-9, 1e-3))
SCALE = above(0.0, (), huge=(1e2, 1e4), end=(1e-4, 1e-2))
UNIT = between(0.0, 1.0, middle=False)
PLACE = reals((), saturated=None, huge=None, tiny=None)


def _supported(x: Array, low: float, high: float) -> None:
    if np.any(x <= low) or np.any(x >= high):
        raise ValueError(f"outside of the support ({low}, {high})")


def _beta(x: Array) -> Array:
    _supported(x, 0, 1)
    return 1.5 * np.log(x) + 0.25 * np.log1p(-x)


def _gamma(x: Array, a: Array, b: Array) -> Array:
    _supported(x, 0, np.inf)
    return np.sum((a - 1) * np.log(x) - b * x + a * np.log(b) - special.gammaln(a))


def _gamma_gradient(x: Array, a: Array, b: Array) -> tuple[Array, Array, Array]:
    return ((a - 1) / x - b, np.sum(np.log(x)) + x.size * (np.log(b) - special.digamma(a)),
            x.size * a / b - np.sum(x))  # fmt: skip


def _uniform_sum(x: Array) -> Array:
    _supported(x, 0, 2)
    return np.where(x < 1, x, 2 - x)


def _pareto(x: Array) -> Array:
    _supported(x, 1, np.inf)
    return np.log(2.5) - 3.5 * np.log(x)


def _dirichlet(p: Array) -> Array:
    _supported(p, 0, 1)
    return np.sum(np.array([0.5, 2.0, 1.5]) * np.log(p))


def _simplex(gap: float | None) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[Array]:
        p = rng.dirichlet(np.full(3, 2.0))
        if gap is not None:
            p[0] = 10 ** rng.uniform(np.log10(gap), -3)
        return (p,)

    return draw


def _stick(v: Array) -> Array:
    """From fractions of what is left of a stick to its pieces."""
    rest = np.concatenate([np.ones(1), np.cumprod(1 - v)])
    return np.concatenate([v, np.ones(1)]) * rest


def _stick_vjp(g: Array, v: Array) -> Array:
    rest = np.concatenate([np.ones(1), np.cumprod(1 - v)])
    w = np.concatenate([v, np.ones(1)])
    out = []
    for i in range(v.size):
        later = np.sum((g * w * rest)[i + 1 :]) / (1 - v[i])
        out.append(g[i] * rest[i] - later)
    return np.stack(out)


def _truncated(x: Array, m: Array) -> Array:
    """A normal density cut off at 0."""
    _supported(x, 0, np.inf)
    return np.sum(-0.5 * (x - m) ** 2) - x.size * np.log(special.ndtr(m))


def _truncated_gradient(x: Array, m: Array) -> tuple[Array, Array]:
    hazard = np.exp(-0.5 * m * m) / np.sqrt(2 * np.pi) / special.ndtr(m)
    return m - x, np.sum(x - m) - x.size * hazard


def _censored(x: Array, s: Array) -> Array:
    return np.sum(np.log(special.ndtr((x - 1) / s)))


def _censored_gradient(x: Array, s: Array) -> tuple[Array, Array]:
    z = (x - 1) / s
    h = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) / special.ndtr(z)
    return h / s, -np.sum(h * z) / s


def _reparameterised(m: Array, s: Array) -> Array:
    """A sample with a fixed seed inside."""
    noise = np.random.default_rng(3).normal(size=4)
    return np.tanh(m + np.exp(s) * noise)


def _reparameterised_vjp(g: Array, m: Array, s: Array) -> tuple[Array, Array]:
    noise = np.random.default_rng(3).normal(size=4)
    d = g * (1 - np.tanh(m + np.exp(s) * noise) ** 2)
    return np.sum(d), np.sum(d * np.exp(s) * noise)


def _dropped(x: Array, seed: int) -> Array:
    return x**2 * (np.random.default_rng(seed).random(x.shape) < 0.7) / 0.7


def _student_gradient(x: Array, n: Array) -> tuple[Array, Array]:
    q = 1 + x * x / n
    by_n = (0.5 * special.digamma((n + 1) / 2) - 0.5 * special.digamma(n / 2) - 0.5 / n
            - 0.5 * np.log(q) + 0.5 * (n + 1) * x * x / (n * n * q))  # fmt: skip
    return -(n + 1) * x / (n * q), np.sum(by_n)


def _student(x: Array, n: Array) -> Array:
    return np.sum(special.gammaln((n + 1) / 2) - special.gammaln(n / 2) - 0.5 * np.log(n)
                  - 0.5 * (n + 1) * np.log(1 + x * x / n))  # fmt: skip


SIMPLEX: Where = {"ordinary": _simplex(None), "domain end": _simplex(1e-9)}

FUNCTIONS: list[Right] = [
    elementwise("log-density of the normal", lambda x: -0.5 * x * x - 0.5 * np.log(2 * np.pi),
                lambda x: -x, reals(huge=(1e2, 1e6))),
    elementwise("density of the normal", lambda x: np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi),
                lambda x: -x * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi),
                reals(saturated=(4.0, 9.0), huge=(10.0, 35.0))),
    of_one_number("normal log-likelihood", lambda x, m,
                  s: np.sum(-0.5 * ((x - m) / s) ** 2 - np.log(s)),
                  lambda x, m, s: (-(x - m) / s**2, np.sum(x - m) / s**2,
                                   np.sum((x - m) ** 2) / s**3 - x.size / s),
                  beside(reals((4,), huge=(1e2, 1e4), saturated=None), PLACE, SCALE)),
    elementwise("log-density of beta, checked", _beta, lambda x: 1.5 / x - 0.25 / (1 - x), UNIT),
    of_one_number("log-density of gamma, checked", _gamma, _gamma_gradient,
                  beside(POSITIVE, above(0.5, (), huge=None, end=None),
                         above(0.0, (), huge=None, end=(1e-4, 1e-2)))),
    elementwise("triangular density, checked", _uniform_sum, lambda x: np.where(x < 1, 1.0, -1.0),
                {**between(0.0, 2.0, end=(1e-12, 1e-4)),
                 "near ties": lambda rng: (1 + 10 ** rng.uniform(-13, -3, 3) * rng.choice([-1, 1],
                     3),)}),
    elementwise("log-density of Pareto, checked", _pareto, lambda x: -3.5 / x, above(1.0)),
    of_one_number("log-density of Dirichlet, checked", _dirichlet,
                  lambda p: np.array([0.5, 2.0, 1.5]) / p, SIMPLEX),
    Right("stick-breaking", _stick, _stick_vjp, UNIT),
    elementwise("log-density of Laplace", lambda x: -abs(x) / 2 - np.log(4.0),
                lambda x: -np.sign(x) / 2, reals(kinks=(0.0,))),
    elementwise("log-density of Cauchy", lambda x: -np.log(np.pi * (1 + x * x)),
                lambda x: -2 * x / (1 + x * x), reals(tiny=(1e-3, 1e-1))),
    of_one_number("log-density of Student", _student, _student_gradient,
                  beside(reals((3,), huge=(1e2, 1e5), saturated=None, tiny=(1e-3, 1e-1)),
                         above(1.0, (), huge=(50.0, 500.0), tiny=None, end=None))),
    elementwise("log-density of Gumbel", lambda x: -x - np.exp(-x), lambda x: np.exp(-x) - 1,
                reals(saturated=(4, 30), huge=(50.0, 300.0))),
    elementwise("log-density of the logistic", lambda x: -x - 2 * np.log1p(np.exp(-x)),
                lambda x: -1 + 2 / (1 + np.exp(x)), reals(huge=(50.0, 600.0))),
    elementwise("log-density of the log-normal", lambda x: -np.log(x) - 0.5 * np.log(x) ** 2,
                lambda x: -(1 + np.log(x)) / x, above(0.0)),
    elementwise("log-density of Weibull", lambda x: 0.5 * np.log(x) - x**1.5,
                lambda x: 0.5 / x - 1.5 * np.sqrt(x), above(0.0)),
    of_one_number("cut-off normal, checked", _truncated, _truncated_gradient,
                  beside(above(0.0, (3,), huge=(10, 100), end=(1e-9, 1e-3)),
                         reals((), saturated=(3.0, 6.0), huge=None))),
    of_one_number("censored normal", _censored, _censored_gradient,
                  beside(reals((3,), saturated=(3.0, 6.0), huge=(10.0, 20.0)),
                         above(0.5, (), huge=None, end=None))),
    Right("a sample with its seed inside", _reparameterised, _reparameterised_vjp,
          reals((), (), saturated=(1.0, 2.0), huge=None)),
    Right("dropout with its seed given", _dropped,
          lambda g, x, seed: g * 2 * x * (np.random.default_rng(seed).random(x.shape) < 0.7) / 0.7,
          beside(reals((6,), huge=(1e2, 1e5)), fixed(7))),
    elementwise("von Mises, scaled", lambda x: np.exp(20 * (np.cos(x) - 1)),
                lambda x: -20 * np.sin(x) * np.exp(20 * (np.cos(x) - 1)),
                reals(saturated=(2.0, 4.0), huge=(50.0, 500.0), tiny=(1e-6, 1e-2))),
    Right("log-survival of the exponential", lambda x, r: np.log(1 - np.exp(-r * x)),
          lambda g, x, r: (g * r / np.expm1(r * x), np.sum(g * x / np.expm1(r * x))),
          beside(above(0.0, huge=(1e1, 1e2), end=(1e-6, 1e-3)),
              above(0.5, (), huge=None, end=None))),
    of_one_number("Poisson log-likelihood of counts",
                  lambda r: np.sum(np.array([0.0, 3.0, 11.0]) * np.log(r) - r),
                  lambda r: np.array([0.0, 3.0, 11.0]) / r - 1, above(0.0)),
    of_one_number("binomial log-likelihood of logits",
                  lambda x: np.sum(3 * x - 10 * np.log1p(np.exp(x))),
                  lambda x: 3 - 10 / (1 + np.exp(-x)), reals(huge=(50.0, 600.0))),
]  # fmt: skip
