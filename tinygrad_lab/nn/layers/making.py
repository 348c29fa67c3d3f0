"""What layers share when they are built: sizes that are checked, and first values.

Not for: how the values are drawn (``init.py``).
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core.arguments import on_cpu
from tinygrad_lab.core.levels import level_of
from tinygrad_lab.nn.init import Init, fans, initialiser, uniform
from tinygrad_lab.nn.parameter import Parameter

__all__ = ["Rng", "Size", "expect_one_for_all", "first_values", "on_cpu", "parameters", "positive"]

Size = int | tuple[int, int]
Rng = int | np.random.Generator | None


def parameters(
    shape: tuple[int, ...],
    bias: bool,
    dtype: npt.DTypeLike | None,
    init: str | Init | None,
    rng: Rng,
    outputs: int | None = None,
) -> tuple[Parameter, Parameter | None]:
    """A weight of ``shape``, and a bias or None: one for each output, the weight's first axis."""
    generator, bound = np.random.default_rng(rng), 1 / sqrt(fans(shape)[0])
    weight = first_values(shape, bound, dtype, init, generator)
    of_bias = shape[:1] if outputs is None else (outputs,)
    return weight, first_values(of_bias, bound, dtype, init, generator) if bias else None


def first_values(
    shape: tuple[int, ...],
    bound: float,
    dtype: npt.DTypeLike | None,
    init: str | Init | None,
    rng: np.random.Generator,
) -> Parameter:
    """A parameter: uniform within ``bound``, or as ``init`` says, where vectors begin at 0."""
    dtype = np.float64 if dtype is None else dtype
    if np.dtype(dtype).kind not in "fc":
        raise ValueError(f"dtype={np.dtype(dtype)}: parameters are floats")
    if init is None:
        return Parameter(uniform(shape, rng, dtype, low=-bound, high=bound))
    if len(shape) == 1:
        return Parameter(np.zeros(shape, dtype))
    values = initialiser(init)(shape, rng, dtype)
    if values.shape != shape:
        raise ValueError(f"init gave shape {values.shape} for a weight of shape {shape}")
    return Parameter(values)


def positive(value: Any, name: str) -> int:
    """Check a size: an integer of 1 or more."""
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}={value!r}: expected an integer of 1 or more")
    return int(value)


def expect_one_for_all(new: Any, old: Any, layer: Any, what: str) -> None:
    """Refuse to keep in a layer what a ``vmap`` around the call has one of for each example."""
    if level_of(new) is not level_of(old):
        raise RuntimeError(
            f"{type(layer).__name__} inside vmap: {what} one layer. Hand over what it holds with "
            "the call (functional_call; stack_module_state gives parameters and buffers of many), "
            "or leave that out"
        )
