"""``Tensor``: an array, plus the call that made it.  Operators, methods, text.

Not for: what happens to a call (``dispatch.py``), what a derivative is (``rules/``), or how the
graph is walked (``engine.py``).
"""

from __future__ import annotations

import functools
import math
import sys
from collections.abc import Callable, Iterator
from operator import attrgetter
from types import FrameType
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import numpy.typing as npt

from tinygrad_lab.core import arguments, dispatch
from tinygrad_lab.core.arguments import (
    ORDERLY,
    on_cpu,
    operand,
    plain,
    refuse_strange,
    without_out,
)
from tinygrad_lab.core.assignment import join
from tinygrad_lab.core.callers import (
    attribute_taken,
    is_for_a_taker,
    loses_nothing,
    says_so,
    what_would_detach,
)
from tinygrad_lab.core.cotangents import RETAIN, from_scalar
from tinygrad_lab.core.dispatch import answer_ufunc, apply, from_node
from tinygrad_lab.core.engine import NO_KWARGS, Node, accumulate, new_leaf, propagate, record
from tinygrad_lab.core.errors import (
    array_has_none,
    describe,
    name_of,
    would_detach,
    would_detach_inside,
)
from tinygrad_lab.core.graph import is_differentiated
from tinygrad_lab.core.keywords import AMBIGUOUS, in_numpys_words, refuse_ambiguous
from tinygrad_lab.core.levels import RUNNING, level_of, lifted
from tinygrad_lab.core.modes import IGNORE, RECORD, current_mode
from tinygrad_lab.core.operations import IN_ORDER, NUMPYS, OPERATIONS, TAKES, TENSORS, Op, in_numpy
from tinygrad_lab.core.ownership import COPIED, Print, is_temporary, preserved
from tinygrad_lab.core.rules.creation import astype
from tinygrad_lab.core.rules.indexing import getitem, setitem

# Operators and elementwise functions are most of what a program calls, so they record by themselves
# what `apply` records in general.  Whatever is out of the ordinary (a mode, an error, a missing
# rule) goes there.

#: What records a call of a NumPy function on a tensor, or on two operands of which one is a tensor.
_DIRECT: dict[Op, Callable[..., Tensor]] = {}


def _unary(op: Op, body: Op | None = None) -> Callable[[Tensor], Tensor]:
    """Record the calls of an operation; ``body`` computes it without asking whose the array is."""
    compute = body or op

    def method(self: Tensor) -> Tensor:
        if current_mode() is not RECORD or OPERATIONS[op].complete < 1:
            return apply(op, (self,))
        x = self.data
        try:
            value = compute(x)
        except Exception:  # noqa: BLE001 - `apply` meets it again, and explains it
            return apply(op, (self,))
        if type(value) is not np.ndarray:
            value = from_scalar(value)
        result = _new(Tensor)
        result.data = value
        node = self.node
        result.node = None if node is None else record(op, (x,), NO_KWARGS, value, (node,))
        return result

    return _DIRECT.setdefault(op, _named(method, op))


def _binary(op: Op) -> Callable[[Any, Any], Tensor]:  # noqa: C901 - written out, as it says above
    def method(a: Any, b: Any) -> Tensor:  # noqa: C901
        if current_mode() is not RECORD or OPERATIONS[op].complete < 2:
            return apply(op, (a, b))
        x, y, left, right = a, b, None, None
        if type(a) in TENSORS:
            x, left = a.data, a.node
        elif type(a) not in ORDERLY:
            return apply(op, (a, b))
        if type(b) in TENSORS:
            y, right = b.data, b.node
        elif type(b) not in ORDERLY:
            return apply(op, (a, b))
        try:
            value = op(x, y)
        except Exception:  # noqa: BLE001 - `apply` meets it again, and explains it
            return apply(op, (a, b))
        if type(value) is not np.ndarray:
            if RUNNING and left and right and level_of(x) is not level_of(y):
                return apply(op, (a, b))
            value = from_scalar(value)
        result = _new(Tensor)
        result.data = value
        if left is None and right is None:
            result.node = None
            return result
        prints: list[Print] = []  # of an array that is perhaps the user's own: see ownership.py
        if left is None and type(x) is np.ndarray:
            x = preserved(x, False, prints)
        elif right is None and type(y) is np.ndarray:
            y = y.copy("K") if y.size <= COPIED else preserved(y, False, prints)
        result.node = node = record(op, (x, y), NO_KWARGS, value, (left, right))
        if prints:
            node.prints = prints
        return result

    return _DIRECT.setdefault(op, _named(method, op))


def _reflected(op: Op) -> Callable[[Tensor, Any], Tensor]:
    direct = _DIRECT[op]
    return _named(lambda self, other: direct(other, self), op)


def _augmented(op: Op) -> Callable[[Tensor, Any], Any]:
    """Define ``t += u``: a new tensor where gradients flow, elsewhere a new value for this one."""

    def method(self: Tensor, other: Any) -> Any:
        recording = current_mode() is not IGNORE
        if recording and self.requires_grad and self.is_leaf:
            raise RuntimeError(_on_a_leaf(f"np.{op.__name__} in place (+=, -= ...)"))
        result = apply(op, (self, other))
        if not self.is_leaf or (type(result) is Tensor and result.requires_grad):
            return result
        _become(self, result, f"np.{op.__name__}", f"t = np.{op.__name__}(t, ...)")
        return self

    return _named(method, op)


def _become(tensor: Tensor, value: Any, name: str, instead: str) -> None:
    """Give a tensor itself the value of an untracked one, or of an array, if it fits."""
    data = plain(value)
    if data.shape != tensor.shape or not np.can_cast(data.dtype, tensor.dtype, "same_kind"):
        raise TypeError(
            f"{name} in place: it gives {describe(data)}, and the tensor is {describe(tensor)}. "
            f"Say {instead} for another tensor"
        )
    tensor.data = data.astype(tensor.dtype, copy=False)


def become(tensor: Tensor, value: Any, word: str) -> Tensor:
    """Give a tensor another value, as PyTorch's words with ``_`` do, and return it.

    Raises
    ------
    RuntimeError, TypeError
        Gradients flow to or through it, or it is a part of another tensor, which PyTorch would
        change too: tensors are values.
    """
    instead = f"t = t.{word[:-1]}(...)"
    recording = current_mode() is not IGNORE
    if recording and tensor.requires_grad and tensor.is_leaf:
        raise RuntimeError(_on_a_leaf(f"t.{word}(...)"))
    if not tensor.is_leaf or (recording and getattr(value, "requires_grad", False)):
        raise TypeError(f"t.{word}(...) of a tracked result: tensors are values, say {instead}")
    if not tensor.requires_grad and getattr(tensor.data, "base", None) is not None:
        raise TypeError(
            f"t.{word}(...) of what may be a part of another tensor, which would not change: "
            f"tensors are values. Say {instead}, or u[i] = v for a part of u"
        )
    _become(tensor, value, f"t.{word}(...)", instead)
    return tensor


def _on_a_leaf(what: str) -> str:
    return (
        f"{what} on a leaf that requires a gradient: it would no longer be the leaf whose gradient "
        "you ask for. Update a tracked copy (u = t.copy()), or write inside `with tl.no_grad():`, "
        "which gives the leaf itself another value"
    )


def _constant(op: Op) -> Callable[[Tensor, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        if not OPERATIONS[op].constant:  # somebody gave it a rule
            return apply(op, (self, other))
        value = op(self.data, other.data if isinstance(other, Tensor) else other)
        return _as_array(value, "a comparison", sys._getframe(1))  # noqa: SLF001

    return _named(method, op)


def _as_array(value: Any, what: str, caller: FrameType) -> Any:
    """Give a plain array, or say that it is one if the caller asks it for a tensor's method."""
    if type(value) is np.ndarray:
        name = attribute_taken(caller)
        # NumPy's `data` is the memory, which nobody means.
        if name and (name == "data" or (hasattr(Tensor, name) and not hasattr(np.ndarray, name))):
            raise array_has_none(what, name)
    return value


def _number(function: Any) -> Any:
    def method(self: Tensor) -> Any:
        if self._is_recorded():
            caller = sys._getframe(1)  # noqa: SLF001 - there is no other way to see one's caller
            if says_so(caller):
                self._stop_inside_transforms(f"{function.__name__}(t)")
            elif not loses_nothing(caller):
                raise TypeError(would_detach(*what_would_detach(caller)))
        return function(self._element(f"{function.__name__}()"))

    return method


def flatten(t: Any, start_dim: int | str = 0, end_dim: int = -1, order: str = "C") -> Any:
    """All elements along one axis; or those of some axes, as PyTorch's: ``t.flatten(1)``."""
    if isinstance(start_dim, str):  # NumPy's only argument
        return t.ravel(start_dim)
    if (start_dim, end_dim) == (0, -1):
        return t.ravel(order)
    first, last = (range(max(t.ndim, 1))[axis] for axis in (start_dim, end_dim))
    if first > last:
        raise ValueError(f"flatten({start_dim}, {end_dim}): the first axis is after the last")
    lengths = t.shape[first : last + 1]
    shape = (*t.shape[:first], math.prod(lengths), *t.shape[last + 1 :])
    return t.reshape(shape, order=order)


class Count(int):
    """The number of elements, an int; called as PyTorch's ``t.size()``, the lengths of the axes."""

    shape: tuple[int, ...]

    def __call__(self, dim: int | None = None) -> Any:
        """Give the shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[dim]

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        """Be the number itself: to NumPy a kind of int would be an int64, and widen a float32."""
        numbers = [int(value) if type(value) is Count else value for value in inputs]
        return getattr(ufunc, method)(*numbers, **kwargs)

    def __reduce__(self) -> Any:
        return int, (int(self),)


def _size(tensor: Tensor) -> Any:
    size = tensor.data.size
    if type(size) is not int:  # of an array whose lengths are not known yet, nan
        return size
    count = Count(size)
    count.shape = tensor.data.shape
    return count


def _of_data(name: str, doc: str) -> Any:
    return property(attrgetter(f"data.{name}"), doc=doc)


def _of_numpy(op: Op) -> Any:
    is_ambiguous = op in AMBIGUOUS
    # The same of an array, without asking whose it is; but its `copy` has other defaults.
    body = getattr(np.ndarray, op.__name__) if op is not np.copy else None

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        if is_ambiguous:
            refuse_ambiguous(op, args, kwargs)
        if kwargs:
            kwargs = dict(in_numpys_words(op, kwargs))
        args = (self, *args)
        result = apply(op, args, without_out(op, kwargs, args), body)
        if type(result) is np.ndarray:
            return _as_array(result, f"what t.{op.__name__}() gives", sys._getframe(1))  # noqa: SLF001
        return result

    return _named(method, op)


def _named(method: Any, op: Op) -> Any:
    method.__name__ = op.__name__
    method.__doc__ = f"As :data:`numpy.{op.__name__}`."
    return method


#: The shortcuts of ``ndarray ** number``.
_POWERS: dict[float, Callable[[Tensor], Tensor]] = {
    exponent: _unary(op)
    for exponent, op in {2: np.square, 1: np.positive, 0.5: np.sqrt, -1: np.reciprocal}.items()
}
_OUR_POWER = OPERATIONS[np.power]
_new = object.__new__


def _take_calls(cls: type) -> None:
    TENSORS.add(cls)
    IN_ORDER.add(cls)
    TAKES[cls] = apply


_PRINTED_WHOLE = 12  # elements: of larger tensors the text says what matters about them


class Tensor:
    """An array that remembers how it was computed, so that gradients can flow back through it.

    Parameters
    ----------
    data : array_like
        Wrapped, where :func:`tensor` copies: whatever speaks NumPy's protocols (Dask, CuPy ...).
    requires_grad : bool
        Make it a leaf that gradients are accumulated on, in ``.grad``; ``TypeError`` if no floats.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> x = tl.Tensor(np.array([1.0, 2.0, 3.0]), requires_grad=True)
    >>> y = (np.sin(x) * x).sum()
    >>> y.backward()
    >>> np.allclose(x.grad, np.sin(x.data) + x.data * np.cos(x.data))
    True
    """

    __slots__ = ("__weakref__", "data", "node")

    data: Any
    node: Node | None

    def __init__(self, data: Any, requires_grad: bool = False) -> None:
        if isinstance(data, Tensor):
            raise TypeError(
                "Tensor(...) of a Tensor: say t.detach() for one that shares its data without "
                "history, or t.copy() for a tracked copy"
            )
        if type(data) is not np.ndarray:
            refuse_strange(data)
            is_array = hasattr(data, "__array_function__")
            data = from_scalar(data) if is_array else np.asarray(data)
        self.data = data
        self.node = None
        if requires_grad:
            self.requires_grad = True

    def __init_subclass__(cls, leaf: bool = False) -> None:
        if not leaf:  # as nn.Parameter is: a leaf, which no operation returns
            raise TypeError(
                "a Tensor has no subclasses: its operations could not return them. Keep a tensor "
                "as an attribute, or add an operation with tl.primitive"
            )
        _take_calls(cls)

    if TYPE_CHECKING:  # the methods that are set below, and in words.py

        def __getattr__(self, name: str) -> Any: ...

    @property
    def requires_grad(self) -> bool:
        """Whether gradients flow to or through this tensor.  On a leaf it can be set."""
        return self.node is not None

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        if wanted == (self.node is not None):
            return
        if self.node is not None and not self.is_leaf:
            raise RuntimeError(
                f"requires_grad=False on the result of {self.node.name}: only a leaf can be "
                "switched off; say t.detach() for the same values without history"
            )
        if wanted and self.data.dtype.kind not in "fc":
            raise TypeError(
                f"a tensor of {self.data.dtype} cannot require a gradient: only real and complex "
                "floats have one. Say tl.tensor(data, dtype=float, requires_grad=True), or write "
                "the numbers with a point (1.0)"
            )
        if wanted:
            self.data = lifted(self.data)
        self.node = new_leaf() if wanted else None

    def requires_grad_(self, wanted: bool = True) -> Tensor:
        """Set ``requires_grad`` and return the tensor itself."""
        self.requires_grad = wanted
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether nothing was recorded to compute this tensor."""
        return self.node is None or self.node.op is None

    @property
    def grad(self) -> Any:
        """The accumulated gradient of a leaf: an array like ``data``, or None before ``backward``.

        After ``backward(create_graph=True)`` it is a Tensor, with a graph of its own.
        """
        if self.node is None or self.node.grad is None:
            return None
        return _as_array(self.node.grad, "a gradient", sys._getframe(1))  # noqa: SLF001

    @grad.setter
    def grad(self, value: Any) -> None:
        if self.node is None and value is not None:
            raise RuntimeError("a tensor that requires no gradient has none to set")
        if self.node is not None:
            self.node.grad = None if value is None else self._as_gradient(from_scalar(value))

    def _as_gradient(self, value: Any) -> Any:
        """Return what somebody sets as the gradient, in this tensor's dtype, if it fits."""
        is_subclass = isinstance(value, np.ndarray) and type(value) is not np.ndarray
        if is_subclass or not hasattr(value, "__array_function__"):
            raise TypeError(
                f"a gradient is an array like the tensor, {describe(self)}, not {describe(value)}: "
                "say np.asarray(...)"
            )
        if value.shape != self.shape or not np.can_cast(value.dtype, self.dtype, "same_kind"):
            raise ValueError(f"a gradient of {describe(value)} for a tensor of {describe(self)}")
        return value if value.dtype == self.dtype else value.astype(self.dtype)

    def backward(
        self,
        upstream: Any = None,
        *,
        retain_graph: bool | None = None,
        create_graph: bool | None = None,
    ) -> None:
        """Add the gradient of this tensor to ``.grad`` of every leaf it was computed from.

        Parameters
        ----------
        upstream : array_like, optional
            The gradient of some final quantity with respect to this tensor, of its shape: by
            default 1, which a tensor of one element may leave out.
        retain_graph : bool, optional
            Keep the graph, so that it can be walked again.  By default as ``create_graph``.
        create_graph : bool, optional
            Make the gradients Tensors that can be differentiated again.  By default where a
            transform around the call (``tl.grad`` ...) differentiates this tensor.

        Raises
        ------
        RuntimeError, ValueError
            The tensor has no history, or it was freed; ``upstream`` is missing or misshapen.

        Examples
        --------
        >>> import tinygrad_lab as tl
        >>> x = tl.tensor(3.0, requires_grad=True)
        >>> (x ** 3).backward(create_graph=True)
        >>> slope, x.grad = x.grad, None
        >>> slope.backward()
        >>> slope.item(), x.grad.item()
        (27.0, 18.0)
        """
        if create_graph is None:
            create_graph = is_differentiated(self.node, getattr(upstream, "node", None))
        node, cotangent = start(self, upstream, create_graph)
        keep = create_graph if retain_graph is None else retain_graph
        lift = from_node if create_graph else None
        accumulate(propagate([node], [cotangent], retain_graph=keep, lift=lift))

    def retain_grad(self) -> None:
        """Keep this intermediate tensor's own gradient in ``.grad`` at the next ``backward``."""
        node = self._tracked("retain_grad")
        if node.op is not None and RETAIN not in (node.hooks or ()):
            node.hooks = [*(node.hooks or ()), RETAIN]

    def register_hook(self, hook: Callable[[Any], Any]) -> Callable[[], None]:
        """Call ``hook(gradient)`` in each backward pass, once this tensor's gradient is complete.

        What the hook returns, unless None, takes the gradient's place; it must not write into the
        gradient.  Returned is a function that removes the hook.

        Examples
        --------
        >>> import tinygrad_lab as tl
        >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
        >>> remove = x.register_hook(lambda g: print("arrived:", g))
        >>> x.sum().backward()
        arrived: [1. 1.]
        """
        if not callable(hook):
            raise TypeError(f"a hook must be callable, not {hook!r}")
        node = self._tracked("register_hook")
        entry = functools.partial(hook)  # one of its own, however often a hook is registered
        node.hooks = [*(node.hooks or ()), entry]

        def remove() -> None:
            node.hooks = [h for h in node.hooks or () if h is not entry] or None

        return remove

    def _tracked(self, method: str) -> Node:
        if self.node is None:
            raise RuntimeError(f"{method}() on a tensor that requires no gradient")
        return self.node

    def detach(self) -> Tensor:
        """The same data (not copied), without history."""
        return cast(Tensor, from_node(self.data, None))

    def numpy(self) -> npt.NDArray[Any]:
        """The data as a NumPy array.  A tracked tensor must be detached first."""
        if self._is_recorded():
            raise TypeError(
                "t.numpy() of a tracked tensor would lose its gradient: say t.detach().numpy() for "
                "plain values; NumPy's functions take t as it is"
            )
        return in_numpy(self.data)

    def item(self) -> Any:
        """The one element, as a Python number."""
        self._stop_inside_transforms("t.item()")
        return self._element("item()")

    def tolist(self) -> Any:
        """The values as nested Python lists."""
        self._stop_inside_transforms("t.tolist()")
        return in_numpy(self.data).tolist()

    def _element(self, asked: str) -> Any:
        if self.data.size != 1:
            raise ValueError(
                f"{asked} of a tensor of shape {self.shape}: it has {self.size} elements"
            )
        return in_numpy(self.data).item()

    def _is_recorded(self) -> bool:
        return self.node is not None and current_mode() != IGNORE

    def _stop_inside_transforms(self, asked: str) -> None:
        if self._is_recorded() and is_differentiated(self.node):
            raise TypeError(would_detach_inside(asked))

    shape = _of_data("shape", "The length of each axis.")
    ndim = _of_data("ndim", "The number of axes.")
    size = property(_size, doc="The number of elements; `t.size(0)` is the length of an axis.")
    dtype = _of_data("dtype", "The type of an element.")
    nbytes = _of_data("nbytes", "The bytes of the data.")
    itemsize = _of_data("itemsize", "The bytes of an element.")

    T = property(_unary(np.transpose, attrgetter("T")), doc="All axes in reverse order.")
    imag = property(lambda self: apply(np.imag, (self,)), doc="The imaginary part.")

    @property
    def device(self) -> Any:
        """Where its array is, as NumPy and PyTorch ask: ``"cpu"``, unless a library says more."""
        return getattr(self.data, "device", "cpu")

    @property
    def mT(self) -> Tensor:  # noqa: N802 - NumPy's name
        """The last two axes exchanged."""
        if self.ndim < 2:
            raise ValueError(f"mT needs two axes or more, not shape {self.shape}")
        return apply(np.swapaxes, (self, -1, -2))

    @property
    def real(self) -> Tensor:
        """The real part; of real numbers, the tensor itself."""
        return apply(np.real, (self,)) if self.dtype.kind == "c" else self

    def __len__(self) -> int:
        if self.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return self.shape[0]

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return (self[i] for i in range(len(self)))

    def __contains__(self, value: Any) -> bool:
        return bool((self.data == plain(value)).any())

    def __bool__(self) -> bool:
        return bool(self.data)

    def __index__(self) -> int:
        return cast(int, self.data.__index__())

    __float__, __int__, __complex__ = map(_number, (float, int, complex))

    def __round__(self, digits: int | None = None) -> Any:
        return round(self._element("round()"), digits)

    def __format__(self, spec: str) -> str:
        whole = not spec or self.size != 1
        return format(str(self) if whole else self._element("format()"), spec)

    __add__ = _binary(np.add)
    __sub__ = _binary(np.subtract)
    __mul__ = _binary(np.multiply)
    __truediv__ = _binary(np.divide)
    __matmul__ = matmul = _binary(np.matmul)
    __mod__ = _binary(np.remainder)
    __radd__ = _reflected(np.add)
    __rsub__ = _reflected(np.subtract)
    __rmul__ = _reflected(np.multiply)
    __rtruediv__ = _reflected(np.divide)
    __rmatmul__ = _reflected(np.matmul)
    __rmod__ = _reflected(np.remainder)
    __neg__ = _unary(np.negative)
    __pos__ = _unary(np.positive)
    __abs__ = abs = _unary(np.absolute)
    conj = conjugate = _unary(np.conjugate)

    __iadd__, __isub__, __imul__ = map(_augmented, (np.add, np.subtract, np.multiply))
    __itruediv__, __imod__, __ipow__ = map(_augmented, (np.divide, np.remainder, np.power))
    __ifloordiv__, __imatmul__ = map(_augmented, (np.floor_divide, np.matmul))

    def __pow__(self, exponent: Any) -> Tensor:
        is_ours = OPERATIONS[np.power] is _OUR_POWER  # and not a user's rule, which is to be used
        is_short = type(exponent) in (int, float) and exponent in _POWERS
        if is_ours and is_short and self.data.dtype.kind in "fc":  # NumPy refuses 2**-1 of integers
            return _POWERS[exponent](self)
        return apply(np.power, (self, exponent))

    def __rpow__(self, base: Any) -> Tensor:
        return apply(np.power, (base, self))

    __lt__ = _constant(np.less)
    __le__ = _constant(np.less_equal)
    __gt__ = _constant(np.greater)
    __ge__ = _constant(np.greater_equal)
    __eq__ = _constant(np.equal)
    __ne__ = _constant(np.not_equal)
    __floordiv__ = _constant(np.floor_divide)
    __hash__ = object.__hash__

    def __rfloordiv__(self, other: Any) -> Any:
        return np.floor_divide(other, self.data)

    def __getitem__(self, index: Any) -> Tensor:
        return apply(getitem, (self, index))

    def __setitem__(self, index: Any, value: Any) -> None:
        """Give this tensor a new value with ``value`` at ``index``; graphs keep the old one."""
        recording = current_mode() is not IGNORE
        if recording and self.requires_grad and self.is_leaf:
            raise RuntimeError(_on_a_leaf("t[i] = v"))
        place, value = plain(index), operand(setitem, value)
        data, parent = (value.data, value.node) if isinstance(value, Tensor) else (value, None)
        if not join(self, data, parent, place):
            updated = apply(setitem, (self, value), {"places": [place]})
            is_ours = isinstance(updated, Tensor)  # and not a batch, inside vmap
            self.data = updated.data if is_ours else updated
            if recording:
                self.node = updated.node if is_ours else None
        if is_temporary(self):
            raise TypeError(
                "t[i][j] = v writes to a value that nobody holds, and tensors are values: say "
                "t[i, j] = v, or u = t[i]; u[j] = v; t[i] = u"
            )

    def reshape(self, *shape: Any, order: str = "C") -> Tensor:
        """Give the same elements a new shape: ``t.reshape(2, 3)`` or ``t.reshape((2, 3))``."""
        wanted = shape[0] if len(shape) == 1 and np.ndim(shape[0]) else shape
        return apply(np.reshape, (self, wanted), {"order": order} if order != "C" else NO_KWARGS)

    def ravel(self, order: str = "C") -> Tensor:
        """All elements along one axis."""
        return apply(np.ravel, (self, order))

    flatten = flatten

    def transpose(self, *axes: Any) -> Tensor:
        """Permute the axes: ``t.transpose()``, ``t.transpose(1, 0, 2)`` or with one tuple.

        Two numbers exchange two axes, as PyTorch's do.  Of a matrix, NumPy's ``transpose(0, 1)``
        leaves both where they are, so it is refused.
        """
        if len(axes) == 2:
            if self.ndim == 2 and [axis % 2 for axis in axes] == [0, 1]:
                raise TypeError(
                    f"t.transpose{axes} of a matrix: PyTorch's exchanges the axes, NumPy's leaves "
                    "them: say t.T, or t itself"
                )
            return apply(np.swapaxes, (self, *axes))
        wanted = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return apply(np.transpose, (self, wanted) if wanted else (self,))

    def astype(self, dtype: npt.DTypeLike, copy: bool = True) -> Any:
        """Convert to another float type, tracked; to integers or booleans, a plain array."""
        if np.dtype(dtype).kind not in "fc":
            return self.data.astype(dtype)
        if not copy and self.dtype == dtype:
            return self
        return apply(astype, (self, np.dtype(dtype)))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        if self._is_recorded():
            caller = sys._getframe(1)  # noqa: SLF001 - there is no other way to see one's caller
            raise TypeError(would_detach(*what_would_detach(caller)))
        return np.array(self.data, dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method == "__call__" and not kwargs and ufunc in _DIRECT:
            return _DIRECT[ufunc](*inputs)
        result = answer_ufunc(ufunc, method, inputs, kwargs)
        if type(result) is np.ndarray:  # array == t comes here too
            return _as_array(result, f"what np.{ufunc.__name__} gives", sys._getframe(1))  # noqa: SLF001
        return result

    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        return apply(function, args, without_out(function, kwargs, args))

    def __reduce__(self) -> Any:
        if not self.is_leaf:
            caller = sys._getframe(1)  # noqa: SLF001 - Matplotlib copies a list of elements
            if is_for_a_taker(caller):
                raise TypeError(would_detach(*what_would_detach(caller)))
            raise RuntimeError(
                f"cannot pickle or deep-copy the result of {cast(Node, self.node).name}, because "
                "its history would come along; say t.detach() first"
            )
        return _rebuilt, (self.data, self.requires_grad, self.grad, type(self))

    def __dir__(self) -> list[str]:
        return [name for name in super().__dir__() if hasattr(type(self), name)]

    def __repr__(self) -> str:
        return _summary(self.data, self.node, type(self).__name__)


arguments.Tensor = dispatch.Tensor = Tensor
_take_calls(Tensor)


_function: Any
for _function in (
    *map(_unary, (
        np.arccos, np.arcsin, np.arctan, np.cos, np.cosh, np.exp, np.expm1, np.log, np.log10,
        np.log1p, np.log2, np.reciprocal, np.sin, np.sinh, np.sqrt, np.square, np.tan, np.tanh,
    )),
    *map(_binary, (np.maximum, np.minimum)),
    np.all, np.any, np.argmax, np.argmin, np.argsort, np.clip, np.copy, np.cumprod, np.cumsum,
    np.diagonal, np.dot, np.max, np.mean, np.min, np.nonzero, np.prod, np.repeat, np.round,
    np.squeeze, np.std, np.sum, np.swapaxes, np.take, np.trace, np.var,
):  # fmt: skip
    _is_numpys = isinstance(_function, type(np.sum))
    setattr(Tensor, _function.__name__, _of_numpy(_function) if _is_numpys else _function)


def tensor(
    data: Any,
    dtype: npt.DTypeLike | None = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """Make a Tensor of a copy of ``data``.

    Parameters
    ----------
    data : array_like
        Numbers, nested lists, an array; also a list of untracked tensors.
    dtype : dtype, optional
        By default NumPy's choice: float64 for Python floats, int64 for ints.
    requires_grad : bool
        Make it a leaf that gradients are accumulated on; ``TypeError`` if not of floats.
    device : "cpu", optional
        As PyTorch's programs say it: there is no other.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> tl.tensor([1, 2, 3], dtype="float32", requires_grad=True)
    Tensor([1., 2., 3.], dtype=float32, requires_grad=True)
    """
    on_cpu(device)
    array = data.data if isinstance(data, Tensor) else data
    if isinstance(data, Tensor) and data.node is not None and not data.is_leaf:
        raise TypeError(would_detach("tl.tensor(t)", "t.copy()"))
    if hasattr(array, "__array_function__") and not isinstance(array, (np.ndarray, np.generic)):
        copy = np.copy if type(array) in NUMPYS else type(array).copy  # in the same order in memory
        array = copy(array) if dtype is None else array.astype(dtype)  # a foreign array stays one
    else:
        refuse_strange(array)
        array = np.array(array, dtype=dtype)
    if array.dtype.kind not in "biufc":
        raise TypeError(f"a tensor holds numbers, not {array.dtype}: {data!r:.80}")
    return Tensor(array, requires_grad=requires_grad)


def start(
    output: Any, upstream: Any, create_graph: bool, name: str = "backward()"
) -> tuple[Node, Any]:
    """Find the node and the cotangent that a backward pass from ``output`` begins with."""
    if not isinstance(output, Tensor) or output.node is None:
        raise RuntimeError(
            f"{name} from a tensor that no gradient flows to: none of what it was computed from "
            "requires one. Say requires_grad=True on a leaf, and compute outside tl.no_grad()"
        )
    if upstream is None:
        if output.data.size != 1:
            raise ValueError(
                f"{name} from a tensor of shape {output.shape} needs an upstream gradient of that "
                "shape; or reduce it to one number first: t.sum(), t.mean()"
            )
        refuse_complex(output, name)
        if type(output.data) is np.ndarray and output.data.shape == ():  # a loss
            return output.node, np.array(1, output.data.dtype)
        return output.node, np.ones_like(output.data)
    upstream = upstream.data if isinstance(upstream, Tensor) and not create_graph else upstream
    known = hasattr(upstream, "__array_function__")
    upstream = from_scalar(upstream) if known else np.asarray(upstream)
    if upstream.shape != output.shape:
        shapes = f"{upstream.shape} for a tensor of shape {output.shape}"
        raise ValueError(f"{name}: an upstream gradient of shape {shapes}")
    if upstream.dtype.kind not in "biufc":
        raise TypeError(f"{name}: an upstream gradient of {upstream.dtype}")
    if upstream.dtype.kind == "c" and output.dtype.kind != "c":
        raise TypeError(
            f"{name}: a complex upstream gradient for a result of {output.dtype}, which has a real "
            "one: say upstream.real"
        )
    same = upstream.dtype == output.dtype
    return output.node, upstream if same else upstream.astype(output.dtype)


def refuse_complex(output: Any, name: str) -> None:
    """Refuse the gradient of a complex result, of which there is more than one."""
    if output.dtype.kind == "c":
        raise TypeError(
            f"{name} of a complex result: a gradient belongs to a real one. Make it real (y.real, "
            "np.abs(y) ** 2), take tl.jacobian for the derivative of a complex function, or hand "
            "in an upstream gradient: y.backward(upstream)"
        )


def _rebuilt(data: Any, requires_grad: bool, grad: Any, kind: type[Tensor]) -> Tensor:
    tensor = _new(kind)
    Tensor.__init__(tensor, data, requires_grad=requires_grad)
    tensor.grad = grad
    return tensor


def _summary(data: Any, node: Node | None, kind: str) -> str:
    """Describe an array and where it came from: ``Tensor(4, 10) float64 x∈[0, 2] ... ← add``."""
    is_leaf = node is None or node.op is None
    origin = "" if is_leaf else f" ← {name_of(node.op)}"  # type: ignore[union-attr]
    needs_grad = ", requires_grad=True" if node is not None and is_leaf else ""
    shape = ", ".join(map(str, data.shape))
    if type(data) is not np.ndarray:
        return f"{kind}({shape}) {data.dtype} on {type(data).__module__}{needs_grad}{origin}"
    if data.size <= _PRINTED_WHOLE:
        default = data.dtype in (np.dtype(float), np.dtype(int), np.dtype(bool)) and data.size
        dtype = "" if default else f", dtype={data.dtype}"
        text = np.array2string(data, separator=", ", prefix=f"{kind}(")
        return f"{kind}({text}{dtype}{needs_grad}){origin}"
    return f"{kind}({shape}) {data.dtype} {_statistics(data)}{needs_grad}{origin}"


def _statistics(data: np.ndarray[Any, Any]) -> str:
    if data.dtype.kind not in "iuf":
        return ""
    finite = data[np.isfinite(data)].astype(float)
    flags = " NaN!" * bool(np.isnan(data).any()) + " Inf!" * bool(np.isinf(data).any())
    if finite.size == 0:
        return flags.strip()
    low, high, mean, spread = finite.min(), finite.max(), finite.mean(), finite.std()
    return f"x∈[{low:.3g}, {high:.3g}] μ={mean:.3g} σ={spread:.3g}{flags}"
