"""Gradient testing: whether a gradient is right, and if not, where and how it is wrong.

    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> tgt.gradcheck(np.tanh, np.array([0.5, -1.0])).verdict
    'pass'

It checks functions of Tensors, and through :mod:`adapters` hand-written backprop in plain NumPy
and functions of PyTorch, JAX and autograd.  Hypothesis is loaded where inputs are generated.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tinygrad_lab.testing.check import gradcheck
from tinygrad_lab.testing.descent import check_descent
from tinygrad_lab.testing.judging.holomorphic import HOLOMORPHIC
from tinygrad_lab.testing.judging.properties import PROPERTIES
from tinygrad_lab.testing.telling.finding import Finding, GradientError, GradReport
from tinygrad_lab.testing.telling.ledger import Ledger, blame

if TYPE_CHECKING:
    from tinygrad_lab.testing import adapters
    from tinygrad_lab.testing.decorator import gradtest
    from tinygrad_lab.testing.inputs import strategies
    from tinygrad_lab.testing.inputs.strategies import (
        Domain,
        at_kinks,
        axes,
        broadcastable,
        extremes,
        graphs,
        integers_exact,
        layouts,
        long,
        near_ties,
        tensors,
        upstreams,
    )
    from tinygrad_lab.testing.mutation import MutationScore, mutation_score
    from tinygrad_lab.testing.operations import check_module, check_op

__all__ = [
    "HOLOMORPHIC", "PROPERTIES", "Domain", "Finding", "GradReport", "GradientError", "Ledger",
    "MutationScore", "adapters", "at_kinks", "axes", "blame", "broadcastable", "check_descent",
    "check_module", "check_op", "extremes", "gradcheck", "gradtest", "graphs", "integers_exact",
    "layouts", "long", "mutation_score", "near_ties", "strategies", "tensors", "upstreams",
]  # fmt: skip

# Where the rest is loaded from when it is first asked for, mostly because it brings Hypothesis.
_FROM = {
    "adapters": "adapters",
    **dict.fromkeys(("MutationScore", "mutation_score"), "mutation"),
    **dict.fromkeys(("check_op", "check_module"), "operations"),
    "gradtest": "decorator",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    source = _FROM.get(name, "inputs.strategies")
    try:
        module = importlib.import_module(f"{__name__}.{source}")
    except ModuleNotFoundError as error:
        if error.name != "hypothesis":
            raise
        raise ModuleNotFoundError(
            f"tinygrad_lab.testing.{source} generates inputs with Hypothesis: "
            "pip install 'tinygrad-lab[testing]'",
            name=error.name,
        ) from error
    return module if name in ("adapters", "strategies") else getattr(module, name)


def __dir__() -> list[str]:
    return sorted(__all__)
