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

from typing import TYPE_CHECKING, NoReturn

from tinygrad_lab.habits import missing, teach
from tinygrad_lab.nn import functional, init, layers, utils
from tinygrad_lab.nn.kernels import batching as _batching  # noqa: F401 - declares its forms
from tinygrad_lab.nn.kernels import definitions as _definitions  # noqa: F401 - declares them
from tinygrad_lab.nn.layers.activations import *
from tinygrad_lab.nn.layers.attention import *
from tinygrad_lab.nn.layers.containers import *
from tinygrad_lab.nn.layers.convolution import *
from tinygrad_lab.nn.layers.distances import *
from tinygrad_lab.nn.layers.dropout import *
from tinygrad_lab.nn.layers.embedding import *
from tinygrad_lab.nn.layers.linear import *
from tinygrad_lab.nn.layers.losses import *
from tinygrad_lab.nn.layers.mlp import *
from tinygrad_lab.nn.layers.normalization import *
from tinygrad_lab.nn.layers.padding import *
from tinygrad_lab.nn.layers.patches import *
from tinygrad_lab.nn.layers.pooling import *
from tinygrad_lab.nn.layers.recurrent import *
from tinygrad_lab.nn.layers.resizing import *
from tinygrad_lab.nn.layers.transformer import *
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.parameter import Parameter
from tinygrad_lab.nn.seeds import generator_state, load_generator_state

# Each family lists its names.
__all__ = [
    "Module", "Parameter", "functional", "generator_state", "init", "load_generator_state",
    "utils",
]  # fmt: skip
__all__ += layers.activations.__all__
__all__ += layers.attention.__all__
__all__ += layers.containers.__all__
__all__ += layers.convolution.__all__
__all__ += layers.distances.__all__
__all__ += layers.dropout.__all__
__all__ += layers.embedding.__all__
__all__ += layers.linear.__all__
__all__ += layers.losses.__all__
__all__ += layers.mlp.__all__
__all__ += layers.normalization.__all__
__all__ += layers.padding.__all__
__all__ += layers.patches.__all__
__all__ += layers.pooling.__all__
__all__ += layers.recurrent.__all__
__all__ += layers.resizing.__all__
__all__ += layers.transformer.__all__


if not TYPE_CHECKING:  # a type checker knows by itself what is missing

    def __getattr__(name: str) -> NoReturn:
        raise missing(__name__, name, __all__)


teach(Module)
