"""A program as Python text that needs NumPy alone, as a person would write it by hand.

Parameters are called after their path in the model, gradients ``d_...``, other values after what
made them.  What is used once stands where it is used.  A comment has the shape, and above backward
lines stands the line that they differentiate.

Not for: how one call is written (``expressions.py``), or the text that a backend compiles, which is
for speed (``backends/``).
"""

from __future__ import annotations

import builtins
import inspect
import keyword
import re
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FunctionType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.operations import Op
from tinygrad_lab.transforms.jit.expressions import (
    Text,
    constant_text,
    expression,
    is_transpose,
    negated,
    nested,
)
from tinygrad_lab.transforms.jit.kernels import DEFINITIONS
from tinygrad_lab.transforms.jit.passes import without_dead
from tinygrad_lab.transforms.jit.program import (
    EFFECTS,
    VIEWS,
    Instruction,
    Kind,
    Program,
    Ref,
    astype,
    draw,
    expect,
    expect_shape,
    mapped,
    refs,
)

__all__ = [
    "Listing", "Statement", "listing", "shape_text", "source", "with_helpers",
]  # fmt: skip

_WIDTH = 100
_LONGEST = 84  # of a statement that has shorter ones folded in
_MOST = 5  # calls in one statement
_COLUMN = 62  # where comments begin, at most
_LARGE = 8  # elements of a constant that stands above the function

#: What values are called after the primitive or the function that made them.
_STEMS: dict[str, str] = {
    "linear": "z", "convolution": "z", "sigmoid": "a", "relu": "a", "tanh": "a", "softmax": "a",
    "log_softmax": "log_p", "loss": "loss", "mse_loss": "loss", "l1_loss": "loss", "add": "total",
    "subtract": "difference", "sub": "difference", "multiply": "product", "mul": "product",
    "matmul": "product", "divide": "quotient", "truediv": "quotient", "neg": "negative",
    "absolute": "size",
    "getitem": "part", "less": "is_less", "greater": "is_greater", "less_equal": "is_less",
    "greater_equal": "is_greater", "equal": "is_equal", "isnan": "is_nan", "pow": "power",
    "max_pool": "pooled", "avg_pool": "pooled",
}  # fmt: skip
_SECTIONS = {
    "forward": "forward", "backward": "backward, from the end to the beginning",
    "again": "backward once more, through the lines of the first time", "update": "update",
}  # fmt: skip


_MODULES = ("numpy", "_operator", "math", "builtins")


class Statement(NamedTuple):
    """One line of the function's body."""

    name: str  # of what it computes; an assertion has none
    text: str
    section: str  # "forward", "backward", "again" (backward through backward lines), "update"
    topic: str  # what a backward line differentiates
    shape: str
    operands: tuple[str, ...]  # the names in it
    values: tuple[int, ...]  # the numbers of what is computed in it, its own result the last
    of: int | None  # the number of the value that a backward line differentiates


class Listing(NamedTuple):
    """A program's text, line by line."""

    program: Program  # as it is written: without copies of what nobody else has
    statements: list[Statement]
    inputs: list[str]  # the parameters of the function, in order
    results: set[str]  # the names of what comes out


def listing(program: Program) -> Listing:
    """Give the lines of a program's text and what their names mean, for a picture of them."""
    writer = _Writer(program)
    names = writer.names.of
    outputs = {names[ref.number] for ref in refs(list(writer.program.outputs))}
    inputs = [names[i] for i in range(len(program.inputs))]
    return Listing(writer.program, writer.statements(), inputs, outputs)


def source(program: Program) -> str:
    """Write a program as a complete file: imports, definitions, the function."""
    text = _Writer(program).text()
    uses_math = re.search(r"\bmath\.", text) is not None
    imports = "import math\n" * uses_math + "import numpy as np"
    functions = [textwrap.dedent(inspect.getsource(f)).strip() for f in _defined(program)]
    return "\n\n\n".join([imports, *functions, text])


def _defined(program: Program) -> list[Callable[..., Any]]:
    """The functions that a program calls and NumPy does not have."""
    functions: dict[Any, None] = {}
    for line in program.instructions:
        if line.op in DEFINITIONS:
            functions.setdefault(DEFINITIONS[line.op])
        elif line.op not in EFFECTS and not _is_known(line.op):
            functions.setdefault(inspect.unwrap(line.op))
        for argument in (*line.args, *line.kwargs.values()):
            if isinstance(argument, FunctionType) and not _is_known(argument):
                functions.setdefault(_writable(argument))
    return with_helpers(functions)


def _writable(function: FunctionType) -> Callable[..., Any]:
    """Give a function that another is handed, if its own text is all that it needs."""
    if function in DEFINITIONS:
        return DEFINITIONS[function]
    if function.__name__ == "<lambda>" or function.__closure__:
        raise ValueError(
            f"the text of {function.__qualname__}, which NumPy is to call, cannot be written: "
            "define it with def, outside of other functions"
        )
    return function


def with_helpers(functions: Iterable[Any]) -> list[Callable[..., Any]]:
    """Give functions, each after those of its own file that it calls."""
    ordered: dict[Any, None] = {}
    for function in functions:
        named = [function.__globals__.get(name) for name in function.__code__.co_names]
        helpers = [f for f in named if getattr(f, "__module__", None) == function.__module__]
        ordered.update(dict.fromkeys([*with_helpers(helpers), function]))
    return list(ordered)


def _is_known(op: Op) -> bool:
    """Whether NumPy or Python has a function, or its text is no call."""
    if isinstance(op, np.ufunc) or isinstance(getattr(op, "__self__", None), np.ufunc):
        return True
    module = getattr(op, "__module__", "") or ""
    return op is astype or module.partition(".")[0] in _MODULES


# -- what stands where it is used -----------------------------------------------------------------


class _Folding:
    """Which values have no line of their own, because they are written where they are used."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.first = len(program.inputs)
        self.outputs = {ref.number for ref in refs(list(program.outputs))}
        self.uses = Counter(ref.number for line in program.instructions for ref in refs(line))
        self.differentiated = {line.gradient_of for line in program.instructions}
        self.apart: set[int] = set()  # what made a line too long
        self.settle()

    def line(self, number: int) -> Instruction:
        """Give the instruction of a value."""
        return self.program.instructions[number - self.first]

    def settle(self) -> None:
        """Decide for each value, operands first: a line holds a few calls at most."""
        self.inside: set[int] = set()
        self.weight: dict[int, int] = {}
        for ref, line in self.program.numbered():
            operands = {r.number for r in refs(line) if r.number >= self.first}
            candidates = sorted(
                (n for n in operands if self._may_fold(n)), key=lambda n: (self.weight[n], n)
            )
            weight = int(not self._is_slight(line))
            for n in candidates:
                if weight + self.weight[n] <= _MOST:
                    weight += self.weight[n]
                    self.inside.add(n)
            self.weight[ref.number] = weight

    def _may_fold(self, number: int) -> bool:
        line = self.line(number)
        if line.op in EFFECTS or number in self.outputs or number in self.apart:
            return False
        is_number = not line.kind.is_array and self.weight[number] <= 1  # 1 - beta, say
        if is_number or (self._is_slight(line) and self._is_short(line)):
            return True
        is_named = line.phase == "forward" and (line.hint in _STEMS or self._is_layer(number))
        is_gradient = line.gradient_of is not None and line.gradient_of not in self.inside
        return self.uses[number] == 1 and not is_named and not is_gradient

    def _is_layer(self, number: int) -> bool:
        """Whether a value is ``w @ x + b``, and has a gradient that is to be read beside it."""
        line = self.line(number)
        terms = [self.program.maker(arg) for arg in line.args] if line.op is np.add else []
        return number in self.differentiated and any(
            term is not None and term.op is np.matmul for term in terms
        )

    def _is_slight(self, line: Instruction) -> bool:
        """Whether a call is no work: a view, or a sign before a number."""
        return line.op in VIEWS or (_is_sign(line) and not line.kind.shape)

    def _is_short(self, line: Instruction) -> bool:
        """Whether a view is as short as a name: ``w.T``, ``-lr``, one of several results."""
        if line.op in (np.transpose, np.swapaxes):
            return is_transpose(line, self.program.kind)
        kind = self.program.kind(line.args[0])
        return _is_sign(line) or (not kind.is_array and type(line.args[-1]) is int)


def _is_sign(line: Instruction) -> bool:
    return line.op is np.negative or getattr(line.op, "__name__", "") == "neg"


# -- names ----------------------------------------------------------------------------------------


def _identifier(label: str) -> str:
    text = re.sub(r"\W+", "_", label).strip("_") or "value"
    is_taken = keyword.iskeyword(text) or text in ("np", "math") or text[0].isdigit()
    return f"x_{text}" if text[0].isdigit() else f"{text}_" if is_taken else text


def _shortened(labels: Sequence[str]) -> dict[str, str]:
    """Leave out the name of the model, or of the optimizer and its group, where that is clear."""
    short = {label: re.sub(r"^\w+\.(param_groups\.\d+\.)?(?=.)", "", label) for label in labels}
    counts = Counter(short.values())
    return {label: text if counts[text] == 1 else label for label, text in short.items()}


class _Names:
    """A name for each value: inputs and outputs after where they are, the rest after the call."""

    def __init__(self, program: Program, folding: _Folding) -> None:
        self.program, self.folding = program, folding
        self.of: dict[int, str] = {}
        self._used = {"np", "math", _function_name(program)}
        self._used |= {function.__name__ for function in _defined(program)}
        self._counts: Counter[str] = Counter()
        inputs = [item.name for item in program.inputs]
        state = [label.removesuffix(".grad") for label in program.labels if not _is_result(label)]
        self._short = _shortened(list(dict.fromkeys([*inputs, *state])))
        for i, label in enumerate(inputs):
            gradient = label.removesuffix(".grad")
            self.of[i] = self._fresh(
                self.label(label) if gradient == label else (f"d_{self.label(gradient)}_before")
            )
        self.arguments = {label: i for i, label in enumerate(inputs)}
        self._labels: dict[int, str] = {}
        for label, output in zip(program.labels, program.outputs, strict=True):
            if type(output) is Ref:
                self._labels.setdefault(output.number, label)
        self._last = self._last_uses()
        stems = Counter(
            self._stem(ref, line) for ref, line in program.numbered() if self._has_line(ref, line)
        )
        self._single = {stem for stem, count in stems.items() if count == 1}
        for ref, line in program.numbered():
            if self._has_line(ref, line):
                self.of[ref.number] = self._name(ref, line)

    def label(self, label: str) -> str:
        """Give the identifier of a path."""
        return _identifier(self._short.get(label, label))

    def _has_line(self, ref: Ref, line: Instruction) -> bool:
        return ref.number not in self.folding.inside and line.op not in (expect, expect_shape)

    def _last_uses(self) -> dict[int, int]:
        """By value, the last line in whose text it stands."""
        last: dict[int, int] = {}
        at: dict[int, int] = {}  # by value that has no line of its own, the line it stands in
        for ref, line in reversed(list(self.program.numbered())):
            here = at.get(ref.number, ref.number)
            for operand in refs(line):
                last[operand.number] = max(last.get(operand.number, 0), here)
                if operand.number in self.folding.inside:
                    at[operand.number] = max(at.get(operand.number, 0), here)
        return last

    def _name(self, ref: Ref, line: Instruction) -> str:
        label = self._labels.get(ref.number)
        if label is not None and not _is_result(label):
            return self._state_name(ref, label)
        if line.gradient_of is not None:
            return self._fresh(f"d_{self._noun(line.gradient_of)}")
        stem = self._stem(ref, line)
        if stem in self._single and not hasattr(builtins, stem):
            return self._fresh(stem)
        self._counts[stem] += 1
        return self._fresh(f"{stem}{self._counts[stem]}")

    def _stem(self, ref: Ref, line: Instruction) -> str:
        if line.gradient_of is not None:
            return "d"
        if line.phase == "forward" and line.hint in _STEMS:
            return _STEMS[line.hint]
        if self._labels.get(ref.number) == "result":
            return "result"
        if line.phase == "forward" and self._is_affine(line):
            return "z"
        name = getattr(line.op, "__name__", "value") if line.op is not draw else str(line.args[1])
        return _STEMS.get(name) or _identifier(name)

    def _is_affine(self, line: Instruction) -> bool:
        """Whether a line is a product of matrices, perhaps with something added."""
        if line.op is np.matmul:
            return True
        inside = [r.number for r in refs(line) if r.number in self.folding.inside]
        goes_on = line.op is np.add or line.op in VIEWS
        return goes_on and any(self._is_affine(self.folding.line(n)) for n in inside)

    def _state_name(self, ref: Ref, label: str) -> str:
        """Name what a parameter becomes: as before, if nobody needs what it was."""
        if label.endswith(".grad"):
            return self._fresh(f"d_{self.label(label.removesuffix('.grad'))}")
        old = self.arguments.get(label)
        if old is None:
            return self._fresh(self.label(label))
        is_needed = self._last.get(old, 0) > ref.number or old in self.folding.outputs
        return self._fresh(f"new_{self.of[old]}") if is_needed else self.of[old]

    def _noun(self, number: int) -> str:
        """Name a value that has a gradient; one without a line of its own after its text."""
        if number in self.of:
            return self.of[number]
        line = self.folding.line(number)
        if line.op in VIEWS and type(line.args[0]) is Ref:
            return f"{self._noun(line.args[0].number)}_{_identifier(line.op.__name__)}"
        return self._stem(Ref(number), line)

    def _fresh(self, name: str) -> str:
        fresh, n = name, 1
        while fresh in self._used:
            n += 1
            fresh = f"{name}_{n}"
        self._used.add(fresh)
        return fresh


def _is_result(label: str) -> bool:
    return label.partition(".")[0] == "result"


def _is_gradient(label: str) -> bool:
    return label.endswith(".grad")


def _is_state(label: str) -> bool:
    return not _is_result(label) and not _is_gradient(label)


def _function_name(program: Program) -> str:
    return _identifier(program.name.replace("<lambda>", "f"))


# -- the text -------------------------------------------------------------------------------------


class _Writer:
    """Writes the function of a program, again with shorter lines until none is too long."""

    def __init__(self, program: Program) -> None:
        self.program = program = _without_own_copies(program)
        self.kind: Callable[[Any], Kind] = program.kind
        self.folding = _Folding(program)
        self._write()
        while long := self._too_long():
            self.folding.apart |= long
            self.folding.settle()
            self._write()

    def _write(self) -> None:
        self.names = _Names(self.program, self.folding)
        self.texts: dict[int, Text] = {}
        self.constants: dict[str, str] = {}
        for ref, line in self.program.numbered():
            if line.op not in (expect, expect_shape):
                self.texts[ref.number] = self._expression(line)

    def _too_long(self) -> set[int]:
        """Choose, for each line that is too long, something in it that gets a line of its own."""
        lines = (n for n in self.names.of if n >= self.folding.first)
        long = [n for n in lines if len(self._assignment(n)) > _LONGEST]
        return {n for n in map(self._largest_part, long) if n is not None}

    def _largest_part(self, number: int) -> int | None:
        """Choose the longest text folded into a line, and in that again while it is most of it."""
        parts = [r.number for r in refs(self.folding.line(number))]
        parts = [n for n in parts if n in self.folding.inside and self.folding.weight[n]]
        if not parts:
            return None
        largest = max(parts, key=lambda n: (len(self.texts[n].text), n))
        deeper = self._largest_part(largest)
        is_most = deeper is not None and len(self.texts[deeper].text) > _LONGEST / 2
        return deeper if is_most else largest

    # -- expressions --------------------------------------------------------------------------

    def _operand(self, value: Any) -> Text:
        if type(value) is not Ref:
            return self._constant(value)
        if value.number in self.names.of:
            return Text(self.names.of[value.number])
        return self.texts[value.number]

    def _constant(self, value: Any) -> Text:
        text = constant_text(value)
        if isinstance(value, np.ndarray) and value.size > _LARGE and "np.array" in text:
            name = self.constants.setdefault(text, f"constant{len(self.constants) + 1}")
            return Text(name)
        return Text(text, 6 if text.startswith("-") else 9)

    def _expression(self, line: Instruction) -> Text:
        is_float = line.kind.is_array and line.kind.dtype.kind == "f"
        if line.op is np.add and is_float and not line.kwargs:
            difference = self._difference(*line.args)
            if difference is not None:
                return difference
        return expression(line, self._operand, self.kind)

    def _difference(self, left: Any, right: Any) -> Text | None:
        """Write ``a + b * -c``, which is ``a - c * b`` to the last bit, so."""
        if type(right) is not Ref or right.number not in self.folding.inside:
            return None
        product = self.folding.line(right.number)
        if product.op is not np.multiply or len(product.args) != 2:
            return None
        for factor, other in (product.args, product.args[::-1]):
            positive = self._positive(factor)
            if positive is not None:
                text = f"{positive.inside(5)} * {self._operand(other).inside(6)}"
                return Text(f"{self._operand(left).inside(4)} - {text}", 4)
        return None

    def _positive(self, value: Any) -> Text | None:
        if type(value) is not Ref:
            return negated(value, self._operand)
        line = self.folding.line(value.number) if value.number in self.folding.inside else None
        return self._operand(line.args[0]) if line is not None and _is_sign(line) else None

    # -- lines --------------------------------------------------------------------------------

    def text(self) -> str:
        """Write the function, and above it the constants that are too large for a line."""
        program, names = self.program, self.names
        arguments = ", ".join(names.of[i] for i in range(len(program.inputs)))
        heading = _filled(f"def {_function_name(program)}({arguments}):", "    " * 2)
        body = [*self._docstring(), *self._body(), "", *self._return()]
        constants = [
            _filled(f"{name} = {text}", "    ") + "\n" for text, name in self.constants.items()
        ]
        lines = [heading, *(f"    {line}".rstrip() for line in body), ""]
        return "\n".join([*constants, *[""] * bool(constants), *lines])

    def _docstring(self) -> Iterator[str]:
        inputs, name = self.program.inputs, _function_name(self.program)
        yield f'"""What one call of `{name}` computes, recorded by tinygrad_lab.'
        yield from [""] if inputs else []
        rows = [(self.names.of[i], _kind_text(item.kind)) for i, item in enumerate(inputs)]
        name_width, kind_width = (max((len(row[i]) for row in rows), default=0) for i in (0, 1))
        for item, (name, kind) in zip(inputs, rows, strict=True):
            path = f"{kind:<{kind_width}}  {item.name}" if item.name != name else kind
            yield f"{name:<{name_width}}  {path}"
        yield from self._remarks()
        yield '"""'

    def _remarks(self) -> Iterator[str]:
        """Say what is not plain from the text itself."""
        if not all(map(_is_result, self.program.labels)):
            parts = ["what is returned"] * (self.program.result is not None)
            parts += ["what becomes of arguments"] * any(map(_is_state, self.program.labels))
            parts += ["the gradients"] * any(map(_is_gradient, self.program.labels))
            yield from ("", f"Gives {_listed(parts)}.")
        if any(line.op in (expect, expect_shape) for line in self.program.instructions):
            yield from ("", "An assert says which way was taken: it is another function elsewhere.")

    def _assignment(self, number: int) -> str:
        return f"{self.names.of[number]} = {self.texts[number].text}"

    def _body(self) -> Iterator[str]:
        statements = self.statements()
        lengths = [len(s.text) for s in statements if len(s.text) <= _COLUMN - 2]
        column = max(lengths, default=0)
        section = topic = ""
        for statement in statements:
            if statement.section != section:
                section, topic = statement.section, ""
                yield from ("", f"# -- {_SECTIONS[section]} --")
            if statement.topic not in ("", topic):
                topic = statement.topic
                yield f"# through {textwrap.shorten(topic, _WIDTH - 10, placeholder=' ...')}"
            *above, text = _wrapped(statement.text, _WIDTH - 6 - len(statement.shape))
            yield from above
            yield f"{text:<{column}}  # {statement.shape}" if statement.shape else text

    def statements(self) -> list[Statement]:
        """Give the lines of the body with what is known of each."""
        sections = _Sections(self.program, self.folding)
        result: list[Statement] = []
        for ref, line in self.program.numbered():
            text = self._statement(ref, line)
            if text:
                section = sections.of(ref, result[-1].section if result else "")
                topic = self._topic(line) if line.phase == "backward" else ""
                name = self.names.of.get(ref.number, "")
                result.append(Statement(
                    name, text, section, topic, self._shape(line), self._operands(line),
                    values=(*self._inside(line), ref.number), of=line.of,
                ))  # fmt: skip
        return result

    def _operands(self, line: Instruction) -> tuple[str, ...]:
        """Name what stands in the text of a line."""
        names: dict[str, None] = {}
        for ref in refs(line):
            is_inside = ref.number in self.folding.inside
            inside = self._operands(self.folding.line(ref.number)) if is_inside else ()
            names |= dict.fromkeys(inside or [self.names.of[ref.number]] * (not is_inside))
        return tuple(names)

    def _inside(self, line: Instruction) -> tuple[int, ...]:
        """Number what is computed where it stands in the text of a line."""
        numbers: dict[int, None] = {}
        for ref in refs(line):
            if ref.number in self.folding.inside:
                inside = self._inside(self.folding.line(ref.number))
                numbers |= dict.fromkeys((*inside, ref.number))
        return tuple(numbers)

    def _statement(self, ref: Ref, line: Instruction) -> str:
        if line.op is expect:
            condition, outcome = self._operand(line.args[0]), line.args[1]
            return f"assert {condition.text}" if outcome else f"assert not {condition.inside(3)}"
        if line.op is expect_shape:
            return f"assert np.shape({self._operand(line.args[0]).text}) == {line.args[1]}"
        return self._assignment(ref.number) if ref.number in self.names.of else ""

    def _topic(self, line: Instruction) -> str:
        """Write what a backward line differentiates: the line where that is computed."""
        if line.of is None or line.of < self.folding.first:
            return line.rule
        is_line = line.of in self.names.of
        return self._assignment(line.of) if is_line else self.texts[line.of].text

    def _shape(self, line: Instruction) -> str:
        kind = line.kind
        if not kind.is_array or not kind.shape:
            return ""
        usual = self.program.inputs[0].kind.dtype if self.program.inputs else np.dtype(float)
        return f"{shape_text(kind.shape)} {kind.dtype if kind.dtype != usual else ''}".strip()

    # -- what comes back ----------------------------------------------------------------------

    def _return(self) -> Iterator[str]:
        state, gradients = {}, {}
        for label, output in zip(self.program.labels, self.program.outputs, strict=True):
            text = self._operand(output).text
            if _is_gradient(label):
                gradients[self.names.label(label.removesuffix(".grad"))] = text
            elif _is_state(label):
                state[self.names.label(label)] = text
        result = self.program.result
        parts = [] if result is None and (state or gradients) else [self._result_lines(result)]
        yield from _return_lines(parts + [_dict_lines(part) for part in (state, gradients) if part])

    def _result_lines(self, result: Any) -> list[str]:
        if isinstance(result, dict):
            return _dict_lines({k: nested(v, self._operand) for k, v in result.items()})
        return [nested(result, self._operand)]


def _without_own_copies(program: Program) -> Program:
    """Leave out copies of what only they use: it is nobody else's already."""
    uses = Counter(ref.number for line in program.instructions for ref in refs(line))
    uses.update(ref.number for ref in refs(list(program.outputs)))
    first = len(program.inputs)

    def is_fresh(value: Any) -> bool:
        if type(value) is not Ref or value.number < first or uses[value.number] > 1:
            return False
        line = program.instructions[value.number - first]
        return line.op not in VIEWS or is_fresh(line.args[0])

    originals: dict[Ref, Ref] = {}
    lines = list(program.instructions)
    for ref, line in program.numbered():
        if line.op is np.copy and is_fresh(line.args[0]):
            source = originals[ref] = line.args[0]
            at = source.number - first
            if lines[at].gradient_of is None:
                lines[at] = lines[at]._replace(gradient_of=line.gradient_of)
    original = lambda ref: originals.get(ref, ref)
    outputs = tuple(mapped(output, original) for output in program.outputs)
    result = mapped(program.result, original)
    return without_dead(program.replaced(instructions=lines, outputs=outputs, result=result))


class _Sections:
    """Forward, backward, update: which of them a line belongs to."""

    def __init__(self, program: Program, folding: _Folding) -> None:
        self.program, self.folding = program, folding
        self.has_state = not all(map(_is_result, program.labels))
        self.differentiated = {line.of for line in program.instructions if line.of is not None}
        self.is_forward: dict[int, bool] = {}
        users: dict[int, list[int]] = {}
        for ref, line in program.numbered():
            for operand in refs(line):
                users.setdefault(operand.number, []).append(ref.number)
        for ref, line in reversed(list(program.numbered())):
            later = users.get(ref.number, [])
            self.is_forward[ref.number] = line.phase == "forward" or (
                line.phase == "update" and (
                    ref.number in self.differentiated
                    or (bool(later) and ref.number not in folding.outputs
                        and all(self.is_forward[n] for n in later))
                )
            )  # fmt: skip

    def of(self, ref: Ref, before: str) -> str:
        """Say which section a line belongs to, after one of the section ``before``."""
        line = self.folding.line(ref.number)
        if line.phase != "backward":
            if self.is_forward[ref.number]:
                return "forward"
            return "update" if self.has_state else before or "forward"
        is_second = (
            line.of is not None
            and line.of >= self.folding.first
            and (self.folding.line(line.of).phase == "backward")
        )
        return "again" if is_second or before == "again" else "backward"


def _listed(parts: Sequence[str]) -> str:
    return ", ".join(parts[:-1]) + " and " * (len(parts) > 1) + parts[-1]


def shape_text(shape: tuple[int, ...]) -> str:
    """Write a shape as one says it: ``(3)`` for a row of three."""
    return str(shape).replace(",)", ")")


def _kind_text(kind: Kind) -> str:
    if not kind.is_array:
        return str(kind)
    return f"{kind.dtype} {shape_text(kind.shape)}" if kind.shape else str(kind.dtype)


def _filled(text: str, indent: str) -> str:
    return textwrap.fill(
        text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )  # fmt: skip


def _wrapped(text: str, width: int) -> list[str]:
    """Break a long statement after commas inside brackets, where Python allows it."""
    if len(text) <= width:
        return [text]
    depth, commas = 0, []
    for i, c in enumerate(text[:width]):
        depth += (c in "([{") - (c in ")]}")
        commas += [(-depth, i)] if depth and text[i : i + 2] == ", " else []
    if not commas:
        return [text]
    _, comma = max(commas)  # one as far outside as there is
    rest = f"    {text[comma + 2 :].removeprefix('    ')}"
    return [text[: comma + 1], *_wrapped(rest, width)]


def _quoted(key: Any) -> str:
    is_plain = isinstance(key, str) and key.isprintable() and not set(key) & set('\\"')
    return f'"{key}"' if is_plain else repr(key)


def _dict_lines(items: dict[Any, str]) -> list[str]:
    return ["{", *(f"    {_quoted(key)}: {text}," for key, text in items.items()), "}"]


def _return_lines(parts: list[list[str]]) -> Iterator[str]:
    """Write a return: what follows a part begins on the line where that ends."""
    lines = ["return "]
    for i, part in enumerate(parts):
        lines[-1] += part[0]
        lines += part[1:]
        lines[-1] += ", " * (i < len(parts) - 1)
    yield from (line.rstrip() for line in lines)
