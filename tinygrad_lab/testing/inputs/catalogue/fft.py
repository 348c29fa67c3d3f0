"""The catalogue of Fourier transforms: real and imaginary parts in and out."""

from __future__ import annotations

import numpy as np

from tinygrad_lab.testing.inputs.catalogue.families import each, of_parts, parts, table, variants

NORMS = (None, "ortho", "forward")
LENGTHS = [(None, -1), (3, 0), (6, -1), (7, 1), (2, -1)]
ONE = [{"n": n, "axis": axis, "norm": norm} for n, axis in LENGTHS for norm in NORMS]
TWO = each(axes=[(0, 1), (-1, 0), (1, 2)], norm=NORMS) + each(s=[(2, 5), (3, 2)], axes=[(2, 0)])
ANY = [{}, {"axes": (1,)}, *TWO]
ROW, ROWS = [((2, 5),)], [((2, 5), (2, 5))]
CUBE, CUBES = [((2, 3, 3),)], [((2, 3, 3), (2, 3, 3))]
BOTH = [parts, of_parts]
UNDEFINED = ["zero-size"]  # of no elements the real inverses are what memory held before

CASES = table({
    (np.fft.fft, np.fft.ifft): variants(ROWS, ONE, through=BOTH),
    (np.fft.fft2, np.fft.ifft2): variants(CUBES, TWO, through=BOTH),
    (np.fft.fftn, np.fft.ifftn): variants(CUBES, ANY, through=BOTH),
    (np.fft.rfft, np.fft.ihfft): variants(ROW, ONE, through=parts),
    np.fft.rfft2: variants(CUBE, TWO, through=parts),
    np.fft.rfftn: variants(CUBE, ANY, through=parts),
    (np.fft.irfft, np.fft.hfft): variants(ROWS, ONE, through=of_parts, never=UNDEFINED),
    np.fft.irfft2: variants(CUBES, TWO, through=of_parts, never=UNDEFINED),
    np.fft.irfftn: variants(CUBES, ANY, through=of_parts, never=UNDEFINED),
    (np.fft.fftshift, np.fft.ifftshift): variants(
        [((2, 3, 4),)], [{}, {"axes": 1}, {"axes": (0, -1)}]
    ),
})  # fmt: skip
