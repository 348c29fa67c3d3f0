"""A program that shows a fault by itself: one call of a graph, or as little more as it takes.

Every program is run before it is printed.  One that shows nothing is mended, by more elements, the
upstream that arrived there, the calls before and behind it, or dropped.

Not for: values as Python (``pasted.py``), or which call is at fault (``ledger.py``).
"""

from __future__ import annotations

import contextlib
import io
import string
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.testing.judging.judgement import Kind
from tinygrad_lab.testing.judging.running import OutOfTime, within
from tinygrad_lab.testing.judging.subject import Subject
from tinygrad_lab.testing.telling.finding import GradientError
from tinygrad_lab.testing.telling.ledger import Entry, Ledger, Part, called
from tinygrad_lab.testing.telling.pasted import Spelling, literal, spelled

LONGEST = 4000  # characters of a program that is printed
LONGEST_VALUE = 600  # of a value, where another program has random numbers instead
FEW = 12  # elements of a large elementwise call that are tried first
SECONDS = 1.0  # that one program may run

#: Kinds of faults that make a number of a larger function wrong.
OF_NUMBERS = {
    Kind.WRONG, Kind.SUBGRADIENT, Kind.NONLINEAR, Kind.PARTIAL_UPSTREAM, Kind.SECOND_ORDER,
    Kind.NOT_FINITE, Kind.FAN_OUT, Kind.LAYOUT, Kind.SHARED_STATE, Kind.SECOND_BACKWARD,
    Kind.NOT_REPEATABLE, Kind.FLOAT32,
}  # fmt: skip

#: Whether nobody reads what a check finds, as while a program is being tried.
rehearsing: ContextVar[bool] = ContextVar("rehearsing", default=False)

#: The kinds of faults that a program, which is being tried, is to show.
_wanted: ContextVar[Collection[Kind]] = ContextVar("wanted", default=())


class _Shown(BaseException):
    """A program has shown a fault of a kind that it is to show: the rest need not be run."""


def stop_if_shown(kind: Kind | None) -> None:
    """End the trial of a program as soon as it has shown what it is to show."""
    if kind in _wanted.get():
        raise _Shown


@dataclass(frozen=True)
class Program:
    """Some lines of Python, and what has to be defined before they run."""

    text: str
    needs: dict[str, Any] = field(default_factory=dict)

    def fails(self, kinds: Collection[Kind] = OF_NUMBERS) -> bool | None:
        """Run it, quietly, and say whether it finds a fault; None where it does not run."""
        token, wanted = rehearsing.set(True), _wanted.set(kinds)
        quiet = io.StringIO()
        try:
            with (
                within(SECONDS) as budget,
                contextlib.redirect_stdout(quiet),
                contextlib.redirect_stderr(quiet),
            ):
                try:
                    exec(compile(self.text, "<reproducer>", "exec"), dict(self.needs))
                except OutOfTime as spent:
                    if spent.budget is not budget:  # the time of the check around this one is over
                        raise
                    return None
        except _Shown:
            return True
        except GradientError as error:
            return None if error.finding.kind is Kind.RAISES else False
        except Exception:  # noqa: BLE001 - a program that does not run is not printed
            return None
        finally:
            rehearsing.reset(token)
            _wanted.reset(wanted)
        return False


@dataclass(frozen=True)
class Reproducer:
    """The program to print, "" where none shows the fault; and whether one ran and did not."""

    text: str = ""
    is_right_alone: bool = False


def first_that_fails(
    programs: Iterable[Program | None], kinds: Collection[Kind] = OF_NUMBERS
) -> Reproducer:
    """Try programs, the smallest first, until one shows a fault of some kinds."""
    ran, tried = False, set()
    for program in programs:
        if program is None or program.text in tried or len(program.text) > LONGEST:
            continue
        tried.add(program.text)
        outcome = program.fails(kinds)
        if outcome:
            return Reproducer(program.text)
        ran = ran or outcome is False
    return Reproducer(is_right_alone=ran)


def reproducer(ledger: Ledger, order: int = 1) -> Reproducer:
    """Find the smallest program that shows the fault of the guilty entry of an account."""
    guilty = ledger.guilty
    if guilty is None or guilty.node is None:
        return Reproducer()
    if guilty.origin is not None:
        return first_that_fails(_of_call(guilty.origin.node, None, (), 2))
    if guilty.kind is Part.RULE:
        programs = _of_call(guilty.node, guilty.cotangent, ledger.nodes, 1)
        again = _of_call(guilty.node, None, (), order) if order > 1 else iter(())
        return first_that_fails(each for programs in (programs, again) for each in programs)
    if guilty.kind is Part.ARRIVAL:
        found = first_that_fails(_of_sum(guilty, ledger.nodes))
        return Reproducer(found.text)
    return Reproducer()


def _of_call(node: Node, g: Any, graph: Sequence[Node], order: int) -> Iterator[Program | None]:
    """Give programs that show a wrong rule, from its one call to those around it."""
    yield _written([node], [node], order=order, few=True)
    yield _written([node], [node], order=order)
    yield _written([node], [node], order=order, drawn=True)
    if g is None or isinstance(g, dict) or order > 1:
        return
    yield _written([node], [node], upstream=g)
    after = [each for each in graph if node in (each.parents or ())]
    before = [p for p in node.parents or () if p is not None and p.op is not None]
    before = [each for each in graph if each in before]
    for nodes, ends in (
        ([node, *after], after), ([*before, node], [node]), ([*before, node, *after], after),
    ):  # fmt: skip
        if len(nodes) > 1 and ends:
            yield _written(nodes, ends)
            yield _written(nodes, ends, drawn=True)


def _of_sum(guilty: Entry, graph: Sequence[Node]) -> Iterator[Program | None]:
    """Give programs that show contributions added up wrongly: all calls that use one value."""
    node = guilty.node
    after = [each for each in graph if node in (each.parents or ())]
    before = [] if node is None or node.op is None else [node]
    for drawn in (False, True):
        yield _written(after, after, drawn=drawn)
        yield _written([*before, *after], after, drawn=drawn)


def of_adapted(subject: Subject, upstream: Any, kind: Kind) -> Reproducer:
    """Find a program that shows the fault of a function that was adapted, where it is importable.

    It is tried with what it was called with, and with the upstream that showed the fault.
    """
    template, functions = subject.written
    if not template:
        return Reproducer()
    spellings = [spelled(function) for function in functions]
    if not all(spelling.stands_alone for spelling in spellings):
        return Reproducer()
    values = [literal(value) for value in subject.args.values]
    made = template.format(*(spelling.name for spelling in spellings))
    default = [i for i, x in enumerate(subject.args.values) if _is_of_floats(x)]
    options = [""] if tuple(default) == tuple(subject.args.positions) else [
        f", wrt={list(subject.args.positions)}"
    ]  # fmt: skip
    options += [f"{options[0]}, upstream={literal(upstream)}"] if upstream is not None else []
    programs = [
        _program(spellings, f"tgt.gradcheck({made}, {', '.join(values)}{option})")
        for option in options
    ]
    kinds = OF_NUMBERS if kind in OF_NUMBERS else {kind}
    return Reproducer(first_that_fails(programs, kinds).text)


def _is_of_floats(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind in "fc"


# ---------------------------------------------------------------------------------------------
# Writing them


def _written(
    nodes: Sequence[Node],
    ends: Sequence[Node],
    *,
    order: int = 1,
    upstream: Any = None,
    few: bool = False,
    drawn: bool = False,
) -> Program | None:
    """Write a program that checks a piece of a graph on what it was given.

    ``few`` takes some elements only, of a single elementwise call; ``drawn`` puts random numbers
    in the place of large arrays.  None where there is nothing of that to write.
    """
    writing = _Writing(nodes, few, drawn)
    lines = [writing.line(node) for node in nodes]
    if not writing.inputs or (few and not writing.shortened) or (drawn and not writing.draws):
        return None
    parameters = ", ".join(writing.inputs)
    if len(nodes) == 1:
        function, definition = f"lambda {parameters}: {lines[0]}", []
    else:
        last = ", ".join(writing.names[node] for node in ends)
        pairs = zip(nodes, lines, strict=True)
        body = [f"    {writing.names[node]} = {line}" for node, line in pairs]
        function = "piece"
        definition = [f"def piece({parameters}):", *body, f"    return {last}"]
    options = [
        *(["order=2"] if order > 1 else []),
        *([f"upstream={literal(np.asarray(upstream))}"] if upstream is not None else []),
        *([f"name={called(nodes[0])!r}"] if len(nodes) == 1 else []),
    ]
    check = f"tgt.gradcheck({', '.join([function, *writing.inputs.values(), *options])})"
    return _program(writing.spellings, check, [*writing.draws, *definition], writing.needs)


def _program(
    spellings: Sequence[Spelling],
    check: str,
    before: Sequence[str] = (),
    needs: dict[str, Any] | None = None,
) -> Program:
    imports = dict.fromkeys(spelling.line for spelling in spellings if spelling.line)
    tail = ["from tinygrad_lab import testing as tgt", *before, check]
    return Program("\n".join(["import numpy as np", *imports, *tail]), needs or {})


class _Writing:
    """The calls of a piece of a graph, as expressions of what goes into it."""

    def __init__(self, nodes: Sequence[Node], few: bool, drawn: bool) -> None:
        self.few, self.drawn = few, drawn
        self.inputs: dict[str, str] = {}  # how each parameter's value is written
        self.names: dict[Node, str] = {}
        self.spellings: list[Spelling] = []
        self.needs: dict[str, Any] = {}
        self.draws: list[str] = []
        self.shortened = False
        self._inside = set(nodes)

    def line(self, node: Node) -> str:
        """Write one call."""
        inside = []
        parents = node.parents or (None,) * len(node.args)
        for parent, arg in zip(parents, self._some(node), strict=True):
            if parent is None:
                inside.append(self._value(arg))
                continue
            if parent not in self.names:
                self.names[parent] = self._name()
                self.inputs[self.names[parent]] = self._value(arg)
            inside.append(self.names[parent])
        self.names.setdefault(node, self._name())
        return self._call(node, inside)

    def _name(self) -> str:
        i = len(self.names)
        return string.ascii_lowercase[i % 26] + ("" if i < 26 else str(i // 26))

    def _call(self, node: Node, inside: Sequence[str]) -> str:
        kwargs = dict(node.kwargs or {})
        batched = kwargs.pop("call", None)  # a primitive that vmap called for a whole batch
        op = getattr(batched, "op", node.op)
        kwargs |= getattr(batched, "kwargs", {})
        spelling = spelled(op)
        self.spellings.append(spelling)
        if not spelling.stands_alone:
            self.needs[spelling.name] = op
        options = "".join(f", {key}={literal(value)}" for key, value in kwargs.items())
        if batched is not None:
            self.spellings.append(Spelling("import tinygrad_lab as tl", "", True))
            function = f"lambda *xs: {spelling.name}(*xs{options})" if options else spelling.name
            return f"tl.vmap({function}, {batched.axes})({', '.join(inside)})"
        return f"{spelling.name}({', '.join(inside)}{options})"

    def _some(self, node: Node) -> tuple[Any, ...]:
        """Give the arguments of a call; of an elementwise one some elements, where few are."""
        op, shape = node.op, getattr(node.value, "shape", ())
        elementwise = isinstance(op, np.ufunc) and op.signature is None
        if not (self.few and elementwise and np.prod(shape) > FEW):
            return tuple(node.args)
        self.shortened = True
        places = np.linspace(0, np.prod(shape) - 1, FEW).astype(int)
        return tuple(np.broadcast_to(a, shape).ravel()[places] for a in node.args)

    def _value(self, x: Any) -> str:
        text = literal(x)
        if not (self.drawn and isinstance(x, np.ndarray) and len(text) > LONGEST_VALUE):
            return text
        if x.dtype.kind not in "fiub":
            return text
        if not self.draws:
            self.draws.append("rng = np.random.default_rng(0)")
        if x.dtype.kind == "b":
            return f"rng.random({x.shape}) < {np.mean(x):.2g}"
        low, high = x.min(), x.max()
        if x.dtype.kind in "iu":
            return f"rng.integers({low}, {high + 1}, {x.shape})"
        return f"rng.uniform({float(low):.3g}, {float(high):.3g}, {x.shape})"
