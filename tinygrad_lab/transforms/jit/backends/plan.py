"""Which lines of a program share a loop.

A *nest* is loops over one shape, and the lines that are computed in them.  A value of a small last
axis is computed a row at a time: a layer of three units is three variables, and a whole training
step of the lab is one loop over its examples, which LLVM then runs for several examples at once.
Lines are put into the first nest that their operands allow.  A value is written to memory only
where another nest, a call from Python, or the caller reads it.  Views are index arithmetic.

Not for: what a line computes (``forms.py``), or the text of the loops (``loops.py``).
"""

from __future__ import annotations

import itertools
import operator
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from tinygrad_lab.transforms.jit.backends import forms
from tinygrad_lab.transforms.jit.program import (
    EFFECTS,
    VIEWS,
    Instruction,
    Kind,
    Program,
    Ref,
    expect,
    kind_of,
    refs,
)

__all__ = ["Access", "Calls", "Guard", "Line", "Nest", "Plan", "Product", "Shape", "Sum"]

Shape = tuple[int, ...]
_SMALL_PRODUCT = 4096  # multiplications; above, BLAS is faster than a loop
_ROW_PRODUCT = 64  # and those that are written out


class View(NamedTuple):
    """A value that lies in the memory of another: where, in elements."""

    root: int
    offset: int
    strides: Shape


class Access(NamedTuple):
    """How the elements of a row are read: from where, and by how much each loop moves that."""

    root: int
    loop_strides: Shape
    offsets: tuple[int, ...]


@dataclass(eq=False)
class Line:
    """A line that is computed in a nest."""

    number: int
    form: Any
    accesses: list[Any]  # Access, or a constant
    loop_strides: Shape  # of the result, in memory
    is_row: bool  # one row in each turn; otherwise what all turns add up to
    width: int  # elements of the row, or of the total

    @property
    def is_named(self) -> bool:
        """Whether the elements are variables that stay what they are after the loops."""
        return not any(self.loop_strides) if not self.is_row else self.loop_strides == ()


@dataclass(eq=False)
class Nest:
    """Loops, and what is computed in them."""

    loops: Shape
    lines: list[Line] = field(default_factory=list)


@dataclass(eq=False)
class Calls:
    """Lines that Python calls."""

    lines: list[int] = field(default_factory=list)


class Product(NamedTuple):
    """A matrix product: (rows, columns) from the row's elements of two accesses."""

    rows: int
    inner: int
    columns: int


class Guard(NamedTuple):
    """What a value is expected to be."""

    outcome: bool


class Sum(NamedTuple):
    """A reduction: for each element of a row, the element of the result that it goes to."""

    how: str
    inner: np.dtype[Any]
    targets: tuple[int, ...]
    terms: int


def row_strides(shape: Shape) -> Shape:
    """Give the strides, in elements, of an array whose rows follow each other."""
    return tuple(prod(shape[i + 1 :]) for i in range(len(shape)))


class Plan:
    """What of a program is computed where."""

    def __init__(self, program: Program, straight: int, row: int, with_numbers: bool) -> None:
        self.program = program
        self.straight, self.row = straight, row
        self.with_numbers = with_numbers  # whether kernels compute numbers of Python's
        self.groups: list[Nest | Calls] = [Calls()]
        self.home: dict[int, int] = {}  # by number, the index of its group
        self.line: dict[int, Line] = {}
        self.views: dict[int, View] = {}
        self.extra: dict[int, Kind] = {}  # values that the program has no number for
        self.constants: dict[int, np.ndarray[Any, Any]] = {}
        self.copied: dict[int, int] = {}  # outputs that are copies, and of what
        self.count = len(program.inputs)
        self._next = self.count + len(program.instructions)
        self._last_effect = 0
        self._taken: set[int] = set()
        for ref, line in program.numbered():
            self._place(ref, line)
        self.outputs = [self._output(output) for output in program.outputs]

    # -- what is known of values --------------------------------------------------------------

    def kind(self, value: Any) -> Kind:
        """Say what a value or a constant is."""
        if type(value) is Ref and value.number in self.extra:
            return self.extra[value.number]
        return self.program.kind(value)

    def view(self, number: int) -> View:
        """Say where a value lies."""
        return self.views.get(number) or View(number, 0, row_strides(self.kind(Ref(number)).shape))

    def loops_of(self, shape: Shape) -> Shape:
        """Choose the axes that are loops; the others are written out."""
        if prod(shape) <= self.straight:
            return ()
        if len(shape) >= 2 and prod(shape[1:]) <= self.row:
            return shape[:1]
        return shape

    def is_inline(self, access: Access, loops: Shape) -> bool:
        """Whether what is read was computed in the same turn of the same loops."""
        line = self.line.get(access.root)
        if line is None or not line.is_row:
            return False
        group = self.groups[self.home[access.root]]
        return (
            isinstance(group, Nest)
            and group.loops == loops
            and access.loop_strides == line.loop_strides
            and all(0 <= offset < line.width for offset in access.offsets)
        )

    def is_named(self, access: Access) -> bool:
        """Whether what is read are variables that stay what they are after their loops."""
        line = self.line.get(access.root)
        if line is None:
            return False
        return line.is_named and not any(access.loop_strides)

    def by_python(self, number: int) -> bool:
        """Whether a value is what Python calls give, or no array of a dtype that kernels know."""
        root = self.view(number).root
        if root in self.home:
            return isinstance(self.groups[self.home[root]], Calls)
        return self.kind(Ref(root)).dtype not in forms.DTYPES

    def phase(self, number: int) -> str:
        """Give the phase in which a value was computed; inputs are there before the first."""
        position = number - self.count
        lines = self.program.instructions
        return lines[position].phase if 0 <= position < len(lines) else "forward"

    # -- placing lines ------------------------------------------------------------------------

    def _place(self, ref: Ref, line: Instruction) -> None:
        if self._place_view(ref, line) or self._place_form(ref.number, line):
            return
        bound = max((self._ready(r.number, call=True) for r in refs(line)), default=0)
        if line.op in EFFECTS:
            bound = max(bound, self._last_effect)
        index = self._join(Calls, (), bound)
        if line.op in EFFECTS:
            self._last_effect = index
        self.groups[index].lines.append(ref.number)  # type: ignore[arg-type]
        self.home[ref.number] = index

    def _join(self, kind: type, loops: Shape, bound: int) -> int:
        """Find or make the first group of a kind, not before a bound."""
        for index in range(bound, len(self.groups)):
            group = self.groups[index]
            if type(group) is kind and (not isinstance(group, Nest) or group.loops == loops):
                return index
        self.groups.append(Nest(loops) if kind is Nest else Calls())
        return len(self.groups) - 1

    def _ready(self, number: int, call: bool = False) -> int:
        """Give the first group that may read a value from memory."""
        root = self.view(number).root
        if root not in self.home:
            return 0
        index = self.home[root]
        return index if call and isinstance(self.groups[index], Calls) else index + 1

    def _place_view(self, ref: Ref, line: Instruction) -> bool:
        """Take a line as a view, if its operand is an array and nothing is copied."""
        if line.op not in VIEWS or not line.args or type(line.args[0]) is not Ref:
            return False
        base = self.kind(line.args[0])
        rest = (line.args[1:], dict(line.kwargs))
        if not base.is_array or not line.kind.is_array or line.kind.dtype != base.dtype:
            return False
        if next(refs(rest), None) is not None or base.size == 0 or line.kind.size == 0:
            return False
        if self.by_python(line.args[0].number) and base.dtype not in forms.DTYPES:
            return False
        result = _view(line, self.view(line.args[0].number), base.shape)
        if result is None or result.shape != line.kind.shape:
            return False
        self.views[ref.number] = result.view
        return True

    def _place_form(self, number: int, line: Instruction) -> bool:
        if line.op is expect:
            return self._place_guard(number, line)
        if not self._has_form(line):
            return False
        for place in (self._place_elementwise, self._place_reduction, self._place_product):
            if place(number, line):
                return True
        return False

    def _has_form(self, line: Instruction) -> bool:
        kinds = [line.kind, *map(self.kind, refs(line))]
        if any(not kind.is_array and kind.dtype not in (int, float, bool) for kind in kinds):
            return False
        if not line.kind.is_array and not self.with_numbers:
            return False
        arrays = [kind for kind in kinds if kind.is_array]
        return all(kind.dtype in forms.DTYPES and kind.size for kind in arrays)

    def _place_guard(self, number: int, line: Instruction) -> bool:
        value, outcome = line.args
        kind = self.kind(value)
        is_number = not kind.is_array and self.with_numbers
        if not is_number and (kind.dtype not in forms.DTYPES or self.by_python(value.number)):
            return False
        access = self._spread(value, (), ())
        self._add(number, Guard(outcome), [access], (), (), is_row=True, width=1)
        return True

    def _place_elementwise(self, number: int, line: Instruction) -> bool:
        form = forms.elementwise(line, self.kind)
        if form is None:
            return False
        self._add_elementwise(number, form, line.kind.shape)
        return True

    def _add_elementwise(self, number: int, form: forms.Elementwise, shape: Shape) -> None:
        loops = self.loops_of(shape)
        depth = len(loops)
        accesses = [self._spread(x, shape[:depth], shape[depth:]) for x in form.operands]
        strides = row_strides(shape)[:depth]
        self._add(number, form, accesses, loops, strides, is_row=True, width=prod(shape[depth:]))

    def _place_reduction(self, number: int, line: Instruction) -> bool:
        form = forms.reduction(line, self.kind)
        if form is None:
            return False
        shape = self.kind(form.operand).shape
        loops = self.loops_of(shape)
        depth = len(loops)
        kept = tuple(1 if i in form.axes else n for i, n in enumerate(shape))
        strides = tuple(0 if n == 1 else s for n, s in zip(kept, row_strides(kept), strict=True))
        tail = _offsets(shape[depth:], strides[depth:])
        access = self._spread(Ref(form.operand.number), loops, shape[depth:])
        total = Sum(form.how, form.inner, tail, prod(shape[i] for i in form.axes))
        is_row = not any(i in form.axes for i in range(depth))
        width = prod(kept[depth:])
        self._add(number, total, [access], loops, strides[:depth], is_row=is_row, width=width)
        return True

    def _place_product(self, number: int, line: Instruction) -> bool:
        """Write out a small matrix product: of rows, of columns, or of all."""
        if line.op is not np.matmul or len(line.args) != 2 or line.kwargs:
            return False
        a, b = line.args
        if type(a) is not Ref or type(b) is not Ref or line.kind.dtype.kind == "b":
            return False
        kinds = self.kind(a), self.kind(b)
        if any(k.dtype != line.kind.dtype or len(k.shape) not in (1, 2) for k in kinds):
            return False
        x, y = self.view(a.number), self.view(b.number)
        xs, ys = kinds[0].shape, kinds[1].shape
        (m, k), (s0, s1) = (xs, x.strides) if len(xs) == 2 else ((1, *xs), (0, *x.strides))
        (_, n), (t0, t1) = (ys, y.strides) if len(ys) == 2 else ((*ys, 1), (*y.strides, 0))
        if k == 0:
            return False
        loops, form = self._product_loops(m, k, n)
        if loops is None:
            return False
        if loops == "rows":
            first = Access(x.root, (s0,), _offsets((k,), (s1,), x.offset))
            second = Access(y.root, (0,), _offsets((k, n), (t0, t1), y.offset))
            self._add(number, form, [first, second], (m,), (n,), is_row=True, width=n)
        elif loops == "columns":
            first = Access(x.root, (s1,), _offsets((m,), (s0,), x.offset))
            second = Access(y.root, (t0,), _offsets((n,), (t1,), y.offset))
            self._add(number, form, [first, second], (k,), (0,), is_row=False, width=m * n)
        elif loops == "all":
            first = Access(x.root, (), _offsets((m, k), (s0, s1), x.offset))
            second = Access(y.root, (), _offsets((k, n), (t0, t1), y.offset))
            self._add(number, form, [first, second], (), (), is_row=True, width=m * n)
        else:  # a turn for each multiplication, the columns last: they follow each other
            first = Access(x.root, (s0, s1, 0), (x.offset,))
            second = Access(y.root, (0, t0, t1), (y.offset,))
            self._add(number, form, [first, second], (m, k, n), (n, 0, 1), is_row=False, width=1)
        return True

    def _product_loops(self, m: int, k: int, n: int) -> tuple[str | None, Product]:
        if m * n <= self.straight and m * k * n <= _ROW_PRODUCT and self.straight > 1:
            return "all", Product(m, k, n)
        if m > 1 and k <= self.row and n <= self.row and m * n > self.straight:
            return "rows", Product(1, k, n)
        if m <= self.row and n <= self.row and k > 1 and m * n <= 4 * self.row:
            return "columns", Product(m, 1, n)
        if m * k * n <= _SMALL_PRODUCT:
            return "each", Product(1, 1, 1)
        return None, Product(0, 0, 0)

    def _spread(self, operand: Any, loops: Shape, tail: Shape) -> Any:
        """Say how an operand is read for each element of a row of a shape."""
        if type(operand) is not Ref:
            if np.ndim(operand) == 0:
                return operand
            operand = self._constant(operand)
            if type(operand) is not Ref:
                return operand
        kind = self.kind(operand)
        view = self.view(operand.number)
        depth = len(loops) + len(tail)
        missing = depth - len(kind.shape)
        strides = (0,) * missing + tuple(
            0 if n == 1 else s for n, s in zip(kind.shape, view.strides, strict=True)
        )
        return Access(
            view.root, strides[: len(loops)], _offsets(tail, strides[len(loops) :], view.offset)
        )

    def _constant(self, value: Any) -> Any:
        """Give a constant array as a number, if it holds only one, or as a value."""
        array = np.asarray(value)
        if array.size and not np.any(array != array.flat[0]):
            return array.flat[0]
        ref = self._new(kind_of(array))
        self.constants[ref.number] = np.ascontiguousarray(array)
        return ref

    def _new(self, kind: Kind) -> Ref:
        ref = Ref(self._next)
        self._next += 1
        self.extra[ref.number] = kind
        return ref

    def _add(
        self, number: int, form: Any, accesses: list[Any], loops: Shape, strides: Shape, *,
        is_row: bool, width: int,
    ) -> None:  # fmt: skip
        bound = 0
        for access in accesses:
            if isinstance(access, Access) and access.root in self.home:
                inline = self.is_inline(access, loops)
                bound = max(bound, self.home[access.root] + (not inline))
        index = self._join(Nest, loops, bound)
        nest = self.groups[index]
        assert isinstance(nest, Nest)
        line = Line(number, form, accesses, strides, is_row, width)
        nest.lines.append(line)
        self.home[number], self.line[number] = index, line

    # -- outputs ------------------------------------------------------------------------------

    def _output(self, output: Any) -> Any:
        """Make an output that shares no memory with an input or another output."""
        if type(output) is not Ref or not self.kind(output).is_array:
            return output
        number, kind = output.number, self.kind(output)
        if number in self.line and number not in self._taken:
            self._taken.add(number)
            return output
        if self.by_python(number) or kind.dtype not in forms.DTYPES or kind.size == 0:
            return output  # Python copies it where it must
        copied = self._new(kind)
        form = forms.Elementwise((output,), (kind.dtype,), "{0}")
        self._add_elementwise(copied.number, form, kind.shape)
        self._taken.add(copied.number)
        self.copied[copied.number] = number
        return copied


def _offsets(shape: Shape, strides: Shape, offset: int = 0) -> tuple[int, ...]:
    """Give where the elements of a small array lie, in order."""
    axes = zip(shape, strides, strict=True)
    steps = (range(0, n * s, s) if s else itertools.repeat(0, n) for n, s in axes)
    return tuple(offset + sum(place) for place in itertools.product(*steps))


class _Viewed(NamedTuple):
    shape: Shape
    view: View


def _view(line: Instruction, view: View, shape: Shape) -> _Viewed | None:
    """Let NumPy say which elements a call shows, on memory that nobody reads."""
    reach = [(n - 1) * s for n, s in zip(shape, view.strides, strict=True)]
    memory = np.empty(view.offset + sum(max(r, 0) for r in reach) + 1, np.int8)
    base = as_strided(memory[view.offset :], shape, view.strides)
    args = line.args[1:]
    if line.op is operator.getitem:
        index = args[0] if isinstance(args[0], tuple) else (args[0],)
        args = (index if any(part is ... for part in index) else (*index, ...),)
    result = line.op(base, *args, **line.kwargs)
    if not isinstance(result, np.ndarray) or not np.may_share_memory(result, memory):
        return None
    offset = result.__array_interface__["data"][0] - memory.__array_interface__["data"][0]
    return _Viewed(result.shape, View(view.root, offset, result.strides))
