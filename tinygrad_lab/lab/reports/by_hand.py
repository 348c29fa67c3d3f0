"""Report A's back-propagation as a person writes it: plain NumPy, every derivative by hand.

A 2-2-2-1 network of sigmoids with biases, its mean squared error on XOR, the gradients of that
error, and an update with momentum.  Samples stand in columns, as in the report.  The gradients and
the update are here twice: with the report's mistake, and mended.

    >>> parameters = midway(seed=0, epochs=0)
    >>> derived, right = gradients_as_derived(*parameters), gradients(*parameters)
    >>> (derived[-1] / right[-1]).round(2)
    array([[6.01]])

It is here to be checked (``checked.py``), so nothing in it knows of tensors or of the checker.
Not for training: ``training.py`` does that, with automatic gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.lab.points import xor

Array = NDArray[Any]
Update = Callable[[Sequence[Array], Sequence[Array], float], list[Array]]

#: Units of each layer: the smallest network of report A, so that a message stays short.
SIZES = (2, 2, 2, 1)

X, Y = (array.T for array in xor())
n = Y.size


def midway(seed: int, epochs: int) -> list[Array]:
    """Train as report A does, at rate 1, and return W1, b1, W2, b2, W3, b3 to two decimals.

    Weights are drawn from N(0, 1), biases begin at 0.
    """
    rng = np.random.default_rng(seed)
    parameters = []
    for inputs, outputs in pairwise(SIZES):
        parameters += [rng.normal(size=(outputs, inputs)), np.zeros((outputs, 1))]
    for _ in range(epochs):
        slopes = gradients_as_derived(*parameters)
        parameters = [p - g for p, g in zip(parameters, slopes, strict=True)]
    return [p.round(2) + 0.0 for p in parameters]  # no -0.0


def sigmoid(z: Any) -> Any:
    """Return 1 / (1 + exp(-z))."""
    return 1 / (1 + np.exp(-z))


# ---- the loss and its gradients -----------------------------------------------------------------


def loss(W1: Array, b1: Array, W2: Array, b2: Array, W3: Array, b3: Array) -> Any:
    """Return the mean squared error."""
    Z1 = W1 @ X + b1
    A1 = sigmoid(Z1)
    Z2 = W2 @ A1 + b2
    A2 = sigmoid(Z2)
    Z3 = W3 @ A2 + b3
    A3 = sigmoid(Z3)
    return np.sum((A3 - Y) ** 2) / n


def gradients_as_derived(
    W1: Array, b1: Array, W2: Array, b2: Array, W3: Array, b3: Array
) -> list[Array]:
    """Return the gradients of the loss as report A derives them."""
    A1 = sigmoid(W1 @ X + b1)
    A2 = sigmoid(W2 @ A1 + b2)
    A3 = sigmoid(W3 @ A2 + b3)
    dZ3 = 2 * (A3 - Y) / n
    dZ2 = (W3.T @ dZ3) * A2 * (1 - A2)
    dZ1 = (W2.T @ dZ2) * A1 * (1 - A1)
    return by_parameters((dZ1, X), (dZ2, A1), (dZ3, A2))


def gradients(W1: Array, b1: Array, W2: Array, b2: Array, W3: Array, b3: Array) -> list[Array]:
    """Return the gradients of the loss."""
    A1 = sigmoid(W1 @ X + b1)
    A2 = sigmoid(W2 @ A1 + b2)
    A3 = sigmoid(W3 @ A2 + b3)
    dZ3 = 2 * (A3 - Y) * A3 * (1 - A3) / n
    dZ2 = (W3.T @ dZ3) * A2 * (1 - A2)
    dZ1 = (W2.T @ dZ2) * A1 * (1 - A1)
    return by_parameters((dZ1, X), (dZ2, A1), (dZ3, A2))


def by_parameters(*layers: tuple[Array, Array]) -> list[Array]:
    """Return dW and db of each layer, of its dZ and of what the layer was given."""
    return [g for dZ, A in layers for g in (dZ @ A.T, dZ.sum(axis=1, keepdims=True))]


# ---- the update ---------------------------------------------------------------------------------


def momentum_as_reported() -> Update:
    """Begin an update with momentum as report A writes it."""
    velocity = [np.zeros(())] * 6

    def update(parameters: Sequence[Array], gradients: Sequence[Array], rate: float) -> list[Array]:
        velocity[:] = gathered(velocity, gradients, rate)
        return [p + v for p, v in zip(parameters, velocity, strict=True)]

    return update


def momentum() -> Update:
    """Begin an update with momentum."""
    velocity = [np.zeros(())] * 6

    def update(parameters: Sequence[Array], gradients: Sequence[Array], rate: float) -> list[Array]:
        velocity[:] = gathered(velocity, gradients, rate)
        return [p - v for p, v in zip(parameters, velocity, strict=True)]

    return update


def gathered(velocity: Sequence[Array], gradients: Sequence[Array], rate: float) -> list[Array]:
    """Return the next velocity: 0.9 of the last one, and a step along the gradient."""
    return [0.9 * v + rate * g for v, g in zip(velocity, gradients, strict=True)]
