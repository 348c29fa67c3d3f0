"""The arguments of a call, put in order once: before a rule, a composition or NumPy reads them.

What NumPy takes for an array (a list, a scalar, a memory map) becomes one; arrays whose arithmetic
is their own are refused; a list of tensors becomes one tensor; and where nothing is differentiated
by an argument, a tracked tensor is refused there, because its gradient would be lost.

Not for: what happens to the call then (``dispatch.py``).
"""

import functools
import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import NO_KWARGS, record
from tinygrad_lab.core.errors import qualified_name
from tinygrad_lab.core.modes import IGNORE, current_mode
from tinygrad_lab.core.operations import NUMPYS, OPERATIONS, Op, Operation
from tinygrad_lab.core.several import Outputs, as_array, bundle, holds_tensor

#: The class of tensors, which ``tensor.py`` puts here.
Tensor: Any = None

Args = tuple[Any, ...]
Kwargs = Mapping[str, Any]
_new = object.__new__

#: What goes into an operation as it is; the rest is put in order first.
ORDERLY = frozenset(
    {np.ndarray, int, float, bool, complex, str, slice, type(None), type, np.dtype, Outputs}
)


def ordered(op: Op, operation: Operation, position: int, arg: Any) -> Any:
    """Put one argument of an operation with rules in order."""
    if not operation.has_rule(position):
        return _looked_at(op, position, arg)
    if operation.lists and holds_tensor(arg):
        return _bundled(arg)
    if operation.takes_arrays or not isinstance(arg, Sequence) or holds_tensor(arg):
        return operand(op, arg, operation.lists)
    return arg


def admitted(op: Op, operation: Operation, args: Args, kwargs: Kwargs) -> tuple[Any, Kwargs]:
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


def _looked_at(op: Op, place: int | str, value: Any) -> Any:
    """Give the plain values of an argument that nothing is differentiated by."""
    if isinstance(value, Tensor):
        if value.node is not None and current_mode() is not IGNORE:
            raise no_derivative(op, place)
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
    if isinstance(arg, int):
        return int(arg)  # of a kind of its own: t.size
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


def positional(op: Op, operation: Operation, args: Args, kwargs: Kwargs) -> tuple[Args, Kwargs]:
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
            if position < len(args):
                raise TypeError(f"{qualified_name(op)} has two values for {key}")
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


def on_cpu(device: Any) -> None:
    """Check PyTorch's ``device=``: there is one place for arrays."""
    if device is not None and str(device).partition(":")[0] != "cpu":
        raise ValueError(
            f"device={device!r}: arrays are in the memory of this machine, which is 'cpu': leave "
            "device= out"
        )


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


def unbundled(op: Op) -> Op:
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


def holds_foreign(value: Any) -> bool:
    """Whether a value is a tensor on an array that is not NumPy's own, or holds one."""
    if isinstance(value, Tensor):
        return type(value.data) not in NUMPYS
    if type(value) is dict:
        value = tuple(value.values())
    return isinstance(value, (tuple, list)) and any(map(holds_foreign, value))


_OWN_LIBRARIES = {"numpy", __name__.partition(".")[0]}


def _is_of_another_library(x: Any) -> bool:
    return hasattr(x, "dtype") and type(x).__module__.partition(".")[0] not in _OWN_LIBRARIES


def beside(constant: Any, x: Any) -> Any:
    """Bring an array of NumPy's to where ``x`` is, whose library may take none (CuPy)."""
    if type(constant) is not np.ndarray or not _is_of_another_library(x):
        return constant
    return np.asarray(constant, like=x)


def brought_together(error: Exception, values: list[Any], kwargs: Kwargs) -> Kwargs | None:
    """Bring what a call is given together, if it failed for being NumPy's beside others.

    The values are replaced, and the keywords returned; None where the error is about something
    else.
    """
    others = filter(_is_of_another_library, values)
    other = next(others, None) if isinstance(error, TypeError) else None
    if other is None or not any(type(x) is np.ndarray for x in (*values, *kwargs.values())):
        return None
    values[:] = [beside(x, other) for x in values]
    return {key: beside(x, other) for key, x in kwargs.items()}


def no_derivative(op: Op, place: int | str) -> TypeError:
    """Say that an operation has no derivative by one of its arguments."""
    if op not in OPERATIONS:
        return no_rule(op)
    name = OPERATIONS[op].parameter(place)
    argument = f"argument {name}" if isinstance(name, int) else f"{name}="
    return TypeError(f"{qualified_name(op)} has no derivative by {argument}: detach() it there")


def no_rule(op: Op) -> TypeError:
    """Say that an operation has no derivative at all, and how it gets one."""
    name = qualified_name(op)
    return TypeError(
        f"{name} has no derivative rule. Give it one with tl.defvjp({name}, lambda g, y, *args: "
        "...), or compute on plain values: t.detach()"
    )
