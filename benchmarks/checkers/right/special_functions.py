"""Right functions of SciPy's special ones.

Not for: densities that use them (``densities.py``).
"""

from __future__ import annotations

import numpy as np
from scipy import special  # type: ignore[import-untyped, unused-ignore]

from benchmarks.checkers.right.points import above, beside, between, reals
from benchmarks.checkers.right.right import Array, Right, elementwise

TAIL = reals(saturated=(2.0, 5.5), huge=(6.0, 25.0))
WAVE = reals(saturated=(4.0, 30.0), huge=(50.0, 1e3))
POSITIVE = above(0.0, huge=(1e2, 1e6), end=(1e-6, 1e-3))
UNIT = between(0.0, 1.0, middle=False)


def _airy(x: Array) -> Array:
    return special.airy(x)[0]


def _normal(x: Array) -> Array:
    return np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)


FUNCTIONS: list[Right] = [
    elementwise("erf", lambda x: special.erf(x), lambda x: 2 / np.sqrt(np.pi) * np.exp(-x * x),
                TAIL),
    elementwise("erfc", lambda x: special.erfc(x), lambda x: -2 / np.sqrt(np.pi) * np.exp(-x * x),
                TAIL),
    elementwise("erfcx", lambda x: special.erfcx(x),
                lambda x: 2 * x * special.erfcx(x) - 2 / np.sqrt(np.pi),
                above(-2.0, huge=(10, 1e3), tiny=None, end=None)),
    elementwise("erfinv", lambda x: special.erfinv(x),
                lambda x: np.sqrt(np.pi) / 2 * np.exp(special.erfinv(x) ** 2), between(-1.0, 1.0)),
    elementwise("gelu, exact", lambda x: x * special.ndtr(x),
                lambda x: special.ndtr(x) + x * _normal(x), TAIL),
    elementwise("normal distribution", lambda x: special.ndtr(x), _normal, TAIL),
    elementwise("log of the normal distribution", lambda x: special.log_ndtr(x),
                lambda x: _normal(x) / special.ndtr(x),
                reals(saturated=(2, 5.5), huge=(6.0, 25.0))),
    elementwise("expit", lambda x: special.expit(x),
                lambda x: special.expit(x) * special.expit(-x),
                reals(saturated=(8, 30), huge=(50, 600))),
    elementwise("logit of SciPy's", lambda p: special.logit(p), lambda p: 1 / (p * (1 - p)), UNIT),
    elementwise("log-gamma", lambda x: special.gammaln(x), lambda x: special.digamma(x), POSITIVE),
    elementwise("gamma", lambda x: special.gamma(x),
                lambda x: special.gamma(x) * special.digamma(x),
                above(0.0, huge=(10, 100), end=(1e-6, 1e-3))),
    elementwise("gamma of negative numbers", lambda x: special.gamma(x),
                lambda x: special.gamma(x) * special.digamma(x),
                between(-2.0, -1.0, end=(1e-6, 1e-3))),
    elementwise("digamma", lambda x: special.digamma(x), lambda x: special.polygamma(1, x),
                POSITIVE),
    elementwise("Bessel J0", lambda x: special.j0(x), lambda x: -special.j1(x), WAVE),
    elementwise("Bessel J1", lambda x: special.j1(x), lambda x: special.j0(x) - special.j1(x) / x,
                reals(saturated=(4.0, 30.0), huge=(50.0, 1e3), tiny=(1e-5, 1e-2))),
    elementwise("Bessel J2.5", lambda x: special.jv(2.5, x),
                lambda x: (special.jv(1.5, x) - special.jv(3.5, x)) / 2,
                above(0.0, huge=(50.0, 1e3), end=(1e-4, 1e-2))),
    elementwise("Bessel I0", lambda x: special.i0(x), lambda x: special.i1(x),
                reals(huge=(50.0, 300.0))),
    elementwise("Bessel I0, scaled", lambda x: special.i0e(x),
                lambda x: special.i1e(x) - np.sign(x) * special.i0e(x),
                reals(huge=(50.0, 1e4), kinks=(0.0,))),
    elementwise("Bessel K1/4", lambda x: special.kv(0.25, x),
                lambda x: -(special.kv(0.75, x) + special.kv(1.25, x)) / 2,
                above(0.0, huge=(20.0, 500.0), end=(1e-6, 1e-3))),
    elementwise("Lambert W", lambda x: special.lambertw(x).real,
                lambda x: (lambda w: 1 / (np.exp(w) * (1 + w)))(special.lambertw(x).real),
                above(-np.exp(-1.0), huge=(1e2, 1e6), end=(1e-6, 1e-3))),
    elementwise("exponential integral E1", lambda x: special.exp1(x), lambda x: -np.exp(-x) / x,
                above(0.0, huge=(20.0, 500.0))),
    elementwise("Dawson's integral", lambda x: special.dawsn(x),
                lambda x: 1 - 2 * x * special.dawsn(x), reals(huge=(50, 1e3))),
    elementwise("Airy's function", _airy, lambda x: special.airy(x)[1],
                between(-8.0, 6.0, end=None)),
    elementwise("dilogarithm", lambda x: special.spence(1 - x), lambda x: -np.log(1 - x) / x,
                between(-3.0, 1.0, middle=False)),
    elementwise("elliptic K", lambda m: special.ellipk(m),
                lambda m: (special.ellipe(m) - (1 - m) * special.ellipk(m)) / (2 * m * (1 - m)),
                between(0.0, 1.0, end=(1e-5, 1e-2), middle=False)),
    elementwise("entropy of SciPy's", lambda p: special.entr(p), lambda p: -np.log(p) - 1,
                POSITIVE),
    Right("relative entropy", lambda x, y: special.rel_entr(x, y),
          lambda g, x, y: (g * (np.log(x / y) + 1), -g * x / y), beside(POSITIVE, POSITIVE)),
    Right("log-beta", lambda a, b: special.betaln(a, b),
          lambda g, a, b: (g * (special.digamma(a) - special.digamma(a + b)),
                           g * (special.digamma(b) - special.digamma(a + b))),
          beside(above(0.0, huge=(1e2, 1e4), end=(1e-6, 1e-3)),
                 above(0.0, huge=(1e2, 1e4), end=(1e-6, 1e-3)))),
    elementwise("lower incomplete gamma", lambda x: special.gammainc(2.5, x),
                lambda x: np.exp(1.5 * np.log(x) - x) / special.gamma(2.5),
                above(0.0, huge=(20.0, 100.0), end=(1e-6, 1e-3))),
    elementwise("incomplete beta", lambda x: special.betainc(2.0, 3.5, x),
                lambda x: x * (1 - x) ** 2.5 / special.beta(2.0, 3.5),
                between(0.0, 1.0, end=(1e-6, 1e-3), middle=False)),
]  # fmt: skip
