"""What functions of PyTorch, JAX and autograd have in common, as subjects of a check.

Not for: what one library does differently (``torch.py``, ``jax.py``, ``autograd.py``).
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.testing.adapters.adapted import Adapted
from tinygrad_lab.testing.judging.arrays import Arguments, Array
from tinygrad_lab.testing.judging.judgement import NOWHERE, Site, line_at
from tinygrad_lab.testing.judging.subject import Evaluation, Recorded, Subject, outputs_of
from tinygrad_lab.transforms.containers import leaves, rebuild

Pullback = Callable[[Sequence[Any]], Sequence[Any]]


class LibrarySubject(Adapted):
    """A function of another library, which has arrays and a way back of its own."""

    told_inputs = True
    modules: tuple[str, ...]  # to import: the library itself, and what it does not import
    library: Any

    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str) -> None:
        self.library, *_ = map(importlib.import_module, self.modules)
        super().__init__(fn, args, name)

    @property
    def written(self) -> tuple[str, tuple[Any, ...]]:
        """How to make it again, in a program."""
        return f"tgt.adapters.{self.modules[0]}({{}})", (self.fn,)

    @abstractmethod
    def to_library(self, x: Array) -> Any:
        """Make an array of the library."""

    def cotangent(self, u: Array, y: Array) -> Any:
        """Make an upstream of a result, in the dtype of that."""
        return self.to_library(u.astype(y.dtype, copy=False))

    @abstractmethod
    def vjp(self, xs: Sequence[Any]) -> tuple[list[Any], Pullback]:
        """Compute the outputs, and the function from upstreams to gradients, in its arrays.

        An upstream of None is that of a result that nobody uses.
        """

    def to_numpy(self, y: Any) -> Array:
        """Copy an array of the library, which may go on to write into its own."""
        return np.array(y)

    def plain(self, y: Any) -> Any:
        """Give a NumPy array with the dtype and shape of a result."""
        return y

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Configure the library for calls."""
        return contextlib.nullcontext()

    def pulling(self) -> contextlib.AbstractContextManager[Any]:
        """Configure the library for pulling back."""
        return self.context()

    def values(self, xs: Sequence[Any]) -> list[Any]:
        """Compute the outputs alone."""
        return self.call(xs)

    def leaves(self, result: Any) -> Iterable[Any]:
        """Take what the function returned apart."""
        if dataclasses.is_dataclass(result) and not isinstance(result, type):
            result = [getattr(result, field.name) for field in dataclasses.fields(result)]
            return [leaf for part in result for leaf in self.leaves(part)]
        return (y for _, y in leaves(result))

    def parts(self, y: Any) -> Sequence[Any]:
        """Take a complex array apart, as ``outputs_of`` does."""
        return (y.real, y.imag) if np.iscomplexobj(self.plain(y)) else (y,)

    def call(self, xs: Sequence[Any]) -> list[Any]:
        """Call the function, take apart what it returns, and refuse what has no derivative.

        Integers, masks and None beside floats, such as the indices that come with a maximum, are
        not differentiated.
        """
        filled = rebuild(self.args.filled(xs), self._converted, open_modules=False)
        result = self.fn(*filled)
        ys = [] if result is None else list(self.leaves(result))
        floats = [y for y in ys if getattr(self.plain(y), "dtype", np.dtype("O")).kind in "fc"]
        others = [y for y in ys if not any(y is x for x in floats)]
        if not floats or not all(y is None or self._is_whole(y) for y in others):
            outputs_of([self.plain(y) for y in ys] or result)
        return [part for y in floats or ys for part in self.parts(y)]

    def _converted(self, x: Any) -> Any:
        return self.to_library(x) if isinstance(x, np.ndarray) else x

    def _is_whole(self, y: Any) -> bool:
        dtype: Any = getattr(self.plain(y), "dtype", np.asarray(y).dtype)
        return dtype.kind in "biu"

    def evaluated(self, inputs: Sequence[Array]) -> Evaluation:
        """Compute the outputs."""
        with self.context():
            ys = self.values([self.to_library(x) for x in inputs])
            return Evaluation([self.to_numpy(y) for y in ys])

    def recorded(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs, and what pulls back."""
        with self.context():
            ys, pullback = self.vjp([self.to_library(x) for x in inputs])
            outputs = [self.to_numpy(y) for y in ys]

        def pull(upstreams: Sequence[Array | None]) -> list[Any]:
            with self.pulling():
                pairs = zip(upstreams, outputs, strict=True)
                ups = [None if u is None else self.cotangent(np.asarray(u), y) for u, y in pairs]
                return [self.to_numpy(g) for g in pullback(ups)]

        return Recorded(outputs, pull)

    def derivative(self, args: Arguments) -> Subject:
        """Make a subject of the gradient, which the library differentiates once more.

        Its arguments are the inputs that are differentiated by, then an upstream for each output.
        """
        number = len(self.args.positions)

        def gradient(*moved: Any) -> list[Any]:
            ys, pullback = self.vjp(moved[:number])
            if len(ys) != len(moved) - number:
                raise ValueError(
                    f"the derivative of {self.name}, which returns {len(ys)} arrays, takes "
                    f"{number} inputs and {len(ys)} upstreams, not {len(moved)} in all"
                )
            return list(pullback(moved[number:]))

        subject = type(self)(gradient, args, f"the gradient of {self.name}")
        subject.names = self.names_of_derivative(args)
        subject.gradient_of = self.gradient_of
        return subject


def line_of(fn: Callable[..., Any]) -> Site:
    """Give file, line and text of the definition of a function."""
    code = getattr(inspect.unwrap(fn), "__code__", None)
    if code is None:
        return NOWHERE
    line, source = code.co_firstlineno, ""
    with contextlib.suppress(OSError, TypeError):
        lines, line = inspect.getsourcelines(code)
        past = next((k for k, text in enumerate(lines) if "def " in text or "lambda" in text), 0)
        line, source = line + past, lines[past].strip()
    return Site(line=line_at(code.co_filename, line), source=source)
