"""tinygrad_lab: reverse-mode automatic differentiation on NumPy, and a laboratory around it.

    >>> import numpy as np, tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (np.sin(x) * x).sum().backward()
    >>> x.grad.round(3)
    array([ 1.382,  0.077, -2.829])

NumPy's functions work on tensors under their own names; ``tl.sin`` is ``np.sin``.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as _np

from tinygrad_lab import habits, nn, optim, warnings, words
from tinygrad_lab.core import operations
from tinygrad_lab.core.modes import debug, enable_grad, is_grad_enabled, no_grad
from tinygrad_lab.core.operations import defvjp, defvjp_joint, defvjp_variadic, primitive
from tinygrad_lab.core.rules.namespace import kind
from tinygrad_lab.core.tensor import Tensor, tensor
from tinygrad_lab.nn.functional import (
    avg_pool2d,
    binary_cross_entropy,
    conv2d,
    cross_entropy,
    log_softmax,
    logsumexp,
    max_pool2d,
    mse_loss,
    relu,
    sigmoid,
    softmax,
)
from tinygrad_lab.nn.kernels.threads import get_num_threads, set_num_threads
from tinygrad_lab.saving import load, save
from tinygrad_lab.summaries import summary
from tinygrad_lab.transforms import (
    checkpoint,
    functional_call,
    grad,
    gradients,
    hessian,
    hvp,
    jacobian,
    jit,
    jvp,
    program,
    repeat,
    stack_module_state,
    value_and_grad,
    vjp,
    vmap,
)
from tinygrad_lab.warnings import TrainingWarning

__version__ = "0.1.0"

__all__ = [
    "Tensor",
    "TrainingWarning",
    "avg_pool2d",
    "binary_cross_entropy",
    "checkpoint",
    "conv2d",
    "cross_entropy",
    "debug",
    "defvjp",
    "defvjp_joint",
    "defvjp_variadic",
    "enable_grad",
    "functional_call",
    "get_num_threads",
    "grad",
    "gradients",
    "hessian",
    "hvp",
    "is_grad_enabled",
    "jacobian",
    "jit",
    "jvp",
    "load",
    "log_softmax",
    "logsumexp",
    "max_pool2d",
    "mse_loss",
    "nn",
    "no_grad",
    "operations",
    "optim",
    "primitive",
    "program",
    "relu",
    "repeat",
    "save",
    "set_num_threads",
    "sigmoid",
    "softmax",
    "stack_module_state",
    "summary",
    "tensor",
    "value_and_grad",
    "vjp",
    "vmap",
    "warnings",
]

_OF_TRAINING = ("fit", "metrics")
_ON_DEMAND = ("data", "lab", "testing", "training", "viz")  # they bring matplotlib, hypothesis ...


def __getattr__(name: str) -> Any:
    if name in _ON_DEMAND:
        return importlib.import_module(f"{__name__}.{name}")
    if name in _OF_TRAINING:
        return getattr(importlib.import_module(f"{__name__}.training"), name)
    if name in words.PACKAGE:
        return words.PACKAGE[name]
    says_which = name in habits.PACKAGE
    function = None if says_which else getattr(_np, name, None)
    if _is_differentiable_or_constant(function):
        return function
    if name in words.TENSOR and not says_which:
        return words.TENSOR[name]
    hint = f"; numpy.{name} has no derivative rule" if callable(function) else ""
    for home in (nn, optim, nn.functional):
        hint = f": say {home.__name__}.{name}" if name in home.__all__ else hint
    functions = (own for own in dir(_np) if _is_differentiable_or_constant(getattr(_np, own)))
    raise habits.missing(__name__, name, [*__dir__(), *functions], hint)


def _is_differentiable_or_constant(function: Any) -> bool:
    operation = operations.OPERATIONS.get(function) if callable(function) else None
    return operation is not None and kind(operation) in ("differentiable", "constant")


def __dir__() -> list[str]:
    return sorted([*__all__, *_ON_DEMAND, *_OF_TRAINING])


words.teach()
habits.teach(Tensor)
