"""Check gradients that are not ours: hand-written backprop, PyTorch, autograd, JAX.

Each adapter makes of a function something that ``gradcheck`` takes in place of one of Tensors:

    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> mine = tgt.adapters.numpy(np.sin, lambda g, x: g * np.cos(x))
    >>> tgt.gradcheck(mine, np.array([0.5, 1.0])).verdict
    'pass'

The other libraries are imported when an adapter for them is called, not before.

Not for: reading a hand-written backward pass line by line (``audit.py``).
"""

from __future__ import annotations

import contextlib
import functools
import importlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.testing.audit import Audit, audit
from tinygrad_lab.testing.subjects import (
    Arguments,
    Evaluation,
    Misbehaved,
    Recorded,
    Subject,
    in_parts,
    input_names,
    outputs_of,
)
from tinygrad_lab.transforms.containers import leaves

__all__ = ["Adapter", "autograd", "jax", "numpy", "torch"]

Array = NDArray[Any]
Pull = Callable[[Sequence[Array]], list[Any]]


class Adapter:
    """What ``gradcheck`` takes: makes a subject of the arguments of the call."""

    def __init__(self, make: Callable[[Arguments], Subject], name: str) -> None:
        self.subject = make
        self.__name__ = name


class Adapted(ABC):
    """A function at some arguments, as whoever checks it sees it.

    Parameters
    ----------
    fn : callable
    args : Arguments
    name : str, optional

    Attributes
    ----------
    gradient_of : callable
        The code that its gradient comes from: tells two functions of one name apart.
    """

    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str | None) -> None:
        self.fn, self.args = fn, args
        self.name = name or _called(fn)
        self.names: Sequence[str] = input_names(fn, args)
        self.gradient_of = fn

    @abstractmethod
    def evaluate(self, inputs: Sequence[Array]) -> Evaluation:
        """Compute the outputs."""

    @abstractmethod
    def _recorded(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs, and what pulls back."""

    def record(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs, and keep what the way back needs."""
        recorded = self._recorded(inputs)
        for intercept in INTERCEPTORS:
            recorded.pull = intercept(self, recorded.pull)
        return recorded


#: Each may put another pullback in the place of a recorded call's; how faults are planted.
INTERCEPTORS: list[Callable[[Adapted, Pull], Pull]] = []


def _called(fn: Any) -> str:
    """Name a function; one of PyTorch's as its class is named, whose method ``apply`` it is."""
    if isinstance(fn, functools.partial):
        return _called(fn.func)
    owner = getattr(fn, "__self__", None)
    if isinstance(owner, type) and fn.__name__ == "apply":
        return owner.__name__
    return name_of(fn) if hasattr(fn, "__name__") else type(fn).__name__


# ---------------------------------------------------------------------------------------------
# Plain NumPy


def numpy(
    f: Callable[..., Any],
    vjp: Callable[..., Any] | None = None,
    *,
    grad: Callable[..., Any] | None = None,
    name: str | None = None,
) -> Adapter:
    """Adapt a function of arrays and its gradient, both written by hand.

    Parameters
    ----------
    f : callable
        ``f(*inputs)`` gives one array, or several.
    vjp : callable, optional
        ``vjp(g, *inputs)`` gives the gradients by the inputs, as an array or a tuple of them, for
        the upstream ``g`` (a tuple where ``f`` gives several arrays).  By complex inputs and of
        complex results, both are as PyTorch has them: ∂L/∂x + i ∂L/∂y for x + iy.
    grad : callable, optional
        In place of ``vjp``: ``grad(*inputs)`` gives the gradients of ``f``, which gives one
        number.  A whole step of training is such a function, of the parameters.
    name : str, optional
        What to call it in messages.

    Raises
    ------
    TypeError
        Neither or both of ``vjp`` and ``grad`` are given.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> def loss(w, b):
    ...     return np.sum((2.0 * w + b) ** 2)
    >>> def step(w, b):
    ...     d = 2 * (2.0 * w + b)
    ...     return 2.0 * d, np.sum(d)
    >>> hand_written = tgt.adapters.numpy(loss, grad=step)
    >>> tgt.gradcheck(hand_written, np.array([1.0, 2.0]), np.array(0.5)).verdict
    'pass'
    """
    if (vjp is None) == (grad is None):
        raise TypeError("adapters.numpy(f, vjp) or adapters.numpy(f, grad=...): one of the two")
    return Adapter(lambda args: _HandWritten(f, vjp, grad, args, name), name or _called(f))


class _HandWritten(Adapted):
    def __init__(
        self,
        f: Callable[..., Any],
        vjp: Callable[..., Any] | None,
        grad: Callable[..., Any] | None,
        args: Arguments,
        name: str | None,
    ) -> None:
        super().__init__(f, args, name)
        self.vjp, self.grad = vjp, grad
        self.upstream = None if grad is None else 1.0  # so that messages show numbers of theirs
        self.gradient_of = vjp or grad or f

    def evaluate(self, inputs: Sequence[Array]) -> Evaluation:
        ys = outputs_of(self.fn(*self.args.filled(inputs)))
        return Evaluation([np.asarray(y) for y in ys])

    def _recorded(self, inputs: Sequence[Array]) -> Recorded:
        found = self.fn(*self.args.filled(inputs))
        outputs = [np.asarray(y) for y in outputs_of(found)]
        return Recorded(outputs, lambda upstreams: self._pull(inputs, _whole(found, upstreams)))

    def _pull(self, inputs: Sequence[Array], g: Any) -> list[Any]:
        given = self.args.filled(inputs)
        if self.vjp is not None:
            return self._in_parts(self._sorted(self.vjp(g, *given)))
        assert self.grad is not None
        if isinstance(g, tuple) or g.size != 1 or np.iscomplexobj(g):
            raise Misbehaved("not a number", "with grad= the function must return one real number")
        found = self._sorted(self.grad(*given))
        scaled = [x if x is None else _times(g.reshape(()), x) for x in found]
        return self._in_parts(scaled)

    def _in_parts(self, found: list[Any]) -> list[Any]:
        """Take gradients by complex inputs apart, as the inputs are."""
        complex_ones = [np.iscomplexobj(self.args.given[i]) for i in self.args.positions]
        if not any(complex_ones) or len(found) != len(complex_ones):
            return found
        pairs = zip(found, complex_ones, strict=True)
        return [in_parts(g) if split and isinstance(g, np.ndarray) else g for g, split in pairs]

    def _sorted(self, found: Any) -> list[Any]:
        """Leave out the gradients by what is not differentiated by."""
        if found is None:
            raise Misbehaved("returns nothing", "the gradient function returned None")
        if isinstance(found, dict):
            missing = [n for n in self.names if n not in found]
            if missing:
                raise Misbehaved("count", f"no gradient came back for {', '.join(missing)}")
            return [found[n] for n in self.names]
        listed = list(found) if isinstance(found, (tuple, list)) else [found]
        given, wanted = len(self.args.given), len(self.args.positions)
        if len(listed) == given != wanted:
            return [listed[i] for i in self.args.positions]
        return listed

    def audit(self, inputs: Sequence[Array], upstreams: Sequence[Array]) -> Audit:
        """Go through the backward pass line by line, for a message."""
        given = self.args.filled(inputs)
        g = _whole(self.fn(*given), upstreams)
        backward = (lambda: self.vjp(g, *given)) if self.vjp else (lambda: self.grad(*given))  # type: ignore[misc]
        written = self.vjp or self.grad
        assert written is not None
        ups = upstreams if self.vjp is not None else [np.ones_like(u) for u in upstreams]
        return audit(self.fn, given, self.args.positions, written, backward, ups)


def _whole(found: Any, upstreams: Sequence[Array]) -> Any:
    """Put the upstreams of complex results together; one that is alone comes as it is."""
    parts = iter(upstreams)
    whole = [
        next(parts) + 1j * next(parts) if np.iscomplexobj(y) else next(parts)
        for _, y in leaves(found)
    ]
    return whole[0] if len(whole) == 1 else tuple(whole)


def _times(scale: Any, g: Any) -> Any:
    return np.asarray(scale * np.asarray(g), dtype=np.asarray(g).dtype)


# ---------------------------------------------------------------------------------------------
# Other libraries


class _Foreign(Adapted):
    """A function of another library, which has its own arrays and its own way back."""

    @abstractmethod
    def _lent(self, x: Array) -> Any:
        """Give an array to the library."""

    @abstractmethod
    def _pulling(self, xs: Sequence[Any]) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
        """Compute the outputs, and the function from upstreams to gradients, in its arrays."""

    def _back(self, y: Any) -> Array:
        """Take an array, as a copy: what the library does with its own is no concern of ours."""
        return np.array(y)

    def _seen(self, y: Any) -> Any:
        """Show what the function returned to who looks whether it can have a derivative."""
        return y

    def _calm(self) -> contextlib.AbstractContextManager[Any]:
        """Set the library as it should be where nobody differentiates."""
        return contextlib.nullcontext()

    def _leaves(self, found: Any) -> Iterable[Any]:
        return (y for _, y in leaves(found))

    def _call(self, xs: Sequence[Any]) -> list[Any]:
        """Call the function, take apart what it returns, and refuse what has no derivative."""
        given = [self._lent(x) if isinstance(x, np.ndarray) else x for x in self.args.filled(xs)]
        found = self.fn(*given)
        ys = [] if found is None else list(self._leaves(found))
        outputs_of([self._seen(y) for y in ys] or found)
        return [part for y in ys for part in self._parts(y)]

    def _parts(self, y: Any) -> Sequence[Any]:
        """Take a complex array apart, as ``outputs_of`` does."""
        return (y.real, y.imag) if np.iscomplexobj(self._seen(y)) else (y,)

    def evaluate(self, inputs: Sequence[Array]) -> Evaluation:
        """Compute the outputs."""
        with self._calm():
            return Evaluation([self._back(y) for y in self._call([self._lent(x) for x in inputs])])

    def _recorded(self, inputs: Sequence[Array]) -> Recorded:
        with self._calm():
            ys, pullback = self._pulling([self._lent(x) for x in inputs])
            outputs = [self._back(y) for y in ys]

        def pull(upstreams: Sequence[Array]) -> list[Any]:
            with self._calm():
                pairs = zip(upstreams, outputs, strict=True)
                found = pullback([self._lent(np.asarray(u, y.dtype)) for u, y in pairs])
                return [self._back(g) for g in found]

        return Recorded(outputs, pull)

    def derivative(self, args: Arguments) -> Subject:
        """Make a subject of the gradient, which the library differentiates once more.

        Parameters
        ----------
        args : Arguments
            The inputs that are differentiated by, then an upstream for each output.
        """
        number = len(self.args.positions)

        def gradient(*moved: Any) -> list[Any]:
            ys, pullback = self._pulling(moved[:number])
            if len(ys) != len(moved) - number:
                raise ValueError(
                    f"the derivative of {self.name}, which returns {len(ys)} arrays, takes "
                    f"{number} inputs and {len(ys)} upstreams, not {len(moved)} in all"
                )
            return list(pullback(moved[number:]))

        made = type(self)(gradient, args, f"the gradient of {self.name}")
        upstreams = range(len(args.positions) - number)
        made.names = [*self.names, *(f"upstream {i}" for i in upstreams)]
        made.gradient_of = self.gradient_of
        return made


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
    return Adapter(lambda args: _Torch(fn, args, name), name or _called(fn))


class _Torch(_Foreign):
    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str | None) -> None:
        import torch as library

        self.library: Any = library
        super().__init__(fn, args, name)

    def _lent(self, x: Array) -> Any:
        """Copy an array, stride for stride; PyTorch knows no negative ones."""
        if x.dtype == np.longdouble:
            raise TypeError("PyTorch has no long double")
        once = x[tuple(slice(1) if step == 0 else slice(None) for step in x.strides)]
        made = self.library.from_numpy(np.array(once))
        if all(step > 0 for step in once.strides):
            strides = [step // x.itemsize for step in once.strides]
            made = self.library.empty_strided(once.shape, strides, dtype=made.dtype).copy_(made)
        return made if made.shape == x.shape else made.expand(x.shape)

    def _back(self, y: Any) -> Array:
        return np.array(self._seen(y))

    def _seen(self, y: Any) -> Any:
        return y.detach().numpy() if isinstance(y, self.library.Tensor) else y

    def _calm(self) -> contextlib.AbstractContextManager[Any]:
        return self.library.no_grad()

    def _pulling(self, xs: Sequence[Any]) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
        with self.library.enable_grad():
            for x in xs:
                if not x.requires_grad:
                    x.requires_grad_()
            ys = self._call_watched(xs)
        live = [i for i, y in enumerate(ys) if getattr(y, "requires_grad", False)]
        if not live:
            raise Misbehaved("untracked", "the result has no history: detach() or .data on the way")

        def pullback(upstreams: Sequence[Any]) -> list[Any]:
            kept = [self._back(u) for u in upstreams]
            found = self.library.autograd.grad(
                [ys[i] for i in live],
                xs,
                [upstreams[i] for i in live],
                retain_graph=True,
                create_graph=self.library.is_grad_enabled(),  # it is while differentiating twice
                allow_unused=True,
            )
            if any(_differ(u, self._back(now)) for u, now in zip(kept, upstreams, strict=True)):
                raise Misbehaved("mutates upstream", "the backward pass writes into its upstream")
            return [
                self.library.zeros_like(x) if g is None else g
                for g, x in zip(found, xs, strict=True)
            ]

        return ys, pullback

    def _call_watched(self, xs: Sequence[Any]) -> list[Any]:
        """Call the function, and see whether it writes into what it is given."""
        kept = [self._back(x) for x in xs]
        try:
            ys = self._call(xs)
        except RuntimeError as error:
            text = str(error)
            if "in-place" in text or "inplace" in text:  # refused; it is not said into which
                with self.library.no_grad():
                    xs = [x.detach().clone() for x in xs]
                    self._call(xs)
                self._unchanged(kept, xs, error)
            if "dtype" in text or "scalar type" in text:  # as where weights are float64
                raise TypeError(text) from error
            raise
        self._unchanged(kept, xs)
        return ys

    def _unchanged(
        self, before: Sequence[Array], after: Sequence[Any], cause: Exception | None = None
    ) -> None:
        for i, (old, new) in enumerate(zip(before, after, strict=True)):
            if _differ(old, self._back(new)):
                text = f"the function writes into input {i} ({self.names[i]})"
                raise Misbehaved("mutates input", text, i) from cause


def _differ(a: Array, b: Array) -> bool:
    return not np.array_equal(a, b, equal_nan=True)


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
    return Adapter(lambda args: _Autograd(fn, args, name), name or _called(fn))


class _Autograd(_Foreign):
    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str | None) -> None:
        import autograd.builtins
        import autograd.numpy
        import autograd.tracer

        self.library: Any = autograd
        super().__init__(fn, args, name)

    def _lent(self, x: Array) -> Array:
        return x

    def _seen(self, y: Any) -> Any:
        return self.library.tracer.getval(y)

    def _parts(self, y: Any) -> Sequence[Any]:
        np_ = self.library.numpy
        return (np_.real(y), np_.imag(y)) if np.iscomplexobj(self._seen(y)) else (y,)

    def _leaves(self, found: Any) -> Iterable[Any]:
        for _, y in leaves(found):  # its own tuples, traced, are no tuples
            yield from self._leaves(list(y)) if isinstance(self._seen(y), (tuple, list)) else [y]

    def _pulling(self, xs: Sequence[Any]) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
        def of_all(together: Any) -> Any:
            ys = self._call([together[i] for i in range(len(xs))])
            if not any(self.library.tracer.isbox(y) for y in ys):
                text = "the result has no history: plain NumPy, or getval, on the way"
                raise Misbehaved("untracked", text)
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
    return Adapter(lambda args: _Jax(fn, args, name), name or _called(fn))


class _Jax(_Foreign):
    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str | None) -> None:
        import jax as library

        self.library: Any = library
        super().__init__(fn, args, name)

    def _lent(self, x: Array) -> Any:
        if x.dtype == np.longdouble:
            raise TypeError("JAX has no long double")
        return self.library.numpy.asarray(np.array(x))  # a copy: it may keep what it is given

    def _seen(self, y: Any) -> Any:
        """Show an array of the same kind: while JAX traces, there are no numbers to show."""
        if not isinstance(y, self.library.Array):
            return y
        return np.broadcast_to(np.zeros((), y.dtype), y.shape)

    def _calm(self) -> contextlib.AbstractContextManager[Any]:
        try:
            return self.library.enable_x64(True)
        except AttributeError:  # before JAX 0.8
            return importlib.import_module("jax.experimental").enable_x64()

    def _leaves(self, found: Any) -> Iterable[Any]:
        return self.library.tree_util.tree_leaves(found)

    def _pulling(self, xs: Sequence[Any]) -> tuple[list[Any], Callable[[Sequence[Any]], Any]]:
        def of_inputs(*moved: Any) -> list[Any]:
            return [self.library.numpy.asarray(y) for y in self._call(moved)]

        ys, pullback = self.library.vjp(of_inputs, *xs)

        def of_upstreams(upstreams: Sequence[Any]) -> Any:
            pairs = zip(upstreams, ys, strict=True)
            return pullback([u.astype(y.dtype) for u, y in pairs])  # JAX insists

        return ys, of_upstreams
