"""tinygrad_lab: reverse-mode automatic differentiation on NumPy, and a laboratory around it.

    >>> import numpy as np, tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (np.sin(x) * x).sum().backward()
    >>> x.grad.round(3)
    array([ 1.382,  0.077, -2.829])

NumPy's functions work on tensors under their own names; ``tl.sin`` is ``np.sin``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import numpy as _np

from tinygrad_lab import habits, warnings, words
from tinygrad_lab.core import operations
from tinygrad_lab.core.modes import debug, enable_grad, is_grad_enabled, no_grad
from tinygrad_lab.core.operations import defvjp, defvjp_joint, defvjp_variadic, primitive
from tinygrad_lab.core.rules.namespace import kind
from tinygrad_lab.core.tensor import Tensor, tensor
from tinygrad_lab.warnings import TrainingWarning

if TYPE_CHECKING:  # these are loaded when they are first asked for, see _HOMES
    from tinygrad_lab import nn, optim
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

_PARTS = ("data", "lab", "nn", "optim", "testing", "training", "viz")
_HOMES = {
    "nn.functional": (
        "avg_pool2d", "binary_cross_entropy", "conv2d", "cross_entropy", "log_softmax",
        "logsumexp", "max_pool2d", "mse_loss", "relu", "sigmoid", "softmax",
    ),
    "nn.kernels.threads": ("get_num_threads", "set_num_threads"),
    "saving": ("load", "save"),
    "summaries": ("summary",),
    "training": ("fit", "metrics"),
    "transforms": (
        "checkpoint", "functional_call", "grad", "gradients", "hessian", "hvp", "jacobian", "jit",
        "jvp", "program", "repeat", "stack_module_state", "value_and_grad", "vjp", "vmap",
    ),
}  # fmt: skip

#: Where a name is loaded from when it is first asked for.  All of it takes three times as long as
#: the core does, and some of it brings matplotlib and Hypothesis.
_ON_DEMAND = {name: home for home, names in _HOMES.items() for name in names}


def _part(name: str) -> Any:
    import_module(f"{__name__}.nn")  # first: two threads that load parts of it meet in a circle
    return import_module(f"{__name__}.{name}")


def __getattr__(name: str) -> Any:
    if name in _PARTS:
        return _part(name)
    if name in _ON_DEMAND:
        globals()[name] = value = getattr(_part(_ON_DEMAND[name]), name)
        return value
    if name in words.PACKAGE:
        return words.PACKAGE[name]
    says_which = name in habits.PACKAGE
    function = None if says_which else getattr(_np, name, None)
    if _is_differentiable_or_constant(function):
        return function
    if name in words.TENSOR and not says_which:
        return words.TENSOR[name]
    if name.startswith("__"):  # Python's tools ask for many
        raise habits.missing(__name__, name)
    hint = f"; numpy.{name} has no derivative rule" if callable(function) else ""
    for home in map(_part, ("nn", "optim", "nn.functional")):
        hint = f": say {home.__name__}.{name}" if name in home.__all__ else hint
    functions = (own for own in dir(_np) if _is_differentiable_or_constant(getattr(_np, own)))
    raise habits.missing(__name__, name, [*__dir__(), *functions], hint)


def _is_differentiable_or_constant(function: Any) -> bool:
    operation = operations.OPERATIONS.get(function) if callable(function) else None
    return operation is not None and kind(operation) in ("differentiable", "constant")


def __dir__() -> list[str]:
    return sorted({*__all__, *_PARTS, *_ON_DEMAND})


words.teach()
habits.teach(Tensor)
