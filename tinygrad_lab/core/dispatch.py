"""A call arrives: compute it on plain arrays and record it, compose it of others, or refuse it.

Operators, methods and NumPy's two protocols all lead here.  Results that have no derivative
(comparisons, rounding, ``argmax``) come back as the plain arrays NumPy gives.

Not for: what is known of an operation (``operations.py``), or what people see (``tensor.py``).
"""

from collections.abc import Sequence
from typing import Any
from weakref import ref

import numpy as np

from tinygrad_lab.core.arguments import (
    ORDERLY,
    Args,
    Kwargs,
    admitted,
    brought_together,
    holds_foreign,
    no_derivative,
    no_rule,
    ordered,
    plain,
    positional,
    unbundled,
    without_out,
)
from tinygrad_lab.core.cotangents import from_scalar
from tinygrad_lab.core.engine import NO_KWARGS, OPEN, Node, record
from tinygrad_lab.core.errors import BatchedValueError, name_of, qualified_name, raise_explained
from tinygrad_lab.core.levels import RUNNING, in_turn, settled
from tinygrad_lab.core.modes import IGNORE, WATCH, call_site, current_mode, stop_if_not_finite
from tinygrad_lab.core.operations import OPERATIONS, TENSORS, Op, Operation
from tinygrad_lab.core.ownership import Print, copied, preserved
from tinygrad_lab.core.several import Outputs, holds_tensor, pick

#: The class of tensors, which ``tensor.py`` puts here: its operators need what is here, and what
#: is here makes tensors.
Tensor: Any = None

_UNKNOWN = Operation()
_FLOAT64 = np.dtype(np.float64)
_new = object.__new__

#: What no other library's arrays are: a primitive called with these alone is its body.
_OWN_TYPES = ORDERLY | {tuple, list}
_UNCHANGING = ORDERLY - {np.ndarray, bool, Outputs}


def apply(  # noqa: C901 - most calls come through here, so it is written out
    op: Op, args: Args, kwargs: Kwargs = NO_KWARGS, body: Op | None = None
) -> Any:
    """Call ``op`` on the plain arrays in ``args``, and record the call if one of them is tracked.

    An operation without rules is composed of others, computed plainly, or refused.  ``body``, if
    given, computes the same on NumPy's own arrays, without asking who else would.
    """
    if RUNNING:
        args, kwargs, taker = settled(args, kwargs)
        if taker is not None:
            return taker.call(op, args, kwargs, body)
    operation = OPERATIONS.get(op, _UNKNOWN)
    if not (operation.complete or operation.vjps or (body and operation is _UNKNOWN)):
        return _without_rules(op, operation, args, kwargs)
    if kwargs:
        args, kwargs = positional(op, operation, args, kwargs)
        body = None  # an index in them may be somebody else's array
    values: list[Any] = []
    parents: list[Node | None] = []
    on_lists = None
    for arg in args:
        parent, kind = None, type(arg)
        if kind not in TENSORS and kind not in ORDERLY:
            arg = ordered(op, operation, len(values), arg)
            kind = type(arg)
        if kind in TENSORS:
            parent, arg = arg.node, arg.data
            kind = type(arg)
        if kind is not np.ndarray:
            if kind not in _OWN_TYPES:
                body = None
            elif kind is Outputs:  # a list of tensors
                on_lists = unbundled(op)
            elif kind is tuple and not _OWN_TYPES.issuperset(map(type, arg)):
                body = None
        values.append(arg)
        parents.append(parent)
    mode = current_mode()
    try:
        value = (on_lists or body or op)(*values, **kwargs)
    except Exception as error:  # noqa: BLE001 - and raised again
        together = brought_together(error, values, kwargs)
        if together is None:
            raise_explained(error, op, values, kwargs, call_site() if mode is WATCH else None)
        kwargs = together
        value = op(*values, **kwargs)
    kind = type(value)
    if kind is not np.ndarray:
        value = Outputs(value) if isinstance(value, (tuple, list)) else from_scalar(value)
        value = value if hasattr(value, "dtype") else np.asarray(value)  # None, text: not floats
    node = None
    if mode is not IGNORE and any(parents):
        if any(parents[operation.complete :]) or not (value.dtype is _FLOAT64 or _is_float(value)):
            _check_differentiable(op, operation, parents, value)
        prints = None
        if None in parents or mode is WATCH:
            prints = _keep(operation, values, parents, value.dtype, mode is WATCH)
        if kwargs:
            kwargs = {key: copied(setting) for key, setting in kwargs.items()}
        node = record(op, tuple(values), kwargs, value, tuple(parents))
        node.prints = prints
    if mode is WATCH:
        _watch(op, value, node)
    if type(value) is Outputs:
        if node and operation.degenerate and operation.degenerate(*value):
            OPEN.add(ref(node, OPEN.discard))
        outputs = from_node(value, node)
        return kind._make(outputs) if hasattr(kind, "_make") else outputs  # EighResult and so on
    result = _new(Tensor)
    result.data = value
    result.node = node
    return result


def _keep(
    operation: Operation, values: list[Any], parents: Sequence[Node | None], dtype: Any, whole: bool
) -> list[Print] | None:
    """Put in the place of what is nobody's result what the rules may read later.

    Integers and booleans beside floats get the dtype that they were computed in, as rules are.
    """
    prints: list[Print] = []
    for position, parent in enumerate(parents):
        if parent is not None and not whole:
            continue
        value = values[position]
        if type(value) in _UNCHANGING:
            continue
        if parent is None and operation.has_rule(position) and operation.takes_arrays:
            value = _as_float(value, dtype)
        values[position] = preserved(value, parent is not None, prints, whole)
    return prints or None


def _as_float(value: Any, dtype: Any) -> Any:
    own = getattr(value, "dtype", None)
    if own is dtype or not isinstance(dtype, np.dtype):
        return value
    if getattr(own, "kind", "") in ("b", "i", "u"):
        return value.astype(dtype)
    return float(value) if type(value) is bool else value


def from_node(value: Any, node: Node | None) -> Any:
    """Make the tensor of a recorded value; of several results, a tensor for each that has one."""
    if type(value) is Outputs:
        return Outputs(_picked(value, node, i) for i in range(len(value)))
    tensor = _new(Tensor)
    tensor.data = value
    tensor.node = node
    return tensor


def _picked(outputs: Outputs, node: Node | None, position: int) -> Any:
    value = outputs[position]
    if not _is_float(from_scalar(value)):
        return value  # a rank, an index: nothing flows through it
    if node is not None:
        node = record(pick, (outputs, position), NO_KWARGS, value, (node, None))
    return from_node(from_scalar(value), node)


def _watch(op: Op, value: Any, node: Node | None) -> None:
    here = call_site()
    if node is not None:
        node.site = here
    for part in value if type(value) is Outputs else (value,):
        stop_if_not_finite(part, f"{name_of(op)} gave", here)


def _check_differentiable(
    op: Op, operation: Operation, parents: Sequence[Node | None], value: Any
) -> None:
    """Refuse a call that would lose a gradient in silence."""
    if not operation.vjps:
        raise no_rule(op)
    for position, parent in enumerate(parents):
        if parent is not None and not operation.has_rule(position):
            raise no_derivative(op, position)
    if not _is_float(value):
        raise TypeError(
            f"{name_of(op)} of a tracked tensor gives {value.dtype}, which has no gradient; "
            "detach() first"
        )


def _is_float(value: Any) -> bool:
    dtype = getattr(value, "dtype", None)
    return dtype is not None and getattr(dtype, "kind", "") in ("f", "c")


def _without_rules(op: Op, operation: Operation, args: Args, kwargs: Kwargs) -> Any:
    """Compose a call of others, compute it on plain arrays, or refuse it.

    A composition stands in for NumPy's function where there is something to differentiate: plain
    values are NumPy's own, whatever their dtype.
    """
    inputs = (*args, *kwargs.values())
    tracked = current_mode() is not IGNORE and _is_tracked(inputs)
    if operation.composition is not None:
        try:
            args, kwargs = admitted(op, operation, args, kwargs)
            if tracked or operation.always or holds_foreign(inputs):
                return operation.composition(*args, **kwargs)
            return _as_tensors(op, op(*plain(args), **plain(dict(kwargs))))
        except BatchedValueError as error:
            return in_turn(error, operation.composition, *args, **kwargs)
        except Exception as error:  # noqa: BLE001 - and raised again
            raise_explained(error, op, args, kwargs, outside=True)
    written = operation.in_place and isinstance(args[0], Tensor)
    if operation.refusal is not None and (tracked or written):
        raise TypeError(f"{qualified_name(op)} {operation.refusal}")
    if tracked and not operation.constant:
        raise no_rule(op)
    try:
        return op(*plain(args), **plain(dict(kwargs)))
    except Exception as error:  # noqa: BLE001 - and raised again
        raise_explained(error, op, args, kwargs)


def _is_tracked(inputs: Args) -> bool:
    for value in inputs:  # mostly one of these
        if isinstance(value, Tensor) and value.node is not None:
            return True
    return holds_tensor(inputs, tracked=True)


def _as_tensors(op: Op, value: Any) -> Any:
    """Make tensors of the arrays that a function of NumPy's own gave; a rank stays a number."""
    if isinstance(value, (tuple, list)):
        arrays = (type(part) is np.ndarray or _is_float(part) for part in value)
        parts = [_as_tensors(op, part) if is_array else part
                 for part, is_array in zip(value, arrays)]  # fmt: skip
        return type(value)._make(parts) if hasattr(value, "_make") else type(value)(parts)
    if current_mode() is WATCH:
        _watch(op, value, None)
    return from_node(from_scalar(value), None)


_REDUCE: dict[Any, Op] = {
    np.add: np.sum, np.multiply: np.prod, np.maximum: np.max, np.minimum: np.min
}  # fmt: skip


def answer_ufunc(ufunc: np.ufunc, method: str, inputs: Any, kwargs: dict[str, Any]) -> Any:
    """Answer ``__array_ufunc__``: an elementwise function, or the reduction of one."""
    kwargs = dict(without_out(ufunc, kwargs)) if kwargs else kwargs
    if method == "reduce" and ufunc in _REDUCE:
        return apply(_REDUCE[ufunc], inputs, {"axis": 0, **kwargs})
    if method != "__call__":
        raise TypeError(
            f"{qualified_name(ufunc)}.{method} has no derivative rule; say it with a function "
            "(np.sum, np.prod, np.cumsum, an index ...), or compute on t.detach()"
        )
    if not kwargs or OPERATIONS.get(ufunc, _UNKNOWN).composition is not None:
        return apply(ufunc, inputs, kwargs)
    name = qualified_name(ufunc)
    if kwargs.pop("where", True) is not True:
        raise TypeError(
            f"{name}(..., where=...) leaves elements undefined, so it has no gradient; say "
            f"np.where(condition, {name}(...), otherwise)"
        )
    dtype = kwargs.pop("dtype", None)
    if dtype is not None:
        inputs = tuple(x.astype(dtype) if isinstance(x, Tensor) else x for x in inputs)
    if kwargs:
        raise TypeError(f"{name} of a tensor takes no {', '.join(kwargs)}=")
    return apply(ufunc, inputs)
