"""Modules as functions of their inputs and, behind them, of their parameters.

Not for: modules of PyTorch (``libraries/torch_modules.py``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.testing.adapters.libraries.torch import torch
from tinygrad_lab.testing.adapters.libraries.torch_modules import is_module as is_torch_module
from tinygrad_lab.testing.judging.arrays import Arguments, Array
from tinygrad_lab.testing.judging.subject import Adapter, TensorSubject


def of_module(module: Any) -> Adapter:
    """Adapt a module, of ours or of PyTorch, with its parameters."""
    if isinstance(module, Adapter):
        return module
    return torch(module) if is_torch_module(module) else ModuleAdapter(module)


class ModuleAdapter(Adapter):
    """A module of Tensors: what has ``named_parameters()``, and is called."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.buffers = list(_arrays_of(module))
        super().__init__(self._at, type(module).__name__, has_parameters=True)

    def _at(self, args: Arguments) -> TensorSubject:
        """Make a subject of the inputs, and of the parameters behind them."""
        subject = TensorSubject(self._call, args.followed_by(self._values()), self.__name__)
        subject.names = [*args.names(None), *self.parameters]
        return subject

    def _values(self) -> list[Array]:
        return [np.array(p.data) for p in self.parameters.values()]

    def _call(self, *args: Any) -> Any:
        """Call the module with other parameters in place, and buffers as they were at first."""
        first = len(args) - len(self.parameters)
        for p, x in zip(self.parameters.values(), args[first:], strict=True):
            p.data, p.node = (x.data, x.node) if isinstance(x, Tensor) else (x, None)
        for owner, name, array in self.buffers:
            vars(owner)[name] = array.copy()
        return self.module(*args[:first])

    @contextlib.contextmanager
    def as_it_was(self) -> Iterator[None]:
        """Leave the module as it is now: its parameters, and every attribute."""
        before = [(p, p.data, p.node) for p in self.parameters.values()]
        attributes = [(m, dict(vars(m))) for m in _modules(self.module)]
        try:
            yield
        finally:
            for p, data, node in before:
                p.data, p.node = data, node
            for m, values in attributes:
                vars(m).clear()
                vars(m).update(values)


def _modules(module: Any) -> list[Any]:
    return list(module.modules()) if hasattr(module, "modules") else [module]


def _arrays_of(module: Any) -> Iterator[tuple[Any, str, Array]]:
    """Give the arrays among the attributes of a module and of those in it: its buffers."""
    for m in _modules(module):
        for name, value in getattr(m, "__dict__", {}).items():
            if isinstance(value, np.ndarray):
                yield m, name, value
