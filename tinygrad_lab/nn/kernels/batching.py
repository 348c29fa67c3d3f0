"""What the operations of networks are for a whole batch of examples, under ``tl.vmap``.

Images have an axis for many of them already, which takes the batch; where filters differ, the
channels of each example are a group.  What is not here consists of NumPy's functions, which have
their forms (``transforms/batching.py``).
"""

# ruff: noqa: SLF001 - the operations behind the functions

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.core.operations import Op
from tinygrad_lab.nn import functional
from tinygrad_lab.nn.functional import (
    activations,
    embeddings,
    gaussian,
    losses,
    normalization,
    softmaxes,
)
from tinygrad_lab.nn.kernels import conv, pool
from tinygrad_lab.transforms.batching import along, elementwise_form, form_of
from tinygrad_lab.transforms.level import Level

Array = Any

form_of(
    activations.relu, activations.leaky_relu, activations.elu, activations.softplus,
    activations.silu, activations.mish, activations.softsign, activations.hardtanh,
    activations._gelu, activations._gelu_tanh, gaussian.normal_cdf, gaussian.normal_density,
    losses._bernoulli_loss, losses._huber, losses.logistic_loss, losses._logistic_slope,
    losses._at_least, embeddings._with_slope,
)(elementwise_form)  # fmt: skip
form_of(softmaxes._softmax, softmaxes._log_softmax, softmaxes._hardened)(along("one"))
form_of(softmaxes._logsumexp, normalization.standardized)(along("each"))


@form_of(functional.linear)
def _linear(level: Level, op: Op, input: Any, weight: Any, bias: Any = None) -> Any:
    if not level.holds((weight, bias)):
        return op(input.data, level.inner(weight), level.inner(bias))
    x, w = level.front(input), level.front(weight)
    if input.ndim == 1:
        y = (w @ x[..., None])[..., 0]
        return y if bias is None else y + level.front(bias)
    if input.ndim > 2:
        w = w.reshape((level.size, *(1,) * (input.ndim - 2), *weight.shape))
    if input.shape[-2] > weight.shape[0]:  # loops of NumPy run along the longer axis in memory
        y = np.swapaxes(w @ np.swapaxes(x, -1, -2), -1, -2)
    else:
        y = x @ np.swapaxes(w, -1, -2)
    if bias is None:
        return y
    return y + level.front(bias).reshape((level.size, *(1,) * (input.ndim - 1), *bias.shape))


def _merged(x: Array) -> Array:
    """Take the batch into the images."""
    return x.reshape((x.shape[0] * x.shape[1], *x.shape[2:]))


@form_of(
    pool.max_pool, pool.max_pool_input_gradient, pool.max_pool_gather, pool.avg_pool,
    pool.avg_pool_input_gradient,
)  # fmt: skip
def _of_images(level: Level, op: Op, *images: Any, **how: Any) -> Any:
    y = op(*(_merged(level.front(x)) for x in images), **how)
    return y.reshape((level.size, images[0].shape[0], *y.shape[1:]))


def _grouped(x: Array) -> Array:
    """Take the batch into the channels: ``(B, N, C, ...)`` to ``(N, B * C, ...)``."""
    x = np.moveaxis(x, 0, 1)
    return x.reshape((x.shape[0], x.shape[1] * x.shape[2], *x.shape[3:]))


def _apart(level: Level, y: Array) -> Array:
    n, channels = y.shape[:2]
    y = y.reshape((n, level.size, channels // max(1, level.size), *y.shape[2:]))
    return np.moveaxis(y, 1, 0)


@form_of(conv.convolution, conv.convolution_input_gradient)
def _filtered(
    level: Level, op: Op, x: Any, w: Any, bias: Any = None, *, groups: int, **how: Any
) -> Any:
    others = () if op is conv.convolution_input_gradient else (None,)
    if not level.holds((w, bias)):
        rest = [level.inner(v) for v in (w, bias)][: 1 + len(others)]
        return _of_images(level, lambda x: op(x, *rest, groups=groups, **how), x)
    filters, groups = _merged(level.front(w)), groups * level.size
    y = op(_grouped(level.front(x)), filters, *others, groups=max(1, groups), **how)
    y = _apart(level, y)
    if bias is None:
        return y
    return y + level.front(bias).reshape((level.size, 1, y.shape[2], *(1,) * (y.ndim - 3)))


@form_of(conv.convolution_weight_gradient)
def _by_weight(level: Level, op: Op, g: Any, x: Any, *, groups: int, **how: Any) -> Any:
    pair = (_grouped(level.front(v)) for v in (g, x))
    w = op(*pair, groups=max(1, groups * level.size), **how)
    return w.reshape((level.size, w.shape[0] // max(1, level.size), *w.shape[1:]))
