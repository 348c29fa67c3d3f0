"""Functions that PyTorch, JAX or autograd differentiate; each is imported when it is asked for.

Not for: gradients that somebody wrote by hand in NumPy (``adapted.py``).
"""

from tinygrad_lab.testing.adapters.libraries.autograd import autograd
from tinygrad_lab.testing.adapters.libraries.jax import jax
from tinygrad_lab.testing.adapters.libraries.torch import torch

__all__ = ["autograd", "jax", "torch"]
