"""Every function of ``nn.functional`` and every layer, called with each of its options.

A family of ``nn`` is a module here, with a list ``CASES``; and ``ELSEWHERE``, names whose tests are
not these, because they draw numbers or hold other modules, with the file that has them.
``test_cases.py`` asks the same of
all of them (numbers, dtypes, ``jit``, ``vmap``, ``checkpoint``), and ``test_cases_torch.py``
compares them with PyTorch, whose names and arguments they have.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any
from zlib import crc32

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.nn import functional as F
from tinygrad_lab.transforms.containers import leaves

Array = Any


@dataclass(frozen=True)
class Case:
    """One call: of a function by its name, or of a layer that is made with ``args`` first."""

    name: str  # "conv2d" in nn.functional, or "Conv2d" in nn
    inputs: tuple[Array, ...]  # arrays, or None; floats are differentiated by
    args: tuple[Any, ...] = ()  # what a layer is made with
    options: dict[str, Any] = field(default_factory=dict)
    #: How often it is differentiable where the inputs lie: 0 for a step, 1 where a second
    #: derivative jumps or PyTorch has none.
    order: int = 2
    #: PyTorch's function of the inputs, as ``(torch, *inputs, **options)``, where the name and the
    #: arguments are not the same; False where PyTorch has no such thing.
    torch: Callable[..., Any] | bool = True
    #: Whether vmap takes it: False where values decide (counts, lengths), with a test elsewhere.
    vmap: bool = True
    tolerance: float = 1e-10
    training: bool = True

    @property
    def is_layer(self) -> bool:
        return self.name[0].isupper()

    def __str__(self) -> str:
        said = [*map(repr, self.args), *(f"{k}={_short(v)}" for k, v in self.options.items())]
        shapes = " ".join("x".join(map(str, x.shape)) for x in self.inputs if hasattr(x, "shape"))
        return f"{self.name}({', '.join(said)}) {shapes}"

    def make(self, dtype: Any = np.float64) -> Any:
        """The layer, or the function with its options."""
        if not self.is_layer:
            options = {name: _cast(value, dtype) for name, value in self.options.items()}
            return lambda *inputs: getattr(F, self.name)(*inputs, **options)
        layer = getattr(nn, self.name)(*self.args, **self.options)
        layer.to(dtype)
        rng = np.random.default_rng(crc32(str(self).encode()))
        for p in layer.parameters():  # whatever the layer would begin with
            p.data = (rng.uniform(0.3, 1.0, p.shape) * rng.choice([-1, 1], p.shape)).astype(dtype)
        return layer.train(self.training)

    def of(self, dtype: Any = np.float64) -> tuple[Callable[..., Any], list[Array]]:
        """A function of all that it is differentiable by, and the values of that."""
        given = [_cast(x, dtype) for x in self.inputs]
        places = [i for i, x in enumerate(given) if getattr(x, "dtype", np.dtype(int)).kind == "f"]
        target = self.make(dtype)
        parameters = dict(target.named_parameters()) if self.is_layer else {}

        def f(*values: Any) -> Any:
            inputs = list(given)
            for i, value in zip(places, values, strict=False):
                inputs[i] = value
            if not parameters:
                return target(*inputs)
            state = dict(zip(parameters, values[len(places) :], strict=True))
            return tl.functional_call(target, state, tuple(inputs))

        values = [given[i] for i in places] + [p.data for p in parameters.values()]
        return f, values


def _cast(value: Any, dtype: Any) -> Any:
    """An array of floats in another precision; all else as it is."""
    is_of_floats = getattr(value, "dtype", np.dtype(int)).kind == "f"
    return value.astype(dtype) if is_of_floats else value


def _short(value: Any) -> str:
    return f"{value.dtype}{value.shape}" if hasattr(value, "shape") else repr(value)


def grid(name: str, *inputs: Any, args: tuple[Any, ...] = (), **options: Any) -> Iterator[Case]:
    """A case for each combination of options; those of a Case itself are not combined.

    An option's values are a list.
    """
    own = {k: options.pop(k) for k in ("order", "torch", "vmap", "tolerance") if k in options}
    for chosen in itertools.product(*options.values()):
        yield Case(name, inputs, args, dict(zip(options, chosen, strict=True)), **own)


def apart(*shape: int, seed: int = 0, low: float = -2.0, high: float = 2.0) -> Array:
    """Numbers that are at least 1/20 of their mean distance apart, in any order, and none is 0.

    So that no maximum is a tie, and no kink at 0 or between two numbers is near.
    """
    rng = np.random.default_rng((seed, *shape))
    n = int(np.prod(shape))
    step = (high - low) / max(n, 1)
    values = low + step * (np.arange(n) + 0.5 + rng.uniform(-0.2, 0.2, n))
    return rng.permutation(values).reshape(shape)


def of_output(y: Any) -> list[Any]:
    """The float arrays and tensors that a call gives, in order."""
    parts = (part for _, part in leaves(y))
    return [p for p in parts if getattr(p, "dtype", np.dtype(int)).kind in "fc"]


def number(f: Callable[..., Any]) -> Callable[..., Any]:
    """A number to which each element of each output counts with another weight."""

    def of(*values: Any) -> Any:
        return sum((y * weights(y.shape, y.dtype)).sum() for y in of_output(f(*values)))

    return of


def weights(shape: tuple[int, ...], dtype: Any = np.float64) -> Array:
    """Numbers of the size of 1, other ones for each element."""
    return np.cos(1 + np.arange(np.prod(shape, dtype=int))).reshape(shape).astype(dtype)


def every_case() -> list[Case]:
    """The cases of all families, each once."""
    cases = {}
    for module in iter_modules(__path__):
        for case in import_module(f"{__name__}.{module.name}").CASES:
            cases.setdefault(str(case), case)
    return list(cases.values())


def names_elsewhere() -> set[str]:
    """The names that have tests of another kind."""
    modules = (import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__))
    return {name for module in modules for name in getattr(module, "ELSEWHERE", ())}
