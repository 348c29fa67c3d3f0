"""What a recorded call has changed, and the code with which later calls do the same.

The twins are compared with what they were, and a line of Python is written for each difference.
All changes are made at once.

Not for: the twins, or what a call reads (``state.py``).
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import CellType, FunctionType
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node, new_leaf, record
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.jit.state import Changed, Line, State, dotted, same_number
from tinygrad_lab.transforms.jit.trace import Traced, TracingError
from tinygrad_lab.transforms.jit.watched import content_of
from tinygrad_lab.transforms.replicas import CONSTANT

__all__ = ["MISS", "Changes", "Code"]

_ABSENT = object()


class Changes:
    """The changes that a call made, and its result, as outputs and code."""

    def __init__(self, state: State, result: Any) -> None:
        self.state = state
        self.outputs: list[Any] = []  # what the program must compute
        self.labels: list[str] = []
        self.assigned: list[tuple[str, str]] = []  # where a value goes, and the value
        self.deleted: list[str] = []
        self.numbers: set[str] = set()
        self.live: list[Tensor] = []  # results that have a history
        self.live_outputs: list[int] = []
        self._by_identity: dict[int, int] = {}
        self.held: list[Any] = []
        for record_ in state.records:
            self._compare(*record_)
        if state.watch.grown:
            raise TracingError(self._never_again(state.watch.grown, "other contents"))
        if self.numbers:
            raise Changed(self.numbers)
        self.result = self._expression(result, "result")
        self.returned = _returned(result)

    def _compare(self, original: Any, twin: Any, name: str, before: dict[Any, Any]) -> None:
        if isinstance(twin, dict):
            now: dict[Any, Any] = twin
        elif isinstance(twin, (list, deque)):
            now = dict(enumerate(twin))
        elif isinstance(twin, Tensor):
            now = {"data": twin.data}
            self._refuse_new_history(original, twin, name)
        elif isinstance(twin, Node):
            now = {"grad": twin.grad}
        elif isinstance(twin, CellType):
            now = dict(zip(("cell_contents",), content_of(twin), strict=False))
        else:
            now = dict(vars(twin))
        for key in before.keys() - now.keys():
            if isinstance(original, (list, deque)):
                raise TracingError(self._never_again(name, "another length"))
            self.deleted.append(f"{name}[{self._key(key)}]")
        for key, value in now.items():
            if key in before and before[key] is value:
                continue
            self._change(original, name, key, value, before.get(key, _ABSENT))

    def _never_again(self, name: str, what: str) -> str:
        return (
            f"{self.state.label(name)} has {what} after the call of "
            f"{self.state.trace.name}, and would after each later one, so that what is recorded "
            "would never fit again: return what you append, and append it outside"
        )

    def _refuse_new_history(self, original: Any, twin: Any, name: str) -> None:
        had = original.node is not None
        if (twin.node is not None) != had or (twin.node is not None and twin.node.op is not None):
            raise TracingError(
                f"{self.state.label(name)} was made another tensor inside {self.state.trace.name} "
                "(requires_grad set, or t[i] = v with a tracked v): do that outside, or work on a "
                "copy inside: u = t.copy()"
            )

    def _change(self, original: Any, name: str, key: Any, value: Any, before: Any) -> None:
        label = self.state.place(name, key)
        if isinstance(original, (list, deque)) and before is _ABSENT:
            raise TracingError(self._never_again(name, "another length"))
        is_number = type(value) in (int, float, complex) and type(before) in (int, float, complex)
        if is_number:
            self.numbers.add(label)
            return
        if isinstance(original, (Tensor, Node)):
            self.assigned.append((f"{name}.{key}", self._array(value, label)))
            return
        new = self._expression(value, label)
        if isinstance(original, (dict, list, deque)):
            self.assigned.append((f"{name}[{self._key(key)}]", new))
        elif isinstance(original, CellType):
            self.assigned.append((f"{name}.cell_contents", new))
        else:  # the attributes themselves: a class may look at what is set
            self.assigned.append((f"{name}.__dict__[{key!r}]", new))

    def _key(self, key: Any) -> str:
        known = self.state.originals.get(id(key))
        return known or (
            repr(key)
            if isinstance(key, (str, int, float, bool, type(None)))
            else self.state.bound(key)
        )

    def _expression(self, value: Any, label: str) -> str:
        """Write how a value of the recorded call is made in a later one."""
        known = self.state.originals.get(id(value))
        if known is not None:
            return known
        kind = type(value)
        if kind is Traced:
            return self._value(value, label)
        if isinstance(value, Tensor):
            return self._tensor(value, label)
        if kind is dict:
            pairs = ((self._key(k), self._expression(v, f"{label}.{k}")) for k, v in value.items())
            return "{" + ", ".join(f"{key}: {text}" for key, text in pairs) + "}"
        if kind in (list, tuple) or isinstance(value, tuple):
            items = [self._expression(v, f"{label}.{i}") for i, v in enumerate(value)]
            if kind is list:
                return f"[{', '.join(items)}]"
            if hasattr(value, "_fields"):
                return f"{self.state.bound(kind)}({', '.join(items)})"
            return f"({', '.join(items)}{',' * (len(items) == 1)})"
        if isinstance(value, np.ndarray):
            return f"{self.state.bound(value)}.copy()"
        if value is None or isinstance(value, (str, int, float, complex, np.generic, np.dtype)):
            return self.state.bound(value)
        if isinstance(value, (FunctionType, type)) or callable(value):
            return self.state.bound(value)
        raise TracingError(
            f"{label} is a new {kind.__name__} after the call of {self.state.trace.name}, and a "
            "program makes arrays, numbers and containers of them alone: make it outside"
        )

    def _array(self, value: Any, label: str) -> str:
        """Write how an array is made: of a number, one without axes."""
        if type(value) is not Traced:
            return self._expression(value, label)
        name = self._output(value, label)
        return name if getattr(value, "ndim", 0) else f"asarray({name})"

    def _value(self, value: Traced, label: str) -> str:
        """Write how a value is made: NumPy's numbers and arrays without axes are two things."""
        name = self._output(value, label)
        if isinstance(value.value, np.generic):
            return f"{name}[()]"
        return f"asarray({name})" if getattr(value, "ndim", 1) == 0 else name

    def _output(self, value: Traced, label: str) -> str:
        """Name an output."""
        position = self._by_identity.get(id(value))
        if position is None:
            position = self._by_identity[id(value)] = len(self.outputs)
            self.outputs.append(value.ref)
            self.held.append(value)
            self.labels.append(label)
        return f"o{position}"

    def _tensor(self, value: Tensor, label: str) -> str:
        data = self._array(value.data, label)
        if value.node is None:
            return f"tensor({data})"
        if value.node.op is None:
            return f"leaf({data})"
        if value.node.parents is None:
            return f"spent({data}, {self.state.bound(value.node.op)})"
        self.live.append(value)
        self.live_outputs.append(int(re.findall(r"o(\d+)", data)[0]))
        return f"h[{len(self.live) - 1}]"


# -- what the code calls --------------------------------------------------------------------------

_new = object.__new__


def _tensor(data: Any) -> Tensor:
    result = _new(Tensor)
    result.data, result.node = data, None
    return result


def _leaf(data: Any) -> Tensor:
    result = _tensor(data)
    result.node = new_leaf()
    return result


def _spent(data: Any, op: Any) -> Tensor:
    """Make the result of a call whose graph a backward pass has freed."""
    result = _new(Tensor)
    result.data, result.node = data, record(op, None, None, None, None)
    return result


class Code:
    """The code around a program: what reads the state of a call, and what changes it.

    It holds nothing of the call that was recorded, but for what every call reads anew.
    """

    def __init__(self, state: State, changes: Changes, past: Any) -> None:
        self.name = state.trace.name
        self.reads, self.inputs, self.drawn = state.reads, state.inputs, state.drawn
        self.past = past
        count = len(self.inputs)
        self.looked_at = {self.inputs[i] for i in state.trace.looked_at if i < count}
        self.outs = [f"o{i}" for i in range(len(changes.outputs))]
        self.space = {**_SPACE, **state.constants, "past": past}
        self.labels = state.labels()
        self.results = list(self._results(state, changes))
        self.assigned, self.deleted = changes.assigned, changes.deleted

    def _results(self, state: State, changes: Changes) -> Iterator[str]:
        """Write what makes the result."""
        if self.past is not None:
            draws = [f"d{i}" for i in range(self.past.draws)]
            self.outs += draws
            values = [state.inputs[i] for i in self.past.stay]
            nodes = [
                state.tracked[i][1] if i in self.past.reached else "None" for i in self.past.stay
            ]
            live = [f"o{i}" for i in changes.live_outputs]
            yield f"h = past.attach({', '.join(map(_tuple_text, (live, values, nodes, draws)))})"
        yield f"result = {changes.result}"

    def _all_changes(self, *others: tuple[str, str]) -> str:
        """Write the line that makes all changes, and assigns to ``others``.

        It is one line of assignments, and no call of a function written in Python: Python looks
        for an interrupt between lines and after calls, so that none comes between the changes.
        """
        pairs = [*self.assigned, *others]
        targets, values = (", ".join(pair[i] for pair in pairs) for i in (0, 1))
        statements = [f"{targets} = {values}"] * bool(pairs) + [f"del {d}" for d in self.deleted]
        return "; ".join(statements) or "pass"

    def commit(
        self, objects: Mapping[str, Any], inputs: Sequence[Any], values: Sequence[Any]
    ) -> Any:
        """Make the changes of the call that was recorded, and give its result."""
        twins = dict(zip(self.inputs, inputs, strict=True))
        states = {f"s{g}": twins[g].bit_generator.state for g in self.drawn}
        space = {
            **self.space, **twins, **objects, **states,
            **dict(zip(self.outs, values, strict=True)),
        }  # fmt: skip
        advance = [(f"{g}.bit_generator.state", f"s{g}") for g in self.drawn]
        text = "\n".join([*self.results, self._all_changes(*advance)])
        exec(compile(text, f"<changes of {self.name}>", "exec"), space)
        return space["result"]

    def compiled(self, stay: Sequence[int]) -> Callable[..., Any]:
        """Compile ``call(run, args, kwargs)``: read the state, run the program, change the state.

        It returns :data:`MISS` if the program is not for this call, before anything has changed.
        ``stay`` are the inputs that the program takes.
        """
        inputs = [self.inputs[i] for i in stay]
        past = self.past.stay if self.past else ()
        used = {*inputs, *self.looked_at, *(self.inputs[i] for i in past)}
        reads = [text for line in self.reads for text in line.among(used)]
        lines = [f"[{', '.join(self.outs)}] = run({', '.join(inputs)})", *self.results]
        text = "def call_recorded(run, args, kwargs):\n try:\n"
        text += "".join(f"  {line}\n" for line in reads or ["pass"])
        text += " except (KeyError, IndexError, AttributeError):\n  return MISS\n"
        text += "".join(f" {line}\n" for line in [*self._drawing(lines), "return result"])
        space = dict(self.space)
        exec(compile(text, f"<state of {self.name}>", "exec"), space)
        return space["call_recorded"]

    def _drawing(self, lines: Sequence[str]) -> list[str]:
        """Add the changes to what comes before them; take back what was drawn if it fails."""
        if not self.drawn:
            return [*lines, self._all_changes()]
        before = [f"s{g} = {g}.bit_generator.state" for g in self.drawn]
        after = [f"  {g}.bit_generator.state = s{g}" for g in self.drawn]
        inside = [f" {line}" for line in [*lines, self._all_changes(("done", "True"))]]
        undo = ["except BaseException:", " if not done:", *after, " raise"]
        return ["done = False", *before, "try:", *inside, *undo]

    def fix(self, position: int, value: Any) -> None:
        """Expect of later calls that a number is what it is, which is all that depends on it."""
        variable, name = self.inputs[position], f"fixed{position}"
        self.space[name] = value
        for i, line in enumerate(self.reads):
            if line.text.startswith(f"{variable} = "):
                path = line.text.partition(" = ")[2]
                self.reads[i] = Line.expecting(same_number(path, name), path)
        self.reads[:] = [
            line
            for line in self.reads
            if line.needed_by != variable and not line.text.startswith(f"if {variable} is not ")
        ]

    def difference(self, args: Any, kwargs: Any) -> tuple[str, str]:
        """Say why a call is not one of these: in words, and the path of what is another."""
        space = {**self.space, "args": args, "kwargs": kwargs}
        for line in self.reads:
            try:
                if line.condition is None:
                    exec(line.text, space)
                elif not eval(line.condition, space):
                    return self._difference(line.subject, space)
            except (KeyError, IndexError, AttributeError):
                return self._difference(line.subject or line.text.partition(" = ")[2], {})
        return "a branch that went another way", ""

    def _difference(self, subject: str, space: Mapping[str, Any]) -> tuple[str, str]:
        path = subject.removeprefix("len(").removesuffix(")")
        head = re.split(r"[.\[]", path, maxsplit=1)[0]
        label = dotted(self.labels.get(head, head) + path[len(head) :])
        if subject.startswith("len({id"):
            return "arguments, of which two are one now, or were", ""
        if subject.startswith("len({"):
            return "parameters, of which two are one now, or were", ""
        if subject.startswith("[*"):
            return f"the order or the names in {dotted(self.labels.get(path[2:-1], path))}", ""
        try:
            value = eval(subject, dict(space))
        except (KeyError, IndexError, AttributeError, NameError):
            return f"{label}, which is not there any more", label
        if subject.startswith("len("):
            return f"{label or 'the function'}, which has {value} entries now", label
        return f"{label}, which is {describe(value)} now", label


def _returned(value: Any) -> Any:
    """Put refs and constants into the structure of a result; what is neither is left out."""
    value = value.data if isinstance(value, Tensor) else value
    if type(value) is Traced:
        return value.ref
    if isinstance(value, dict):
        return {key: _returned(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        items = [_returned(item) for item in value]
        return items if isinstance(value, list) else tuple(items)
    return value if isinstance(value, (*CONSTANT, np.ndarray, np.generic)) else None


def _tuple_text(items: Sequence[str]) -> str:
    return f"({', '.join(items)}{',' * bool(items)})"


MISS = object()  # what the code returns where something is not as it was

_SPACE: dict[str, Any] = {
    "MISS": MISS, "ndarray": np.ndarray, "Generator": np.random.Generator, "asarray": np.asarray,
    "tensor": _tensor, "leaf": _leaf, "spent": _spent,
}  # fmt: skip
