"""Functions whose gradient does not come from Tensors: what they share, and those by hand.

Not for: functions that another library differentiates (``libraries.py``).
"""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe, name_of
from tinygrad_lab.testing.judging.arrays import Arguments, Array, array_of, in_parts
from tinygrad_lab.testing.judging.gradient_names import key_of
from tinygrad_lab.testing.judging.judgement import Kind, Misbehaved
from tinygrad_lab.testing.judging.subject import (
    Adapter,
    BackwardPass,
    Evaluation,
    Recorded,
    Subject,
    meant,
    outputs_of,
)
from tinygrad_lab.testing.session import current_session
from tinygrad_lab.transforms.containers import leaves, rebuild


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
            recorded.pull = intercept(self, inputs, recorded.pull)
        return recorded


def adapter(
    make: Callable[..., Adapted], fn: Callable[..., Any], name: str | None, *rest: Any
) -> Adapter:
    """Make an adapter that makes ``make(fn, args, name, *rest)`` of the arguments of a call."""
    label = name or called(fn)
    return Adapter(lambda args: make(fn, args, label, *rest), label)


def called(fn: Any) -> str:
    """Name a function.  The ``apply`` of a PyTorch function is named after its class."""
    if isinstance(fn, functools.partial):
        return called(fn.func)
    owner = getattr(fn, "__self__", None)
    if isinstance(owner, type) and fn.__name__ == "apply":
        return owner.__name__
    return name_of(fn) if hasattr(fn, "__name__") else type(fn).__name__


def numpy(
    f: Callable[..., Any] | None = None,
    vjp: Callable[..., Any] | None = None,
    *,
    grad: Callable[..., Any] | None = None,
    loss_and_grads: Callable[..., Any] | None = None,
    update: Callable[..., Any] | None = None,
    rate: float | None = None,
    cache: bool = False,
    intended: Callable[..., Any] | float | None = None,
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
    loss_and_grads : callable, optional
        In place of ``f`` and ``vjp``: it gives the number and the gradients at once.
    update : callable, optional
        In place of ``vjp``, where ``f`` gives one number: ``update(*inputs)`` makes a step of
        gradient descent, in place or by returning what comes out.  The gradients are read off it.
    rate : float, optional
        The learning rate of that step.  A rate about 1 loses no digits.
    cache : bool
        ``f`` returns ``(result, cache)``, and it is ``vjp(g, cache)``.
    intended : callable or float, optional
        The gradient is meant to be that of another function, ``intended(*inputs)``, as of a
        straight-through estimator, or so many times that of ``f``, -1 of a reversal.
    name : str, optional
        What to call it in messages.

    Gradients come as a tuple in the order of the inputs, as a dict by their names (``W1`` or
    ``dW1``), or in containers like those that the inputs are in.

    Raises
    ------
    TypeError
        Not one of ``vjp``, ``grad``, ``loss_and_grads`` and ``update`` is given, or two.

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

    A function that rounds, and passes its upstream on as if it did not:

    >>> rounded = tgt.adapters.numpy(np.round, lambda g, x: 1.0 * g, intended=lambda x: x)
    >>> tgt.gradcheck(rounded, np.array([0.4, 1.7])).verdict
    'pass'
    """
    _exactly_one(f, vjp=vjp, grad=grad, loss_and_grads=loss_and_grads, update=update)
    if cache:
        if vjp is None or f is None:
            raise TypeError("cache=True goes with adapters.numpy(forward, backward)")
        made = adapter(_Cached, f, name, vjp)
    elif vjp is not None and f is not None:
        made = adapter(_Vjp, f, name, vjp)
    elif update is not None and f is not None:
        if not rate:
            raise TypeError("update= makes a step; say its learning rate with rate=")
        made = adapter(_Grad, f, name, _Step(update, rate))
    elif loss_and_grads is not None:
        made = adapter(_Grad, _First(loss_and_grads), name, _Second(loss_and_grads))
    else:
        assert f is not None
        assert grad is not None
        made = adapter(_Grad, f, name, grad)
    return made if intended is None else meant(made, intended)


def _exactly_one(f: Callable[..., Any] | None, **ways: Callable[..., Any] | None) -> None:
    chosen = [way for way, function in ways.items() if function is not None]
    if len(chosen) != 1 or (f is None) != (chosen == ["loss_and_grads"]):
        raise TypeError(
            "say adapters.numpy(f, vjp), adapters.numpy(f, grad=...), "
            "adapters.numpy(f, update=..., rate=...) or adapters.numpy(loss_and_grads=...): "
            "one of these"
        )


class _OfBoth:
    """One part of what a function returns that gives a loss and its gradients."""

    part: int

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = self.__wrapped__ = function
        self.__name__ = name_of(function)
        self.__code__ = getattr(function, "__code__", None)  # tells two of one name apart

    def __call__(self, *inputs: Any) -> Any:
        result = self.function(*inputs)
        if not isinstance(result, (tuple, list)) or len(result) < 2:
            raise TypeError(
                f"{self.__name__} has to return the loss and its gradients, "
                f"it returned {describe(result)}"
            )
        return result[0] if self.part == 0 else _only(result[1:])


def _only(parts: Sequence[Any]) -> Any:
    return parts[0] if len(parts) == 1 else parts


class _First(_OfBoth):
    part = 0


class _Second(_OfBoth):
    part = 1


def own(x: Any) -> Any:
    """Copy an array, to be written into."""
    return np.array(x) if isinstance(x, (np.ndarray, np.generic)) else x


class _Step:
    """The gradients of a function that makes a step: what it moved its inputs by."""

    def __init__(self, update: Callable[..., Any], rate: float) -> None:
        self.update, self.rate, self.__wrapped__ = update, rate, update
        self.__name__ = name_of(update)
        self.__code__ = getattr(update, "__code__", None)

    def __call__(self, *inputs: Any) -> Any:
        moved = [
            rebuild(x, own, open_modules=False) for x in inputs
        ]  # of its own, to be written into
        result = self.update(*moved)
        after = moved if result is None else _alike(result, inputs)
        return [_moved_by(x, y, self.rate) for x, y in zip(inputs, after, strict=True)]


def _moved_by(before: Any, after: Any, rate: float) -> Any:
    """Divide what a step moved by its rate, in containers too; None for what is no array."""
    if isinstance(before, dict):
        return {key: _moved_by(x, after[key], rate) for key, x in before.items()}
    if isinstance(before, (list, tuple)):
        return [_moved_by(x, y, rate) for x, y in zip(before, after, strict=True)]
    if isinstance(before, (np.ndarray, np.generic, float)):
        return np.asarray((before - np.asarray(after)) / rate)
    return None


def _alike(result: Any, inputs: Sequence[Any]) -> Any:
    """Give what a step returned as a list, one for each input."""
    return [result] if len(inputs) == 1 and not _is_list_of_one(result, inputs) else list(result)


def _is_list_of_one(result: Any, inputs: Sequence[Any]) -> bool:
    return isinstance(result, (list, tuple)) and not isinstance(inputs[0], (list, tuple))


class _Vjp(Adapted):
    """A function with a backward pass, which takes the upstream."""

    def __init__(
        self, f: Callable[..., Any], args: Arguments, name: str, backward: Callable[..., Any]
    ) -> None:
        super().__init__(f, args, name)
        self.backward = self.gradient_of = backward

    def value(self, result: Any) -> Any:
        """Give what is differentiated of what the function returned."""
        return result

    def evaluated(self, inputs: Sequence[Array]) -> Evaluation:
        return Evaluation(self.recorded(inputs).outputs)

    def recorded(self, inputs: Sequence[Array]) -> Recorded:
        result = self.fn(*self.args.filled(inputs))
        outputs = [np.asarray(array_of(y)) for y in outputs_of(self.value(result))]

        def pull(upstreams: Sequence[Array]) -> list[Any]:
            args, g = self.args.filled(inputs), joined(self.value(result), upstreams)
            return self._in_parts(self._gradients(g, args, result))

        return Recorded(outputs, pull)

    def _called(self, g: Any, args: Sequence[Any], result: Any) -> Any:  # noqa: ARG002
        return self.backward(g, *args)

    def _gradients(self, g: Any, args: Sequence[Any], result: Any) -> list[Any]:
        """Call the backward pass, and select the gradients by what is differentiated by."""
        returned = self._called(g, args, result)
        if returned is None:
            raise Misbehaved(Kind.RETURNS_NOTHING, by_gradient=True)
        items = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        if self.args.containers is not None:
            with contextlib.suppress(LookupError, ValueError, TypeError):  # not in the same ones
                parts = self.args.flattened(items)
                return [parts[i] for i in self.args.positions]
        named = {k: g for x in items if isinstance(x, dict) for k, g in x.items()}
        if named:
            return self._by_name(named, [x for x in items if not isinstance(x, dict)])
        if len(items) == len(self.args.values) != len(self.args.positions):
            return [items[i] for i in self.args.positions]
        return items

    def _by_name(self, named: dict[str, Any], others: list[Any]) -> list[Any]:
        """Choose gradients from a dict, and in turn those that are beside it."""
        keys = [key_of(name, named) for name in self.names]
        missing = [name for name, key in zip(self.names, keys, strict=True) if key is None]
        if len(missing) > len(others):
            raise Misbehaved(Kind.COUNT, missing=missing)
        rest = iter(others)
        return [next(rest) if key is None else named[key] for key in keys]

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
        def forward(moved: Sequence[Any]) -> Any:
            return self.value(self.fn(*self.args.filled(moved)))

        once = [np.array(x) for x in inputs]
        result = self.fn(*self.args.filled(once))

        def run() -> Any:
            # everything is its own, because the audit writes into it
            copied = copy.deepcopy((list(upstreams), self.args.filled(once), result))
            return self._gradients(joined(self.value(copied[2]), copied[0]), *copied[1:])

        return BackwardPass(forward, run, inputs, self.names, upstreams)


class _Grad(_Vjp):
    """A function that gives one number, and a function that computes its gradients directly."""

    is_for_a_step = True
    upstream = 1.0  # so that messages show the numbers that its author knows

    @property
    def written(self) -> tuple[str, tuple[Any, ...]]:
        if isinstance(self.backward, _Second):
            return "tgt.adapters.numpy(loss_and_grads={})", (self.backward.function,)
        if isinstance(self.backward, _Step):
            template = f"tgt.adapters.numpy({{}}, update={{}}, rate={self.backward.rate!r})"
            return template, (self.fn, self.backward.update)
        return "tgt.adapters.numpy({}, grad={})", (self.fn, self.backward)

    def _called(self, g: Any, args: Sequence[Any], result: Any) -> Any:  # noqa: ARG002
        return self.backward(*args)

    def _gradients(self, g: Any, args: Sequence[Any], result: Any) -> list[Any]:
        if isinstance(g, tuple) or g.size != 1 or np.iscomplexobj(g):
            raise Misbehaved(Kind.NOT_A_NUMBER)
        pairs = [(x, np.asarray(array_of(x))) for x in super()._gradients(g, args, result)]
        scale = g.reshape(())
        return [x if x is None else np.asarray(scale * y, dtype=y.dtype) for x, y in pairs]

    def backward_pass(self, inputs: Sequence[Array], upstreams: Sequence[Array]) -> BackwardPass:
        return super().backward_pass(inputs, [np.ones_like(u) for u in upstreams])


class _Cached(_Vjp):
    """A function that returns its result with a cache, and a backward pass that takes both."""

    is_for_a_step = True

    @property
    def written(self) -> tuple[str, tuple[Any, ...]]:
        return "tgt.adapters.numpy({}, {}, cache=True)", (self.fn, self.backward)

    def value(self, result: Any) -> Any:
        if not isinstance(result, tuple) or len(result) < 2:
            raise TypeError(
                f"with cache=True {self.name} has to return (result, cache), "
                f"it returned {describe(result)}"
            )
        return result[0] if len(result) == 2 else result[:-1]

    def _called(self, g: Any, args: Sequence[Any], result: Any) -> Any:  # noqa: ARG002
        return self.backward(g, result[-1])


def joined(result: Any, upstreams: Sequence[Array]) -> Any:
    """Make complex upstreams of their two parts; a single upstream is not put in a tuple."""
    parts, ys = iter(upstreams), [y for _, y in leaves(result)]
    joined = [next(parts) + 1j * next(parts) if np.iscomplexobj(y) else next(parts) for y in ys]
    return joined[0] if len(joined) == 1 else tuple(joined)
