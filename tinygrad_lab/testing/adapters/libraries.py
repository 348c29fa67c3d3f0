"""Functions that PyTorch, autograd or JAX differentiate.

Not for: gradients that somebody wrote by hand (``adapted.py``).
"""

from __future__ import annotations

import contextlib
import importlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.testing.adapters.adapted import Adapted, adapter
from tinygrad_lab.testing.judging.arrays import Arguments, Array, first_difference
from tinygrad_lab.testing.judging.judgement import Kind, Misbehaved
from tinygrad_lab.testing.judging.subject import Adapter, Evaluation, Recorded, Subject, outputs_of
from tinygrad_lab.transforms.containers import leaves, rebuild

Pullback = Callable[[Sequence[Any]], Sequence[Any]]


class _OfALibrary(Adapted):
    """A function of another library, which has arrays and a way back of its own."""

    modules: tuple[str, ...]  # to import: the library itself, and what it does not import
    library: Any

    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str) -> None:
        self.library, *_ = map(importlib.import_module, self.modules)
        super().__init__(fn, args, name)

    @property
    def written(self) -> tuple[str, tuple[Any, ...]]:
        return f"tgt.adapters.{self.modules[0]}({{}})", (self.fn,)

    @abstractmethod
    def to_library(self, x: Array) -> Any:
        """Make an array of the library."""

    @abstractmethod
    def vjp(self, xs: Sequence[Any]) -> tuple[list[Any], Pullback]:
        """Compute the outputs, and the function from upstreams to gradients, in its arrays."""

    def to_numpy(self, y: Any) -> Array:
        """Copy an array of the library, which may go on to write into its own."""
        return np.array(y)

    def plain(self, y: Any) -> Any:
        """Give a NumPy array with the dtype and shape of a result."""
        return y

    def context(self) -> contextlib.AbstractContextManager[Any]:
        """Configure the library for calls that are not differentiated."""
        return contextlib.nullcontext()

    def leaves(self, result: Any) -> Iterable[Any]:
        """Take what the function returned apart."""
        return (y for _, y in leaves(result))

    def parts(self, y: Any) -> Sequence[Any]:
        """Take a complex array apart, as ``outputs_of`` does."""
        return (y.real, y.imag) if np.iscomplexobj(self.plain(y)) else (y,)

    def call(self, xs: Sequence[Any]) -> list[Any]:
        """Call the function, take apart what it returns, and refuse what has no derivative."""

        def of_library(x: Any) -> Any:
            return self.to_library(x) if isinstance(x, np.ndarray) else x

        filled = self.args.filled(xs)
        result = self.fn(*[rebuild(x, of_library, open_modules=False) for x in filled])
        ys = [] if result is None else list(self.leaves(result))
        outputs_of([self.plain(y) for y in ys] or result)
        return [part for y in ys for part in self.parts(y)]

    def evaluated(self, inputs: Sequence[Array]) -> Evaluation:
        with self.context():
            ys = self.call([self.to_library(x) for x in inputs])
            return Evaluation([self.to_numpy(y) for y in ys])

    def recorded(self, inputs: Sequence[Array]) -> Recorded:
        with self.context():
            ys, pullback = self.vjp([self.to_library(x) for x in inputs])
            outputs = [self.to_numpy(y) for y in ys]

        def pull(upstreams: Sequence[Array]) -> list[Any]:
            with self.context():
                pairs = zip(upstreams, outputs, strict=True)
                gradients = pullback([self.to_library(np.asarray(u, y.dtype)) for u, y in pairs])
                return [self.to_numpy(g) for g in gradients]

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


def torch(fn: Callable[..., Any], name: str | None = None) -> Adapter:
    """Adapt a function of PyTorch tensors, on the CPU; it may return several.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> import torch                                                         # doctest: +SKIP
    >>> tgt.gradcheck(tgt.adapters.torch(torch.tanh), np.ones(3)).verdict    # doctest: +SKIP
    'pass'
    """
    return adapter(_Torch, fn, name)


class _Torch(_OfALibrary):
    modules = ("torch",)

    def to_library(self, x: Array) -> Any:
        """Copy an array with its strides, except negative ones, which PyTorch does not have."""
        if x.dtype == np.longdouble:
            raise TypeError("PyTorch has no long double")
        once = x[tuple(slice(1) if step == 0 else slice(None) for step in x.strides)]
        tensor = self.library.from_numpy(np.array(once))
        if all(step > 0 for step in once.strides):
            strides = [step // x.itemsize for step in once.strides]
            empty = self.library.empty_strided(once.shape, strides, dtype=tensor.dtype)
            tensor = empty.copy_(tensor)
        return tensor if tensor.shape == x.shape else tensor.expand(x.shape)

    def to_numpy(self, y: Any) -> Array:
        return np.array(self.plain(y))

    def plain(self, y: Any) -> Any:
        return y.detach().numpy() if isinstance(y, self.library.Tensor) else y

    def context(self) -> contextlib.AbstractContextManager[Any]:
        return self.library.no_grad()

    def vjp(self, xs: Sequence[Any]) -> tuple[list[Any], Pullback]:
        with self.library.enable_grad():
            for x in xs:
                if not x.requires_grad:
                    x.requires_grad_()
            ys = self._call_watched(xs)
        live = [i for i, y in enumerate(ys) if getattr(y, "requires_grad", False)]
        if not live:
            raise Misbehaved(Kind.UNTRACKED, ways="detach() or .data")

        def pullback(upstreams: Sequence[Any]) -> list[Any]:
            before = [self.to_numpy(u) for u in upstreams]
            twice = self.library.is_grad_enabled()  # while the gradient is differentiated itself
            options = {"retain_graph": True, "create_graph": twice, "allow_unused": True}
            outputs, cotangents = [ys[i] for i in live], [upstreams[i] for i in live]
            gradients = self.library.autograd.grad(outputs, xs, cotangents, **options)
            if first_difference(before, [self.to_numpy(u) for u in upstreams]) is not None:
                raise Misbehaved(Kind.MUTATES_UPSTREAM)
            zeros = self.library.zeros_like
            pairs = zip(gradients, xs, strict=True)
            return [zeros(x) if g is None else g for g, x in pairs]

        return ys, pullback

    def _call_watched(self, xs: Sequence[Any]) -> list[Any]:
        """Call the function, and refuse one that writes into what it is given."""
        before = [self.to_numpy(x) for x in xs]
        try:
            ys = self.call(xs)
        except RuntimeError as error:
            text = str(error)
            if "in-place" in text or "inplace" in text:  # PyTorch does not say which input
                with self.library.no_grad():
                    xs = [x.detach().clone() for x in xs]
                    self.call(xs)
                self._refuse_changed(before, xs, error)
            if "dtype" in text or "scalar type" in text:  # for example when weights are float64
                raise TypeError(text) from error
            raise
        self._refuse_changed(before, xs)
        return ys

    def _refuse_changed(
        self, before: Sequence[Array], after: Sequence[Any], cause: Exception | None = None
    ) -> None:
        i = first_difference(before, [self.to_numpy(x) for x in after])
        if i is not None:
            raise Misbehaved(Kind.MUTATES_INPUT, self.site(i)) from cause


def autograd(fn: Callable[..., Any], name: str | None = None) -> Adapter:
    """Adapt a function written with ``autograd.numpy``; it may return several arrays.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> import autograd.numpy as anp                                             # doctest: +SKIP
    >>> tgt.gradcheck(tgt.adapters.autograd(anp.tanh), np.ones(3)).verdict       # doctest: +SKIP
    'pass'
    """
    return adapter(_Autograd, fn, name)


class _Autograd(_OfALibrary):
    modules = ("autograd", "autograd.builtins", "autograd.numpy", "autograd.tracer")

    def to_library(self, x: Array) -> Array:
        return x

    def plain(self, y: Any) -> Any:
        return self.library.tracer.getval(y)

    def parts(self, y: Any) -> Sequence[Any]:
        anp = self.library.numpy
        return (anp.real(y), anp.imag(y)) if np.iscomplexobj(self.plain(y)) else (y,)

    def leaves(self, result: Any) -> Iterable[Any]:
        for y in super().leaves(result):  # traced tuples are not tuples
            yield from self.leaves(list(y)) if isinstance(self.plain(y), (tuple, list)) else [y]

    def vjp(self, xs: Sequence[Any]) -> tuple[list[Any], Pullback]:
        def of_all(together: Any) -> Any:
            ys = self.call([together[i] for i in range(len(xs))])
            if not any(self.library.tracer.isbox(y) for y in ys):
                raise Misbehaved(Kind.UNTRACKED, ways="plain NumPy, or getval,")
            return self.library.builtins.tuple(ys)

        pullback, ys = self.library.make_vjp(of_all, 0)(tuple(xs))
        return list(ys), lambda upstreams: pullback(tuple(upstreams))


def jax(fn: Callable[..., Any], name: str | None = None) -> Adapter:
    """Adapt a function of JAX arrays; it may return any tree of them.

    It is computed in the dtype of its inputs, in float64 too, whatever JAX is configured for.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> import jax.numpy as jnp                                             # doctest: +SKIP
    >>> tgt.gradcheck(tgt.adapters.jax(jnp.tanh), np.ones(3)).verdict       # doctest: +SKIP
    'pass'
    """
    return adapter(_Jax, fn, name)


class _Jax(_OfALibrary):
    modules = ("jax",)

    def to_library(self, x: Array) -> Any:
        if x.dtype == np.longdouble:
            raise TypeError("JAX has no long double")
        return self.library.numpy.asarray(np.array(x))  # a copy: it may keep what it is given

    def plain(self, y: Any) -> Any:
        """Give zeros of the same dtype and shape: while JAX traces, there are no numbers."""
        if not isinstance(y, self.library.Array):
            return y
        return np.broadcast_to(np.zeros((), y.dtype), y.shape)

    def context(self) -> contextlib.AbstractContextManager[Any]:
        try:
            return self.library.enable_x64(True)
        except AttributeError:  # before JAX 0.8
            return importlib.import_module("jax.experimental").enable_x64()

    def leaves(self, result: Any) -> Iterable[Any]:
        return self.library.tree_util.tree_leaves(result)

    def vjp(self, xs: Sequence[Any]) -> tuple[list[Any], Pullback]:
        def of_inputs(*moved: Any) -> list[Any]:
            return [self.library.numpy.asarray(y) for y in self.call(moved)]

        ys, pullback = self.library.vjp(of_inputs, *xs)

        def of_upstreams(upstreams: Sequence[Any]) -> Any:
            pairs = zip(upstreams, ys, strict=True)
            return pullback([u.astype(y.dtype) for u, y in pairs])  # JAX insists

        return ys, of_upstreams
