"""What all adapted functions have in common: a name, and a pullback that can be intercepted.

Not for: calling them (``by_hand.py``, ``libraries.py``).
"""

from __future__ import annotations

import functools
from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.testing.judging.arrays import Arguments, Array
from tinygrad_lab.testing.judging.subject import Adapter, Recorded, Subject
from tinygrad_lab.testing.session import current_session


class Adapted(Subject):
    """A function at some arguments, whose gradient does not come from Tensors.

    Attributes
    ----------
    gradient_of : callable
        The code that its gradient comes from: tells two functions of one name apart.
    """

    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str) -> None:
        super().__init__(fn, args, name)
        self.gradient_of = fn

    @abstractmethod
    def recorded(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs, and what pulls back."""

    def record(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs, and let the session's interceptors have the pullback."""
        recorded = self.recorded(inputs)
        for intercept in current_session().interceptors:
            recorded.pull = intercept(self, recorded.pull)
        return recorded


def adapter(
    make: Callable[..., Adapted], fn: Callable[..., Any], name: str | None, *rest: Any
) -> Adapter:
    """Make an adapter that makes ``make(fn, args, name, *rest)`` of the arguments of a call."""
    label = name or called(fn)
    return Adapter(lambda args: make(fn, args, label, *rest), label)


def called(fn: Any) -> str:
    """Name a function.  The ``apply`` of a PyTorch function is named after its class."""
    if isinstance(fn, functools.partial):
        return called(fn.func)
    owner = getattr(fn, "__self__", None)
    if isinstance(owner, type) and fn.__name__ == "apply":
        return owner.__name__
    return name_of(fn) if hasattr(fn, "__name__") else type(fn).__name__
