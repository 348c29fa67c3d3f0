"""A program as Python text that needs NumPy alone.

Names are those a person would write: parameters by their path in the model, gradients ``d_...``,
values after what made them.  A comment says the shape and, going backwards, which line is
differentiated.

Not for: the text that a backend compiles, which is for speed (``backends/``).
"""

from __future__ import annotations

import inspect
import keyword
import operator
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import qualified_name
from tinygrad_lab.core.operations import Op
from tinygrad_lab.transforms.jit.kernels import DEFINITIONS
from tinygrad_lab.transforms.jit.program import (
    EFFECTS,
    Instruction,
    Program,
    Ref,
    astype,
    draw,
    expect,
    expect_shape,
    refs,
)

__all__ = ["call_text", "constant_text", "source"]

#: Operators, and how strongly they bind.
_BINARY: dict[Op, tuple[str, int]] = {
    np.add: ("+", 4), np.subtract: ("-", 4), np.multiply: ("*", 5), np.divide: ("/", 5),
    np.matmul: ("@", 5), np.remainder: ("%", 5), np.floor_divide: ("//", 5), np.power: ("**", 7),
    np.less: ("<", 1), np.less_equal: ("<=", 1), np.greater: (">", 1), np.greater_equal: (">=", 1),
    np.equal: ("==", 1), np.not_equal: ("!=", 1), np.bitwise_and: ("&", 3),
    np.bitwise_or: ("|", 2), operator.add: ("+", 4), operator.sub: ("-", 4),
    operator.mul: ("*", 5), operator.truediv: ("/", 5), operator.floordiv: ("//", 5),
    operator.mod: ("%", 5), operator.pow: ("**", 7), operator.lt: ("<", 1), operator.le: ("<=", 1),
    operator.gt: (">", 1), operator.ge: (">=", 1), operator.eq: ("==", 1), operator.ne: ("!=", 1),
}  # fmt: skip
_UNARY: dict[Op, str] = {np.negative: "-", operator.neg: "-", np.invert: "~", np.logical_not: "~"}
_UNARY_BOOL = frozenset({np.logical_not})

#: What values are called after what made them.
_NAMES: dict[str, str] = {
    "linear": "z", "matmul": "z", "conv2d": "z", "sigmoid": "a", "relu": "a", "tanh": "a",
    "softmax": "a", "mse_loss": "loss", "l1_loss": "loss", "_class_loss": "loss",
    "_bernoulli_loss": "loss", "_logistic_loss": "loss",
}  # fmt: skip


# -- one call ---------------------------------------------------------------------------------------


def call_text(
    line: Instruction, refer: Callable[[Ref], str], constant: Callable[[Any], str]
) -> str:
    """Write one call, with names for refs and texts for constants."""

    def text(value: Any) -> str:
        kind = type(value)
        if kind is Ref:
            return refer(value)
        if kind is tuple:
            inside = ", ".join(map(text, value))
            return f"({inside},)" if len(value) == 1 else f"({inside})"
        if kind is list:
            return f"[{', '.join(map(text, value))}]"
        if kind is dict:
            return "{" + ", ".join(f"{k!r}: {text(v)}" for k, v in value.items()) + "}"
        return constant(value)

    op, args, kwargs = line.op, line.args, line.kwargs
    if not kwargs and op in _BINARY and len(args) == 2:
        return f"{_operand(args[0], text)} {_BINARY[op][0]} {_operand(args[1], text)}"
    if not kwargs and op in _UNARY and len(args) == 1 and (
        op not in _UNARY_BOOL
    ):
        return f"{_UNARY[op]}{_operand(args[0], text)}"
    special = _special(op, args, kwargs, text)
    if special is not None:
        return special
    inside = [text(arg) for arg in args] + [f"{k}={text(v)}" for k, v in kwargs.items()]
    return f"{_function_text(op, constant)}({', '.join(inside)})"


def _operand(value: Any, text: Callable[[Any], str]) -> str:
    written = text(value)
    return f"({written})" if written.startswith("-") else written


def _special(op: Op, args: Any, kwargs: Any, text: Callable[[Any], str]) -> str | None:
    """Write what has a form of its own: indexing, methods, draws, expectations."""
    if op is operator.getitem:
        return f"{text(args[0])}[{_index_text(args[1], text)}]"
    if op is draw:
        inside = [text(arg) for arg in args[2:]] + [f"{k}={text(v)}" for k, v in kwargs.items()]
        return f"{text(args[0])}.{args[1]}({', '.join(inside)})"
    if op is astype:
        return f"{text(args[0])}.astype({text(args[1])})"
    if kwargs:
        return None
    if op is np.transpose and len(args) == 1:
        return f"{text(args[0])}.T"
    if op is np.reshape and len(args) == 2:
        return f"{text(args[0])}.reshape({text(args[1])})"
    if op is np.copy:
        return f"{text(args[0])}.copy()"
    return None


def _index_text(index: Any, text: Callable[[Any], str]) -> str:
    if type(index) is tuple and index:
        inside = ", ".join(_index_text(item, text) for item in index)
        return f"{inside}," if len(index) == 1 else inside
    if type(index) is slice:
        start, stop, step = (
            "" if part is None else text(part) for part in (index.start, index.stop, index.step)
        )
        return f"{start}:{stop}" + (f":{step}" if step else "")
    return "..." if index is Ellipsis else text(index)


def _function_text(op: Op, constant: Callable[[Any], str]) -> str:
    method = getattr(op, "__self__", None)
    if isinstance(method, np.ufunc):
        return f"{qualified_name(method)}.{op.__name__}"
    module = getattr(op, "__module__", "") or ""
    if isinstance(op, np.ufunc) or module.startswith("numpy"):
        return _numpy_name(op)
    if op in DEFINITIONS:
        return DEFINITIONS[op].__name__
    return constant(op)


def _numpy_name(op: Op) -> str:
    """Say where a function of NumPy's is, as one writes it."""
    name = op.__name__
    for home, prefix in ((np, "np"), (np.linalg, "np.linalg"), (np.fft, "np.fft"),
                         (np.lib.stride_tricks, "np.lib.stride_tricks"), (np.emath, "np.emath"),
                         (np.char, "np.char"), (np.polynomial, "np.polynomial")):  # fmt: skip
        if getattr(home, name, None) is op:
            return f"{prefix}.{name}"
    return qualified_name(op)


def constant_text(value: Any) -> str:
    """Write a constant, so that it is the same to the last bit when read."""
    if isinstance(value, np.ndarray):
        return _array_text(value)
    if isinstance(value, np.bool_):
        return f"np.bool_({bool(value)})"
    if isinstance(value, np.generic):
        return f"np.{value.dtype}({_number_text(value.item())})"
    if isinstance(value, (float, complex)):
        return _number_text(value)
    if isinstance(value, np.dtype):
        return f"np.{value.name}" if value.isbuiltin else f"np.dtype({value.str!r})"
    if isinstance(value, type) and issubclass(value, np.generic):
        return f"np.{value.__name__}"
    if isinstance(value, type):
        return value.__name__
    if value is Ellipsis:
        return "..."
    if isinstance(value, slice):
        return f"slice({', '.join(map(constant_text, (value.start, value.stop, value.step)))})"
    if isinstance(value, tuple):
        if hasattr(value, "_fields"):
            value = tuple(value)
        inside = ", ".join(map(constant_text, value))
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    if isinstance(value, list):
        return f"[{', '.join(map(constant_text, value))}]"
    if isinstance(value, np.ufunc) or getattr(value, "__module__", "").startswith("numpy"):
        return _numpy_name(value)
    return repr(value)


def _number_text(value: complex) -> str:
    if isinstance(value, complex):
        return f"complex({_number_text(value.real)}, {_number_text(value.imag)})"
    if isinstance(value, float) and not np.isfinite(value):
        return {"inf": "np.inf", "-inf": "-np.inf", "nan": "np.nan"}[repr(value)]
    return repr(value)


def _array_text(value: np.ndarray[Any, Any]) -> str:
    dtype = constant_text(value.dtype)
    if value.size and (value == value.flat[0]).all() and value.size > 1:
        first = value.flat[0].item()
        if first == 0 and not np.signbit(np.real(value)).any():
            return f"np.zeros({value.shape}, {dtype})"
        if first == 1:
            return f"np.ones({value.shape}, {dtype})"
        return f"np.full({value.shape}, {_number_text(first)}, {dtype})"
    if value.ndim == 1 and value.size > 2 and value.dtype.kind == "i":
        step = int(value[1]) - int(value[0])
        if step and (np.diff(value) == step).all():
            first, last = int(value[0]), int(value[-1])
            return f"np.arange({first}, {last + step}, {step}, {dtype})"
    if value.ndim > 1 and value.dtype.kind == "i" and value.size > 2:
        flat = _array_text(value.reshape(-1))
        if flat.startswith("np.arange"):
            return f"{flat}.reshape({value.shape})"
    return f"np.array({_nested(value.tolist())}, {dtype})"


def _nested(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_nested, value))}]"
    return _number_text(value)


# -- names ----------------------------------------------------------------------------------------


def _identifier(label: str) -> str:
    text = re.sub(r"\W+", "_", label.replace("']", "").replace("['", "_")).strip("_")
    text = text or "value"
    return f"{text}_" if keyword.iskeyword(text) or text[0].isdigit() or text == "np" else text


class _Names:
    """A name for each value: inputs and outputs after where they are, the rest after the call."""

    def __init__(self, program: Program) -> None:
        self.used: Counter[str] = Counter()
        self.of: dict[int, str] = {}
        short = _shortened([given.name for given in program.inputs])
        for i, name in enumerate(short):
            self.of[i] = self._fresh(_identifier(name))
        wanted = {}
        for label, output in zip(program.labels, program.outputs, strict=True):
            if type(output) is Ref and output.number >= len(program.inputs):
                wanted.setdefault(output.number, label)
        stems: Counter[str] = Counter()
        for ref, line in program.numbered():
            if ref.number in wanted:
                self.of[ref.number] = self._fresh(_identifier(wanted[ref.number]))
                continue
            stem = _NAMES.get(line.hint) or _NAMES.get(getattr(line.op, "__name__", "")) or (
                _identifier(line.hint or getattr(line.op, "__name__", "value"))
            )
            stem = "d" if line.phase == "backward" else stem
            stems[stem] += 1
            self.of[ref.number] = self._fresh(f"{stem}{stems[stem]}")

    def _fresh(self, name: str) -> str:
        self.used[name] += 1
        return name if self.used[name] == 1 else self._fresh(f"{name}_{self.used[name]}")

    def __call__(self, ref: Ref) -> str:
        return self.of[ref.number]


def _shortened(labels: list[str]) -> list[str]:
    """Leave out the name of the model where a path is clear without it."""
    short = [label.partition(".")[2] or label for label in labels]
    counts = Counter(short)
    return [s if counts[s] == 1 else label for s, label in zip(short, labels, strict=True)]


# -- the text -------------------------------------------------------------------------------------


def source(program: Program) -> str:
    """Write a program as a complete file: imports, definitions, the function."""
    names = _Names(program)
    lines = list(_body(program, names))
    definitions = _definitions(program)
    arguments = ", ".join(names(Ref(i)) for i in range(len(program.inputs)))
    heading = f"def {_identifier(program.name)}({arguments}):"
    if len(heading) > 100:
        heading = textwrap.fill(heading, 98, subsequent_indent="    ", break_long_words=False)
    text = ["import numpy as np", "", ""]
    for definition in definitions:
        text += [definition, "", ""]
    return "\n".join([*text, heading, *(f"    {line}".rstrip() for line in lines), ""])


def _body(program: Program, names: _Names) -> Iterator[str]:
    phase = None
    for i, given in enumerate(program.inputs):
        yield f"# {names(Ref(i))}: {given.kind}"
    for ref, line in program.numbered():
        if line.phase != phase and phase is not None:
            yield ""
        if line.phase != phase:
            yield f"# -- {line.phase} --"
        phase = line.phase
        yield _statement(ref, line, names)
    results = [
        names(output) if type(output) is Ref else constant_text(output)
        for output in program.outputs
    ]
    yield ""
    yield f"return {', '.join(results) or None}"


def _statement(ref: Ref, line: Instruction, names: _Names) -> str:
    if line.op is expect:
        wanted, value = line.args[1], names(line.args[0])
        return f"assert {'not ' * (not wanted)}{value}  # as when this was recorded"
    if line.op is expect_shape:
        return f"assert {names(line.args[0])}.shape == {line.args[1]}  # as recorded"
    text = f"{names(ref)} = {call_text(line, names, constant_text)}"
    notes = []
    if line.kind.is_array and line.kind.shape:
        notes.append(str(line.kind.shape).replace(",)", ")"))
    if line.phase == "backward" and line.of is not None:
        notes.append(f"of {names(Ref(line.of))}")
    return f"{text:<50}  # {', '.join(notes)}" if notes else text


def _definitions(program: Program) -> list[str]:
    """The texts of the kernels that a program calls."""
    functions: dict[Any, None] = {}
    for line in program.instructions:
        if line.op in DEFINITIONS:
            functions.setdefault(DEFINITIONS[line.op])
        elif line.op not in EFFECTS and _needs_definition(line.op):
            functions.setdefault(getattr(line.op, "__wrapped__", line.op))
    return [textwrap.dedent(inspect.getsource(f)).strip() for f in functions]


def _needs_definition(op: Op) -> bool:
    if isinstance(op, np.ufunc) or isinstance(getattr(op, "__self__", None), np.ufunc):
        return False
    module = getattr(op, "__module__", "") or ""
    return not module.startswith(("numpy", "_operator", "operator")) and op is not astype


