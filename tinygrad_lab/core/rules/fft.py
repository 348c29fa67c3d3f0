"""Fourier transforms.  A discrete Fourier matrix is symmetric, so it is its own transpose.

Inside the engine the conjugate of the gradient travels, so no rule here conjugates but the one
of ``irfft``, which is not holomorphic: it reads half a spectrum and supplies the other half.
"""

import numpy as np
from numpy.lib.array_utils import normalize_axis_tuple

from tinygrad_lab.core.arguments import beside
from tinygrad_lab.core.operations import composed, defvjp


def _resized(x, n, axis):
    """Crop ``x`` or pad it with zeros to length ``n`` along ``axis``."""
    axis %= x.ndim
    before = (slice(None),) * axis
    if n <= x.shape[axis]:
        return x[(*before, slice(0, n))]
    shape = (*x.shape[:axis], n - x.shape[axis], *x.shape[axis + 1 :])
    return np.concatenate([x, beside(np.zeros(shape, dtype=x.dtype), x)], axis=axis)


def _fft(g, y, x, n=None, axis=-1, norm=None, out=None):
    return _resized(np.fft.fft(g, axis=axis, norm=norm), x.shape[axis], axis)


def _ifft(g, y, x, n=None, axis=-1, norm=None, out=None):
    return _resized(np.fft.ifft(g, axis=axis, norm=norm), x.shape[axis], axis)


def _rfft(g, y, x, n=None, axis=-1, norm=None, out=None):
    n = x.shape[axis] if n is None else n
    return _resized(np.real(np.fft.fft(g, n=n, axis=axis, norm=norm)), x.shape[axis], axis)


def _irfft(g, y, x, n=None, axis=-1, norm=None, out=None):
    n = y.shape[axis]
    spectrum = np.conj(np.fft.rfft(g, axis=axis, norm=_swapped(norm)))
    # Every frequency but the first (and, for even n, the last) stands for its mirror image too.
    twice = np.full(n // 2 + 1, 2.0)
    twice[0] = 1.0
    if n % 2 == 0:
        twice[-1] = 1.0
    twice = twice.reshape((-1,) + (1,) * (x.ndim - 1 - axis % x.ndim))
    return _resized(spectrum * beside(twice, spectrum), x.shape[axis], axis)


def _swapped(norm):
    return {"forward": "backward", "ortho": "ortho"}.get(norm, "forward")


defvjp(np.fft.fft, _fft)
defvjp(np.fft.ifft, _ifft)
defvjp(np.fft.rfft, _rfft)
defvjp(np.fft.irfft, _irfft)


@composed(np.fft.hfft)
def hfft(a, n=None, axis=-1, norm=None, out=None):
    return np.fft.irfft(np.conj(a), n, axis, _swapped(norm))


@composed(np.fft.ihfft)
def ihfft(a, n=None, axis=-1, norm=None, out=None):
    return np.conj(np.fft.rfft(a, n, axis, _swapped(norm)))


# Several axes: one after the other


def _lengths_and_axes(a, s, axes):
    if axes is None:
        axes = tuple(range(a.ndim)) if s is None else tuple(range(a.ndim - len(s), a.ndim))
    s = [None] * len(axes) if s is None else list(s)
    if len(s) != len(axes):
        raise ValueError(f"s={s} and axes={axes} must have the same length")
    return [(a.shape[axis] if n == -1 else n, axis) for n, axis in zip(s, axes)]


def _define_over_axes(function, first, rest, default_axes, last_first):
    """Define an n-dimensional transform: ``first`` along the last axis, ``rest`` along the others.

    The complex transforms commute; a real one must make (or unmake) the half spectrum at its end.
    """

    @composed(function)
    def transform(a, s=None, axes=default_axes, norm=None, out=None):
        *others, (n, axis) = _lengths_and_axes(a, s, axes)
        if last_first:
            a = first(a, n, axis, norm)
        for m, other in reversed(others):
            a = rest(a, m, other, norm)
        return a if last_first else first(a, n, axis, norm)


for _axes, _suffix in ((None, "n"), ((-2, -1), "2")):
    _define_over_axes(getattr(np.fft, f"fft{_suffix}"), np.fft.fft, np.fft.fft, _axes, True)
    _define_over_axes(getattr(np.fft, f"ifft{_suffix}"), np.fft.ifft, np.fft.ifft, _axes, True)
    _define_over_axes(getattr(np.fft, f"rfft{_suffix}"), np.fft.rfft, np.fft.fft, _axes, True)
    _define_over_axes(getattr(np.fft, f"irfft{_suffix}"), np.fft.irfft, np.fft.ifft, _axes, False)


def _shifted(x, axes, direction):
    axes = normalize_axis_tuple(range(x.ndim) if axes is None else axes, x.ndim)
    return np.roll(x, tuple(direction * (x.shape[i] // 2) for i in axes), axes)


@composed(np.fft.fftshift)
def fftshift(x, axes=None):
    return _shifted(x, axes, 1)


@composed(np.fft.ifftshift)
def ifftshift(x, axes=None):
    return _shifted(x, axes, -1)
