"""Images read at the places of a grid."""

from __future__ import annotations

import numpy as np

from tests.nn.cases import apart, grid


def clear(*shape):
    """Places that are far from each element, and from the middle between any two."""
    x = np.random.default_rng(0).uniform(-1.7, 1.6, 1000)
    for n in (2, 3, 4):  # elements of an axis, and both ways to count them
        for elements in (((x + 1) * n - 1) / 2, (x + 1) * (n - 1) / 2):
            x = np.where(abs(2 * elements - np.round(2 * elements)) > 0.1, x, np.nan)
    return x[~np.isnan(x)][: np.prod(shape)].reshape(shape)


X2, X3 = apart(2, 2, 4, 3), apart(1, 2, 2, 3, 4)
PLACES2, PLACES3 = clear(2, 3, 2, 2), clear(1, 1, 2, 2, 3)
#: PyTorch has no second derivative of these.
ONCE = {"order": 1, "align_corners": [False, True]}
CASES = [
    *grid("grid_sample", X2, PLACES2, mode=["bilinear", "nearest", "bicubic"],
          padding_mode=["zeros", "border", "reflection"], **ONCE),
    *grid("grid_sample", X3, PLACES3, mode=["nearest", "bilinear"],
          padding_mode=["zeros", "reflection"], **ONCE),
    *grid("affine_grid", apart(2, 2, 3), size=[(2, 1, 3, 4)], align_corners=[False, True]),
    *grid("affine_grid", apart(1, 3, 4), size=[(1, 2, 2, 3, 2)], align_corners=[True]),
]  # fmt: skip
