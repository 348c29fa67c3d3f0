"""The graph of a call in PyTorch, as far as ``torch.autograd.Function``s are in it.

A node of the graph that belongs to a ``torch.autograd.Function`` is the ``ctx`` of its call, of a
class that knows the Function (``_forward_cls``).

Not for: calling and differentiating (``torch.py``).
"""

from __future__ import annotations

import contextlib
import functools
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.ownership import without_repeats
from tinygrad_lab.testing.adapters.libraries.library import line_of
from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.subject import Rule
from tinygrad_lab.transforms.containers import leaves, rebuild


def numbers(x: Any) -> Array:
    """Copy the numbers of a tensor, wherever it is and however it is stored."""
    x = x.detach()
    if x.layout is not _library().strided:
        x = x.to_dense()
    x = x.cpu().resolve_conj().resolve_neg()
    narrow = x.dtype in (_library().bfloat16,)
    return np.array((x.float() if narrow else x).numpy(force=True))  # a ZeroTensor has none


def moved(x: Any, device: Any, dtype: Any) -> Any:
    """Copy a tensor as it lies: ``to`` closes gaps, and writes out what is expanded."""
    once = x[without_repeats(x.stride())]
    empty = _library().empty_strided(once.shape, once.stride(), dtype=dtype, device=device)
    there = empty.copy_(once)
    return there if once.shape == x.shape else there.expand(x.shape)


def _library() -> Any:
    return sys.modules["torch"]


def is_about_dtypes(error: Exception) -> bool:
    """Whether PyTorch complains that tensors of different precision meet."""
    text = str(error).lower()
    return any(word in text for word in ("dtype", "scalar type", "double"))


def is_about_second_derivatives(error: Exception) -> bool:
    """Whether PyTorch says that something can be differentiated once only."""
    return any(words in str(error) for words in ("once_differentiable", "double backward"))


def widening() -> contextlib.AbstractContextManager[Any]:
    """Compute in float64 where float32 weights meet float64 inputs, which PyTorch refuses to."""
    library = _library()

    base: Any = library.overrides.TorchFunctionMode

    class Widening(base):  # type: ignore[misc]
        def __torch_function__(
            self, func: Any, types: Any, args: Any = (), kwargs: Any = None
        ) -> Any:
            kwargs = kwargs or {}
            try:
                return func(*args, **kwargs)
            except RuntimeError as error:
                writes = getattr(func, "__name__", "").endswith("_")
                if writes or not is_about_dtypes(error):
                    raise
            return func(*rebuild(args, wide), **rebuild(kwargs, wide))

    def wide(x: Any) -> Any:
        narrow = isinstance(x, library.Tensor) and x.dtype == library.float32
        return x.to(library.float64) if narrow else x

    mode: contextlib.AbstractContextManager[Any] = Widening()
    return mode


# -- torch.autograd.Function -----------------------------------------------------------------------


def is_function_class(fn: Any) -> bool:
    """Whether something is a subclass of ``torch.autograd.Function``."""
    return (
        isinstance(fn, type)
        and hasattr(fn, "apply")
        and "torch" in sys.modules
        and (issubclass(fn, _library().autograd.Function))
    )


def function_of(fn: Any) -> Any:
    """Give the class whose ``apply`` a function is, if it is one."""
    owner = getattr(fn, "__self__", None)
    is_apply = getattr(fn, "__name__", "") == "apply"
    return owner if is_apply and is_function_class(owner) else None


def rule_of(cls: Any) -> Rule:
    """Give the way back of a Function: ``backward``, or ``vjp``, which may stand for it."""
    part = "vjp" if cls.vjp is not _library().autograd.Function.vjp else "backward"
    return Rule(line_of(getattr(cls, part)), part)


def has_setup_context(cls: Any) -> bool:
    """Whether ``forward`` takes no ``ctx``, because ``setup_context`` does."""
    return cls.setup_context is not _library().autograd.Function.setup_context


def forward_of(cls: Any) -> Callable[..., Any]:
    """Give the forward function without the ``ctx``, for the names of its arguments."""
    forward: Callable[..., Any] = cls.forward
    return forward if has_setup_context(cls) else types.MethodType(forward, cls)


# -- nodes -----------------------------------------------------------------------------------------


def function_behind(node: Any) -> Any:
    """Give the ``torch.autograd.Function`` that a node belongs to, or None."""
    return getattr(type(node), "_forward_cls", None)


def nodes(ys: Sequence[Any]) -> list[Any]:
    """List the nodes behind some results."""
    waiting = [y.grad_fn for y in ys if getattr(y, "grad_fn", None) is not None]
    result = list(dict.fromkeys(waiting))
    visited = set(result)
    while waiting:
        for parent, _ in waiting.pop().next_functions:
            if parent is not None and parent not in visited:
                visited.add(parent)
                waiting.append(parent)
                result.append(parent)
    return result


def contexts(ys: Sequence[Any]) -> list[Any]:
    """List the nodes behind some results that are a ``ctx`` of somebody's Function."""
    classes = ((node, function_behind(node)) for node in nodes(ys))
    return [n for n, cls in classes if cls and cls.__module__.partition(".")[0] != "torch"]


def is_derived_once(ys: Sequence[Any]) -> bool:
    """Whether some results are gradients of a Function that is ``once_differentiable``."""
    return any(type(node).__name__ == "Error" for node in nodes(ys))


@contextlib.contextmanager
def gradients_of_leaves(ys: Sequence[Any]) -> Iterator[None]:
    """Leave ``.grad`` of every leaf behind some results as it was; it is None meanwhile."""
    leaves_behind = [n.variable for n in nodes(ys) if hasattr(n, "variable")]
    before = [x.grad for x in leaves_behind]
    for x in leaves_behind:
        x.grad = None
    try:
        yield
    finally:
        for x, g in zip(leaves_behind, before, strict=True):
            x.grad = g


def function_classes(ys: Sequence[Any]) -> list[Any]:
    """List the Functions that somebody wrote, and whose calls are behind some results."""
    return list(dict.fromkeys(function_behind(node) for node in contexts(ys)))


def kept_on_ctx(ys: Sequence[Any]) -> list[tuple[Any, str, Any, bool]]:
    """List inputs and results of Functions that are attributes of ``ctx``: class, name, tensor.

    ``forward`` runs without a graph: what requires a gradient was not made there.
    """
    result = []
    for node in contexts(ys):
        for name, value in vars(node).items():
            for path, tensor in leaves(value, open_modules=False):
                if isinstance(tensor, _library().Tensor) and tensor.requires_grad:
                    cls, label = function_behind(node), f"ctx.{name}{path}"
                    result.append((cls, label, tensor, tensor.grad_fn is node))
    return result


@contextlib.contextmanager
def declared_constant() -> Iterator[list[Any]]:
    """Collect the tensors that are given to ``ctx.mark_non_differentiable``."""
    declared: list[Any] = []
    owner = _library().autograd.function.FunctionCtx
    original = owner.mark_non_differentiable

    def mark(ctx: Any, *tensors: Any) -> None:
        declared.extend(tensors)
        original(ctx, *tensors)

    owner.mark_non_differentiable = mark
    try:
        yield declared
    finally:
        owner.mark_non_differentiable = original


@contextlib.contextmanager
def watched(classes: Sequence[Any]) -> Iterator[list[tuple[Any, list[Any]]]]:
    """Collect what some Functions are called with, as copies."""
    calls: list[tuple[Any, list[Any]]] = []
    with contextlib.ExitStack() as stack:
        for cls in classes:
            stack.enter_context(_watched(cls, calls))
        yield calls


@contextlib.contextmanager
def _watched(cls: Any, calls: list[tuple[Any, list[Any]]]) -> Iterator[None]:
    forward, own = cls.forward, vars(cls).get("forward")
    skipped = 0 if has_setup_context(cls) else 1

    @functools.wraps(forward)
    def noting(*args: Any, **kwargs: Any) -> Any:
        values = [_copied(x) for x in args[skipped:]]
        calls.append((cls, values))
        return forward(*args, **kwargs)

    cls.forward = staticmethod(noting)
    try:
        yield
    finally:
        if own is None:
            del cls.forward
        else:
            cls.forward = own


def _copied(x: Any) -> Any:
    if not isinstance(x, _library().Tensor):
        return x
    return x.detach().clone().requires_grad_(x.requires_grad)
