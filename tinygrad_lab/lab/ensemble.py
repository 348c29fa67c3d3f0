"""Many networks of one shape as one batched model: each parameter gains a leading axis.

A study trains the same small network from many seeds, and for networks this small nearly all the
time is Python's, not the arithmetic's.  Stacked, twenty of them take hardly longer than one, and
NumPy's broadcasting needs no new rule for it.  Not for averaging predictions, nor for networks of
different shapes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab import nn
from tinygrad_lab.nn import functional

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": functional.sigmoid,
    "relu": functional.relu,
    "tanh": np.tanh,
    "none": lambda z: z,
}


class Ensemble:
    """Networks side by side, which share no parameter.

    Parameters
    ----------
    members
        Multilayer perceptrons of the same sizes, with or without biases.
    activations
        The hidden and the last activation they have.

    Examples
    --------
    >>> from tinygrad_lab import nn
    >>> members = [nn.MLP([2, 3, 1], rng=seed) for seed in range(5)]
    >>> ensemble = Ensemble(members, ("sigmoid", "sigmoid"))
    >>> ensemble(np.ones((7, 2))).shape
    (5, 7, 1)
    """

    def __init__(self, members: Sequence[nn.MLP], activations: tuple[str, str]) -> None:
        columns = list(zip(*(member.parameters() for member in members), strict=True))
        # Laid out as the forward pass needs them: (members, in, out) and (members, 1, out).
        self.weights = [_stacked(c, lambda w: w.T) for c in columns if c[0].ndim == 2]
        self.biases = [_stacked(c, lambda b: b.reshape(1, -1)) for c in columns if c[0].ndim == 1]
        hidden, last = (_ACTIVATIONS[name] for name in activations)
        self.activations = [hidden] * (len(self.weights) - 1) + [last]

    def parameters(self) -> list[nn.Parameter]:
        """Return the stacked parameters, each of shape (members, ...)."""
        return [*self.weights, *self.biases]

    def __call__(self, x: Any) -> Any:
        """Return every member's output.

        Parameters
        ----------
        x
            Inputs, shape (n, inputs) for all, or (members, n, inputs), each its own.

        Returns
        -------
        Tensor
            Shape (members, n, outputs).
        """
        for index, weight in enumerate(self.weights):
            x = np.matmul(x, weight)
            if self.biases:
                x = x + self.biases[index]
            x = self.activations[index](x)
        return x

    def hand_back(self, members: Sequence[nn.MLP]) -> None:
        """Write the parameters, as they now are, into the members they came from."""
        for position, member in enumerate(members):
            weights, biases = iter(self.weights), iter(self.biases)
            for own in member.parameters():
                stacked = next(weights if own.ndim == 2 else biases).data[position]
                own.data = stacked.T.reshape(own.shape).copy()


def _stacked(
    parameters: Sequence[nn.Parameter], layout: Callable[[np.ndarray], np.ndarray]
) -> nn.Parameter:
    return nn.Parameter(np.stack([layout(p.data) for p in parameters]))
