"""``Program``: a straight list of NumPy calls, which is what a recorded function is.

Inputs, instructions, outputs; no Python objects, branches or loops between them.  A program never
changes: a pass (``passes.py``) makes another one of it.

Not for: how one is recorded (``trace.py``), printed (``source.py``) or run (``backends/``).
"""

from __future__ import annotations

import operator
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tinygrad_lab.core.operations import Op
from tinygrad_lab.files import write_file

if TYPE_CHECKING:
    from tinygrad_lab.transforms.jit.cost import Cost

__all__ = [
    "EFFECTS", "GuardFailed", "Input", "Instruction", "Kind", "Ref", "astype", "draw", "empty",
    "expect", "expect_shape", "kind_of", "mapped", "refs",
]  # fmt: skip


class Ref(NamedTuple):
    """A value of the program by its number: the inputs first, then one for each instruction."""

    number: int

    def __repr__(self) -> str:
        return f"%{self.number}"


class Kind(NamedTuple):
    """What a value is: an array of a dtype and shape, a number of Python's, or something else.

    ``dtype`` is NumPy's; for numbers of Python's it is ``int``, ``float``, ``complex`` or ``bool``,
    and for what is neither (a generator, a tuple of arrays) its class.  ``order`` has the axes from
    the slowest to the fastest in memory where that is not C's, and is None where memory lies
    between the elements: sums round differently in another order.
    """

    dtype: Any
    shape: tuple[int, ...] = ()
    order: tuple[int, ...] | None = ()

    @property
    def is_array(self) -> bool:
        """Whether it has a dtype of NumPy's (zero-dimensional results of NumPy's included)."""
        return isinstance(self.dtype, np.dtype)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape, dtype=int))

    @property
    def nbytes(self) -> int:
        """The bytes of the elements; of a number of Python's, 8."""
        return self.size * (self.dtype.itemsize if self.is_array else 8)

    def __str__(self) -> str:
        if not self.is_array:
            return str(getattr(self.dtype, "__name__", self.dtype))
        return f"{self.dtype}{list(self.shape)}" if self.shape else str(self.dtype)


def kind_of(value: Any) -> Kind:
    """Say what a value is."""
    if isinstance(value, np.ndarray) and not value.flags.c_contiguous:
        return Kind(value.dtype, value.shape, _order(value))
    if isinstance(value, (np.ndarray, np.generic)):
        return Kind(value.dtype, value.shape)
    return Kind(type(value))


def _order(array: np.ndarray[Any, Any]) -> tuple[int, ...] | None:
    order = tuple(int(i) for i in np.argsort([-n for n in array.strides], kind="stable"))
    return order if array.transpose(order).flags.c_contiguous else None


def empty(kind: Kind) -> np.ndarray[Any, Any]:
    """Make an array of a kind, in its order."""
    if not kind.order:
        return np.empty(kind.shape, kind.dtype)
    memory = np.empty([kind.shape[i] for i in kind.order], kind.dtype)
    return memory.transpose(np.argsort(kind.order))


class Input(NamedTuple):
    """What a program is called with: a name, as a person would write it, and what it is."""

    name: str
    kind: Kind


class Instruction(NamedTuple):
    """One call: ``op(*args, **kwargs)``, with :class:`Ref` where a value of the program is meant.

    Refs may stand inside tuples, lists, dicts and slices.  All else is a constant.
    """

    op: Op  # a NumPy function or ufunc, a function of `operator`, or one of ours
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    kind: Kind  # of the result
    phase: str = "forward"  # or "backward", "update"
    of: int | None = None  # the number of the value that this line helps to differentiate
    rule: str = ""  # the operation whose rule this line is from
    gradient_of: int | None = None  # the number of the value whose whole gradient the result is
    hint: str = ""  # the primitive whose result it is, for its name
    quiet: bool = False  # overflow and division by zero were no matter where it was called

    def renumbered(self, look: Callable[[Ref], Any]) -> Instruction:
        """Put something else for each ref; numbers of values that are refs no more are dropped."""

        def number(n: int | None) -> int | None:
            ref = None if n is None else look(Ref(n))
            return ref.number if type(ref) is Ref else None

        kwargs = mapped(self.kwargs, look) if self.kwargs else self.kwargs
        return self._replace(
            args=mapped(self.args, look), kwargs=kwargs,
            of=number(self.of), gradient_of=number(self.gradient_of),
        )  # fmt: skip


# -- functions that only programs call ------------------------------------------------------------


class GuardFailed(Exception):  # noqa: N818 - not an error: the program is one for other values
    """What a program expects of its values does not hold, so it is not the right one."""


def expect(value: Any, outcome: bool) -> None:
    """Go on only if the truth of a value is what it was when the program was recorded."""
    if bool(value) is not outcome:
        raise GuardFailed


def expect_shape(value: Any, shape: tuple[int, ...]) -> None:
    """Go on only if a result, whose shape depends on values, has the shape it had."""
    if np.shape(value) != shape:
        raise GuardFailed


def draw(generator: np.random.Generator, method: str, *args: Any, **kwargs: Any) -> Any:
    """Draw from a generator: another draw in each call."""
    return getattr(generator, method)(*args, **kwargs)


def astype(x: Any, dtype: Any) -> Any:
    """Convert an array."""
    return x.astype(dtype)


#: What is called for more than its result: never left out, merged or moved across each other.
EFFECTS = frozenset({expect, expect_shape, draw})


# -- refs inside arguments ------------------------------------------------------------------------


def mapped(value: Any, function: Callable[[Ref], Any]) -> Any:
    """Put something else for each ref inside a value."""
    kind = type(value)
    if kind is Ref:
        return function(value)
    if kind in (tuple, list):
        return kind(mapped(item, function) for item in value)
    if kind is dict:
        return {key: mapped(item, function) for key, item in value.items()}
    if kind is slice:
        parts = (value.start, value.stop, value.step)
        return slice(*(mapped(part, function) for part in parts))
    return value


def refs(value: Any) -> Iterator[Ref]:
    """Give the refs inside a value, in order."""
    kind = type(value)
    if kind is Ref:
        yield value
    elif kind in (tuple, list):
        for item in value:
            yield from refs(item)
    elif kind is dict:
        yield from refs(list(value.values()))
    elif kind is slice:
        yield from refs((value.start, value.stop, value.step))
    elif kind is Instruction:
        yield from refs((value.args, list(value.kwargs.values())))


@dataclass(frozen=True, eq=False)
class Program:
    """A recorded function: inputs, instructions, and what comes out.

    Attributes
    ----------
    name : str
        Of the function.
    inputs : tuple of Input
    instructions : sequence of Instruction
        The result of number ``i`` is the value ``Ref(len(inputs) + i)``.
    outputs : tuple
        What is computed: refs, or constants.
    labels : tuple of str
        A name for each output.
    result
        What the function returned: refs, constants, and containers of them.
    """

    name: str
    inputs: tuple[Input, ...]
    instructions: Sequence[Instruction]
    outputs: tuple[Any, ...]
    labels: tuple[str, ...]
    result: Any = None

    def kind(self, value: Any) -> Kind:
        """Say what a value of the program is, or a constant."""
        if type(value) is not Ref:
            return kind_of(value)
        n = value.number
        count = len(self.inputs)
        return self.inputs[n].kind if n < count else self.instructions[n - count].kind

    def maker(self, value: Any) -> Instruction | None:
        """Give the instruction that a value is the result of; inputs and constants have none."""
        at = value.number - len(self.inputs) if type(value) is Ref else -1
        return self.instructions[at] if at >= 0 else None

    def numbered(self) -> Iterator[tuple[Ref, Instruction]]:
        """Give the instructions, each with the ref of its result."""
        for i, instruction in enumerate(self.instructions, len(self.inputs)):
            yield Ref(i), instruction

    @cached_property
    def source(self) -> str:
        """The program as a file that needs NumPy alone."""
        from tinygrad_lab.transforms.jit.source import source

        return source(self)

    @cached_property
    def _function(self) -> Callable[..., Any]:
        space: dict[str, Any] = {}
        exec(compile(self.source, f"<program of {self.name}>", "exec"), space)
        return list(space.values())[-1]  # the last that the text defines

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the text: it takes the inputs, by position or by name, and returns what it says."""
        return self._function(*args, **kwargs)

    @cached_property
    def cost(self) -> Cost:
        """What a call costs: calls, multiply-adds, bytes moved, and the most memory at once."""
        from tinygrad_lab.transforms.jit.cost import cost

        return cost(self)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write :attr:`source` to a file, which is whole or not there.

        Raises
        ------
        ValueError
            The name does not end in ``.py``.
        OSError
            The file cannot be written; one that was there is as before.
        """
        if Path(path).suffix != ".py":
            name = Path(path).with_suffix(".py")
            raise ValueError(f"a program is Python text: save it as {name}, not {path}")
        return write_file(path, self.source.encode())

    def __str__(self) -> str:
        return self.source

    def __repr__(self) -> str:
        counts = {"input": self.inputs, "line": self.instructions, "output": self.outputs}
        words = (f"{len(items)} {word}{'s' * (len(items) != 1)}" for word, items in counts.items())
        return f"<Program {self.name}: {', '.join(words)}>"

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.source}```"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Program):
            return NotImplemented
        return self is other or self.source == other.source

    def __hash__(self) -> int:
        return hash(self.source)

    def replaced(self, **changes: Any) -> Program:
        """Make a program that differs in some attributes."""
        return replace(self, **changes)


#: Functions that give a view of their first argument, or the argument itself.
VIEWS: frozenset[Op] = frozenset({
    np.reshape, np.transpose, np.swapaxes, np.moveaxis, np.expand_dims, np.squeeze, np.broadcast_to,
    np.ravel, np.real, np.imag, np.diagonal, np.atleast_1d, np.atleast_2d, np.atleast_3d, np.flip,
    np.rollaxis, np.asarray, np.asanyarray, np.ascontiguousarray, operator.getitem, np.positive,
    np.split, np.array_split, np.hsplit, np.vsplit, np.dsplit, np.unstack
    if hasattr(np, "unstack") else np.split, np.matrix_transpose
    if hasattr(np, "matrix_transpose") else np.transpose, np.linalg.diagonal, np.rot90,
    np.lib.stride_tricks.sliding_window_view, np.lib.stride_tricks.as_strided, np.require,
    np.fliplr, np.flipud, np.permute_dims if hasattr(np, "permute_dims") else np.transpose,
    np.real_if_close, np.nan_to_num,
})  # fmt: skip


def values_shown(program: Program, shared: Callable[[Instruction], Iterable[Ref]]) -> set[int]:
    """Give the values that come out, and those in whose memory what comes out may be.

    ``shared`` gives the operands of a line that its result may share memory with.
    """
    count = len(program.inputs)
    shown: set[int] = set()
    waiting = [ref.number for ref in refs(list(program.outputs))]
    while waiting:
        n = waiting.pop()
        if n not in shown:
            shown.add(n)
            if n >= count:
                waiting += [ref.number for ref in shared(program.instructions[n - count])]
    return shown


def evaluate(program: Program, inputs: Any) -> list[Any]:
    """Run a program call by call: what every backend must agree with."""
    values = list(inputs)
    for line in program.instructions:
        args = mapped(line.args, lambda ref: values[ref.number])
        kwargs = mapped(dict(line.kwargs), lambda ref: values[ref.number])
        values.append(line.op(*args, **kwargs))
    return [mapped(output, lambda ref: values[ref.number]) for output in program.outputs]
