"""Transforms in transforms in transforms, drawn at random, against central differences.

Each level is a transform of a function of its own variable that also uses the variables of all
levels around it.  `make test-thorough` draws many.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tl

V = np.array([0.4, 0.2, -0.8])
Function = Callable[[Any, Sequence[Any]], Any]  # of a variable, and of those of the levels around

BASES: list[Function] = [
    lambda x, around: np.sin(x) * around[-1] + x,
    lambda x, around: x * around[0] * np.tanh(x[::-1]),
    lambda x, around: np.real(np.fft.ifft(np.fft.fft(x) * (1 + 1j))) * around[-1],
    lambda x, around: np.stack([x[0] * around[0][1], x[1] * x[2], around[-1][2] + x[0]]),
    lambda x, around: np.where(V > 0, x * x, around[0] * x),
]


def handed_over(f: Function, x: Any, around: Sequence[Any]) -> Any:
    return tl.checkpoint(lambda x, *around: f(x, around), x, *around)


def loss(f: Function, around: Sequence[Any]) -> Callable[[Any], Any]:
    return lambda z: np.sum(f(z, around) * V)


#: What a level does with the function within, at a point, along a direction.
LEVELS: list[Callable[[Function, Any, Any, Sequence[Any]], Any]] = [
    lambda f, x, _, around: tl.grad(loss(f, around))(x),
    lambda f, x, _, around: np.multiply(*tl.value_and_grad(loss(f, around))(x)),
    lambda f, x, v, around: tl.vjp(lambda z: f(z, around), x)[1](v)[0],
    lambda f, x, v, around: tl.jvp(lambda z: f(z, around), (x,), (v,))[1],
    lambda f, x, _, around: tl.jacobian(lambda z: {"y": f(z, around), "z": z})(x)["y"] @ V,
    lambda f, x, _, around: tl.hessian(loss(f, around))(x) @ V,
    lambda f, x, v, around: tl.hvp(loss(f, around), (x,), (v,))[0],
    lambda f, x, _, around: handed_over(f, x, around),
    lambda f, x, _, around: tl.grad(lambda z: np.sum(handed_over(f, z, around) * V))(x),
    lambda f, x, _, around: tl.debug()(f)(x, around),
]

WAYS: list[tuple[Callable[[Any, Any], Any], Callable[[Any], Any]]] = [
    (lambda f, x: tl.jacobian(f)(x), lambda j: j),
    (lambda f, x: tl.grad(lambda z: np.sum(f(z) * V))(x), lambda j: V @ j),
    (lambda f, x: tl.jvp(f, (x,), (V,))[1], lambda j: j @ V),
    (lambda f, x: tl.vjp(f, x)[1](V)[0], lambda j: V @ j),
]


def nested(draw: Any, depth: int) -> Function:
    base = draw(st.sampled_from(BASES))
    if depth == 0:
        return base
    within, level = nested(draw, depth - 1), draw(st.sampled_from(LEVELS))
    at, along = draw(st.integers(0, 2)), draw(st.integers(0, 1))

    def f(x: Any, around: Sequence[Any]) -> Any:
        point, direction = (x, V, x * 0.5 + V)[at], (x, V)[along]
        return base(x, around) + 0.5 * level(within, point, direction, [*around, x])

    return f


def differences(f: Any, x: Any, h: float = 1e-5) -> Any:
    columns = [(f(x + h * e) - f(x - h * e)) / (2 * h) for e in np.eye(x.size)]
    return np.stack(columns, axis=-1)


@given(data=st.data())
def test_nested_derivatives(data: Any):
    function = nested(data.draw, data.draw(st.integers(1, 3)))
    f = lambda x: function(x, [V])
    x = np.array([data.draw(st.integers(-8, 8)) / 10 for _ in range(3)])
    derivative, expected = data.draw(st.sampled_from(WAYS))
    assert type(f(x)) is np.ndarray
    result = derivative(f, x)
    assert type(result) is np.ndarray
    jacobian = differences(f, x)
    scale = max(1.0, float(np.max(np.abs(jacobian))))
    np.testing.assert_allclose(result, expected(jacobian), rtol=1e-5, atol=1e-6 * scale)
