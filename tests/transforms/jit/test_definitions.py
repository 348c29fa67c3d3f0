"""The lines that are printed for a kernel compute what the kernel computes.

Not for: how a program is printed (``test_source.py``).
"""

from __future__ import annotations

import inspect
import itertools
import textwrap
from typing import Any

import numpy as np
import pytest

from tinygrad_lab.core.rules import indexing
from tinygrad_lab.nn.functional import pooling as functional
from tinygrad_lab.nn.kernels import conv, pool
from tinygrad_lab.transforms.jit.kernels import DEFINITIONS
from tinygrad_lab.transforms.jit.source import with_helpers

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 4, 8, 7))
NO_MARGIN = ((0, 0), (0, 0))
FILTERS = RNG.normal(size=(6, 2, 3, 2))


def alone(op: Any) -> Any:
    """The definition of a kernel, from its text and NumPy."""
    definition = DEFINITIONS[op]
    space: dict[str, Any] = {"np": np}
    for function in with_helpers([definition]):
        exec(textwrap.dedent(inspect.getsource(function)), space)
    return space[definition.__name__]


def check(op: Any, *args: Any, **kwargs: Any) -> None:
    plain = {k: tuple(v) if isinstance(v, tuple) else v for k, v in kwargs.items()}
    actual, expected = alone(op)(*args, **plain), op(*args, **kwargs)
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    np.testing.assert_allclose(actual, expected, rtol=1e-5 if actual.dtype == "f4" else 1e-12,
                               atol=1e-6 if actual.dtype == "f4" else 1e-12)  # fmt: skip


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize(
    ("stride", "dilation", "padding"),
    list(itertools.product([(1, 1), (2, 3)], [(1, 1), (2, 1)], [NO_MARGIN, ((1, 2), (0, 1))])),
)
def test_convolution(stride: Any, dilation: Any, padding: Any, dtype: str):
    how = {"stride": stride, "dilation": dilation, "padding": padding, "groups": 2}
    check_convolution(IMAGES.astype(dtype), FILTERS.astype(dtype), **how)


@pytest.mark.parametrize("ndim", [1, 3])
@pytest.mark.parametrize(("stride", "dilation"), [(1, 1), (2, 1), (1, 3)])
def test_convolution_of_signals_and_volumes(ndim: int, stride: int, dilation: int):
    x, w = (
        RNG.normal(size=(2, 4, 7, 6, 9)[: 2 + ndim]),
        RNG.normal(size=(6, 2, 3, 2, 1)[: 2 + ndim]),
    )
    how = {"stride": (stride,) * ndim, "dilation": (1, dilation, 1)[-ndim:], "groups": 2}
    check_convolution(x, w, **how, padding=((1, 0),) * ndim)
    check_convolution(x, w, **how, padding=((1, -1),) * ndim)  # of a transposed convolution


def check_convolution(x: Any, w: Any, **how: Any) -> None:
    bias = np.arange(6.0).astype(x.dtype)
    y = conv.convolution(x, w, bias, **how)
    g = RNG.normal(size=y.shape).astype(x.dtype)
    check(conv.convolution, x, w, bias, **how)
    check(conv.convolution, x, w, None, **how)
    check(conv.convolution_input_gradient, g, w, size=x.shape[2:], **how)
    check(conv.convolution_weight_gradient, g, x, kernel=w.shape[2:], **how)


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "dilation", "ceil"),
    [(2, 2, 0, 1, False), (3, 2, 1, 1, True), ((2, 3), (1, 2), (1, 0), (2, 1), False)],
)
def test_pooling(kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool, dtype: str):
    x = np.round(IMAGES * 2).astype(dtype)  # with ties
    x[0, 0, 2, 3] = np.nan
    check_pooling(x, kernel, stride, padding, dilation, ceil)


@pytest.mark.parametrize("ndim", [1, 3])
def test_pooling_of_signals_and_volumes(ndim: int):
    x = np.round(RNG.normal(size=(2, 4, 7, 6, 9)[: 2 + ndim]) * 2)
    check_pooling(x, 3, 2, 1, 1, True)


def check_pooling(x: Any, *settings: Any) -> None:
    how = {"windows": functional._pooling("max_pool", x, *settings)}
    u = RNG.normal(size=x.shape).astype(x.dtype)
    g = RNG.normal(size=pool.max_pool(x, **how).shape).astype(x.dtype)
    check(pool.max_pool, x, **how)
    check(pool.max_pool_input_gradient, g, x, **how)
    check(pool.max_pool_gather, u, x, **how)
    divisor = np.full(g.shape[2:], 3.0).astype(x.dtype)
    check(pool.avg_pool, u, **how, divisor=divisor)
    check(pool.avg_pool_input_gradient, g, size=x.shape[2:], **how, divisor=divisor)


def test_the_largest_of_integers():
    windows = functional._pooling("max_pool2d", IMAGES, 3, 2, 1, 1, False)
    for dtype in (np.int8, np.uint8, bool):
        check(pool.max_pool, (IMAGES * 9).astype(dtype), windows=windows)


X = np.arange(12.0).reshape(3, 4)


@pytest.mark.parametrize(
    "index", [1, (slice(None), 2), (np.array([0, 2, 0]),), X > 5, (Ellipsis, None, 1)]
)
def test_indexing(index: Any):
    values = np.sin(np.arange(X[index].size)).reshape(X[index].shape)
    check(indexing.scatter_add, values, X.shape, index)
    check(indexing.assembled, values, values * 2, shape=X.shape, places=[index, index])
    check(indexing.setitem, X, values, values[..., :1] * 0, places=[index, index])


def test_each_kernel_has_a_test():
    tested = {conv.convolution, conv.convolution_input_gradient, conv.convolution_weight_gradient,
              pool.max_pool, pool.max_pool_input_gradient, pool.max_pool_gather,
              pool.avg_pool, pool.avg_pool_input_gradient,
              indexing.scatter_add, indexing.assembled, indexing.setitem}  # fmt: skip
    assert set(DEFINITIONS) == tested
