"""``vmap`` gives what a loop gives: for every operation, its gradient, and the gradient of that.

For NumPy's functions and our own primitives with the calls of the catalogue, for everything in
``nn.functional`` with all axes, and for random programs.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import tinygrad_lab as tl
from benchmarks.checkers.primitives import CASES, name_of
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as fn
from tinygrad_lab.transforms.containers import leaves
from tinygrad_lab.transforms.level import FORMS

EXAMPLES = {"max_examples": 1, "phases": [Phase.generate]}
SIZE = 3


def plain(y: Any) -> Any:
    return np.asarray(y.data if isinstance(y, tl.Tensor) else y)


def number(f: Any) -> Any:
    """A number in which each element of the result counts otherwise."""

    def of(*arrays: Any) -> Any:
        total = 0.0
        for _, y in leaves(f(*arrays)):
            if getattr(y, "dtype", np.dtype(int)).kind in "fc":
                weights = np.cos(1 + np.arange(y.size)).reshape(y.shape)
                total = total + (np.real(y) * weights).sum() + np.imag(y).sum()
        return total

    return of


def orders(f: Any, arguments: int) -> list[Any]:
    """The function, its gradient by all arguments, and the gradient of that."""
    by = tuple(range(arguments))
    first = tl.grad(number(f), by)
    return [f, first, tl.grad(number(first), by)]


def check(f: Any, axes: tuple[int | None, ...], arrays: tuple[Any, ...], tolerance: float) -> None:
    """Compare a vmap with a loop."""
    pairs = list(zip(arrays, axes, strict=True))
    try:
        rows = []
        for i in range(SIZE):
            y = f(*(a if axis is None else np.take(a, i, axis) for a, axis in pairs))
            rows.append([plain(part) for _, part in leaves(y)])
        expected = [np.stack(column) for column in zip(*rows, strict=True)]
    except (TypeError, ValueError, np.linalg.LinAlgError, ZeroDivisionError, IndexError):
        return  # no gradient there, or results of different shapes
    result = [plain(y) for _, y in leaves(tl.vmap(f, axes)(*arrays))]
    for stack, column in zip(result, expected, strict=True):
        assert stack.shape == column.shape
        assert stack.dtype == column.dtype
        np.testing.assert_allclose(stack, column, rtol=tolerance, atol=tolerance)


def batches(call: Any, first: int) -> tuple[tuple[int | None, ...], tuple[Any, ...]]:
    """Three examples of each array of a call along some axis, and one array that all share."""
    axes: list[int | None] = []
    arrays = []
    for position, a in enumerate(call.arrays):
        axis = (0, -1, None)[(first + position) % 3] if len(call.arrays) > 1 else first % 2 - 1
        turned = a[::-1] if a.ndim else a
        arrays.append(a if axis is None else np.moveaxis(np.stack([a, turned, a]), 0, axis))
        axes.append(axis)
    if None in axes and len(set(axes)) == 1:
        axes[0], arrays[0] = 0, np.stack([arrays[0]] * SIZE)
    return tuple(axes), tuple(arrays)


@pytest.mark.parametrize("op", CASES, ids=name_of)
@settings(**EXAMPLES, suppress_health_check=list(HealthCheck))
@given(data=st.data(), first=st.integers(0, 2))
@pytest.mark.filterwarnings("ignore")
def test_of_numpy(op: Any, data: Any, first: int):
    call = data.draw(CASES[op])
    axes, arrays = batches(call, first)
    with np.errstate(all="ignore"):
        for f, tolerance in zip(orders(call.f, len(arrays)), (1e-12, 1e-9, 1e-6), strict=True):
            check(f, axes, arrays, tolerance)


IMAGES, FILTERS = (2, 2, 5, 5), (4, 2, 3, 3)
ACTIVATIONS = (nn.ELU, nn.GELU, nn.Identity, nn.LeakyReLU, nn.ReLU, nn.SiLU, nn.Sigmoid,
               nn.Softplus, nn.Tanh, nn.LogSoftmax, nn.Softmax)  # fmt: skip
share = lambda x: fn.sigmoid(x)
OF_NN: dict[str, tuple[Any, ...]] = {
    "relu": (fn.relu, (4,)),
    "leaky_relu": (lambda x: fn.leaky_relu(x, 0.1), (4,)),
    "elu": (fn.elu, (4,)),
    "softplus": (fn.softplus, (4,)),
    "silu": (fn.silu, (4,)),
    "gelu": (fn.gelu, (4,)),
    "softmax": (lambda x: fn.softmax(x, 0), (4, 2)),
    "log_softmax": (fn.log_softmax, (4, 2)),
    "logsumexp": (fn.logsumexp, (4, 2)),
    "logsumexp, an axis kept": (lambda x: fn.logsumexp(x, axis=1, keepdims=True), (4, 2)),
    "linear of a vector": (fn.linear, (4,), (3, 4), (3,)),
    "linear": (fn.linear, (2, 4), (3, 4), (3,)),
    "mse_loss": (fn.mse_loss, (4,), (4,)),
    "l1_loss": (fn.l1_loss, (4,), (4,)),
    "binary_cross_entropy": (lambda x, y: fn.binary_cross_entropy(share(x), share(y)), (4,), (4,)),
    "with logits": (
        lambda x, y, w: fn.binary_cross_entropy_with_logits(x, share(y), pos_weight=w),
        (4,), (4,), (4,),
    ),
    "cross_entropy": (lambda x: fn.cross_entropy(x, np.array([0, 2])), (2, 3)),
    "cross_entropy, weighted": (
        lambda x, w: fn.cross_entropy(x, np.array([0, 2]), weight=share(w), label_smoothing=0.1),
        (2, 3), (3,),
    ),
    "nll_loss": (lambda x: fn.nll_loss(fn.log_softmax(x), np.array([0, 2])), (2, 3)),
    "conv2d": (lambda x, w, b: fn.conv2d(x, w, b, padding=1), IMAGES, FILTERS, (4,)),
    "conv2d, steps": (
        lambda x, w: fn.conv2d(x, w, stride=2, padding=1, dilation=(1, 2)), IMAGES, FILTERS,
    ),
    "conv2d, groups": (lambda x, w: fn.conv2d(x, w, groups=2), (2, 4, 5, 5), FILTERS),
    "max_pool2d": (lambda x: fn.max_pool2d(x, 2, stride=1), IMAGES),
    "max_pool2d of one": (lambda x: fn.max_pool2d(x, 2, padding=1), (2, 4, 4)),
    "avg_pool2d": (lambda x: fn.avg_pool2d(x, 2), IMAGES),
}  # fmt: skip


@pytest.mark.parametrize("name", OF_NN)
def test_of_networks(name: str):
    f, *shapes = OF_NN[name]
    rng = np.random.default_rng(0)
    for axes in itertools.product((0, None, -1), repeat=len(shapes)):
        if any(axis is not None for axis in axes):
            arrays = []
            for shape, axis in zip(shapes, axes, strict=True):
                drawn = rng.normal(size=shape if axis is None else (SIZE, *shape))
                arrays.append(drawn if axis is None else np.moveaxis(drawn, 0, axis))
            for g in orders(f, len(shapes)):
                check(g, axes, tuple(arrays), 1e-9)


LAYERS = {
    "Conv2d": (nn.Conv2d(2, 3, 3, padding=1, rng=0), IMAGES),
    "MaxPool2d": (nn.MaxPool2d(2), IMAGES),
    "AvgPool2d": (nn.AvgPool2d(2), IMAGES),
    "Flatten": (nn.Flatten(), IMAGES),
    "Linear": (nn.Linear(4, 3, rng=0), (4,)),
    "MLP": (nn.MLP([4, 5, 2], activation="gelu", rng=0), (2, 4)),
    "Sequential": (nn.Sequential(*(cls() for cls in ACTIVATIONS)), (4,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_of_layers(name: str):
    layer, shape = LAYERS[name]
    x = np.random.default_rng(0).normal(size=(SIZE, *shape))
    loss = lambda layer, x: (layer(x) ** 2).sum()
    check(layer, (0,), (x,), 1e-12)
    if not list(layer.parameters()):
        return
    each = tl.vmap(tl.grad(loss), (None, 0))(layer, x)
    rows = [tl.grad(loss)(layer, one) for one in x]
    for key, stack in each.items():
        np.testing.assert_allclose(stack, [row[key] for row in rows], rtol=1e-10, atol=1e-10)


# -- random programs -------------------------------------------------------------------------------

STEPS = {
    "sin": lambda x, y: np.sin(x) * y,
    "where": lambda x, y: np.where(x > y, x * y, x - y),
    "max": lambda x, y: np.maximum(x, y.max(axis=0)),
    "matmul": lambda x, y: x @ y.T @ y,
    "outer": lambda x, y: np.einsum("ij,kj->ik", x, y) @ x,
    "sort": lambda x, y: np.sort(x, axis=0) + y,
    "cumsum": lambda x, y: np.cumsum(x, axis=-1) - y.mean(),
    "index": lambda x, y: x[[2, 0, 0], ::-1] + y[:, None, 1],
    "scatter": lambda x, y: np.pad(x[1:], ((0, 1), (0, 0))) * y,
    "softmax": lambda x, y: fn.softmax(x) + y,
    "solve": lambda x, y: np.linalg.solve(np.eye(3) * 9 + x @ x.T, y),
    "stack": lambda x, y: np.concatenate([x, y], axis=1)[:, 1:4],
    "roll": lambda x, y: np.roll(x, 1) * np.flip(y, 0),
    "take": lambda x, y: np.take_along_axis(x, np.argsort(y, axis=0), 0),
    "norm": lambda x, y: x / (1 + np.linalg.norm(y)),
    "inner vmap": lambda x, y: tl.vmap(lambda row: row * row.sum() + y[0])(x),
    "checkpoint": lambda x, y: tl.checkpoint(lambda a, b: np.tanh(a) * b, x, y),
    "inner grad": lambda x, y: tl.grad(lambda a: (np.sin(a) * y).sum())(x),
}


def program(steps: list[str]) -> Any:
    def run(x: Any, y: Any) -> Any:
        for step in steps:
            x, y = STEPS[step](x, y) / 2, x
        return x.sum() + (x * y).sum()

    return run


MATRICES = np.random.default_rng(1).normal(size=(2, 2, SIZE, 3, 3))


@settings(max_examples=25)
@given(
    st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=4),
    st.sampled_from([(0, 0), (0, None), (None, 0), (-1, 1)]),
    st.booleans(),
)
def test_of_programs(steps: list[str], axes: Any, twice: bool):
    f = tl.grad(program(steps), (0, 1))
    whole = MATRICES if twice else MATRICES[:, 0]
    x, y = (
        m[..., 0, :, :] if axis is None else np.moveaxis(m, -3, axis if axis < 0 else axis + twice)
        for m, axis in zip(whole, axes, strict=True)
    )
    if twice:  # one more around it
        each = [tl.vmap(f, axes)(*pair) for pair in zip(x, y, strict=True)]
        expected = [np.stack(part) for part in zip(*each, strict=True)]
        result = tl.vmap(tl.vmap(f, axes))(x, y)
        for a, b in zip(result, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)
    else:
        check(f, axes, (x, y), 1e-9)


# -- that these would notice -----------------------------------------------------------------------

WRONG = {
    np.sum: lambda level, op, x, axis=None, **kw: op(x.data, axis=axis and 0, **kw),
    np.sort: lambda level, op, x, axis=-1, **kw: op(x.data, axis=0, **kw),
    np.matmul: lambda level, op, a, b: op(level.front(a)[::-1], level.front(b)),
    np.swapaxes: lambda level, op, x, axis1, axis2: op(x.data, axis1, axis2),
}


@pytest.mark.parametrize("op", WRONG, ids=name_of)
def test_a_wrong_form_is_noticed(op: Any, monkeypatch: Any):
    monkeypatch.setitem(FORMS, op, WRONG[op])
    calls = {np.matmul: lambda x: np.matmul(x, x), np.swapaxes: lambda x: np.swapaxes(x, 0, 1)}
    arrays = (np.random.default_rng(0).normal(size=(SIZE, 3, 3)),)
    with pytest.raises((AssertionError, ValueError)):
        check(calls.get(op, op), (0,), arrays, 1e-9)
