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

import tinygrad_lab as tl
from tinygrad_lab.nn import functional

_ACTIVATIONS: dict[str, Callable[[Any], Any]] = {
    "sigmoid": functional.sigmoid,
    "relu": functional.relu,
    "tanh": np.tanh,
    "identity": lambda z: z,
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
    >>> members = [tl.nn.MLP([2, 3, 1], rng=seed) for seed in range(5)]
    >>> ensemble = Ensemble(members, ("sigmoid", "sigmoid"))
    >>> ensemble(np.ones((7, 2))).shape
    (5, 7, 1)
    """

    def __init__(self, members: Sequence[tl.nn.MLP], activations: tuple[str, str]) -> None:
        columns = zip(*(member.parameters() for member in members), strict=True)
        self._parameters = [_stacked(column) for column in columns]
        self.weights = [p for p in self._parameters if p.ndim == 3]
        self.biases = [p for p in self._parameters if p.ndim == 2]
        hidden, last = (_ACTIVATIONS[name] for name in activations)
        self.activations = [hidden] * (len(self.weights) - 1) + [last]

    def parameters(self) -> list[tl.Tensor]:
        """Return the stacked parameters, each of shape (members, ...)."""
        return self._parameters

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
        for index, (weight, activation) in enumerate(
            zip(self.weights, self.activations, strict=True)
        ):
            x = np.matmul(x, np.swapaxes(weight, -1, -2))
            if self.biases:
                bias = self.biases[index]
                x = x + bias.reshape(bias.shape[0], 1, bias.shape[1])
            x = activation(x)
        return x

    def hand_back(self, members: Sequence[tl.nn.MLP]) -> None:
        """Write the parameters, as they now are, into the members they came from."""
        for position, member in enumerate(members):
            for own, stacked in zip(member.parameters(), self._parameters, strict=True):
                own.data = stacked.data[position].copy()


def _stacked(parameters: Sequence[tl.Tensor]) -> tl.Tensor:
    return tl.Tensor(np.stack([p.data for p in parameters]), requires_grad=True)
