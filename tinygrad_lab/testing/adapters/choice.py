"""Whose function is this: where it shows, it is adapted without being told.

Not for: the adapters themselves (``adapted.py``, ``libraries``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.testing.adapters.libraries import autograd, jax, torch
from tinygrad_lab.testing.judging.foreign import home
from tinygrad_lab.testing.judging.subject import Adapter
from tinygrad_lab.transforms.containers import leaves

_ADAPTERS = {"torch": torch, "jax": jax, "autograd": autograd}
_OURS = ("numpy", "tinygrad_lab")  # whose functions are of Tensors


def adapted(fn: Callable[..., Any], inputs: Sequence[Any] = ()) -> Callable[..., Any]:
    """Adapt a function of PyTorch, JAX or autograd; leave one that may be of Tensors as it is.

    It is one of theirs where it comes from there (``torch.sin``, a module, what ``jax.jit``
    returns), and where its inputs do, unless it is NumPy's.

    Examples
    --------
    >>> import numpy as np
    >>> adapted(np.sin) is np.sin
    True
    """
    module = getattr(fn, "__module__", None) or ""
    if isinstance(fn, (Adapter, np.ufunc)) or module.startswith(_OURS):
        return fn
    parts = (part for x in inputs for _, part in leaves(x, open_modules=False))
    name = next(filter(None, map(home, (fn, *parts))), None)
    return fn if name is None else _ADAPTERS[name](fn)
