"""Affine functions: what a layer without an activation computes.

Not for: layers, which hold weights (``layers/linear.py``).
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_lab.core.operations import defvjp, primitive
from tinygrad_lab.nn.arguments import takes_arrays
from tinygrad_lab.nn.cautions import expect_one_precision

__all__ = ["bilinear", "linear"]

Array = Any  # a Tensor, or whatever speaks NumPy's protocols


@primitive
@takes_arrays
def linear(input: Array, weight: Array, bias: Array | None = None) -> Array:
    """``input @ weight.T + bias``.

    Shapes: ``input`` (..., in), ``weight`` (out, in), ``bias`` (out,); the result is (..., out).

    Raises
    ------
    ValueError
        The shapes do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> linear(np.array([[1.0, 2.0]]), np.array([[1.0, 1.0], [0.0, 3.0]]), np.array([0.0, 1.0]))
    array([[3., 7.]])
    """
    try:
        y = input @ (weight.T if weight.ndim == 2 else weight.mT)
    except ValueError:
        raise ValueError(
            f"an input of shape {input.shape} does not fit a weight of shape {weight.shape} "
            "(out, in): the input's last axis must be the weight's last"
        ) from None
    if input.dtype is not weight.dtype:
        expect_one_precision(input, weight)
    return y if bias is None else y + bias


def _linear_weight(g: Array, y: Array, x: Array, weight: Array, bias: Any = None) -> Array:
    if g.ndim == 2 and x.ndim == 2:
        return g.T @ x
    rows, (out, into) = math.prod(x.shape[:-1]), weight.shape
    return g.reshape((rows, out)).T @ x.reshape((rows, into))


defvjp(
    linear,
    lambda g, y, x, weight, bias=None: g @ weight,
    _linear_weight,
    lambda g, y, x, weight, bias=None: g.sum(axis=0) if g.ndim == 2 == y.ndim else g,
)


@takes_arrays
def bilinear(input1: Array, input2: Array, weight: Array, bias: Array | None = None) -> Array:
    """``input1 @ weight[k] @ input2 + bias[k]`` for each output ``k``.

    Shapes: ``input1`` (..., in1), ``input2`` (..., in2), ``weight`` (out, in1, in2), ``bias``
    (out,); the result is (..., out).

    Raises
    ------
    ValueError
        The shapes do not fit; the text names them.

    Examples
    --------
    >>> import numpy as np
    >>> bilinear(np.array([1.0, 2.0]), np.array([3.0]), np.ones((1, 2, 1)))
    array([9.])
    """
    leading = input1.shape[:-1]
    if weight.ndim != 3 or (leading, weight.shape[1:]) != (
        input2.shape[:-1], (*input1.shape[-1:], *input2.shape[-1:])
    ):  # fmt: skip
        raise ValueError(
            f"bilinear: inputs of shape {input1.shape} and {input2.shape} do not fit a weight of "
            f"shape {weight.shape}: expected (..., in1), (..., in2) and (out, in1, in2)"
        )
    out, first, second = weight.shape
    by_first = weight.transpose((1, 0, 2)).reshape((first, out * second))
    halves = (input1 @ by_first).reshape((*leading, out, second))
    y = (halves @ input2[..., None])[..., 0]
    return y if bias is None else y + bias
