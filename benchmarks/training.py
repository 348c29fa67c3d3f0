"""What the contenders of a training step share: the loop of PyTorch's tutorials, and its models.

Not for the problems themselves (`lab_step.py`, `digit_step.py`).
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.timing import Runner


def training(loss: Callable[[], Any], optimizer: Any, parameters: Sequence[Any]) -> Runner:
    """Return the step of a model, a loss and an optimizer, written the same in PyTorch and here."""

    def backward():
        optimizer.zero_grad()
        loss().backward()

    def step():
        backward()
        optimizer.step()

    def gradients():
        backward()
        return [np.asarray(parameter.grad) for parameter in parameters]

    return Runner(step, gradients)


def torch_layers(sizes: Sequence[int], start: Sequence[np.ndarray], activation: Any) -> list[Any]:
    """Return PyTorch's linear layers with these weights and biases, an activation after each."""
    import torch

    tensors = [torch.from_numpy(value) for value in start]
    layers = []
    for i, (inputs, outputs) in enumerate(pairwise(sizes)):
        linear = torch.nn.Linear(inputs, outputs, dtype=tensors[0].dtype)
        linear.weight.data, linear.bias.data = tensors[2 * i : 2 * i + 2]
        layers += [linear, activation()]
    return layers
