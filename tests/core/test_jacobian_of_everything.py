"""The Jacobian of every operation is the pullback of each element of its result, one after another.

``jacobian`` carries all of them through one pass, which rules may take together or one by one.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from benchmarks.checkers.primitives import CASES, name_of
from tinygrad_lab.nn import functional as fn
from tinygrad_lab.transforms.containers import leaves

EXAMPLES = {"max_examples": 1, "phases": [Phase.generate]}
MOST = 30  # elements of a result


def rows_of(f: Any, arrays: tuple[Any, ...]) -> list[Any]:
    """For each array of the result, for each argument, the gradients of its elements."""
    y, pullback = tl.vjp(f, *arrays)
    zeros = [np.zeros_like(part) for _, part in leaves(y)]
    blocks = []
    for k, zero in enumerate(zeros):
        gradients = []
        for index in np.ndindex(zero.shape):
            unit = zero.copy()
            unit[index] = 1
            upstream = [*zeros[:k], unit, *zeros[k + 1 :]]
            gradients.append(pullback(tuple(upstream) if isinstance(y, tuple) else upstream[0]))
        blocks.append(
            [
                np.reshape([g[i] for g in gradients], (*zero.shape, *np.shape(x)))
                for i, x in enumerate(arrays)
            ]
        )
    return blocks


def real_parts(y: Any) -> tuple[Any, ...]:
    return (y.real, y.imag) if np.iscomplexobj(y) else (y,)


def check(f: Any, arrays: tuple[Any, ...]) -> None:
    real = lambda *xs: tuple(part for _, y in leaves(f(*xs)) for part in real_parts(y))
    outputs = [y for _, y in leaves(real(*arrays))]
    if sum(map(np.size, outputs)) > MOST or any(np.asarray(y).dtype.kind != "f" for y in outputs):
        return
    jacobian = tl.jacobian(real, tuple(range(len(arrays))))(*arrays)
    for block, rows in zip(jacobian, rows_of(real, arrays), strict=True):
        for by_x, expected in zip(block, rows, strict=True):
            assert by_x.shape == expected.shape
            np.testing.assert_allclose(by_x, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("op", CASES, ids=name_of)
@settings(**EXAMPLES, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_of_numpy(op: Any, data: Any):
    call = data.draw(CASES[op])
    with np.errstate(all="ignore"):
        check(call.f, call.arrays)


X, IMAGES = np.linspace(-1, 2, 6).reshape(2, 3), np.arange(16.0).reshape(1, 1, 4, 4) % 7

OF_NN = {
    "softmax": (fn.softmax, X),
    "log_softmax": (lambda x: fn.log_softmax(x, 0), X),
    "gelu": (fn.gelu, X),
    "linear": (fn.linear, X, X + 0.5, np.ones(2)),
    "cross_entropy": (lambda x: fn.cross_entropy(x, np.array([0, 2]), reduction="none"), X),
    "mse_loss": (lambda x, y: fn.mse_loss(x, y, reduction="none"), X, X[::-1] * 2),
    "conv2d": (lambda x, w: fn.conv2d(x, w, padding=1), IMAGES, X.reshape(1, 1, 2, 3)),
    "max_pool2d": (lambda x: fn.max_pool2d(x, 2, stride=1), IMAGES),
    "avg_pool2d": (lambda x: fn.avg_pool2d(x, 2), IMAGES),
}


@pytest.mark.parametrize("name", OF_NN)
def test_of_networks(name: str):
    f, *arrays = OF_NN[name]
    check(f, tuple(arrays))
