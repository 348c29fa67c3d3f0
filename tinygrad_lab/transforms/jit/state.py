"""What a recorded call reads and what it changes: twins that are traced, and code for later calls.

The first call runs on twins of the function and of all that it can reach: its arguments, what it
closes over, the globals that it names.  Numbers and arrays in them are inputs of the program.
While the twins are built, a line of Python is written for each thing: how a later call reads it,
and what must be as it was.  After the call the twins are compared with what they were, and a line
is written for each difference: how a later call makes the same change.  All changes are made at
once.

Not for: what happens inside the call (``trace.py``), or which of several programs is the right one
(``function.py``).
"""

from __future__ import annotations

import gc
import inspect
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import chain, starmap
from operator import call, is_
from sys import getrefcount
from types import CellType, FunctionType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.engine import Node, new_leaf, record
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.graph import is_differentiated
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.containers import is_module
from tinygrad_lab.transforms.jit.program import Program
from tinygrad_lab.transforms.jit.trace import Trace, Traced, TracingError
from tinygrad_lab.transforms.replicas import CONSTANT, Twins, twin_of

__all__ = ["Changed", "NotRecordable", "State"]

_PACKAGE = __name__.partition(".")[0]
_ABSENT = object()


class NotRecordable(Exception):  # noqa: N818 - not an error: such a call is made as it is
    """The call is part of a larger history, which goes on outside."""


class Changed(Exception):  # noqa: N818 - not an error: record once more
    """Numbers at some paths were others after the call: they must be inputs."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__(paths)
        self.paths = paths


class Line(NamedTuple):
    """A line of the code that reads the state of a call."""

    text: str
    needed_by: str | None = None  # the variable of the input that alone needs it
    condition: str | None = None  # what it expects
    subject: str = ""  # of what


class State(Twins):
    """The twins of one recorded call, and the code that reads and changes the originals.

    Parameters
    ----------
    trace : Trace
        Where inputs are declared.
    numbers : set of str
        Paths of numbers that differ from call to call: inputs, and not part of what is recorded.
    """

    def __init__(self, trace: Trace, numbers: set[str], fixed: set[str]) -> None:
        super().__init__(self._tracked, all_arrays=True)
        self.trace = trace
        self.numbers, self.fixed = numbers, fixed
        self.constants: dict[str, Any] = {}  # what the code names: objects that were there
        self.reads: list[Line] = []
        self.inputs: list[str] = []  # the variable of each input
        self.static: dict[str, Any] = {}  # numbers that are part of what is recorded, by path
        self.drawn: list[str] = []  # the variables of generators
        self._input_labels: dict[str, str] = {}
        self._labels: dict[str, str] = {}  # how a person says what a variable is
        self.records: list[tuple[Any, Any, str, dict[Any, Any]]] = []  # original, twin, how, what
        self.objects: dict[str, Any] = {}  # what the variables are, in this call
        self.originals: dict[int, str] = {}  # the variable of the original of a twin, by its id
        self._in_optimizer = 0
        self.tracked: dict[int, tuple[Node, str]] = {}  # by input: the twin of its node, the node
        self.differentiated: list[Node] = []  # the twins of what somebody around differentiates by
        self._leaves: list[str] = []  # the variables of nodes: no two may be one
        self._count = 0

    # -- the code -----------------------------------------------------------------------------

    def _variable(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    def bound(self, value: Any) -> str:
        """Name an object that is always the same."""
        for name, other in self.constants.items():
            if other is value:
                return name
        name = self._variable("c")
        self.constants[name] = value
        return name

    def read(self, line: str, needed_by: str | None = None) -> None:
        """Write a line; one that only an input needs goes where nothing is computed from that."""
        self.reads.append(Line(line, needed_by))

    def expect(self, condition: str, subject: str, needed_by: str | None = None) -> None:
        """Let later calls miss unless a condition holds, which is one on a ``subject``."""
        line = f"if not ({condition}): return MISS"
        self.reads.append(Line(line, needed_by, condition, subject))

    def label(self, path: str) -> str:
        """Say what a path is, without variables."""
        head = path.partition(".")[0].partition("[")[0]
        name = self._labels.get(head, head)
        rest = path[len(head) :].removesuffix(".data").replace(".cell_contents", "", 1)
        return _dotted(f"{name}{rest}")

    def place(self, name: str, key: Any) -> str:
        """Say what is in an object or a container, without variables."""
        known = self.originals.get(id(key))
        if known is not None:
            return self.label(known)
        return self.label(f"{name}.{key}")

    def _input(self, variable: str, path: str, value: Any) -> Any:
        self.inputs.append(variable)
        self._input_labels[variable] = self.label(path)
        return self.trace.input(self.label(path), value)

    # -- twins, kind by kind ------------------------------------------------------------------

    def constant(self, value: Any, path: str) -> Any:
        """A number that differs from call to call is an input; all else is part of the record."""
        label = self.label(path)
        is_number = type(value) in (int, float, complex)
        if is_number and label not in self.fixed and (
            label in self.numbers or self._in_optimizer or type(value) in (float, complex)
        ):
            variable = self._variable("n")
            self.read(f"{variable} = {path}", variable)
            self.expect(f"type({variable}) is {type(value).__name__}", variable, variable)
            return self._input(variable, path, value)
        if is_number:
            self.static[label] = value
        if value is None or type(value) in (bool, str):
            self.expect(f"{path} {'==' if type(value) is str else 'is'} {value!r}", path)
        else:
            name = self.bound(value)
            same = f"({path} == {name} and type({path}) is type({name}))"
            self.expect(f"{path} is {name} or {same}", path)
        return value

    def again(self, value: Any, twin: Any, path: str) -> Any:
        """What is one object now must be one then."""
        if type(twin) is Traced:  # an array: two may be one now, and two then
            return self._new(value, path)
        variable = self.originals.get(id(twin))
        if variable is not None and path:
            self.expect(f"{path} is {variable}", path)
        return twin

    def _known(self, twin: Any, variable: str, original: Any) -> Any:
        self.objects[variable] = original
        self.originals[id(twin)] = variable
        return twin

    def array(self, array: Any, path: str) -> Any:
        """An array is an input."""
        if type(array) is not np.ndarray:
            raise NotRecordable(f"an array of {type(array).__module__}")
        variable = self._variable("a")
        self.read(f"{variable} = {path}", variable)
        self._expect_array(variable, array)
        return self._input(variable, path, array)

    def _expect_array(self, variable: str, array: Any) -> None:
        dtype = self.bound(array.dtype)
        self.expect(
            f"type({variable}) is ndarray and {variable}.shape == {array.shape!r} "
            f"and ({variable}.dtype is {dtype} or {variable}.dtype == {dtype})",
            variable,
            variable,
        )

    def tensor(self, value: Tensor, path: str) -> Any:
        """A tensor's data is an input, and so is what has accumulated on it."""
        node = value.node
        variable = self._object(value, path, "t")
        position = len(self.inputs)
        data = self.array(value.data, f"{variable}.data")
        if node is None:
            self.expect(f"{variable}.node is None", f"{variable}.requires_grad")
            twin = twin_of(value, data)
        else:
            leaf = self._leaf(node, variable, path)
            twin = twin_of(value, data, leaf)
            self.tracked[position] = leaf, f"{variable}.node"
            if is_differentiated(node):
                self.differentiated.append(leaf)
        self._record(value, twin, variable, {"data": data})
        return self._known(twin, variable, value)

    def _leaf(self, node: Node, variable: str, path: str) -> Node:
        name = self._variable("k")
        self.read(f"{name} = {variable}.node")
        self._labels[name] = self.label(path)
        self._leaves.append(name)
        twin = new_leaf()
        if node.op is not None:  # the result of a call before this one: a leaf of this call
            self.expect(f"{name}.op is not None", variable)
            return self._known(twin, name, node)
        if node.hooks:
            raise NotRecordable("a parameter with hooks")
        self.expect(f"{name}.op is None and {name}.hooks is None", variable)
        self.expect(f"{name}.grad is {'' if node.grad is None else 'not '}None", f"{name}.grad")
        if node.grad is not None:
            twin.grad = self.array(node.grad, f"{name}.grad")
        self._record(node, twin, name, {"grad": twin.grad})
        return self._known(twin, name, node)

    def _object(self, value: Any, path: str, letter: str) -> str:
        """Name an object, which must be of the same class."""
        name = self._variable(letter)
        self.read(f"{name} = {path}")
        self.expect(f"type({name}) is {self.bound(type(value))}", name)
        self._labels[name] = self.label(path)
        return name

    def _tracked(self, value: Tensor) -> Tensor:
        raise AssertionError("`tensor` makes those")

    def is_stateful(self, value: Any) -> bool:
        """Modules, optimizers, schedules, and objects of the user's own classes."""
        if is_module(value):
            return True
        kind = type(value)
        if not hasattr(value, "__dict__") or isinstance(value, (type, FunctionType, ModuleType)):
            return False
        home = kind.__module__.partition(".")[0]
        is_ours = kind.__module__.startswith(f"{_PACKAGE}.optim") or kind is SimpleNamespace
        return is_ours or home in self._homes

    def stateful(self, thing: Any, path: str) -> Any:
        """An object may be another one of its class, as long as the same is in its attributes."""
        name = self._object(thing, path, "m")
        own = self._variable("v")
        self.read(f"{own} = {name}.__dict__")
        self._labels[own] = self.label(path)
        self.expect(f"len({own}) == {len(vars(thing))}", f"len({own})")
        is_optimizer = type(thing).__module__.startswith(f"{_PACKAGE}.optim")
        if has_options := hasattr(thing, "check_options"):
            thing.check_options()
            self.read(f"{name}.check_options()")
        self._in_optimizer += is_optimizer
        twin = super().stateful(thing, own)
        self._in_optimizer -= is_optimizer
        if has_options:
            twin.take_options()
        self._record(thing, twin, name, dict(vars(twin)))
        return self._known(twin, name, thing)

    def attribute(self, thing: Any, name: str, value: Any, path: str) -> Any:
        """An attribute is read where it is: on the object, or on its class."""
        if name in getattr(thing, "unread", ()):
            return value
        if name in vars(thing):
            return self.of(value, f"{path}[{name!r}]")
        return self.of(value, f"{self.bound(type(thing))}.{name}")

    def filled(self, container: Any, path: str) -> Any:
        """A container may be another one, as long as the same is in it."""
        variable = self._variable("v")
        self.read(f"{variable} = {path}")
        self._labels[variable] = self.label(path)
        kind = self.bound(type(container))
        self.expect(f"type({variable}) is {kind}", variable)
        self.expect(f"len({variable}) == {len(container)}", f"len({variable})")
        if isinstance(container, dict):
            twin = self._settled(container, container.copy())
            twin.clear()
            for key, item in container.items():
                if isinstance(key, (str, int, float, bool, type(None))):
                    twin[key] = self.of(item, f"{variable}[{key!r}]")
                else:
                    known = self._twins.get(id(key), (key, key))[1]
                    name = self.originals.get(id(known)) or self.bound(key)
                    inside = f"{variable}[{name}]"
                    self._labels[inside] = self.label(name)
                    entry = self._variable("v")
                    self.read(f"{entry} = {inside}")
                    self._labels[entry] = self.label(name)
                    twin[known] = self.of(item, entry)
        else:
            twin = super().filled(container, variable)
        items = twin if isinstance(twin, dict) else dict(enumerate(twin))
        self._record(container, twin, variable, dict(items))
        return self._known(twin, variable, container)

    def row(self, value: Any, path: str) -> Any:
        """A tuple is read as a container is."""
        variable = self._variable("v")
        self.read(f"{variable} = {path}")
        self._labels[variable] = self.label(path)
        kind = self.bound(type(value))
        self.expect(f"type({variable}) is {kind}", variable)
        self.expect(f"len({variable}) == {len(value)}", f"len({variable})")
        return self._known(super().row(value, variable), variable, value)

    def generator(self, value: np.random.Generator, path: str) -> Any:
        """Draws from a generator are instructions."""
        variable = self._variable("g")
        self.read(f"{variable} = {path}")
        self.expect(f"type({variable}) is Generator", variable)
        self.drawn.append(variable)
        self.inputs.append(variable)
        self._input_labels[variable] = self.label(path)
        twin = self.trace.generator(self.label(path), super().generator(value, path))
        return self._known(twin, variable, value)

    def other(self, value: Any, path: str) -> Any:
        """A function is read through; a NumPy number is an input; all else must be the same."""
        if isinstance(value, np.generic) and value.dtype.kind in "biufc":
            variable = self._variable("a")
            self.read(f"{variable} = {path}", variable)
            self.expect(f"type({variable}) is {self.bound(type(value))}", variable, variable)
            return self._input(variable, path, value)
        if isinstance(value, FunctionType):
            return self.function(value, path)
        self.expect(f"{path} is {self.bound(value)}", path)
        return super().other(value, path)

    def function(self, value: FunctionType, path: str) -> Any:
        """A function with state is one with the twins of that."""
        name = self.bound(value)
        if path != name:
            self.expect(f"{path} is {name}", path)
        home = (value.__module__ or "").partition(".")[0]
        if home not in self._homes:
            return value
        self._settled(value, value)  # it may call itself
        closed_over = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        cells = tuple(self._cell(variable, cell) for variable, cell in closed_over)
        names = {n: value.__globals__[n] for n in _named(value) if n in value.__globals__}
        space = self.bound(value.__globals__)
        twins = {}
        for n, item in names.items():
            if _may_hold_state(item):
                variable = self._variable("v")
                self.read(f"{variable} = {space}[{n!r}]")
                self._labels[variable] = n
                twins[n] = self.of(item, variable)
        defaults = value.__defaults__
        if defaults and any(map(_may_hold_state, defaults)):
            defaults = tuple(
                self.of(item, f"{name}.__defaults__[{i}]") for i, item in enumerate(defaults)
            )
        is_same = all(twin is names[n] for n, twin in twins.items())
        is_same = is_same and all(map(is_, cells, value.__closure__ or ()))
        if is_same and defaults is value.__defaults__:
            return value
        everything = {**value.__globals__, **twins}
        twin = FunctionType(value.__code__, everything, value.__name__, defaults, cells)
        twin.__kwdefaults__, twin.__qualname__ = value.__kwdefaults__, value.__qualname__
        twin.__dict__.update(value.__dict__)
        self._record(value.__globals__, everything, space, dict(everything))
        return self._known(twin, name, value)

    def _cell(self, variable: str, cell: CellType) -> CellType:
        name = self.bound(cell)
        self._labels[name] = variable
        try:
            content = cell.cell_contents
        except ValueError:  # nothing in it yet
            return cell
        if not _may_hold_state(content) and not isinstance(content, CONSTANT):
            self.expect(f"{name}.cell_contents is {self.bound(content)}", f"{name}.cell_contents")
            return cell
        twin = CellType(self.of(content, f"{name}.cell_contents"))
        self._record(cell, twin, name, {"cell_contents": twin.cell_contents})
        return twin

    def _record(self, original: Any, twin: Any, name: str, contents: dict[Any, Any]) -> None:
        self.objects[name] = original
        self.records.append((original, twin, name, contents))

    # -- the call -----------------------------------------------------------------------------

    def twins_of(
        self, f: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Any, list[Any], dict[str, Any]]:
        """Build the twins of a call."""
        self._homes = {_home_of(f), "__main__"} - {_PACKAGE, "numpy", "builtins"}
        names = _parameter_names(f, len(args))
        self.expect(f"len(args) == {len(args)}", "len(args)")
        self.expect(f"len(kwargs) == {len(kwargs)}", "len(kwargs)")
        twins = []
        for i, (name, arg) in enumerate(zip(names, args, strict=True)):
            variable = self._variable("v")
            self.read(f"{variable} = args[{i}]")
            self._labels[variable] = name
            twins.append(self.of(arg, variable))
        named = {}
        for key, arg in kwargs.items():
            self.expect(f"{key!r} in kwargs", "kwargs")
            variable = self._variable("v")
            self.read(f"{variable} = kwargs[{key!r}]")
            self._labels[variable] = key
            named[key] = self.of(arg, variable)
        target = self.bound(f)
        self._labels[target] = ""
        twin = self.of(f, target)
        if len(self._leaves) > 1:
            distinct = f"len({{{', '.join(self._leaves)}}})"
            self.expect(f"{distinct} == {len(self._leaves)}", distinct)
        return twin, twins, named

    def labels(self) -> dict[str, str]:
        """Say what the variables are, as a person does."""
        return {**self._labels, **self._input_labels}

    def forget(self) -> None:
        """Let go of the twins."""
        for _, twin, _, _ in self.records:
            if isinstance(twin, dict) and "__builtins__" in twin:
                twin.clear()  # a function's globals, which hold the function
        self.records.clear()
        self.tracked.clear()
        self.differentiated.clear()
        self._twins.clear()
        self.originals.clear()


class Changes:
    """The changes that a call made, and its result, as outputs and code."""

    def __init__(self, state: State, result: Any) -> None:
        self.state = state
        self.outputs: list[Any] = []  # what the program must compute
        self.labels: list[str] = []
        self.setters: dict[str, list[tuple[str, str]]] = {"data": [], "grad": []}
        self.calls: list[str] = []
        self.numbers: set[str] = set()
        self.live: list[Tensor] = []  # results that have a history
        self.live_outputs: list[int] = []
        self._by_identity: dict[int, int] = {}
        self.held: list[Any] = []
        for record_ in state.records:
            self._compare(*record_)
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
            now = {"cell_contents": twin.cell_contents}
        else:
            now = dict(vars(twin))
        for key in before.keys() - now.keys():
            if isinstance(original, (list, deque)):
                raise TracingError(self._resized(name))
            self.calls.append(f"({name}.__delitem__, {self._key(key)})")
        for key, value in now.items():
            if key in before and before[key] is value:
                continue
            self._change(original, name, key, value, before.get(key, _ABSENT))

    def _resized(self, name: str) -> str:
        return (
            f"{self.state.label(name)} has another length after the call of "
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
            raise TracingError(self._resized(name))
        is_number = type(value) in (int, float, complex) and type(before) in (int, float, complex)
        if is_number:
            self.numbers.add(label)
            return
        new = self._expression(value, label)
        if isinstance(original, (dict, list, deque)):
            self.calls.append(f"({name}.__setitem__, {self._key(key)}, {new})")
        elif isinstance(original, (Tensor, Node)):
            is_number = isinstance(getattr(value, "value", None), np.generic)
            self.setters[key].append((name, f"asarray({new})" if is_number else new))
        elif isinstance(original, CellType):
            self.calls.append(f"(setattr, {name}, 'cell_contents', {new})")
        else:
            self.calls.append(f"(set_attribute, {name}, {key!r}, {new})")

    def _key(self, key: Any) -> str:
        known = self.state.originals.get(id(key))
        return known or (
            repr(key) if isinstance(key, (str, int, float, bool, type(None)))
            else self.state.bound(key)
        )

    def _expression(self, value: Any, label: str) -> str:
        """Write how a value of the recorded call is made in a later one."""
        known = self.state.originals.get(id(value))
        if known is not None:
            return known
        kind = type(value)
        if kind is Traced:
            return self._output(value, label)
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

    def _output(self, value: Traced, label: str) -> str:
        position = self._by_identity.get(id(value))
        if position is None:
            position = self._by_identity[id(value)] = len(self.outputs)
            self.outputs.append(value.ref)
            self.held.append(value)
            self.labels.append(label)
        if isinstance(value.value, np.ndarray) and value.value.ndim == 0:
            return f"asarray(o{position})"
        return f"o{position}[()]" if isinstance(value.value, np.generic) else f"o{position}"

    def _tensor(self, value: Tensor, label: str) -> str:
        data = self._expression(value.data, label)
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
_set_data, _set_grad = vars(Tensor)["data"].__set__, vars(Node)["grad"].__set__


def _tensor(data: Any) -> Tensor:
    result = _new(Tensor)
    result.data, result.node = np.asarray(data), None
    return result


def _leaf(data: Any) -> Tensor:
    result = _tensor(data)
    result.node = new_leaf()
    return result


def _spent(data: Any, op: Any) -> Tensor:
    """Make the result of a call whose graph a backward pass has freed."""
    result = _tensor(data)
    result.node = record(op, None, {}, None, None)
    return result


def _consume(*changes: Iterator[Any]) -> None:
    deque(chain(*changes), maxlen=0)  # one call: no interrupt comes between the changes


class Code:
    """The code around a program: what reads the state of a call, and what changes it.

    It holds nothing of the call that was recorded, but for what every call reads anew.
    """

    def __init__(self, state: State, changes: Changes, past: Any) -> None:
        self.name = state.trace.name
        self.reads, self.inputs, self.drawn = state.reads, state.inputs, state.drawn
        self.past = past
        self.outs = [f"o{i}" for i in range(len(changes.outputs))]
        self.space = {**_SPACE, **state.constants, "past": past}
        self.labels = state.labels()
        self.writes = list(self._writes(state, changes))

    def _writes(self, state: State, changes: Changes) -> Iterator[str]:
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
        parts = []
        for attribute, pairs in changes.setters.items():
            if pairs:
                names, new = (_tuple_text(column) for column in zip(*pairs, strict=True))
                parts.append(f"map(set_{attribute}, {names}, {new})")
        if changes.calls:
            parts.append(f"starmap(call, {_tuple_text(changes.calls)})")
        if parts:
            yield f"consume({', '.join(parts)})"

    def commit(
        self, objects: Mapping[str, Any], inputs: Sequence[Any], values: Sequence[Any]
    ) -> Any:
        """Make the changes of the call that was recorded, and give its result."""
        space = {
            **self.space, **objects, **dict(zip(self.inputs, inputs, strict=True)),
            **dict(zip(self.outs, values, strict=True)),
        }  # fmt: skip
        exec(compile("\n".join(self.writes), f"<changes of {self.name}>", "exec"), space)
        return space["result"]

    def compiled(self, stay: Sequence[int]) -> Callable[..., Any]:
        """Compile ``call(run, args, kwargs)``: read the state, run the program, change the state.

        It returns :data:`MISS` if the program is not for this call, before anything has changed.
        ``stay`` are the inputs that the program takes.
        """
        inputs = [self.inputs[i] for i in stay]
        used = {*inputs, *(self.inputs[i] for i in (self.past.stay if self.past else ()))}
        reads = [line.text for line in self.reads if line.needed_by in used or not line.needed_by]
        run = _drawing(f"[{', '.join(self.outs)}] = run({', '.join(inputs)})", self.drawn)
        text = "def call_recorded(run, args, kwargs):\n try:\n"
        text += "".join(f"  {line}\n" for line in reads or ["pass"])
        text += " except (KeyError, IndexError, AttributeError):\n  return MISS\n"
        text += "".join(f" {line}\n" for line in [*run, *self.writes, "return result"])
        space = dict(self.space)
        exec(compile(text, f"<state of {self.name}>", "exec"), space)
        return space["call_recorded"]

    def fix(self, position: int, value: Any) -> None:
        """Expect of later calls that a number is what it is, which is all that depends on it."""
        variable = self.inputs[position]
        name = f"fixed{position}"
        self.space[name] = value
        for i, line in enumerate(self.reads):
            if line.needed_by == variable:
                self.reads[i] = line._replace(needed_by=None)
        condition = f"{variable} == {name}"
        self.reads.append(Line(f"if not ({condition}): return MISS", None, condition, variable))


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
        label = _dotted(self.labels.get(head, head) + path[len(head) :])
        if subject.startswith("len({"):
            return "parameters, of which two are one now, or were", ""
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
    "starmap": starmap, "call": call, "set_data": _set_data, "set_grad": _set_grad,
    "set_attribute": object.__setattr__, "consume": _consume, "tensor": _tensor, "leaf": _leaf,
    "spent": _spent,
}  # fmt: skip


def _drawing(line: str, generators: Sequence[str]) -> list[str]:
    """Let a line that fails take back what it has drawn."""
    if not generators:
        return [line]
    before = [f"s{g} = {g}.bit_generator.state" for g in generators]
    after = [f" {g}.bit_generator.state = s{g}" for g in generators]
    return [*before, "try:", f" {line}", "except BaseException:", *after, " raise"]


def _dotted(path: str) -> str:
    """Write ``a['b'][0].c`` as ``a.b.0.c``."""
    return re.sub(r"\[[\"']?(.*?)[\"']?\]", r".\1", path).lstrip(".")


# -- what a function can reach --------------------------------------------------------------------


def _home_of(f: Any) -> str:
    f = getattr(f, "__func__", getattr(f, "func", f))
    return (getattr(f, "__module__", "") or type(f).__module__ or "").partition(".")[0]


def _named(function: FunctionType) -> list[str]:
    """The names in a function's code, and in that of the functions inside it."""
    names: dict[str, None] = {}
    waiting = [function.__code__]
    while waiting:
        code = waiting.pop()
        names.update(dict.fromkeys(code.co_names))
        waiting += [c for c in code.co_consts if hasattr(c, "co_names")]
    return list(names)


def _may_hold_state(value: Any) -> bool:
    if isinstance(value, (type, ModuleType)) or value is None:
        return False
    return not isinstance(value, (str, bool, np.ufunc, type(len), type(np.sum)))


def _parameter_names(f: Any, count: int) -> list[str]:
    parameters: Iterable[inspect.Parameter] = ()
    with suppress(TypeError, ValueError):  # of a ufunc, say
        parameters = inspect.signature(f).parameters.values()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [names[i] if i < len(names) else f"x{i}" for i in range(count)]


def refuse_leaks(trace: Trace) -> None:
    """Refuse a call that keeps a traced value somewhere where nobody looks."""
    if not any(reference() is not None for reference in trace.alive):
        return
    gc.collect()
    leaked = [t for t in (reference() for reference in trace.alive) if t is not None]
    if leaked:
        raise TracingError(
            f"a value ({describe(leaked[0])}) computed in {trace.name} was kept somewhere that is "
            "neither an argument, nor closed over, nor a global that the function names, so later "
            "calls could not put a new one there: return it, or hand over what keeps it"
        )


def refuse_unseen(trace: Trace, program: Program, constants: Mapping[str, Any]) -> None:
    """Refuse a call that used an array which somebody else can change.

    An array that was made inside the call is held by the trace and by the program alone.
    """
    arrays = trace.constants
    trace.constants = {}
    holders = Counter(map(id, _constants_in(program)))
    holders.update(id(value) for value in constants.values() if isinstance(value, np.ndarray))
    distinct = {id(a): id(a.base) for a in (*arrays.values(), *_constants_in(program))}
    views = Counter(distinct.values())  # each holds what it is a view of
    while arrays:
        _, array = arrays.popitem()
        owner = array if not isinstance(array.base, np.ndarray) else array.base
        own = holders[id(owner)] + views[id(owner)] + (id(owner) in arrays)
        if owner.flags.writeable and getrefcount(owner) - own > _ALONE + (owner is array):
            raise TracingError(
                f"{trace.name} used an array ({describe(array)}) that is neither among its "
                "arguments, nor closed over, nor a global that it names: later calls would take "
                "it for a constant. Hand it over, or make it read-only: a.flags.writeable = False"
            )


def _constants_in(value: Any) -> Iterator[Any]:
    """The arrays among the constants of a program, each as often as it is held."""
    if isinstance(value, Program):
        for line in value.instructions:
            yield from _constants_in((line.args, dict(line.kwargs)))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _constants_in(item)
    elif isinstance(value, dict):
        yield from _constants_in(tuple(value.values()))
    elif isinstance(value, slice):
        yield from _constants_in((value.start, value.stop, value.step))
    elif isinstance(value, np.ndarray):
        yield value


def _held_alone() -> int:
    owner = np.empty(2)
    return getrefcount(owner)


#: How often an array is referred to that one variable holds.
_ALONE = _held_alone()
