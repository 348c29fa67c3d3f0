"""What a pair is, and how it is measured.

Not for: the pairs themselves (``arrays.py``, ``networks.py``, ``classes.py``, ``functions.py``).
"""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab import testing as tgt

Array = Any
Inputs = Callable[[np.random.Generator], tuple[Any, ...]]


@dataclass(frozen=True)
class Pair:
    """One function with a wrong gradient, and with the right one."""

    name: str
    source: str  # the public report that it was rebuilt from: "owner/repository#number"
    inputs: Inputs
    #: What the checker is given: an adapter, or a function of Tensors.
    right: Callable[[], Any]
    wrong: Callable[[], Any]
    options: dict[str, Any] = field(default_factory=dict)  # for gradcheck, as its user would say


def by_hand(
    name: str,
    source: str,
    inputs: Inputs,
    f: Callable[..., Any],
    right: Callable[..., Any],
    wrong: Callable[..., Any],
    **options: Any,
) -> Pair:
    """Make a pair of a function of arrays and two backward passes ``vjp(g, *inputs)``."""
    return Pair(
        name, source, inputs,
        lambda: tgt.adapters.numpy(f, right), lambda: tgt.adapters.numpy(f, wrong), options,
    )  # fmt: skip


def faulty(vjp: Callable[..., Any], **fault: Any) -> Callable[..., Any]:
    """A backward pass with a fault switched on."""
    return lambda g, *inputs: vjp(g, *inputs, **fault)


def pairs() -> list[Pair]:
    """All pairs; those of PyTorch's functions where it is installed."""
    homes = ("arrays", "networks", "classes", "functions")
    modules = (importlib.import_module(f"benchmarks.checkers.second.{home}") for home in homes)
    return [pair for module in modules for pair in module.PAIRS]


def is_noticed(pair: Pair, side: str, point: int) -> tuple[str, str]:
    """Check one side of a pair at one point: the verdict, and what is said."""
    rng = np.random.default_rng((point, len(pair.name)))
    subject = getattr(pair, side)()
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        report = tgt.gradcheck(subject, *pair.inputs(rng), rng=point, raises=False, **pair.options)
    text = "; ".join(str(r) for r in report.results if r.verdict == "fail")
    return report.verdict, text
