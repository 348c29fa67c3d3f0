"""The complex step: a slope without any subtraction, of functions that continue to the plane.

If every operation on the way is holomorphic, ``f(x + ih)`` has ``h f'(x)`` for its imaginary part,
however short ``h`` is: nothing cancels, so nothing is lost (Squire and Trapp, *Using complex
variables to estimate derivatives of real functions*, 1998).  It decides where the value is so much
larger than what moves in it that no difference can.

Not for: checking gradients by complex inputs; that needs no step of its own (``arrays.py``).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.rules import indexing, manipulation
from tinygrad_lab.core.rules.linalg import products
from tinygrad_lab.core.rules.mathematical.elementwise import sigmoid
from tinygrad_lab.testing.judging.arrays import Array, flat
from tinygrad_lab.testing.judging.numerical import Estimate
from tinygrad_lab.testing.judging.slope import Measurer, same_branches

STEPS = (2.0**-100, 2.0**-140)
NEAR = 2.0**-30  # so near to the point, what is rounded in steps stays on one of them
_NUMBERS = (np.ndarray, np.generic, float, complex)

#: Operations that compute, for complex numbers, the continuation of what they are for real ones.
#: Add your own, if it is one of them.
HOLOMORPHIC: set[Any] = {
    np.add, np.subtract, np.multiply, np.divide, np.negative, np.positive, np.reciprocal,
    np.square, np.sqrt, np.power, np.exp, np.exp2, np.expm1, np.log, np.log2, np.log10, np.log1p,
    np.sin, np.cos, np.tan, np.arcsin, np.arccos, np.arctan,
    np.sinh, np.cosh, np.tanh, sigmoid, np.arcsinh, np.arccosh, np.arctanh,
    np.sum, np.mean, np.prod, np.cumsum, np.cumprod, np.trace, np.fft.fft, np.fft.ifft,
    np.matmul, np.dot, np.tensordot, products.einsum,
    np.linalg.det, np.linalg.inv, np.linalg.solve,
    manipulation.reshape, np.squeeze, np.expand_dims, np.transpose, np.swapaxes, np.moveaxis,
    np.flip, np.roll, np.tril, np.triu, np.diagonal, np.broadcast_to, np.repeat, np.take,
    indexing.getitem, manipulation.concatenate, manipulation.stack,
}  # fmt: skip


def complex_step(
    measurer: Measurer, directions: Sequence[Array], weights: Array
) -> Estimate | None:
    """Measure the slope of a weighted sum of outputs along directions; None where it cannot be."""
    arrays, outputs = measurer.arrays, measurer.outputs
    nodes = history(measurer.subject.evaluate(arrays).roots)
    if not nodes or any(node.op not in HOLOMORPHIC for node in nodes if node.op is not None):
        return None
    if _has_moving_constants(measurer, directions, nodes):
        return None
    slopes = []
    for h in STEPS:
        try:
            moved = [x + 1j * h * u for x, u in zip(arrays, directions, strict=True)]
            parts = measurer.subject.evaluate(moved).outputs
        except Exception:  # noqa: BLE001 - what does not compute in complex numbers is no fault
            return None
        real, imaginary = parts[::2], parts[1::2]
        if [x.shape for x in parts] != [y.shape for y in outputs for _ in range(2)]:
            return None
        if not np.allclose(flat(real), measurer.centre, rtol=1e-12, atol=0):
            return None
        slopes.append(float(flat(imaginary) @ weights) / h)
    off = abs(slopes[0] - slopes[1])  # where a branch was left, it grows as the step shrinks
    return Estimate(slopes[0], off + 2.0**-46 * abs(slopes[0]))


def _has_moving_constants(
    measurer: Measurer, directions: Sequence[Array], nodes: Sequence[Node]
) -> bool:
    """Whether something without a history is computed from the inputs, as what is detached is.

    It moves with them, and in complex numbers nobody would notice: ``float`` takes the real part.
    """
    here = _constants(nodes)  # copied before the function is called again, and may write into them
    moved = [x + NEAR * u for x, u in zip(measurer.arrays, directions, strict=True)]
    try:
        there = _constants(history(measurer.subject.evaluate(moved).roots))
    except Exception:  # noqa: BLE001 - it need not be defined there
        return True
    return not same_branches(here, there)


def _constants(nodes: Sequence[Node]) -> list[Any]:
    """Copy all that calls were given beside what has a history."""
    constants: list[Any] = []
    for node in nodes:
        parents = itertools.chain(node.parents or (), itertools.repeat(None))
        pairs = zip(node.args or (), parents)  # noqa: B905 - aligned
        detached = [x for x, parent in pairs if parent is None]
        options = (node.kwargs or {}).values()
        constants += [np.array(x) for x in (*detached, *options) if isinstance(x, _NUMBERS)]
    return constants
