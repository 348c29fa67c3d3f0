"""The catalogue of functions that call others: along axes, over axes, piece by piece."""

from __future__ import annotations

import numpy as np

from tinygrad_lab.testing.inputs.catalogue.families import each, table, variants

PIECES = np.array([[1, 1, 0, 0], [0, 0, 1, 0]], dtype=bool)

CASES = table({
    np.apply_along_axis: variants(
        [((2, 3, 4),)],
        each(axis=[0, -1]),
        through=lambda op, x, axis: op(lambda row: np.outer(row, row[:2]), axis, x),
    ),
    np.apply_over_axes: variants(
        [((2, 3, 4),)], each(axes=[0, (0, -1)]), through=lambda op, x, axes: op(np.sum, x, axes)
    ),
    np.piecewise: variants(
        [((4,),)], through=lambda op, x: op(x, PIECES, [np.sin, lambda z: z * z, 2.5])
    ),
})  # fmt: skip
