"""Neural networks: modules, layers, initialisation, and the functions they are made of.

>>> import numpy as np
>>> from tinygrad_lab import nn
>>> model = nn.MLP([2, 4, 1], rng=0)
>>> loss = nn.functional.mse_loss(model(np.zeros((10, 2))), np.zeros((10, 1)))
>>> loss.backward()
>>> model.layers[0].weight.grad.shape
(4, 2)
"""

from __future__ import annotations

from typing import NoReturn

from tinygrad_lab.habits import missing, teach
from tinygrad_lab.nn import batching as _batching  # noqa: F401 - declares its forms
from tinygrad_lab.nn import definitions as _definitions  # noqa: F401 - declares them
from tinygrad_lab.nn import functional, init
from tinygrad_lab.nn.layers import (
    ELU,
    GELU,
    MLP,
    AvgPool2d,
    Conv2d,
    Dropout,
    Flatten,
    Identity,
    LeakyReLU,
    Linear,
    LogSoftmax,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    SiLU,
    Softmax,
    Softplus,
    Tanh,
)
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.parameter import Parameter

__all__ = [
    "ELU",
    "GELU",
    "MLP",
    "AvgPool2d",
    "Conv2d",
    "Dropout",
    "Flatten",
    "Identity",
    "LeakyReLU",
    "Linear",
    "LogSoftmax",
    "MaxPool2d",
    "Module",
    "Parameter",
    "ReLU",
    "Sequential",
    "SiLU",
    "Sigmoid",
    "Softmax",
    "Softplus",
    "Tanh",
    "functional",
    "init",
]


def __getattr__(name: str) -> NoReturn:
    raise missing(__name__, name, __all__)


teach(Module)
