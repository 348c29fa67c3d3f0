"""The catalogue of Fourier transforms: real and imaginary parts in and out."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.testing.inputs.catalogue.families import Family, Options, each, table, variants

NORMS = (None, "ortho", "forward")
LENGTHS = [(None, -1), (3, 0), (6, -1), (7, 1), (2, -1)]
ONE = [{"n": n, "axis": axis, "norm": norm} for n, axis in LENGTHS for norm in NORMS]
TWO = each(axes=[(0, 1), (-1, 0), (1, 2)], norm=NORMS) + each(s=[(2, 5), (3, 2)], axes=[(2, 0)])
ANY = [{}, {"axes": (1,)}, *TWO]
ROWS, CUBE = (2, 5), (2, 3, 3)


def parts(op: Any, *x: Any, **kwargs: Any) -> Any:
    """Stack the real and the imaginary part of a complex result."""
    z = op(*x, **kwargs)
    return np.stack([np.real(z), np.imag(z)])


def of_parts(op: Any, x: Any, y: Any, **kwargs: Any) -> Any:
    """``op`` of x + i y."""
    return op(x + 1j * y, **kwargs)


def complex_to_complex(shape: tuple[int, ...], options: Options) -> Family:
    """Transforms of complex arrays with complex results."""
    return variants([(shape, shape)], options, through=[parts, of_parts])


def real_to_complex(shape: tuple[int, ...], options: Options) -> Family:
    """Transforms of real arrays with complex results."""
    return variants([(shape,)], options, through=parts)


def complex_to_real(shape: tuple[int, ...], options: Options) -> Family:
    """Transforms with real results; of no elements NumPy gives what memory held before."""
    return variants([(shape, shape)], options, through=of_parts, never=["zero-size"])


CASES = table({
    (np.fft.fft, np.fft.ifft): complex_to_complex(ROWS, ONE),
    (np.fft.fft2, np.fft.ifft2): complex_to_complex(CUBE, TWO),
    (np.fft.fftn, np.fft.ifftn): complex_to_complex(CUBE, ANY),
    (np.fft.rfft, np.fft.ihfft): real_to_complex(ROWS, ONE),
    np.fft.rfft2: real_to_complex(CUBE, TWO),
    np.fft.rfftn: real_to_complex(CUBE, ANY),
    (np.fft.irfft, np.fft.hfft): complex_to_real(ROWS, ONE),
    np.fft.irfft2: complex_to_real(CUBE, TWO),
    np.fft.irfftn: complex_to_real(CUBE, ANY),
    (np.fft.fftshift, np.fft.ifftshift): variants(
        [((2, 3, 4),)], [{}, {"axes": 1}, {"axes": (0, -1)}]
    ),
})  # fmt: skip
