"""Functions whose gradient does not come from Tensors: what they share, and those by hand.

Not for: functions that another library differentiates (``libraries.py``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.testing.judging.arrays import Arguments, Array, in_parts
from tinygrad_lab.testing.judging.judgement import Kind, Misbehaved
from tinygrad_lab.testing.judging.subject import (
    Adapter,
    BackwardPass,
    Evaluation,
    Recorded,
    Subject,
    outputs_of,
)
from tinygrad_lab.testing.session import current_session
from tinygrad_lab.transforms.containers import leaves


class Adapted(Subject):
    """A function at some arguments, whose gradient does not come from Tensors."""

    is_lenient = True

    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str) -> None:
        super().__init__(fn, args, name)
        self.gradient_of = fn  # the code of its gradient: tells two functions of one name apart

    @property
    def written(self) -> tuple[str, tuple[Any, ...]]:
        """Give nothing, unless an adapter says how it is called."""
        return "", ()

    def record(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs, and let the session's interceptors have the pullback."""
        recorded = super().record(inputs)
        for intercept in current_session().interceptors:
            recorded.pull = intercept(self, recorded.pull)
        return recorded


def adapter(
    make: Callable[..., Adapted], fn: Callable[..., Any], name: str | None, *rest: Any
) -> Adapter:
    """Make an adapter that makes ``make(fn, args, name, *rest)`` of the arguments of a call."""
    label = name or _called(fn)
    return Adapter(lambda args: make(fn, args, label, *rest), label)


def _called(fn: Any) -> str:
    """Name a function.  The ``apply`` of a PyTorch function is named after its class."""
    if isinstance(fn, functools.partial):
        return _called(fn.func)
    owner = getattr(fn, "__self__", None)
    if isinstance(owner, type) and fn.__name__ == "apply":
        return owner.__name__
    return name_of(fn) if hasattr(fn, "__name__") else type(fn).__name__


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
    if vjp is not None and grad is None:
        return adapter(_Vjp, f, name, vjp)
    if grad is not None and vjp is None:
        return adapter(_Grad, f, name, grad)
    raise TypeError("adapters.numpy(f, vjp) or adapters.numpy(f, grad=...): one of the two")


class _Vjp(Adapted):
    """A function with a backward pass, which takes the upstream."""

    def __init__(
        self, f: Callable[..., Any], args: Arguments, name: str, backward: Callable[..., Any]
    ) -> None:
        super().__init__(f, args, name)
        self.backward = self.gradient_of = backward

    def evaluated(self, inputs: Sequence[Array]) -> Evaluation:
        return Evaluation(self.recorded(inputs).outputs)

    def recorded(self, inputs: Sequence[Array]) -> Recorded:
        result = self.fn(*self.args.filled(inputs))
        outputs = [np.asarray(y) for y in outputs_of(result)]

        def pull(upstreams: Sequence[Array]) -> list[Any]:
            args, g = self.args.filled(inputs), _joined(result, upstreams)
            return self._in_parts(self._gradients(g, args))

        return Recorded(outputs, pull)

    def _called(self, g: Any, args: Sequence[Any]) -> Any:
        return self.backward(g, *args)

    def _gradients(self, g: Any, args: Sequence[Any]) -> list[Any]:
        """Call the backward pass, and select the gradients by what is differentiated by."""
        result = self._called(g, args)
        if result is None:
            raise Misbehaved(Kind.RETURNS_NOTHING, by_gradient=True)
        if isinstance(result, dict):
            missing = [n for n in self.names if n not in result]
            if missing:
                raise Misbehaved(Kind.COUNT, missing=missing)
            return [result[n] for n in self.names]
        gradients = list(result) if isinstance(result, (tuple, list)) else [result]
        if len(gradients) == len(self.args.values) != len(self.args.positions):
            return [gradients[i] for i in self.args.positions]
        return gradients

    def _in_parts(self, gradients: list[Any]) -> list[Any]:
        """Split gradients by complex inputs into real and imaginary parts, like the inputs."""
        by_complex = [np.iscomplexobj(self.args.values[i]) for i in self.args.positions]
        if not any(by_complex) or len(gradients) != len(by_complex):
            return gradients
        pairs = zip(gradients, by_complex, strict=True)
        return [in_parts(g) if split and isinstance(g, np.ndarray) else g for g, split in pairs]

    @property
    def written(self) -> tuple[str, tuple[Any, ...]]:
        return "tgt.adapters.numpy({}, {})", (self.fn, self.backward)

    def backward_pass(self, inputs: Sequence[Array], upstreams: Sequence[Array]) -> BackwardPass:
        args = self.args.filled(inputs)
        g = _joined(self.fn(*args), upstreams)
        run = functools.partial(self._called, g, args)
        return BackwardPass(self.fn, self.backward, args, self.args.positions, run, upstreams)


class _Grad(_Vjp):
    """A function that gives one number, and a function that computes its gradients directly."""

    upstream = 1.0  # so that messages show the numbers that its author knows

    @property
    def written(self) -> tuple[str, tuple[Any, ...]]:
        return "tgt.adapters.numpy({}, grad={})", (self.fn, self.backward)

    def _called(self, g: Any, args: Sequence[Any]) -> Any:  # noqa: ARG002
        return self.backward(*args)

    def _gradients(self, g: Any, args: Sequence[Any]) -> list[Any]:
        if isinstance(g, tuple) or g.size != 1 or np.iscomplexobj(g):
            raise Misbehaved(Kind.NOT_A_NUMBER)
        pairs = [(x, np.asarray(x)) for x in super()._gradients(g, args)]
        scale = g.reshape(())
        return [x if x is None else np.asarray(scale * y, dtype=y.dtype) for x, y in pairs]

    def backward_pass(self, inputs: Sequence[Array], upstreams: Sequence[Array]) -> BackwardPass:
        return super().backward_pass(inputs, [np.ones_like(u) for u in upstreams])


def _joined(result: Any, upstreams: Sequence[Array]) -> Any:
    """Make complex upstreams of their two parts; a single upstream is not put in a tuple."""
    parts, ys = iter(upstreams), [y for _, y in leaves(result)]
    joined = [next(parts) + 1j * next(parts) if np.iscomplexobj(y) else next(parts) for y in ys]
    return joined[0] if len(joined) == 1 else tuple(joined)
