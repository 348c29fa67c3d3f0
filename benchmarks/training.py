"""What the contenders of a training step share: the loop of PyTorch's tutorials, and its models.

Not for the problems themselves (`lab_step.py`, `digit_step.py`).
"""

import shutil
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from benchmarks.timing import Runner


def training(loss: Callable[[], Any], optimizer: Any, model: Any) -> Runner:
    """Return the step of a model, a loss and an optimizer, written the same in PyTorch and here."""
    parameters = list(model.parameters())

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


def jitted(loss: Callable[[], Any], optimizer: Any, model: Any, *, backend: Any) -> Runner:
    """Return the same step of ours, recorded."""
    import tinygrad_lab as tl

    if backend == "numba":
        import numba  # noqa: F401 - to say so where it is missing
    step = tl.jit(training(loss, optimizer, model).step, backend=backend)
    backward = tl.jit(lambda: (optimizer.zero_grad(), loss().backward())[1], backend=backend)

    def gradients():
        for _ in range(3):  # recorded, compiled, run
            backward()
        return [np.asarray(parameter.grad) for parameter in model.parameters()]

    return Runner(step, gradients)


def compiled_torch(loss: Callable[[], Any], optimizer: Any, model: Any) -> Runner:
    """Return the same step of PyTorch, loss and update compiled, where there is a compiler."""
    import torch

    if shutil.which("g++") is None and shutil.which("clang++") is None:
        raise ImportError("C++ compiler")
    optimizer.step = torch.compile(optimizer.step)
    return training(torch.compile(loss), optimizer, model)


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
