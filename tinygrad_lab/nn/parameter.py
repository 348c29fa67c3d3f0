"""``Parameter``: a tensor that is made to be trained.

It differs from a Tensor in nothing but its name, which is what a Module looks for, and in staying
a leaf.  No operation returns one.

Not for: what collects them (``module.py``) or moves them (``tinygrad_lab.optim``).
"""

from __future__ import annotations

from typing import Any

from tinygrad_lab.core.modes import is_grad_enabled
from tinygrad_lab.core.tensor import Tensor, tensor

__all__ = ["Parameter"]


class Parameter(Tensor, leaf=True):
    """A leaf that belongs to a model: what :meth:`Module.parameters` finds and optimizers move.

    Parameters
    ----------
    data : array_like
        Copied, as :func:`tinygrad_lab.tensor` does.
    requires_grad : bool
        False makes a frozen parameter: it is found and saved, and optimizers leave it alone.

    Raises
    ------
    TypeError
        ``data`` is the result of a tracked computation; or it is not of floats, and a gradient is
        wanted.

    Examples
    --------
    >>> from tinygrad_lab import nn
    >>> weight = nn.Parameter([1.0, 2.0])
    >>> weight
    Parameter([1., 2.], requires_grad=True)
    >>> weight * 3
    Tensor([3., 6.]) ← multiply
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True) -> None:
        if isinstance(data, Tensor) and not data.is_leaf:
            raise TypeError(
                "a parameter is a leaf, and this tensor is the result of a tracked computation "
                f"({data!r}): say nn.Parameter(t.detach()) for one that begins at its values"
            )
        super().__init__(tensor(data).data, requires_grad)

    def __setitem__(self, index: Any, value: Any) -> None:
        if is_grad_enabled() and getattr(value, "requires_grad", False):
            raise RuntimeError(
                "p[i] = v with a tracked v would make the parameter p the result of a computation, "
                "and a parameter is a leaf. Write a tracked copy (u = p.copy(); u[i] = v), or "
                "write inside `with tl.no_grad():`"
            )
        super().__setitem__(index, value)
