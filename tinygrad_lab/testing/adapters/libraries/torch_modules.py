"""A PyTorch module as a function of its inputs and its parameters, which leaves it as it was.

Parameters and buffers are put in place for the time of a call (``torch.func.functional_call``): in
float64, to compare numbers; buffers are copies, so that a call leaves no running statistics behind.

Not for: modules of our own (``operations.py``).
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.testing.adapters.libraries.torch_graph import numbers
from tinygrad_lab.testing.judging.arrays import Array, device_of
from tinygrad_lab.testing.judging.judgement import Kind


def is_module(fn: Any) -> bool:
    """Whether something is a module of PyTorch whose parameters can be others for one call."""
    library = sys.modules.get("torch")  # it is not imported to tell
    if library is None or isinstance(fn, library.jit.ScriptModule):
        return False
    return isinstance(fn, library.nn.Module)


_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")  # no result depends on them


class FunctionOfParameters:
    """A function of inputs and, behind them, of the parameters that require a gradient."""

    def __init__(self, module: Any, inputs: Sequence[Any], device: str | None) -> None:
        import torch as library

        self.library = library
        self.module = _copied(module)
        self.device = device or _elsewhere(module)
        if self.device is not None:
            self.module.to(self.device)
        if any(library.nn.parameter.is_lazy(p) for p in self.module.parameters()):
            self._make_lazy_ones(inputs)
        every = dict(self.module.named_parameters())
        self.parameters = {n: _numbers(p) for n, p in every.items() if p.requires_grad}
        self.constants = {n: p.detach() for n, p in every.items() if not p.requires_grad}
        self.constants |= {n: b.detach() for n, b in self.module.named_buffers()}
        originals = dict(module.named_parameters())
        self.hooks = {
            n: list((getattr(originals.get(n), "_backward_hooks", None) or {}).values())
            for n in self.parameters
        }
        self.__name__ = type(module).__name__

    def _make_lazy_ones(self, inputs: Sequence[Any]) -> None:
        """Call the copy once, so that its parameters get their shapes."""
        state = self.library.get_rng_state()
        dtype = self.library.get_default_dtype()
        with self.library.no_grad():
            self.module(*[self._like(x, dtype) for x in inputs])
        self.library.set_rng_state(state)

    def _like(self, x: Any, dtype: Any) -> Any:
        if not isinstance(x, np.ndarray):
            return x
        tensor = self.library.from_numpy(np.array(x)).to(self.device or "cpu")
        return tensor.to(dtype) if tensor.is_floating_point() else tensor

    def __call__(self, *args: Any) -> Any:
        """Call the module with parameters in place of its own."""
        first = len(args) - len(self.parameters)
        # Parameters of a module lie in memory without gaps.
        tensors = [x.contiguous() for x in args[first:]]
        given = dict(zip(self.parameters, tensors, strict=True))
        narrow = any(x.dtype == self.library.float32 for x in args if hasattr(x, "dtype"))
        for name, tensor in given.items():
            for hook in self.hooks[name]:
                if tensor.requires_grad:
                    tensor.register_hook(hook)
        constants = {n: self._constant(c, narrow) for n, c in self.constants.items()}
        versions = {name: c._version for name, c in constants.items()}  # noqa: SLF001
        call = self.library.func.functional_call
        result = call(self.module, given | constants, tuple(args[:first]))
        self.written = [n for n, c in constants.items() if c._version != versions[n]]  # noqa: SLF001
        return result

    def hints(self, kind: Kind) -> list[str]:
        """Say what the mode of the module has to do with a fault."""
        if not any(m.training for m in self.module.modules()):
            return []
        if kind in (Kind.RANDOM, Kind.GLOBAL_STATE):
            return ["the module is in training mode, where dropout is random: call eval() first"]
        written = [n for n in self.written if n.rpartition(".")[2] not in _STATISTICS]
        if kind is Kind.WRONG and written:
            return [
                f"in training mode a call writes into {', '.join(written)}: if the result depends "
                "on that, it moves with the inputs, and is constant to the gradient; call eval()"
            ]
        return []

    def _constant(self, c: Any, narrow: bool) -> Any:
        library = self.library
        if c.is_floating_point():
            c = c.to(library.float32 if narrow else library.float64)
        elif c.is_complex():
            c = c.to(library.complex64 if narrow else library.complex128)
        return c.clone() if self.device is None else c.to(self.device, copy=True)


def _elsewhere(module: Any) -> str | None:
    """Say where a module is, if it is not on the CPU."""
    return next(filter(None, map(device_of, module.parameters())), None)


def _copied(module: Any) -> Any:
    """Copy a module; of one that cannot be copied, the modules it consists of alone."""
    try:
        return copy.deepcopy(module)
    except Exception:  # noqa: BLE001 - it may hold anything, and results of earlier calls
        return _twin(module, {})


def _twin(module: Any, built: dict[int, Any]) -> Any:
    if id(module) not in built:
        twin = built[id(module)] = object.__new__(type(module))
        vars(twin).update(vars(module))
        for kind in ("_parameters", "_buffers", "_modules"):
            vars(twin)[kind] = dict(vars(module)[kind])
        for name, child in vars(module)["_modules"].items():
            vars(twin)["_modules"][name] = None if child is None else _twin(child, built)
    return built[id(module)]


def _numbers(p: Any) -> Array:
    array = numbers(p)
    return array.astype(np.complex128 if p.is_complex() else np.float64)
