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

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.testing.audit import audit
from tinygrad_lab.testing.subjects import (
    Arguments,
    Evaluation,
    Misbehaved,
    Recorded,
    Subject,
    input_names,
    outputs_of,
)

__all__ = ["Adapter", "autograd", "jax", "numpy", "torch"]

Array = NDArray[Any]


class Adapter:
    """What ``gradcheck`` takes: makes a subject of the arguments of the call."""

    def __init__(self, make: Callable[[Arguments], Subject], name: str) -> None:
        self.subject = make
        self.__name__ = name


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
        the upstream ``g`` (a tuple where ``f`` gives several arrays).
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
    return Adapter(lambda args: _HandWritten(f, vjp, grad, args, name), name or name_of(f))


class _HandWritten:
    def __init__(
        self,
        f: Callable[..., Any],
        vjp: Callable[..., Any] | None,
        grad: Callable[..., Any] | None,
        args: Arguments,
        name: str | None,
    ) -> None:
        self.f, self.vjp, self.grad, self.args = f, vjp, grad, args
        self.name = name or name_of(f)
        self.names: Sequence[str] = input_names(f, args)

    def evaluate(self, inputs: Sequence[Array]) -> Evaluation:
        ys = outputs_of(self.f(*self.args.filled(inputs)))
        return Evaluation([np.asarray(y) for y in ys])

    def record(self, inputs: Sequence[Array]) -> Recorded:
        outputs = self.evaluate(inputs).outputs
        return Recorded(outputs, lambda upstreams: self._pull(inputs, upstreams))

    def _pull(self, inputs: Sequence[Array], upstreams: Sequence[Array]) -> list[Any]:
        given = self.args.filled(inputs)
        if self.vjp is not None:
            g = upstreams[0] if len(upstreams) == 1 else tuple(upstreams)
            return self._sorted(self.vjp(g, *given))
        assert self.grad is not None
        if len(upstreams) != 1 or upstreams[0].size != 1:
            raise Misbehaved("not a number", "with grad= the function must return one number")
        scale = upstreams[0].reshape(())
        found = self._sorted(self.grad(*given))
        return [g if g is None else _times(scale, g) for g in found]

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

    def audit(self, inputs: Sequence[Array], upstreams: Sequence[Array]) -> list[str]:
        """Go through the backward pass line by line, for a message."""
        given = self.args.filled(inputs)
        g = upstreams[0] if len(upstreams) == 1 else tuple(upstreams)
        backward = (lambda: self.vjp(g, *given)) if self.vjp else (lambda: self.grad(*given))  # type: ignore[misc]
        written = self.vjp or self.grad
        assert written is not None
        ups = upstreams if self.vjp is not None else [np.ones_like(u) for u in upstreams]
        return audit(self.f, given, self.args.positions, written, backward, ups)


def _times(scale: Any, g: Any) -> Any:
    return np.asarray(scale * np.asarray(g), dtype=np.asarray(g).dtype)


# ---------------------------------------------------------------------------------------------
# Other libraries


def _unchanged(before: Sequence[Array], after: Sequence[Array], kind: str, what: str) -> None:
    for i, (old, new) in enumerate(zip(before, after, strict=True)):
        if not np.array_equal(old, new, equal_nan=True):
            raise Misbehaved(kind, f"{what} {i} is written into", i if "input" in kind else None)


def torch(fn: Callable[..., Any], name: str | None = None) -> Adapter:
    """Adapt a function of PyTorch tensors, on the CPU.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> import torch                                                         # doctest: +SKIP
    >>> tgt.gradcheck(tgt.adapters.torch(torch.tanh), np.ones(3)).verdict    # doctest: +SKIP
    'pass'
    """
    return Adapter(lambda args: _Torch(fn, args, name), name or name_of(fn))


class _Torch:
    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str | None) -> None:
        import torch as library

        self.library: Any = library
        self.fn, self.args = fn, args
        self.name = name or name_of(fn)
        self.names: Sequence[str] = input_names(fn, args)

    def _tensor(self, x: Any) -> Any:
        """Copy an array, stride for stride; PyTorch knows no negative ones."""
        if not isinstance(x, np.ndarray):
            return x
        if any(step < 0 for step in x.strides):
            return self.library.from_numpy(np.array(x))
        if x.dtype == np.longdouble:
            raise TypeError("PyTorch has no long double")
        made = self.library.empty_strided(
            x.shape, [s // x.itemsize for s in x.strides], dtype=_torch_type(self.library, x)
        ) if 0 not in x.strides else self.library.zeros((), dtype=_torch_type(self.library, x))
        if 0 in x.strides:
            return self.library.from_numpy(np.array(x))
        return made.copy_(self.library.from_numpy(np.array(x)))

    def _outputs(self, tensors: Sequence[Any]) -> list[Any]:
        given = [self._tensor(x) for x in self.args.filled(tensors)]
        found = self.fn(*given)
        if found is None:
            raise Misbehaved("returns nothing", "it returned None; is a `return` missing?")
        ys = list(found) if isinstance(found, (tuple, list)) else [found]
        for y in ys:
            if not isinstance(y, self.library.Tensor) or not y.is_floating_point():
                what = getattr(y, "dtype", type(y).__name__)
                raise Misbehaved("not float", f"it returned {what}, not a tensor of floats")
        return ys

    def evaluate(self, inputs: Sequence[Array]) -> Evaluation:
        with self.library.no_grad():
            ys = self._outputs([self._tensor(x) for x in inputs])
        return Evaluation([y.detach().numpy() for y in ys])

    def record(self, inputs: Sequence[Array]) -> Recorded:
        leaves = [self._tensor(x).requires_grad_() for x in inputs]
        ys = self._outputs(leaves)
        _unchanged(inputs, [x.detach().numpy() for x in leaves], "mutates input", "input")
        if not any(y.requires_grad for y in ys):
            raise Misbehaved("untracked", "the result has no history: detach() or .data on the way")

        def pull(upstreams: Sequence[Array]) -> list[Any]:
            pairs = [(y, self._tensor(u)) for y, u in zip(ys, upstreams, strict=True)]
            live = [(y, u) for y, u in pairs if y.requires_grad]
            found = self.library.autograd.grad(
                [y for y, _ in live],
                leaves,
                [u for _, u in live],
                retain_graph=True,
                allow_unused=True,
            )
            _unchanged(upstreams, [u.numpy() for _, u in pairs], "mutates upstream", "upstream")
            return [
                np.zeros(x.shape, x.dtype) if g is None else g.detach().numpy().copy()
                for g, x in zip(found, inputs, strict=True)
            ]

        return Recorded([y.detach().numpy() for y in ys], pull)


def _torch_type(library: Any, x: Array) -> Any:
    return library.from_numpy(np.zeros(1, x.dtype)).dtype


def autograd(fn: Callable[..., Any], name: str | None = None) -> Adapter:
    """Adapt a function written with ``autograd.numpy`` that returns one array.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> import autograd.numpy as anp                                             # doctest: +SKIP
    >>> tgt.gradcheck(tgt.adapters.autograd(anp.tanh), np.ones(3)).verdict       # doctest: +SKIP
    'pass'
    """
    return Adapter(lambda args: _Autograd(fn, args, name), name or name_of(fn))


class _Autograd:
    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str | None) -> None:
        from autograd import make_vjp

        self.make_vjp = make_vjp
        self.fn, self.args = fn, args
        self.name = name or name_of(fn)
        self.names: Sequence[str] = input_names(fn, args)

    def evaluate(self, inputs: Sequence[Array]) -> Evaluation:
        ys = outputs_of(self.fn(*self.args.filled(inputs)))
        return Evaluation([np.asarray(y) for y in ys])

    def record(self, inputs: Sequence[Array]) -> Recorded:
        number = len(inputs)

        def of_tuple(xs: Any) -> Any:
            return self.fn(*self.args.filled([xs[i] for i in range(number)]))

        pullback, y = self.make_vjp(of_tuple, 0)(tuple(inputs))
        outputs = [np.asarray(one) for one in outputs_of(y)]

        def pull(upstreams: Sequence[Array]) -> list[Any]:
            g = upstreams[0] if len(upstreams) == 1 else tuple(upstreams)
            return [np.array(x) for x in pullback(g)]

        return Recorded(outputs, pull)


def jax(fn: Callable[..., Any], name: str | None = None) -> Adapter:
    """Adapt a function of JAX arrays, computed in float64.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> import jax.numpy as jnp                                             # doctest: +SKIP
    >>> tgt.gradcheck(tgt.adapters.jax(jnp.tanh), np.ones(3)).verdict       # doctest: +SKIP
    'pass'
    """
    return Adapter(lambda args: _Jax(fn, args, name), name or name_of(fn))


class _Jax:
    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str | None) -> None:
        import jax as library
        from jax.experimental import enable_x64

        self.library: Any = library
        self.wide = enable_x64
        self.fn, self.args = fn, args
        self.name = name or name_of(fn)
        self.names: Sequence[str] = input_names(fn, args)

    def evaluate(self, inputs: Sequence[Array]) -> Evaluation:
        if any(x.dtype == np.longdouble for x in inputs):
            raise TypeError("JAX has no long double")
        with self.wide():
            y = self.fn(*self.args.filled([self.library.numpy.asarray(x) for x in inputs]))
            return Evaluation([np.array(one) for one in self._listed(y)])

    def _listed(self, y: Any) -> list[Any]:
        return outputs_of([np.asarray(one) for one in self.library.tree_util.tree_leaves(y)])

    def record(self, inputs: Sequence[Array]) -> Recorded:
        def of_inputs(*xs: Any) -> Any:
            return self.fn(*self.args.filled(xs))

        with self.wide():
            y, pullback = self.library.vjp(
                of_inputs, *(self.library.numpy.asarray(x) for x in inputs)
            )
            outputs = [np.array(one) for one in self._listed(y)]
            structure = self.library.tree_util.tree_structure(y)

        def pull(upstreams: Sequence[Array]) -> list[Any]:
            with self.wide():
                given = [self.library.numpy.asarray(np.array(u)) for u in upstreams]
                found = pullback(self.library.tree_util.tree_unflatten(structure, given))
                return [np.array(g) for g in found]

        return Recorded(outputs, pull)
