"""Compiled kernels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_lab.transforms.jit.backends.loops import Kernel, Parameter

__all__ = ["compiled"]


def compiled(kernel: Kernel) -> Callable[..., int]:
    """Compile a kernel."""
    from numba.core import compiler, registry

    from tinygrad_lab.transforms.jit.backends import elementary

    space: dict[str, Any] = dict(elementary.NAMESPACE)
    exec(kernel.text, space)  # noqa: S102
    flags = compiler.Flags()
    flags.error_model = "numpy"
    flags.noalias = True
    flags.nrt = True
    flags.release_gil = kernel.size > 1 << 18
    target = registry.cpu_target
    contexts = target.typing_context, target.target_context
    for context in contexts:
        context.refresh()
    types = tuple(_type(elementary, p) for p in kernel.parameters)
    result = compiler.compile_extra(*contexts, space["kernel"], types, None, flags, {})
    return result.entry_point


def _type(elementary: Any, parameter: Parameter) -> Any:
    from numba import types

    kind = parameter.kind
    dtype = np.dtype(kind.dtype)
    if parameter.role == "stack":
        return elementary.Buffer(dtype, None)
    if parameter.role in ("number", "count"):
        return types.boolean if dtype == np.dtype(bool) else getattr(types, dtype.name)
    return elementary.Buffer(dtype, kind.shape)
