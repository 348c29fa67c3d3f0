"""What a line of a program computes for each element, as text of a kernel.

A line has a *form* where a loop can compute it: elementwise calls, sums and other reductions, and
small matrix products.  What has none is called from Python between kernels.

Not for: which lines share a loop (``loops.py``).
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.operations import Op
from tinygrad_lab.transforms.jit.program import Instruction, Kind, Ref, astype

__all__ = [
    "DTYPES", "Elementwise", "Reduction", "as_ufunc", "cast", "combine", "elementwise", "number",
    "reduction", "start", "unit",
]  # fmt: skip

#: The dtypes that kernels know.
DTYPES = frozenset(map(np.dtype, ("bool", "uint8", "int32", "int64", "float32", "float64")))
_BOOL, _INT, _FLOAT = map(np.dtype, ("bool", "int64", "float64"))

#: Operators of Python's, as lines have them for numbers, and the ufunc that means the same.
_UFUNCS: dict[Op, np.ufunc] = {
    operator.add: np.add, operator.sub: np.subtract, operator.mul: np.multiply,
    operator.truediv: np.divide, operator.neg: np.negative, operator.pos: np.positive,
    operator.abs: np.absolute, operator.lt: np.less, operator.le: np.less_equal,
    operator.gt: np.greater, operator.ge: np.greater_equal, operator.eq: np.equal,
    operator.ne: np.not_equal, operator.pow: np.power,
}  # fmt: skip


#: Of numbers of Python's alone.
_DIVISIONS: dict[Op, str] = {operator.floordiv: "//", operator.mod: "%"}


def as_ufunc(op: Op) -> np.ufunc | None:
    """Give the ufunc that an operation is, if it is one."""
    return op if isinstance(op, np.ufunc) else _UFUNCS.get(op)


def number(value: Any, dtype: np.dtype[Any]) -> str:
    """Write a constant."""
    if dtype == _BOOL:
        return str(bool(value))
    if dtype.kind in "iu":
        return str(int(value)) if dtype == _INT else f"{dtype.name}({int(value)})"
    text = repr(float(value))
    if text in ("inf", "-inf", "nan"):
        text = f"({text})"
    return text if dtype == _FLOAT else f"float32({text})"


def cast(text: str, source: np.dtype[Any], target: np.dtype[Any]) -> str:
    """Convert an element."""
    if source == target:
        return text
    return f"({text} != 0)" if target == _BOOL else f"{target.name}({text})"


# -- elementwise ----------------------------------------------------------------------------------

_INFIX: dict[np.ufunc, str] = {
    np.add: "+", np.subtract: "-", np.multiply: "*", np.divide: "/", np.less: "<",
    np.less_equal: "<=", np.greater: ">", np.greater_equal: ">=", np.equal: "==",
    np.not_equal: "!=", np.bitwise_and: "&", np.bitwise_or: "|", np.bitwise_xor: "^",
}  # fmt: skip

#: On truth values some of these mean another operation, and others have no meaning.
_LOGICAL: dict[np.ufunc, str] = {
    np.add: "{} | {}", np.multiply: "{} & {}", np.maximum: "{} | {}", np.minimum: "{} & {}",
    np.bitwise_and: "{} & {}", np.bitwise_or: "{} | {}", np.bitwise_xor: "{} != {}",
    np.logical_and: "{} & {}", np.logical_or: "{} | {}", np.logical_xor: "{} != {}",
    np.logical_not: "not {}", np.invert: "not {}", np.equal: "{} == {}", np.not_equal: "{} != {}",
    np.positive: "{}", np.fmax: "{} | {}", np.fmin: "{} & {}",
}  # fmt: skip

#: Of numbers; {0} and {1} are the operands, {one} and {zero} constants of their dtype.
_NUMERIC: dict[np.ufunc, str] = {
    np.negative: "-{0}", np.positive: "{0}", np.conjugate: "{0}", np.square: "{0} * {0}",
    np.maximum: "maximum({0}, {1})", np.minimum: "minimum({0}, {1})",
    np.sign: "select({0} > {zero}, {one}, select({0} < {zero}, -{one}, "
    "select({0} == {zero}, {zero}, {0})))",
    np.logical_not: "{0} == {zero}", np.logical_and: "({0} != {zero}) & ({1} != {zero})",
    np.logical_or: "({0} != {zero}) | ({1} != {zero})",
    np.logical_xor: "({0} != {zero}) != ({1} != {zero})",
}  # fmt: skip
_REAL: dict[np.ufunc, str] = {
    np.absolute: "fabs({0})", np.fabs: "fabs({0})", np.sqrt: "sqrt({0})", np.floor: "floor({0})",
    np.ceil: "ceil({0})", np.trunc: "trunc({0})", np.rint: "rint({0})",
    np.reciprocal: "{one} / {0}", np.isnan: "{0} != {0}", np.isfinite: "{0} - {0} == {zero}",
    np.isinf: "fabs({0}) == {inf}",
    np.fmax: "select(({0} >= {1}) | ({1} != {1}), {0}, {1})",
    np.fmin: "select(({0} <= {1}) | ({1} != {1}), {0}, {1})",
    np.heaviside: "select({0} > {zero}, {one}, select({0} < {zero}, {zero}, "
    "select({0} == {zero}, {1}, {0})))",
}  # fmt: skip
_INTEGER: dict[np.ufunc, str] = {
    np.absolute: "select({0} < {zero}, -{0}, {0})", np.invert: "~{0}",
    np.floor: "{0}", np.ceil: "{0}", np.trunc: "{0}", np.rint: "{0}",
}  # fmt: skip
#: Computed in float64 also for float32.
_LIBRARY: dict[np.ufunc, str] = {
    np.exp: "exp", np.expm1: "expm1", np.log: "log", np.log1p: "log1p", np.tanh: "tanh",
    np.cosh: "cosh", np.sin: "sin", np.cos: "cos", np.tan: "tan", np.arcsin: "asin",
    np.arccos: "acos", np.arctan: "atan", np.sinh: "sinh", np.arcsinh: "asinh",
    np.arccosh: "acosh", np.arctanh: "atanh", np.log2: "log2", np.log10: "log10",
    np.arctan2: "atan2", np.hypot: "hypot", np.copysign: "copysign", np.power: "pow",
}  # fmt: skip


#: What gives something ordinary for NaN, so that nobody sees from results that there was one.
_HIDING: frozenset[Op] = frozenset({
    np.less, np.less_equal, np.greater, np.greater_equal, np.equal, np.not_equal, np.where, np.fmax,
    np.fmin, np.isnan, np.isfinite, np.isinf, np.logical_and, np.logical_or, np.logical_xor,
    np.logical_not,
})  # fmt: skip


class Elementwise(NamedTuple):
    """A call whose result at one place depends on its operands there."""

    operands: tuple[Any, ...]
    dtypes: tuple[np.dtype[Any], ...]  # that the operands are converted to
    pattern: str  # with {0}, {1}, ... where they stand
    hides: bool = False  # whether a NaN may go in and none come out
    stops: str = ""  # where this holds, the call is no call of numbers


def hides_nan(line: Instruction) -> bool:
    """Whether a call may give something ordinary for NaN."""
    op = as_ufunc(line.op) or line.op
    return op in _HIDING or (op is astype and line.kind.dtype == _BOOL)


def elementwise(line: Instruction, kind: Callable[[Any], Kind]) -> Elementwise | None:
    """Give the form of an elementwise call, if it is one that kernels have."""
    form = _elementwise(line, kind)
    return form and form._replace(hides=line.phase != "forward" and hides_nan(line))


def _elementwise(line: Instruction, kind: Callable[[Any], Kind]) -> Elementwise | None:
    dtype = line.kind.dtype
    op, args, kwargs = line.op, line.args, line.kwargs
    if op is np.where and len(args) == 3 and not kwargs:
        return Elementwise(args, (_BOOL, dtype, dtype), "select({0}, {1}, {2})")
    if op is np.clip and len(args) == 3 and not kwargs and dtype != _BOOL:
        return _clip(args, dtype)
    if op is np.copy and len(args) == 1:
        return Elementwise(args, (dtype,), "{0}")
    if op is astype:
        lossy = dtype.kind in "iu" and kind(args[0]).dtype.kind == "f"
        return None if lossy else Elementwise(args[:1], (dtype,), "{0}")
    if op in _DIVISIONS and not any(kind(arg).is_array for arg in args):
        dtypes = tuple(np.dtype(kind(arg).dtype) for arg in args)
        return Elementwise(args, dtypes, f"{{0}} {_DIVISIONS[op]} {{1}}", stops="{1} == 0")
    ufunc = as_ufunc(op)
    if ufunc is None or kwargs or len(args) != ufunc.nin or ufunc.nout != 1:
        return None
    return _of_ufunc(ufunc, args, tuple(map(kind, args)), dtype)


def _clip(args: tuple[Any, ...], dtype: np.dtype[Any]) -> Elementwise | None:
    x, low, high = args
    if low is None and high is None:
        return None
    if low is None:
        return Elementwise((x, high), (dtype, dtype), "minimum({0}, {1})")
    if high is None:
        return Elementwise((x, low), (dtype, dtype), "maximum({0}, {1})")
    return Elementwise(args, (dtype,) * 3, "minimum(maximum({0}, {1}), {2})")


def _of_ufunc(
    ufunc: np.ufunc, args: tuple[Any, ...], kinds: Sequence[Kind], result: np.dtype[Any]
) -> Elementwise | None:
    types = [_BOOL if kind.dtype is bool else kind.dtype for kind in kinds]
    if not any(kind.is_array for kind in kinds):  # Python's arithmetic, in the dtypes of its size
        types, result = [np.dtype(t) for t in types], np.dtype(result)
    try:
        *inner, out = ufunc.resolve_dtypes((*types, None))
    except TypeError:
        return None
    if out != result or any(t not in DTYPES for t in inner):
        return None
    pattern = _pattern(ufunc, args, inner[0])
    return None if pattern is None else Elementwise(args, tuple(inner), pattern)


def _pattern(ufunc: np.ufunc, args: tuple[Any, ...], dtype: np.dtype[Any]) -> str | None:
    if dtype == _BOOL:
        pattern = _LOGICAL.get(ufunc)
        return pattern.format("{0}", "{1}") if pattern else None
    if ufunc in _INFIX:
        text = f"{{0}} {_INFIX[ufunc]} {{1}}"
        wraps = dtype.kind in "iu" and dtype != _INT and _INFIX[ufunc] in "+-*&|^"
        return f"{dtype.name}({text})" if wraps else text
    is_real = dtype.kind == "f"
    if ufunc is np.power and is_real and type(args[1]) is not Ref:
        known = {2: "{0} * {0}", 1: "{0}", 0.5: "sqrt({0})", -1: "{one} / {0}"}
        if np.ndim(args[1]) == 0 and args[1] in known:
            return _with_units(known[args[1]], dtype)
    pattern = _NUMERIC.get(ufunc) or (_REAL if is_real else _INTEGER).get(ufunc)
    if pattern is not None:
        text = _with_units(pattern, dtype)
        wraps = dtype.kind in "iu" and dtype != _INT and ufunc in (np.negative, np.square)
        return f"{dtype.name}({text})" if wraps else text
    if ufunc not in _LIBRARY or not is_real:
        return None
    wide = [f"{{{i}}}" if dtype == _FLOAT else f"float64({{{i}}})" for i in range(ufunc.nin)]
    text = f"{_LIBRARY[ufunc]}({', '.join(wide)})"
    return text if dtype == _FLOAT else f"float32({text})"


def _with_units(pattern: str, dtype: np.dtype[Any]) -> str:
    for name, value in (("one", 1), ("zero", 0), ("inf", np.inf)):
        if f"{{{name}}}" in pattern:
            pattern = pattern.replace(f"{{{name}}}", number(value, dtype))
    return pattern


# -- reductions -----------------------------------------------------------------------------------


class Reduction(NamedTuple):
    """A call that goes over all elements along some axes."""

    operand: Any
    axes: tuple[int, ...]
    how: str  # sum, mean, max, min, any, all, prod
    inner: np.dtype[Any]  # in which it is computed


_REDUCTIONS: dict[Op, str] = {
    np.sum: "sum", np.mean: "mean", np.max: "max", np.min: "min", np.any: "any", np.all: "all",
    np.prod: "prod", np.count_nonzero: "count",
}  # fmt: skip
_UFUNC_REDUCTIONS: dict[Op, str] = {
    np.add.reduce: "sum", np.maximum.reduce: "max", np.minimum.reduce: "min",
    np.multiply.reduce: "prod", np.logical_or.reduce: "any", np.logical_and.reduce: "all",
}  # fmt: skip


def reduction(line: Instruction, kind: Callable[[Any], Kind]) -> Reduction | None:
    """Give the form of a sum, a maximum and so on, if it is one that kernels have."""
    of_ufunc = line.op in _UFUNC_REDUCTIONS
    how = _UFUNC_REDUCTIONS.get(line.op) or _REDUCTIONS.get(line.op)
    if how is None or len(line.args) > 2 or not set(line.kwargs) <= {"axis", "keepdims"}:
        return None
    operand = line.args[0]
    if type(operand) is not Ref or kind(operand).dtype not in DTYPES:
        return None
    default = 0 if of_ufunc else None
    axis = line.args[1] if len(line.args) == 2 else line.kwargs.get("axis", default)
    ndim = len(kind(operand).shape)
    if axis is None:
        axis = range(ndim)
    elif isinstance(axis, (int, np.integer)):
        axis = (axis,)
    elif not isinstance(axis, tuple):
        return None
    axes = tuple(sorted(int(a) % ndim for a in axis))
    inner = _BOOL if how in ("any", "all") else line.kind.dtype
    if how == "count":
        how = "sum" if kind(operand).dtype == _BOOL else ""
    is_strange = inner != line.kind.dtype if inner == _BOOL else how == "mean" and inner.kind != "f"
    if not how or is_strange:
        return None
    return Reduction(operand, axes, how, inner)


def start(how: str, dtype: np.dtype[Any]) -> str:
    """Write what a reduction begins with."""
    if how in ("max", "min"):
        if dtype == _BOOL:
            return str(how == "min")
        if dtype.kind == "f":
            return number(-np.inf if how == "max" else np.inf, dtype)
        limits = np.iinfo(dtype)
        return number(limits.min if how == "max" else limits.max, dtype)
    return number(how in ("prod", "all"), dtype)


def unit(how: str) -> str:
    """Write how an element joins what a reduction has come to; {0} is that, {1} the element."""
    return {
        "sum": "total({0}, {1})", "mean": "total({0}, {1})", "max": "maximum({0}, {1})",
        "min": "minimum({0}, {1})", "any": "{0} | {1}", "all": "{0} & {1}",
        "prod": "{0} * {1}",
    }[how]  # fmt: skip


def combine(how: str, dtype: np.dtype[Any], so_far: str, element: str) -> str:
    """Write one step of a reduction."""
    if dtype == _BOOL and how in ("max", "min", "sum", "prod"):
        how = "any" if how in ("max", "sum") else "all"
    return unit(how).format(so_far, element)
