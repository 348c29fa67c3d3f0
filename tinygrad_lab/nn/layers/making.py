"""What layers share when they are built: sizes that are checked, and first values.

Not for: how the values are drawn (``init.py``).
"""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from tinygrad_lab.nn.init import Init, fans, initialiser, uniform
from tinygrad_lab.nn.parameter import Parameter

__all__ = ["Rng", "Size", "on_cpu", "parameters", "positive"]

Size = int | tuple[int, int]
Rng = int | np.random.Generator | None


def parameters(
    shape: tuple[int, ...],
    bias: bool,
    dtype: npt.DTypeLike,
    init: str | Init | None,
    rng: Rng,
    outputs: int | None = None,
) -> tuple[Parameter, Parameter | None]:
    """A weight of ``shape``, and a bias or None: one for each output, the weight's first axis."""
    of_bias = shape[:1] if outputs is None else (outputs,)
    if np.dtype(dtype).kind not in "fc":
        raise ValueError(f"dtype={np.dtype(dtype)}: parameters are floats")
    generator = np.random.default_rng(rng)
    if init is None:
        bound = 1 / sqrt(fans(shape)[0])
        weight = uniform(shape, generator, dtype, low=-bound, high=bound)
        offset = uniform(of_bias, generator, dtype, low=-bound, high=bound) if bias else None
    else:
        weight = initialiser(init)(shape, generator, dtype)
        if weight.shape != shape:
            raise ValueError(f"init gave shape {weight.shape} for a weight of shape {shape}")
        offset = np.zeros(of_bias, dtype) if bias else None
    return Parameter(weight), None if offset is None else Parameter(offset)


def positive(value: Any, name: str) -> int:
    """Check a size: an integer of 1 or more."""
    if not isinstance(value, (int, np.integer)) or value < 1:
        raise ValueError(f"{name}={value!r}: expected an integer of 1 or more")
    return int(value)


def on_cpu(device: Any) -> None:
    """Check PyTorch's ``device=``: there is one here, the CPU."""
    if device is not None and str(device) != "cpu":
        raise ValueError(f"device={device!r}: arrays are NumPy's, in the memory of the CPU")
