"""Functions into functions: derivatives of every kind, and memory for time.

They rest on the core, and add no rules of their own.
"""

from tinygrad_lab.transforms.checkpoint import checkpoint
from tinygrad_lab.transforms.derivatives import (
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jvp,
    value_and_grad,
    vjp,
)
from tinygrad_lab.transforms.jit import Jitted, Program, TracingError, jit, program, repeat

__all__ = [
    "Jitted",
    "Program",
    "TracingError",
    "checkpoint",
    "grad",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jit",
    "jvp",
    "program",
    "repeat",
    "value_and_grad",
    "vjp",
]
