"""tinygrad_lab: reverse-mode automatic differentiation on NumPy, and a laboratory around it.

    >>> import numpy as np, tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 2.0, 3.0], requires_grad=True)
    >>> (np.sin(x) * x).sum().backward()
    >>> x.grad.round(3)
    array([ 1.382,  0.077, -2.829])

Every NumPy function works on tensors under its own name; ``tl.sin`` is ``np.sin``.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as _np

from tinygrad_lab.core import rules as _rules
from tinygrad_lab.core.engine import RULES as _RULES
from tinygrad_lab.core.modes import debug, enable_grad, is_grad_enabled, no_grad
from tinygrad_lab.core.primitive import CONSTANT as _CONSTANT
from tinygrad_lab.core.primitive import INSTEAD as _INSTEAD
from tinygrad_lab.core.primitive import defvjp, primitive
from tinygrad_lab.core.tensor import Tensor, tensor
from tinygrad_lab.core.transforms import gradients

__version__ = "0.1.0"

__all__ = [
    "Tensor",
    "debug",
    "defvjp",
    "enable_grad",
    "gradients",
    "is_grad_enabled",
    "no_grad",
    "primitive",
    "tensor",
]

_LAZY = ("nn", "optim", "lab", "testing", "viz")  # they load matplotlib, graphviz, hypothesis ... when used


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return importlib.import_module(f"{__name__}.{name}")
    function = getattr(_np, name, None)
    if callable(function) and any(function in table for table in (_RULES, _INSTEAD, _CONSTANT)):
        return function
    raise AttributeError(
        f"module {__name__!r} has no attribute {name!r}"
        + (f"; numpy.{name} has no derivative rule" if callable(function) else "")
    )


def __dir__() -> list[str]:
    return sorted([*__all__, *_LAZY])
