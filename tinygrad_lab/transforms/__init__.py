"""Functions into functions: derivatives of every kind, and memory for time.

They rest on the core, and add no rules of their own.
"""

from tinygrad_lab.core.errors import BatchedValueError
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
from tinygrad_lab.transforms.stateless import functional_call, stack_module_state
from tinygrad_lab.transforms.vmap import vmap

__all__ = [
    "BatchedValueError",
    "Jitted",
    "Program",
    "TracingError",
    "checkpoint",
    "functional_call",
    "grad",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jit",
    "jvp",
    "program",
    "repeat",
    "stack_module_state",
    "value_and_grad",
    "vjp",
    "vmap",
]
