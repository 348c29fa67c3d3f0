"""The catalogue of Fourier transforms: real and imaginary parts in and out."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.testing.catalogue import CASES
from tinygrad_lab.testing.catalogue.variants import variants

fft = np.fft
NORMS = (None, "ortho", "forward")


def parts(z: Any) -> Any:
    return np.stack([np.real(z), np.imag(z)])


def transforms(op: Any, shape: Any, options: Any, *, real_in: bool, real_out: bool) -> Any:
    out = np.positive if real_out else parts
    if real_in:
        return variants(op, [(shape,)], options, through=lambda x, **kw: out(op(x, **kw)))
    return variants(
        op,
        [(shape, shape)],
        options,
        through=lambda x, y, **kw: out(op(x + 1j * y, **kw)),
        never=["zero-size"] if real_out else [],  # where NumPy gives what memory held before
    )


ONE = [
    {"n": n, "axis": axis, "norm": norm}
    for n, axis in ((None, -1), (3, 0), (6, -1), (7, 1), (2, -1))
    for norm in NORMS
]
TWO = [{"axes": axes, "norm": norm} for axes in ((0, 1), (-1, 0), (1, 2)) for norm in NORMS]
TWO += [{"s": s, "axes": (2, 0)} for s in ((2, 5), (3, 2))]
ANY = [{}, {"axes": (1,)}, *TWO]

for suffix, shape, options in (("", (2, 5), ONE), ("2", (2, 3, 3), TWO), ("n", (2, 3, 3), ANY)):
    for name, real_in, real_out in (
        ("fft", False, False),
        ("ifft", False, False),
        ("rfft", True, False),
        ("irfft", False, True),
        ("hfft", False, True),
        ("ihfft", True, False),
    ):
        if hasattr(fft, name + suffix):
            op = getattr(fft, name + suffix)
            CASES[op] = transforms(op, shape, options, real_in=real_in, real_out=real_out)

CASES |= {
    op: variants(op, [((2, 3, 4),)], [{}, {"axes": 1}, {"axes": (0, -1)}])
    for op in (fft.fftshift, fft.ifftshift)
}
