"""Right functions of signals: Fourier transforms, convolutions, interpolation.

Not for: pooling (``orders.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmarks.checkers.right.points import Draw, Where, beside, between, reals
from benchmarks.checkers.right.right import Array, Right, of_one_number

N = 8
SIGNAL = reals((N,), saturated=None, huge=(1e2, 1e6), tiny=(1e-6, 1e-2))
GRID = np.arange(6.0)
TABLE = np.array([0.0, 1.0, 0.5, -1.0, 2.0, 1.5])
WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(4) / 4) + 0.1


def _fft_vjp(g: Array) -> Array:
    """The transpose of ``fft``, which is its own."""
    return np.fft.fft(g)


def _power(x: Array) -> Array:
    f = np.fft.fft(x)
    return np.real(f * np.conj(f))


def _power_vjp(g: Array, x: Array) -> Array:
    return 2 * np.real(_fft_vjp(g * np.conj(np.fft.fft(x))))


def _log_power(x: Array) -> Array:
    return np.log(_power(x) + 1e-8)


def _magnitude_vjp(g: Array, x: Array) -> Array:
    return _power_vjp(g / (2 * np.sqrt(_power(x) + 1e-12)), x)


def _frames(x: Array) -> Array:
    return np.stack([x[i : i + 4] * WINDOW for i in range(0, N - 3, 2)])


def _spectrogram(x: Array) -> Array:
    return np.stack([_power(frame) for frame in _frames(x)])


def _spectrogram_vjp(g: Array, x: Array) -> Array:
    dx = np.zeros(N)
    for k, frame in enumerate(_frames(x)):
        dx[2 * k : 2 * k + 4] += _power_vjp(g[k], frame) * WINDOW
    return dx


def _low_pass(x: Array) -> Array:
    keep = np.array([1, 1, 0, 0, 0, 0, 0, 1.0])
    return np.real(np.fft.ifft(keep * np.fft.fft(x)))


def _circular(x: Array, y: Array) -> Array:
    return np.real(np.fft.ifft(np.fft.fft(x) * np.fft.fft(y)))


def _circular_vjp(g: Array, x: Array, y: Array) -> tuple[Array, Array]:
    back: Any = lambda z: np.real(np.fft.ifft(np.fft.fft(g) * np.conj(np.fft.fft(z))))
    return back(y), back(x)


def _convolved(x: Array, w: Array) -> Array:
    return np.stack([np.sum(x[i : i + w.size] * w) for i in range(x.size - w.size + 1)])


def _convolved_vjp(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    dx = np.zeros(x.shape)
    for i in range(g.size):
        dx[i : i + w.size] += g[i] * w
    return dx, _convolved(x, g)


def _conv2d(x: Array, w: Array) -> Array:
    a, b = x.shape[0] - 1, x.shape[1] - 1
    return sum(w[i, j] * x[i : i + a, j : j + b] for i in range(2) for j in range(2))


def _conv2d_vjp(g: Array, x: Array, w: Array) -> tuple[Array, Array]:
    dx, a, b = np.zeros(x.shape), x.shape[0] - 1, x.shape[1] - 1
    for i in range(2):
        for j in range(2):
            dx[i : i + a, j : j + b] += g * w[i, j]
    dw = [[np.sum(g * x[i : i + a, j : j + b]) for j in range(2)] for i in range(2)]
    return dx, np.stack([np.stack(row) for row in dw])


def _interpolated(x: Array, values: Array) -> Array:
    """Linear between a table's values; constant beyond."""
    i = np.clip(np.floor(x), 0, 4).astype(int)
    t = np.clip(x - i, 0, 1)
    return values[i] * (1 - t) + values[i + 1] * t


def _interpolated_vjp(g: Array, x: Array, values: Array) -> tuple[Array, Array]:
    i = np.clip(np.floor(x), 0, 4).astype(int)
    t = np.clip(x - i, 0, 1)
    dv = np.zeros(values.shape)
    np.add.at(dv, i, g * (1 - t))
    np.add.at(dv, i + 1, g * t)
    return g * (values[i + 1] - values[i]) * ((x > 0) & (x < 5)), dv


def _hermite(x: Array) -> Array:
    """A cubic between table values, smooth to first order."""
    i = np.clip(np.floor(x), 1, 3).astype(int)
    t = x - i
    p, q = TABLE[i], TABLE[i + 1]
    m, n = (q - TABLE[i - 1]) / 2, (TABLE[i + 2] - p) / 2
    return p + m * t + (3 * (q - p) - 2 * m - n) * t**2 + (2 * (p - q) + m + n) * t**3


def _hermite_slope(x: Array) -> Array:
    i = np.clip(np.floor(x), 1, 3).astype(int)
    t = x - i
    p, q = TABLE[i], TABLE[i + 1]
    m, n = (q - TABLE[i - 1]) / 2, (TABLE[i + 2] - p) / 2
    return m + 2 * (3 * (q - p) - 2 * m - n) * t + 3 * (2 * (p - q) + m + n) * t**2


def _knots(gap: float | None) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[Array]:
        if gap is None:
            return (rng.uniform(1.1, 3.9, 3),)
        return (rng.choice([2.0, 3.0], 3) + 10 ** rng.uniform(-13, np.log10(gap), 3)
                * rng.choice([-1, 1], 3),)  # fmt: skip

    return draw


def _bilinear(x: Array, p: Array) -> Array:
    """An image's value at a place between its pixels."""
    i, j = int(np.floor(p[0])), int(np.floor(p[1]))
    a, b = p[0] - i, p[1] - j
    return ((1 - a) * (1 - b) * x[i, j] + a * (1 - b) * x[i + 1, j]
            + (1 - a) * b * x[i, j + 1] + a * b * x[i + 1, j + 1])  # fmt: skip


def _bilinear_gradient(x: Array, p: Array) -> tuple[Array, Array]:
    i, j = int(np.floor(p[0])), int(np.floor(p[1]))
    a, b = p[0] - i, p[1] - j
    dx = np.zeros(x.shape)
    dx[i, j], dx[i + 1, j] = (1 - a) * (1 - b), a * (1 - b)
    dx[i, j + 1], dx[i + 1, j + 1] = (1 - a) * b, a * b
    by_a = (1 - b) * (x[i + 1, j] - x[i, j]) + b * (x[i + 1, j + 1] - x[i, j + 1])
    by_b = (1 - a) * (x[i, j + 1] - x[i, j]) + a * (x[i + 1, j + 1] - x[i + 1, j])
    return dx, np.stack([by_a, by_b])


def _place(gap: float | None) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[Array, Array]:
        p = rng.uniform(0.1, 0.9, 2) + rng.integers(0, 2, 2)
        if gap is not None:
            p[0] = 1.0 + 10 ** rng.uniform(-13, np.log10(gap)) * rng.choice([-1, 1])
        return rng.normal(size=(3, 3)), p

    return draw


def _total_variation(x: Array) -> Array:
    return np.sum(abs(x[1:] - x[:-1]))


def _steps(gap: float | None) -> Draw:
    def draw(rng: np.random.Generator) -> tuple[Array]:
        x = rng.normal(size=N)
        if gap is not None:
            x[3] = x[4] + 10 ** rng.uniform(-13, np.log10(gap))
        return (x,)

    return draw


def _srgb(x: Array) -> Array:
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * abs(x) ** (1 / 2.4) - 0.055)


def _srgb_slope(x: Array) -> Array:
    return np.where(x <= 0.0031308, 12.92, 1.055 / 2.4 * abs(x) ** (1 / 2.4 - 1))


KNOTS: Where = {"ordinary": _knots(None), "near ties": _knots(1e-3)}

FUNCTIONS: list[Right] = [
    Right("real part of a spectrum", lambda x: np.real(np.fft.fft(x)),
          lambda g, x: np.real(_fft_vjp(g)), SIGNAL),
    Right("power spectrum", _power, _power_vjp, SIGNAL),
    Right("log power spectrum", _log_power, lambda g, x: _power_vjp(g / (_power(x) + 1e-8), x),
          reals((N,), saturated=None, huge=(1e2, 1e5), tiny=(1e-5, 1e-2))),
    Right("magnitude of a spectrum", lambda x: np.sqrt(_power(x) + 1e-12), _magnitude_vjp, SIGNAL),
    Right("spectrogram", _spectrogram, _spectrogram_vjp, SIGNAL),
    Right("low pass", _low_pass, lambda g, x: _low_pass(g), SIGNAL),
    Right("circular convolution", _circular, _circular_vjp,
          reals((N,), (N,), saturated=None, huge=(1e2, 1e5), tiny=(1e-6, 1e-2))),
    Right("convolution", _convolved, _convolved_vjp,
          reals((7,), (3,), saturated=None, huge=(1e2, 1e6))),
    Right("convolution in two dimensions", _conv2d, _conv2d_vjp,
          reals((4, 4), (2, 2), saturated=None, huge=(1e2, 1e6))),
    Right("convolution, then relu", lambda x, w: np.maximum(_convolved(x, w), 0.0),
          lambda g, x, w: _convolved_vjp(g * (_convolved(x, w) > 0), x, w),
          reals((7,), (3,), huge=(1e2, 1e6))),
    Right("autocorrelation", lambda x: np.stack([np.sum(x * np.roll(x, k)) for k in range(3)]),
          lambda g, x: sum(g[k] * (np.roll(x, k) + np.roll(x, -k)) for k in range(3)), SIGNAL),
    Right("interpolation in a table", _interpolated, _interpolated_vjp,
          beside({**KNOTS, "domain end": lambda rng: (5 * rng.integers(0, 2, 3) + 10 ** rng.uniform(
              -12, -3, 3) * rng.choice([-1, 1], 3),),
                  "huge": lambda rng: (1e5 * rng.normal(size=3),)},
                 {"ordinary": lambda rng: (rng.normal(size=6),)})),
    Right("cubic interpolation", _hermite, lambda g, x: g * _hermite_slope(x), KNOTS),
    of_one_number("a place between pixels", _bilinear, _bilinear_gradient,
                  {"ordinary": _place(None), "near ties": _place(1e-3)}),
    of_one_number("total variation", _total_variation,
                  lambda x: (lambda s: np.concatenate([np.zeros(1), s])
                             - np.concatenate([s, np.zeros(1)]))(np.sign(x[1:] - x[:-1])),
                  {"ordinary": _steps(None), "near ties": _steps(1e-3),
                   "huge": lambda rng: (1e6 * rng.normal(size=N),),
                   "tiny": lambda rng: (1e-8 * rng.normal(size=N),)}),
    Right("phase, as its cosine", lambda x: np.real(np.fft.fft(x)) / np.sqrt(_power(x)),
          lambda g, x: (lambda f, p: np.real(_fft_vjp(g / np.sqrt(p)))
                        + _power_vjp(-0.5 * g * np.real(f) / p**1.5, x))(np.fft.fft(x), _power(x)),
          SIGNAL),
    Right("gamma curve of sRGB, which all but jumps", _srgb, lambda g, x: g * _srgb_slope(x),
          {**between(0.0, 1.0), "near ties": lambda rng: (
              0.0031308 + 10 ** rng.uniform(-13, -4, 3) * rng.choice([-1, 1], 3),)}),
]  # fmt: skip
