"""What the tests share: finite differences as the judge of gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import tinygrad_lab as tl


def numerical_vjp(f: Callable[..., Any], arrays: list[Any], i: int, upstream: Any) -> Any:
    """The gradient of ``sum(upstream * f(*arrays))`` by ``arrays[i]``, by Richardson's ladder.

    Central differences at h and h/2, ..., extrapolated; the most consistent entry is taken.
    """
    x = arrays[i]
    gradient = np.zeros(x.shape)
    for index in np.ndindex(*x.shape):
        scale = 2.0**-5 * max(1.0, 2.0 ** np.floor(np.log2(abs(x[index]) + 1e-300)))

        def slope(h: float, index: Any = index) -> float:
            moved = [np.array(a, copy=True) for a in arrays]
            moved[i][index] = x[index] + h
            up = np.sum(upstream * f(*moved))
            width = moved[i][index]
            moved[i][index] = x[index] - h
            return float((up - np.sum(upstream * f(*moved))) / (width - moved[i][index]))

        table = [[slope(scale * 2.0**-k)] for k in range(6)]
        best, least = table[0][0], np.inf
        for k in range(1, 6):
            for order in range(1, k + 1):
                better = table[k][order - 1] + (table[k][order - 1] - table[k - 1][order - 1]) / (
                    4.0**order - 1
                )
                table[k].append(better)
                change = max(
                    abs(better - table[k][order - 1]), abs(better - table[k - 1][order - 1])
                )
                if change < least:
                    best, least = better, change
        gradient[index] = best
    return gradient


def check_gradients(
    f: Callable[..., Any],
    *arrays: Any,
    order: int = 2,
    tolerance: float = 1e-6,
    rng: int = 0,
) -> None:
    """Compare the gradients of ``f`` by each float array with finite differences.

    ``f`` takes and returns one array; it is run on plain arrays (which must give a plain array)
    and on tensors (which must give the same values).  With ``order=2`` the gradient itself is
    differentiated and checked.  The arrays are float64 and away from kinks.
    """
    generator = np.random.default_rng(rng)
    plain = f(*arrays)
    assert not isinstance(plain, tl.Tensor), "ndarrays in must give ndarrays out"
    tensors = [tl.tensor(a, requires_grad=True) for a in arrays]
    y = f(*tensors)
    assert isinstance(y, tl.Tensor) and y.requires_grad, "the result is not tracked"
    np.testing.assert_array_equal(y.data, plain)
    upstream = generator.normal(size=y.shape)
    found = tl.gradients(y, tensors, upstream, create_graph=order > 1)
    for i, (g, a) in enumerate(zip(found, arrays, strict=True)):
        values = g.data if isinstance(g, tl.Tensor) else g
        assert values.shape == a.shape and values.dtype == a.dtype
        expected = numerical_vjp(f, list(arrays), i, upstream)
        np.testing.assert_allclose(values, expected, rtol=tolerance, atol=tolerance)

    if order > 1:

        def gradient_of(*moved: Any) -> Any:
            """All first-order gradients in one row, as a function of inputs and upstream."""
            *inputs, up = [m if isinstance(m, tl.Tensor) else tl.tensor(m) for m in moved]
            leaves = [x if x.requires_grad else x.requires_grad_() for x in inputs]
            out = f(*leaves)
            gs = tl.gradients((out * up).sum(), leaves, create_graph=True)
            row = np.concatenate([np.ravel(g) for g in gs])
            return row if any(isinstance(m, tl.Tensor) for m in moved) else row.detach().numpy()

        check_gradients(gradient_of, *arrays, upstream, order=order - 1, tolerance=tolerance * 100)
