"""Transforms crossed with whatever a function may do: right, or one clear refusal.

Each way to a derivative (a row of ``WAYS``) meets each kind of function (a row of ``FUNCTIONS``),
and is compared with central differences of the same function on plain arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import tinygrad_lab as tl
from tinygrad_lab.transforms.containers import leaves

X = np.array([0.4, -0.7, 1.1])
V = np.array([1.0, 0.5, -2.0])
MATRIX = np.array([[2.0, 0.3, -0.1], [0.3, 1.0, 0.2], [-0.1, 0.2, 0.5]])


# ---------------------------------------------------------------------------------------------
# Functions of three numbers


def plain(value: Any) -> Any:
    """The numbers of a result, whatever it is."""
    return np.asarray(value.detach() if isinstance(value, tl.Tensor) else value)


def hooked(x: Any) -> Any:
    """A hook that puts a gradient of its own in place, here the same one."""
    y = x * 1.0
    if isinstance(y, tl.Tensor) and y.requires_grad:
        y.register_hook(lambda g: g.reshape((3,)) + 0.0)
    return np.sin(y) * V


def retaining(x: Any) -> Any:
    y = x * 2.0
    if isinstance(y, tl.Tensor) and y.requires_grad:
        y.retain_grad()
    return y * y


def stopped(x: Any) -> Any:
    """What is computed in ``no_grad`` is constant: the differences must not move it either."""
    with tl.no_grad():
        constant = np.sum(X * X)
    return x * x * constant


def looping(x: Any) -> Any:
    while np.sum(plain(x) ** 2) < 50:
        x = x * 2 if plain(x)[0] > 0 else x * 3
    return x * x


def checkpoint(f: Any) -> Callable[[Any], Any]:
    return lambda x: tl.checkpoint(f, x) if isinstance(x, tl.Tensor) else f(x)


def spectrum(x: Any) -> Any:
    w, v = np.linalg.eigh(np.stack([MATRIX * x[0], MATRIX + np.sum(x) * np.eye(3)]))
    return np.sum((v * np.exp(w)[:, None, :]) @ np.swapaxes(v, -1, -2), axis=(0, 1))


def singular(x: Any) -> Any:
    u, s, vh = np.linalg.svd(np.stack([MATRIX * x[0], MATRIX * (2 + x)]))
    return np.sum((u * s[:, None, :] ** 3) @ vh, axis=(0, 2))


SMOOTH = lambda x: np.sin(x) * np.exp(x[::-1]) + x[0] * x[1] ** 2

#: (3,) -> (3,) real, each right under every way.
FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "plain": SMOOTH,
    "checkpoint": checkpoint(SMOOTH),
    "checkpoint of checkpoint": checkpoint(lambda x: checkpoint(SMOOTH)(np.tanh(x)) * x),
    "complex inside": lambda x: np.real(np.fft.ifft(np.fft.fft(x * x) * (1 + 2j))),
    "hook": hooked,
    "retain_grad": retaining,
    "no_grad inside": stopped,
    "debug inside": tl.debug()(SMOOTH),
    "control flow": looping,
    "eigh of a stack": spectrum,
    "svd of a stack": singular,
    "a constant part": lambda x: np.stack([x[0] * x[1], np.float64(3.0), x[2] ** 2]),
    "grad inside": lambda x: tl.grad(lambda z: np.sum(np.sin(z) * z[0]))(x),
    "value_and_grad inside": lambda x: tl.value_and_grad(lambda z: np.sum(z**3))(x)[1] * x,
    "vjp inside": lambda x: tl.vjp(np.sin, x)[1](x * x)[0],
    "jvp inside": lambda x: tl.jvp(np.sin, (x,), (x * x,))[1],
    "jacobian inside": lambda x: tl.jacobian(lambda z: z * z[0])(x) @ V,
    "hessian inside": lambda x: tl.hessian(lambda z: np.sum(z**3) * z[1])(x) @ V,
    "hvp inside": lambda x: tl.hvp(lambda z: np.sum(z**4), (x,), (x,))[0],
    "jvp inside, along x": lambda x: tl.jvp(lambda z: np.sin(z), (V,), (x * x,))[1],
    "vjp inside, cotangent x": lambda x: tl.vjp(lambda z: np.sin(z), V)[1](x * x)[0],
    "hvp inside, along x": lambda x: tl.hvp(lambda z: np.sum(z**4), (V,), (x * x,))[0],
    "several results inside": lambda x: sum(
        block @ V
        for _, block in leaves(tl.jacobian(lambda z: {"a": z * z, "b": (np.sin(z), z * 2)})(x))
    ),
    "integers among the results": lambda x: tl.jvp(
        lambda z: (z**3, np.argsort(plain(z)), 7), (x,), (V,)
    )[1][0],
    "has_aux inside": lambda x: tl.grad(lambda z: (np.sum(z**3), "aux"), has_aux=True)(x)[0],
    "a dict of arguments inside": lambda x: tl.grad(lambda p: np.sum(p["a"] ** 2 * p["b"][0]))(
        {"a": x, "b": [x]}
    )["b"][0],
    "nothing among the results": lambda x: np.concatenate([x[:0], x * x, x[3:]]),
    "a complex Jacobian inside": lambda x: (
        np.imag(tl.jacobian(lambda z: np.exp(1j * z * z[0]))(x)) @ V
    ),
    "a holomorphic Jacobian inside": lambda x: np.real(
        np.diagonal(tl.jacobian(lambda z: z**3)(x * (1 + 2j)))
    ),
    "a linear system": lambda x: np.linalg.solve(MATRIX + x * np.eye(3), V),
    "grad inside checkpoint": checkpoint(lambda x: tl.grad(lambda z: np.sum(z**3 * x))(x)),
    "a plain derivative inside": lambda x: x * x * tl.grad(lambda z: np.sum(z * z))(V),
}

#: Inside other transforms alone: elsewhere what a function closes over is constant.
CLOSING: dict[str, Callable[[Any], Any]] = {
    "grad closing over x": lambda x: tl.grad(lambda z: np.sum(np.sin(x * z) * z))(V),
    "jacobian closing over x": lambda x: tl.jacobian(lambda z: x * z * z[0])(V) @ V,
    "jvp closing over x": lambda x: tl.jvp(lambda z: x * z**2, (V,), (V,))[1],
    "vjp closing over x": lambda x: tl.vjp(lambda z: x * np.sin(x * z), V)[1](V)[0],
    "hvp closing over x": lambda x: tl.hvp(lambda z: np.sum(x**2 * z**3), (V,), (V,))[0],
    "hessian closing over x": lambda x: tl.hessian(lambda z: np.sum(x**2 * z**3))(V) @ V,
    "checkpoint of grad closing over x": checkpoint(
        lambda x: tl.grad(lambda z: np.sum(np.sin(x * z) * z))(V)
    ),
}


def differences(f: Any, x: Any, h: float = 1e-5) -> Any:
    """The Jacobian of ``f``, by central differences."""
    units = np.eye(x.size).reshape((x.size, *x.shape)) * h
    columns = [(plain(f(x + e)) - plain(f(x - e))) / (2 * h) for e in units]
    return np.stack(columns, axis=-1).reshape((*columns[0].shape, *x.shape))


# ---------------------------------------------------------------------------------------------
# Ways to a derivative: each gives what should be, from the function and from its Jacobian


def loss(f: Any) -> Callable[[Any], Any]:
    return lambda x: np.sum(f(x) * V)


def by_backward(f: Any, x: Any, **options: Any) -> Any:
    t = tl.tensor(x, requires_grad=True)
    loss(f)(t).backward(**options)
    return plain(t.grad)


def by_gradients(f: Any, x: Any, **options: Any) -> Any:
    t = tl.tensor(x, requires_grad=True)
    return plain(tl.gradients(f(t), t, V, **options))


FIRST_ORDER: dict[str, tuple[Any, Any]] = {
    "grad": (lambda f, x: tl.grad(loss(f))(x), lambda j: V @ j),
    "value_and_grad": (lambda f, x: tl.value_and_grad(loss(f))(x)[1], lambda j: V @ j),
    "vjp": (lambda f, x: tl.vjp(f, x)[1](V)[0], lambda j: V @ j),
    "jvp": (lambda f, x: tl.jvp(f, (x,), (V,))[1], lambda j: j @ V),
    "jacobian": (lambda f, x: tl.jacobian(f)(x), lambda j: j),
    "gradients": (by_gradients, lambda j: V @ j),
    "backward": (by_backward, lambda j: V @ j),
    "backward, keeping a graph": (
        lambda f, x: by_backward(f, x, create_graph=True),
        lambda j: V @ j,
    ),
    "grad in no_grad": (lambda f, x: tl.no_grad()(tl.grad(loss(f)))(x), lambda j: V @ j),
    "jacobian in debug": (lambda f, x: tl.debug()(tl.jacobian(f))(x), lambda j: j),
    "checkpoint around": (
        lambda f, x: tl.grad(lambda z: tl.checkpoint(loss(f), z))(x),
        lambda j: V @ j,
    ),
}


def crossed(ways: dict[str, Any]) -> list[Any]:
    return [
        pytest.param(kind, way, id=f"{way}-{kind}")
        for way in ways
        for kind in FUNCTIONS | CLOSING
        if kind in FUNCTIONS or not way.startswith(("backward", "gradients"))
    ]


@pytest.mark.parametrize(("kind", "way"), crossed(FIRST_ORDER))
def test_first_derivatives(kind: str, way: str):
    f, (derivative, expected) = (FUNCTIONS | CLOSING)[kind], FIRST_ORDER[way]
    result = derivative(f, X)
    assert type(result) is np.ndarray
    np.testing.assert_allclose(result, expected(differences(f, X)), rtol=1e-7, atol=1e-8)


SECOND_ORDER: dict[str, tuple[Any, Any]] = {
    "hessian": (lambda f, x: tl.hessian(loss(f))(x), lambda h: h),
    "hvp": (lambda f, x: tl.hvp(loss(f), (x,), (V,))[0], lambda h: h @ V),
    "jvp of grad": (lambda f, x: tl.jvp(tl.grad(loss(f)), (x,), (V,))[1], lambda h: h @ V),
    "grad of vjp": (
        lambda f, x: tl.grad(lambda z: np.sum(tl.vjp(f, z)[1](V)[0] * V))(x),
        lambda h: h @ V,
    ),
    "grad of jvp": (
        lambda f, x: tl.grad(lambda z: np.sum(tl.jvp(f, (z,), (V,))[1] * V))(x),
        lambda h: h @ V,
    ),
}


@pytest.mark.parametrize(("kind", "way"), crossed(SECOND_ORDER))
def test_second_derivatives(kind: str, way: str):
    f, (derivative, expected) = (FUNCTIONS | CLOSING)[kind], SECOND_ORDER[way]
    first = tl.grad(loss(f))
    result = derivative(f, X)
    assert type(result) is np.ndarray
    np.testing.assert_allclose(result, expected(differences(first, X)), rtol=1e-7, atol=1e-8)
