"""Parameters that are computed from others at each use: PyTorch's ``nn.utils.parametrize``.

The parameter is deleted, and kept in ``module.parametrizations``; its name finds what a module
computes of that.

Not for: what is computed (``parametrizations.py``).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from tinygrad_lab.core.errors import describe
from tinygrad_lab.nn.layers.containers import ModuleDict, ModuleList
from tinygrad_lab.nn.module import Module
from tinygrad_lab.nn.parameter import Parameter

__all__ = [
    "ParametrizationList", "is_parametrized", "register_parametrization",
    "remove_parametrizations",
]  # fmt: skip

M = TypeVar("M", bound=Module)


class ParametrizationList(ModuleList):
    """Modules that compute a parameter one after the other, and what the first begins with."""

    def __init__(self, modules: Iterable[Module], original: Any, requires_grad: bool) -> None:
        super().__init__(modules)
        for module in reversed([*self]):
            if hasattr(module, "right_inverse"):
                original = module.right_inverse(original)
        values = original if isinstance(original, (tuple, list)) else [original]
        self.is_tensor = values is not original
        names = ["original"] if self.is_tensor else [f"original{i}" for i in range(len(values))]
        self._originals = tuple(names)
        for name, value in zip(names, values, strict=True):
            setattr(self, name, Parameter(value, requires_grad))

    def forward(self) -> Any:
        """Compute the parameter."""
        first, *others = self
        x = first(*(getattr(self, name) for name in self._originals))
        for module in others:
            x = module(x)
        return x


def _parametrized(module: Any, name: str) -> Any:
    return module.parametrizations[name]()


def register_parametrization(
    module: M, tensor_name: str, parametrization: Module, *, unsafe: bool = False
) -> M:
    """Let a parameter be what a module computes of it; of one that is so already, one more.

    ``parametrization.forward`` gives the parameter, and ``parametrization.right_inverse``, if there
    is one, what it is to be computed from at first: one array, or several in a tuple.

    Raises
    ------
    ValueError
        There is no such parameter; or what is computed has another shape or dtype, unless
        ``unsafe``.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> class Symmetric(nn.Module):
    ...     def forward(self, x):
    ...         return np.triu(x) + np.triu(x, 1).T
    >>> layer = nn.Linear(3, 3, rng=0)
    >>> _ = nn.utils.parametrize.register_parametrization(layer, "weight", Symmetric())
    >>> bool((layer.weight.data == layer.weight.data.T).all())
    True
    """
    parametrization.train(module.training)
    holder: Any = module
    if is_parametrized(module, tensor_name):
        before = getattr(module, tensor_name)
        if not unsafe:
            _expect_alike(tensor_name, before, parametrization(before))
        holder.parametrizations[tensor_name].append(parametrization)
        return module
    original = vars(module).get(tensor_name)
    if not isinstance(original, Parameter):
        raise ValueError(f"{type(module).__name__} has no parameter {tensor_name!r} of its own")
    row = ParametrizationList([parametrization], original.detach(), original.requires_grad)
    if not unsafe:
        _expect_alike(tensor_name, original, row())
    delattr(module, tensor_name)
    if not is_parametrized(module):
        holder.parametrizations = ModuleDict()
    holder.parametrizations[tensor_name] = row
    holder._computed = {**holder._computed, tensor_name: _parametrized}  # noqa: SLF001
    return module


def _expect_alike(name: str, before: Any, after: Any) -> None:
    if (after.shape, after.dtype) != (before.shape, before.dtype):
        raise ValueError(
            f"a parametrization of {name}, which is {describe(before)}, gives {describe(after)}: "
            "say unsafe=True if that is what is wanted"
        )


def is_parametrized(module: Module, tensor_name: str | None = None) -> bool:
    """Whether a parameter of a module, or any, is computed from others."""
    computed = vars(module).get("parametrizations", {})
    return tensor_name in computed if tensor_name is not None else bool(len(computed))


def remove_parametrizations(module: M, tensor_name: str, leave_parametrized: bool = True) -> M:
    """Make a parameter of what is computed now, or with ``False`` of what it was computed from.

    Raises
    ------
    ValueError
        It is not computed; or it is so from several, and those are to be left.
    """
    if not is_parametrized(module, tensor_name):
        raise ValueError(f"{type(module).__name__}.{tensor_name} has no parametrization")
    rows = vars(module)["parametrizations"]
    row = rows[tensor_name]
    originals = [getattr(row, name) for name in row._originals]  # noqa: SLF001
    if not leave_parametrized and len(originals) > 1:
        raise ValueError(f"{tensor_name} is computed from several: say leave_parametrized=True")
    value = getattr(module, tensor_name) if leave_parametrized else originals[0]
    uncompute(module, tensor_name, value, originals[0].requires_grad)
    del rows[tensor_name]
    if not len(rows):
        delattr(module, "parametrizations")
    return module


def uncompute(module: Any, name: str, value: Any, requires_grad: bool) -> None:
    """Make a parameter again of an attribute that is computed."""
    module._computed = {k: of for k, of in module._computed.items() if k != name}  # noqa: SLF001
    setattr(module, name, Parameter(value.detach(), requires_grad))
