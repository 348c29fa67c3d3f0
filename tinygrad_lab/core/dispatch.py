"""A call arrives: compute it on plain arrays and record it, compose it of others, or refuse it.

Operators, methods and NumPy's two protocols all lead here.  Results that have no derivative
(comparisons, rounding, ``argmax``) come back as the plain arrays NumPy gives.

Not for: what is known of an operation (``operations.py``), or what people see (``tensor.py``).
"""

import functools
import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.cotangents import from_scalar
from tinygrad_lab.core.engine import NO_KWARGS, OPEN, Node, record
from tinygrad_lab.core.errors import name_of, qualified_name, raise_explained
from tinygrad_lab.core.modes import IGNORE, WATCH, call_site, current_mode, stop_if_not_finite
from tinygrad_lab.core.operations import OPERATIONS, Op, Operation
from tinygrad_lab.core.ownership import preserved
from tinygrad_lab.core.several import Outputs, as_array, bundle, holds_tensor, pick

#: The class of tensors, which ``tensor.py`` puts here: its operators need what is here, and what
#: is here makes tensors.
Tensor: Any = None

Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]
_UNKNOWN = Operation()
_FLOAT64 = np.dtype(np.float64)
_new = object.__new__

#: What goes into an operation as it is; the rest is put in order first.
ORDERLY = frozenset(
    {np.ndarray, int, float, bool, complex, str, slice, type(None), type, np.dtype, Outputs}
)
#: What no other library's arrays are: a primitive called with these alone is its body.
_OWN_TYPES = ORDERLY | {tuple, list}


def apply(  # noqa: C901 - most calls come through here, so it is written out
    op: Op, args: Args, kwargs: Kwargs = NO_KWARGS, body: Op | None = None
) -> Any:
    """Call ``op`` on the plain arrays in ``args``, and record the call if one of them is tracked.

    An operation without rules is composed of others, computed plainly, or refused.  ``body``, if
    given, computes the same on NumPy's own arrays, without asking who else would.
    """
    operation = OPERATIONS.get(op, _UNKNOWN)
    if not (operation.complete or operation.vjps or (body and operation is _UNKNOWN)):
        return _without_rules(op, operation, args, kwargs)
    if kwargs:
        args, kwargs = _positional(op, operation, args, kwargs)
    values: list[Any] = []
    parents: list[Node | None] = []
    unbundled = None
    has_arrays = False  # that no gradient flows to: somebody may write to them
    has_integers = False  # or booleans
    for arg in args:
        parent = None
        if not isinstance(arg, Tensor) and type(arg) not in ORDERLY:
            arg = _ordered(op, operation, len(values), arg)
        if isinstance(arg, Tensor):
            parent, arg = arg.node, arg.data
        if type(arg) is np.ndarray:
            if parent is None:
                has_arrays = True
                has_integers = has_integers or arg.dtype.kind in "biu"
        elif type(arg) not in _OWN_TYPES:
            body = None
        elif type(arg) is Outputs:  # a list of tensors
            unbundled = _unbundled(op)
        elif type(arg) is tuple:
            has_arrays = True
        elif type(arg) is bool:
            has_integers = True
        values.append(arg)
        parents.append(parent)
    mode = current_mode()
    try:
        value = (unbundled or body or op)(*values, **kwargs)
    except Exception as error:  # noqa: BLE001 - and raised again
        raise_explained(error, op, values, kwargs, call_site() if mode is WATCH else None)
    kind = type(value)
    if kind is not np.ndarray:
        value = Outputs(value) if isinstance(value, (tuple, list)) else from_scalar(value)
        value = value if hasattr(value, "dtype") else np.asarray(value)  # None, text: not floats
    node = None
    if mode is not IGNORE and any(parents):
        if operation.complete < len(args) or not (value.dtype is _FLOAT64 or _is_float(value)):
            _check_differentiable(op, operation, parents, value)
        recorded: Sequence[Any] = values
        if has_integers:
            recorded = _as_floats(operation, values, value.dtype)
        prints = None
        if has_arrays or mode is WATCH:
            recorded, prints = preserved(recorded, parents, whole=mode is WATCH)
        node = record(op, tuple(recorded), kwargs, value, tuple(parents))
        node.prints = prints
    if mode is WATCH:
        _watch(op, value, node)
    if type(value) is Outputs:
        if node and operation.degenerate and operation.degenerate(*value):
            OPEN.add(node)
        outputs = from_node(value, node)
        return kind._make(outputs) if hasattr(kind, "_make") else outputs  # EighResult and so on
    result = _new(Tensor)
    result.data = value
    result.node = node
    return result


def _as_floats(operation: Operation, values: Sequence[Any], dtype: Any) -> Sequence[Any]:
    """Give integers and booleans beside floats the dtype that they were computed in: rules are."""
    if not (operation.takes_arrays and isinstance(dtype, np.dtype)):
        return values

    def converted(value: Any) -> Any:
        if type(value) is np.ndarray and value.dtype.kind in "biu":
            return value.astype(dtype)
        return float(value) if type(value) is bool else value

    return [converted(v) if operation.has_rule(i) else v for i, v in enumerate(values)]


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
        raise _no_rule(op)
    for position, parent in enumerate(parents):
        if parent is not None and not operation.has_rule(position):
            raise _no_derivative(op, position)
    if not _is_float(value):
        raise TypeError(
            f"{name_of(op)} of a tracked tensor gives {value.dtype}, which has no gradient; "
            "detach() first"
        )


def _no_derivative(op: Op, place: int | str) -> TypeError:
    if op not in OPERATIONS:
        return _no_rule(op)
    name = OPERATIONS[op].parameter(place)
    argument = f"argument {name}" if isinstance(name, int) else f"{name}="
    return TypeError(f"{qualified_name(op)} has no derivative by {argument}: detach() it there")


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
            args, kwargs = _admitted(op, operation, args, kwargs)
            if tracked or operation.always or _holds_foreign(inputs):
                return operation.composition(*args, **kwargs)
            return _as_tensors(op, op(*plain(args), **plain(dict(kwargs))))
        except Exception as error:  # noqa: BLE001 - and raised again
            raise_explained(error, op, args, kwargs, outside=True)
    written = operation.in_place and isinstance(args[0], Tensor)
    if operation.refusal is not None and (tracked or written):
        raise TypeError(f"{qualified_name(op)} {operation.refusal}")
    if tracked and not operation.constant:
        raise _no_rule(op)
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


def _admitted(op: Op, operation: Operation, args: Args, kwargs: Kwargs) -> tuple[Any, Kwargs]:
    """Put the arguments of a composition in order, and refuse those it has no derivative by."""
    ordered = []
    for position, arg in enumerate(args):
        if type(arg) not in ORDERLY:
            arg = _admit(op, operation, position, arg)
        ordered.append(arg)
    if kwargs:
        kwargs = {key: _admit(op, operation, key, arg) for key, arg in kwargs.items()}
    return ordered, kwargs


def _admit(op: Op, operation: Operation, place: int | str, arg: Any) -> Any:
    if operation.has_derivative(place):
        return arg if isinstance(arg, Tensor) else operand(op, arg, operation.lists)
    return _looked_at(op, place, arg)


def _positional(op: Op, operation: Operation, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
    """Move keyword arguments that have rules to the positions that the rules count by."""
    if ORDERLY.issuperset(map(type, kwargs.values())):
        return args, kwargs
    parameters = _positional_parameters(op)
    if parameters is None and holds_tensor(kwargs):
        raise TypeError(f"pass the tensors to {qualified_name(op)} by position")
    defaults = parameters or {}
    names, last = list(defaults), -1
    for key, value in kwargs.items():
        is_array = operation.takes_arrays or holds_tensor(value)
        if type(value) not in ORDERLY and is_array and key in defaults:
            position = names.index(key)
            last = max(last, position if operation.has_rule(position) else -1)
    for name in names[len(args) : last + 1]:
        default = defaults[name]
        if name not in kwargs and default is inspect.Parameter.empty:
            raise TypeError(f"{qualified_name(op)} is missing an argument: {name}")
        args = (*args, kwargs.get(name, default))
    rest = kwargs.keys() - names[: last + 1]
    return args, {key: _looked_at(op, key, kwargs[key]) for key in kwargs if key in rest}


@functools.cache
def _positional_parameters(op: Op) -> Mapping[str, Any] | None:
    """The defaults of what an operation takes by position; some of NumPy's do not tell: None."""
    try:
        parameters = inspect.signature(op).parameters.values()
    except ValueError:
        return None
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return {p.name: p.default for p in parameters if p.kind in positional}


def _ordered(op: Op, operation: Operation, position: int, arg: Any) -> Any:
    """Put one argument of an operation with rules in order."""
    if not operation.has_rule(position):
        return _looked_at(op, position, arg)
    if operation.lists and holds_tensor(arg):
        return _bundled(arg)
    if operation.takes_arrays or not isinstance(arg, Sequence) or holds_tensor(arg):
        return operand(op, arg, operation.lists)
    return arg


def _looked_at(op: Op, place: int | str, value: Any) -> Any:
    """Give the plain values of an argument that nothing is differentiated by."""
    if isinstance(value, Tensor):
        if value.node is not None and current_mode() is not IGNORE:
            raise _no_derivative(op, place)
        return value.data
    if type(value) in (tuple, list):
        if ORDERLY.issuperset(map(type, value)):
            return value
        return type(value)(_looked_at(op, place, item) for item in value)
    if type(value) is dict:
        return {key: _looked_at(op, place, item) for key, item in value.items()}
    refuse_strange(value, op)
    return value


def operand(op: Op, arg: Any, lists: bool = False) -> Any:
    """Make an array of what NumPy takes for one: a list, a NumPy scalar, a memory map."""
    if isinstance(arg, Tensor) or type(arg) in ORDERLY:
        return arg
    refuse_strange(arg, op)
    if isinstance(arg, (Sequence, memoryview)):  # a list, a range, an array of Python's
        return arg if lists and holds_tensor(arg) else as_array(arg)
    is_foreign = hasattr(type(arg), "__array_function__") and not isinstance(arg, np.ndarray)
    return np.asarray(arg) if hasattr(type(arg), "__array__") and not is_foreign else arg


def refuse_strange(value: Any, op: Op | None = None) -> None:
    """Refuse arrays whose arithmetic is their own, which a rule would take for NumPy's."""
    if isinstance(value, Tensor) or type(value) in ORDERLY:
        return
    if isinstance(value, (tuple, list)):
        for item in value:
            refuse_strange(item, op)
        return
    is_subclass = isinstance(value, np.ndarray) and type(value) not in (np.ndarray, np.memmap)
    is_sparse = hasattr(type(value), "toarray") and not hasattr(value, "__array_function__")
    if is_subclass or is_sparse:
        kind, where = type(value), "a tensor" if op is None else qualified_name(op)
        remedies = {"m.filled(...)": np.ma.MaskedArray, "np.asarray(m)": np.ndarray}
        fitting = [remedy for remedy, whose in remedies.items() if isinstance(value, whose)]
        raise TypeError(
            f"{where} takes no {kind.__module__.partition('.')[0]}.{kind.__qualname__} m, because "
            f"its arithmetic is its own: say {[*fitting, 'm.toarray()'][0]}"
        )


def _bundled(arg: Any) -> Any:
    """Make one tensor of a list of them, lists in it included."""
    if not (isinstance(arg, (list, tuple)) and holds_tensor(arg)):
        return arg
    members = list(map(_bundled, arg))
    values = Outputs(m.data if isinstance(m, Tensor) else m for m in members)
    nodes = tuple(m.node if isinstance(m, Tensor) else None for m in members)
    whole = _new(Tensor)
    whole.data = values
    whole.node = record(bundle, values, NO_KWARGS, values, nodes) if any(nodes) else None
    return whole


def _unbundled(op: Op) -> Op:
    """Make ``op`` take bundles for the lists that they were."""

    def listed(value: Any) -> Any:
        return [listed(member) for member in value] if type(value) is Outputs else value

    return lambda *values, **kwargs: op(*map(listed, values), **kwargs)


def plain(value: Any) -> Any:
    """Replace tensors by their plain arrays, also inside tuples, lists, dicts and slices."""
    kind = type(value)
    if isinstance(value, Tensor):
        return value.data
    if kind in (tuple, list):
        return kind(plain(item) for item in value)
    if kind is dict:
        return {key: plain(item) for key, item in value.items()}
    if kind is slice:
        return slice(plain(value.start), plain(value.stop), plain(value.step))
    return value


def _holds_foreign(value: Any) -> bool:
    """Whether a value is a tensor on an array that is not NumPy's own, or holds one."""
    if isinstance(value, Tensor):
        return type(value.data) is not np.ndarray
    if type(value) is dict:
        value = tuple(value.values())
    return isinstance(value, (tuple, list)) and any(map(_holds_foreign, value))


def without_out(op: Op, kwargs: Kwargs, args: Args = ()) -> Kwargs:
    """Refuse ``out``, and drop it where it says None; nor may ``overwrite_input=`` be heeded."""
    if len(args) > 1 and (place := _place_of_out(op)) < len(args) and args[place] is not None:
        kwargs = {"out": args[place]}
    if "overwrite_input" in kwargs:
        kwargs = {key: value for key, value in kwargs.items() if key != "overwrite_input"}
    if "out" not in kwargs:
        return kwargs
    out = kwargs["out"]
    if any(o is not None for o in (out if isinstance(out, tuple) else (out,))):
        raise TypeError(
            f"{qualified_name(op)}(..., out=...) writes in place, and tensors are values: use what "
            "it returns"
        )
    return {key: value for key, value in kwargs.items() if key != "out"}


@functools.cache
def _place_of_out(op: Op) -> int:
    """Return where ``out`` stands among the arguments; beyond all of them where there is none."""
    untold = ("", "", "out") if op in (np.dot, np.concatenate) else ()  # by older versions of NumPy
    names = list(_positional_parameters(op) or untold)
    return names.index("out") if "out" in names else sys.maxsize


def _no_rule(op: Op) -> TypeError:
    name = qualified_name(op)
    return TypeError(
        f"{name} has no derivative rule. Give it one with tl.defvjp({name}, lambda g, y, *args: "
        "...), or compute on plain values: t.detach()"
    )


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
