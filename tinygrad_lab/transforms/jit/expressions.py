"""One call as Python text: operators as operators, NumPy's functions by name, constants exactly.

Not for: names, and what goes on one line (``source.py``).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NamedTuple, TypeGuard

import numpy as np

from tinygrad_lab.core.errors import qualified_name
from tinygrad_lab.core.operations import Op
from tinygrad_lab.transforms.jit.kernels import DEFINITIONS
from tinygrad_lab.transforms.jit.program import (
    Instruction,
    Kind,
    Ref,
    astype,
    draw,
)

__all__ = ["Text", "call_text", "constant_text", "expression", "is_transpose", "negated", "nested"]


class Text(NamedTuple):
    """An expression, and how strongly its outermost operator binds."""

    text: str
    level: int = 9  # as a name, a call or an index does

    def inside(self, level: int) -> str:
        """Write it as an operand of an operator that binds so strongly."""
        return self.text if self.level >= level else f"({self.text})"


Operand = Callable[[Any], Text]
_NEGATIVE, _POWER = 6, 7

#: Operators between two values, and how strongly they bind.
_BINARY: dict[Op, tuple[str, int]] = {
    np.add: ("+", 4), np.subtract: ("-", 4), np.multiply: ("*", 5), np.divide: ("/", 5),
    np.matmul: ("@", 5), np.remainder: ("%", 5), np.floor_divide: ("//", 5),
    np.less: ("<", 1), np.less_equal: ("<=", 1), np.greater: (">", 1), np.greater_equal: (">=", 1),
    np.equal: ("==", 1), np.not_equal: ("!=", 1), np.bitwise_and: ("&", 3),
    np.bitwise_or: ("|", 2),
}  # fmt: skip
#: These mean Python's own arithmetic, whatever the operands.
_PYTHON: dict[Op, tuple[str, int]] = {
    operator.add: ("+", 4), operator.sub: ("-", 4), operator.mul: ("*", 5),
    operator.truediv: ("/", 5), operator.floordiv: ("//", 5), operator.mod: ("%", 5),
    operator.matmul: ("@", 5), operator.pow: ("**", _POWER), operator.lt: ("<", 1),
    operator.le: ("<=", 1), operator.gt: (">", 1), operator.ge: (">=", 1), operator.eq: ("==", 1),
    operator.ne: ("!=", 1), operator.and_: ("&", 3), operator.or_: ("|", 2),
}  # fmt: skip
_UNARY: dict[Op, str] = {np.negative: "-", np.invert: "~"}
_PYTHON_UNARY: dict[Op, str] = {operator.neg: "-", operator.pos: "+", operator.invert: "~"}
#: Functions that are written as methods of the first argument, and how many they take for that.
_METHODS: dict[Op, int] = {np.reshape: 2, np.swapaxes: 3}
_WIDE = frozenset("dD")  # what a float64 factor leaves as it is
_HOMES = (
    (np, "np"), (np.linalg, "np.linalg"), (np.fft, "np.fft"), (np.emath, "np.emath"),
    (np.random, "np.random"), (np.lib.stride_tricks, "np.lib.stride_tricks"),
    (np.polynomial, "np.polynomial"),
)  # fmt: skip


def call_text(
    line: Instruction,
    refer: Callable[[Ref], str],
    constant: Callable[[Any], str],
    kind: Callable[[Any], Kind],
) -> str:
    """Write one call with names for refs and texts for constants."""

    def operand(value: Any) -> Text:
        text = refer(value) if type(value) is Ref else constant(value)
        return Text(text, _NEGATIVE if text.startswith("-") else 9)

    return expression(line, operand, kind).text


def expression(line: Instruction, operand: Operand, kind: Callable[[Any], Kind]) -> Text:
    """Write one call, given the texts of refs and constants."""
    op, args, kwargs = line.op, line.args, line.kwargs
    is_array = [type(arg) is not Ref or kind(arg).is_array for arg in args]
    is_array = [yes and isinstance(arg, Ref | np.ndarray | np.generic)
                for yes, arg in zip(is_array, args, strict=True)]  # fmt: skip
    if not kwargs:
        infix = _PYTHON.get(op) or (_BINARY.get(op) if any(is_array) else None)
        if infix is not None and len(args) == 2:
            return _infix(*infix, *_plain(line, kind), operand)
        sign = _PYTHON_UNARY.get(op) or (_UNARY.get(op) if all(is_array) else None)
        if sign is not None and len(args) == 1:
            return Text(sign + operand(args[0]).inside(_NEGATIVE), _NEGATIVE)
    special = _special(line, operand, bool(is_array) and is_array[0], kind)
    if special is not None:
        return special
    inside = [nested(arg, operand) for arg in args]
    inside += [f"{key}={nested(value, operand)}" for key, value in kwargs.items()]
    return Text(f"{_function_text(op, operand)}({', '.join(inside)})")


def _infix(sign: str, level: int, left: Any, right: Any, operand: Operand) -> Text:
    """Write an operator between two operands, in parentheses where Python needs them."""
    if level == _POWER:
        return Text(f"{operand(left).inside(8)} ** {operand(right).inside(8)}", _POWER)
    if sign in "*@/" and operand(right).text.startswith("-"):
        return Text(f"{operand(left).inside(level)} {sign} ({operand(right).text})", level)
    strict = 2 if level == 1 else level  # a < b < c means something else
    return Text(f"{operand(left).inside(strict)} {sign} {operand(right).inside(level + 1)}", level)


def _plain(line: Instruction, kind: Callable[[Any], Kind]) -> tuple[Any, Any]:
    """Write constants as Python's numbers where that gives the same, and factors before arrays."""
    args: tuple[Any, Any] = (line.args[0], line.args[1])
    if line.op in (np.matmul, operator.matmul):
        return args
    left, right = (
        arg.flat[0].item() if _is_number_beside(arg, other, line.kind, kind) else arg
        for arg, other in (args, args[::-1])
    )
    is_number = [type(x) in (int, float) or (type(x) is Ref and not kind(x).is_array)
                 for x in (left, right)]  # fmt: skip
    swap = line.op is np.multiply and is_number == [False, True]
    return (right, left) if swap else (left, right)


def _is_number_beside(
    value: Any, other: Any, result: Kind, kind: Callable[[Any], Kind]
) -> TypeGuard[np.ndarray[Any, Any]]:
    """Whether a constant beside a value is one number that changes neither dtype nor shape."""
    if not isinstance(value, np.ndarray | np.generic) or type(other) is not Ref or not value.size:
        return False
    beside = kind(other)
    fits = (
        beside.is_array
        and beside.shape == result.shape
        and value.dtype.kind in "fi"
        and (value.dtype == beside.dtype or (value.dtype == float and beside.dtype.char in _WIDE))
    )
    return fits and value.tobytes() == value.flat[0].tobytes() * value.size


def negated(value: Any, operand: Operand) -> Text | None:
    """Write what a value is the negative of, where it is written as one."""
    if type(value) in (int, float, np.float64) and value < 0:
        return operand(-value)
    return None


def nested(value: Any, operand: Operand) -> str:
    """Write an argument: refs may stand inside tuples, lists, dicts and slices."""
    kind = type(value)
    if kind is tuple:
        inside = ", ".join(nested(item, operand) for item in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if kind is list:
        return f"[{', '.join(nested(item, operand) for item in value)}]"
    if kind is dict:
        return "{" + ", ".join(f"{k!r}: {nested(v, operand)}" for k, v in value.items()) + "}"
    if kind is slice:
        parts = (value.start, value.stop, value.step)
        return f"slice({', '.join(nested(part, operand) for part in parts)})"
    return operand(value).text


def _special(
    line: Instruction, operand: Operand, is_array: bool, kind: Callable[[Any], Kind]
) -> Text | None:
    """Write what has a form of its own: indexing, methods, draws."""
    op, args, kwargs = line.op, line.args, line.kwargs
    if op is draw:
        inside = [nested(arg, operand) for arg in args[2:]]
        inside += [f"{key}={nested(value, operand)}" for key, value in kwargs.items()]
        return Text(f"{operand(args[0]).text}.{args[1]}({', '.join(inside)})")
    if op is operator.getitem:
        return Text(f"{operand(args[0]).inside(8)}[{_index_text(args[1], operand)}]")
    if not args or type(args[0]) is not Ref:
        return None
    of = operand(args[0]).inside(8)
    if op is astype:
        return Text(f"{of}.astype({operand(args[1]).text})")
    if op is np.copy and kwargs == {"order": "C"} and is_array:
        return Text(f"{of}.copy()")
    if op is np.sum and is_array and len(args) == 2 and not kwargs and type(args[1]) is tuple:
        axis = args[1][0] if len(args[1]) == 1 else args[1]
        return Text(f"np.sum({operand(args[0]).text}, axis={axis})")
    if kwargs or not is_array:
        return None
    if is_transpose(line, kind):
        return Text(f"{of}.T")
    if op is np.reshape and len(args) == 2 and kind(args[0]).shape == line.kind.shape:
        return operand(args[0])
    if _METHODS.get(op) == len(args):
        return Text(f"{of}.{op.__name__}({', '.join(nested(arg, operand) for arg in args[1:])})")
    if op is np.square and line.kind.is_array and line.kind.shape and line.kind.dtype.kind in "fc":
        return Text(f"{of} ** 2", _POWER)  # which NumPy computes as a square
    return None


def is_transpose(line: Instruction, kind: Callable[[Any], Kind]) -> bool:
    """Whether a call is what ``.T`` says."""
    if line.kwargs or line.op not in (np.transpose, np.swapaxes):
        return False
    if line.op is np.transpose:
        return len(line.args) == 1
    is_matrix = len(kind(line.args[0]).shape) == 2
    return is_matrix and {axis % 2 for axis in line.args[1:]} == {0, 1}


def _index_text(index: Any, operand: Operand) -> str:
    if type(index) is tuple and index:
        inside = ", ".join(_index_text(item, operand) for item in index)
        return f"{inside}," if len(index) == 1 else inside
    if type(index) is slice:
        start, stop, step = (
            "" if part is None else operand(part).text
            for part in (index.start, index.stop, index.step)
        )
        return f"{start}:{stop}" + (f":{step}" if step not in ("", "1") else "")
    return "..." if index is Ellipsis else nested(index, operand)


def _function_text(op: Op, operand: Operand) -> str:
    method = getattr(op, "__self__", None)
    if isinstance(method, np.ufunc):
        return f"{numpy_name(method)}.{op.__name__}"
    module = getattr(op, "__module__", "") or ""
    if isinstance(op, np.ufunc) or module.startswith("numpy"):
        return numpy_name(op)
    return operand(op).text


def numpy_name(op: Op) -> str:
    """Say where a function of NumPy's is, as one writes it."""
    name = "abs" if op is np.absolute else op.__name__
    for home, prefix in _HOMES:
        if getattr(home, name, None) is op:
            return f"{prefix}.{name}"
    return f"np.{name}" if hasattr(np, name) else qualified_name(op)  # np.clip calls another clip


# -- constants ------------------------------------------------------------------------------------


def constant_text(value: Any) -> str:
    """Write a constant, so that it is the same to the last bit when read."""
    if callable(value) and value in DEFINITIONS:
        return DEFINITIONS[value].__name__
    if getattr(value, "__module__", None) == "math":
        return f"math.{value.__name__}"
    for kinds, write in _WRITERS:
        if isinstance(value, kinds):
            return write(value)
    return "..." if value is Ellipsis else getattr(value, "__name__", None) or repr(value)


def _scalar_text(value: np.generic) -> str:
    return f"np.{value.dtype.name.rstrip('_')}({_number_text(value.item())})"


def _dtype_text(value: np.dtype[Any]) -> str:
    return f"np.{value.name}" if value.isbuiltin else f"np.dtype({value.str!r})"


def _class_text(value: type) -> str:
    return f"np.{value.__name__}" if issubclass(value, np.generic) else value.__name__


def _inside(value: Any) -> str:
    return ", ".join(map(constant_text, value))


_WRITERS: list[tuple[Any, Callable[[Any], str]]] = [
    (np.ndarray, lambda value: _array_text(value)),
    (np.generic, _scalar_text),
    (bool, repr),
    ((float, complex), lambda value: _number_text(value)),
    (np.dtype, _dtype_text),
    (type, _class_text),
    (slice, lambda value: f"slice({_inside((value.start, value.stop, value.step))})"),
    (tuple, lambda value: f"({_inside(value)}{',' * (len(value) == 1)})"),
    (list, lambda value: f"[{_inside(value)}]"),
    (dict, lambda value: f"dict([{_inside(list(value.items()))}])"),
    ((np.ufunc, type(np.sum), type(constant_text)), lambda value: numpy_name(value)),
]


def _number_text(value: complex) -> str:
    if type(value) is complex:
        return f"complex({_number_text(value.real)}, {_number_text(value.imag)})"
    if type(value) is float and not np.isfinite(value):
        return {"inf": "np.inf", "-inf": "-np.inf", "nan": "np.nan"}[repr(value)]
    return repr(value)


def _array_text(value: np.ndarray[Any, Any]) -> str:
    dtype = constant_text(value.dtype)
    if value.size == 0:
        return f"np.zeros({value.shape}, {dtype})"
    if value.size > 1 and len(set(map(repr, value.ravel().tolist()))) == 1:
        first = _number_text(value.flat[0].item())
        function = {"0": "zeros", "0.0": "zeros", "1": "ones", "1.0": "ones"}.get(first)
        size = f"{value.shape}, {dtype}" if function else f"{value.shape}, {first}, {dtype}"
        return f"np.{function or 'full'}({size})"
    if value.size > 2 and value.dtype.kind == "i" and _is_range(value.ravel()):
        begin, second, last = (int(value.flat[i]) for i in (0, 1, -1))
        text = f"np.arange({begin}, {last + second - begin}, {second - begin}, {dtype})"
        return text if value.ndim == 1 else f"{text}.reshape({value.shape})"
    return f"np.array({_list_text(value.tolist())}, {dtype})"


def _is_range(row: np.ndarray[Any, Any]) -> bool:
    steps = np.diff(row)
    return bool(steps[0] != 0 and (steps == steps[0]).all())


def _list_text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_list_text, value))}]"
    return _number_text(value)
