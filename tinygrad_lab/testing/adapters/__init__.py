"""Check gradients that are not ours: hand-written backprop, PyTorch, autograd, JAX.

Each adapter makes of a function something that ``gradcheck`` takes in place of one of Tensors:

    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> mine = tgt.adapters.numpy(np.sin, lambda g, x: g * np.cos(x))
    >>> tgt.gradcheck(mine, np.array([0.5, 1.0])).verdict
    'pass'

The other libraries are imported when an adapter for them is called, not before.

Not for: reading a hand-written backward pass line by line (``telling/audit.py``).
"""

from tinygrad_lab.testing.adapters.adapted import numpy
from tinygrad_lab.testing.adapters.layers import layer
from tinygrad_lab.testing.adapters.libraries import autograd, jax, torch
from tinygrad_lab.testing.judging.subject import Adapter

__all__ = ["Adapter", "autograd", "jax", "layer", "numpy", "torch"]
