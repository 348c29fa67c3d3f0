"""All orders of transforms: derivatives in and around `vmap`, `jit` and `checkpoint`."""

import itertools

import numpy as np
import pytest

import tinygrad_lab as tl

X = np.array([1.0, 2.0, 0.5])
ROWS = np.stack([X, X * 2, X - 1])
V = np.array([0.1, -1.0, 2.0])


def f(x):
    return np.sum(np.sin(x) * x[::-1] ** 2)


def checkpointed(f):
    return lambda x: tl.checkpoint(f, x)


DERIVATIVES = {
    "grad": tl.grad,
    "jvp": lambda f: lambda x: tl.jvp(f, (x,), (V,))[1],
    "hvp": lambda f: lambda x: tl.hvp(f, (x,), (V,))[0],
    "jacobian": tl.jacobian,
    "hessian": tl.hessian,
    "grad of jvp": lambda f: tl.grad(lambda x: tl.jvp(f, (x,), (V,))[1]),
    "value": lambda f: f,
}
INSIDE = {"jit": tl.jit, "checkpoint": checkpointed, "itself": lambda f: f}
AROUND = {"jit": tl.jit, "checkpoint": checkpointed, "jit of checkpoint": lambda f: tl.jit(
    checkpointed(f)
)}  # fmt: skip
BATCHED = {
    "vmap": tl.vmap,
    "jit of vmap": lambda f: tl.jit(tl.vmap(f)),
    "vmap of jit": lambda f: tl.vmap(tl.jit(f)),
}


def plain(y):
    return np.asarray(y.data if isinstance(y, tl.Tensor) else y)


@pytest.mark.parametrize("inside", INSIDE)
@pytest.mark.parametrize("derivative", DERIVATIVES)
class TestOrders:
    """The derivative of a transformed function, transformed."""

    @pytest.mark.parametrize("around", AROUND)
    def test_of_one(self, inside, derivative, around):
        transform = DERIVATIVES[derivative]
        expected, transformed = transform(f)(X), AROUND[around](transform(INSIDE[inside](f)))
        for _ in range(3):
            np.testing.assert_allclose(plain(transformed(X)), expected, rtol=1e-13)

    @pytest.mark.parametrize("around", BATCHED)
    def test_of_many(self, inside, derivative, around):
        transform = DERIVATIVES[derivative]
        expected = np.stack([transform(f)(x) for x in ROWS])
        transformed = BATCHED[around](transform(INSIDE[inside](f)))
        for _ in range(2):
            np.testing.assert_allclose(plain(transformed(ROWS)), expected, rtol=1e-12)

    def test_gradient_of_many(self, inside, derivative):
        transform = DERIVATIVES[derivative]
        loss = lambda f: lambda rows: np.sum(tl.vmap(transform(f))(rows) ** 2)
        expected, transformed = tl.grad(loss(f))(ROWS), tl.grad(loss(INSIDE[inside](f)))
        for _ in range(2):
            np.testing.assert_allclose(transformed(ROWS), expected, rtol=1e-12)


MATRIX = np.outer(X, V) / 3
OF_ARRAYS = {
    "grad": lambda f: tl.grad(lambda x: np.sum(np.sin(f(x)))),
    "jacobian": tl.jacobian,
    "vmap": lambda f: lambda x: tl.vmap(f)(np.stack([x, 2 * x])),
    "checkpoint": checkpointed,
    "jit": tl.jit,
}


def of_array(x):
    return np.tanh(MATRIX @ x) * np.sum(x * x)


@pytest.mark.parametrize("orders", [*itertools.product(OF_ARRAYS, repeat=3)], ids="-".join)
def test_of_a_function_of_arrays(orders):
    expected = transformed = of_array
    for name in ("checkpoint", *orders):
        if name not in ("checkpoint", "jit"):  # which change nothing
            expected = OF_ARRAYS[name](expected)
        transformed = OF_ARRAYS[name](transformed)
    for x in (X, X + 0.5):
        np.testing.assert_allclose(
            plain(transformed(x)), plain(expected(x)), rtol=1e-10, atol=1e-12
        )


def test_a_checkpoint_inside_vmap_of_what_is_tracked_outside():
    for f in (lambda f, *xs: f(*xs), tl.checkpoint):
        inner = lambda y, x, f=f: np.sum(f(lambda y, x: (y * x) ** 3, y, x) ** 2)
        outer = lambda x, inner=inner: np.sum(tl.vmap(tl.grad(inner), (0, None))(ROWS, x))
        np.testing.assert_allclose(tl.grad(outer)(X), np.sum(36 * ROWS**5, 0) * X**5)


def test_arrays_of_other_libraries_flow_through_jit():
    da = pytest.importorskip("dask.array")
    summed = tl.jit(lambda x: np.sum(np.sin(x)))
    x = np.arange(16.0).reshape(4, 4)
    assert summed(x) == summed(x)
    assert np.isclose(summed(da.from_array(x, chunks=2)).compute(), summed(x))
    gradient = tl.grad(summed)(da.from_array(x, chunks=2))
    np.testing.assert_allclose(gradient.compute(), np.cos(x))
    assert "an array of dask" in summed.report()
