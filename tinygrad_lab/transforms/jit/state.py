"""What a recorded call reads and what it changes: twins that are traced, and code for later calls.

The first call runs on twins of the function and of all that it can reach: its arguments, what it
closes over, the globals that it names.  Numbers and arrays in them are inputs of the program.  While
the twins are built, a line of Python is written for each thing: how a later call reads it, and what
must be as it was.  After the call the twins are compared with what they were, and a line is written
for each difference: how a later call makes the same change.  All changes are made at once.

Not for: what happens inside the call (``trace.py``), or which of several programs is the right one
(``function.py``).
"""

from __future__ import annotations

import gc
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, starmap
from operator import call
from sys import getrefcount
from types import CellType, FunctionType, ModuleType
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import Node, new_leaf, record
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.containers import attributes, is_module
from tinygrad_lab.transforms.jit.program import Ref
from tinygrad_lab.transforms.jit.trace import Trace, Traced, TracedGenerator, TracingError
from tinygrad_lab.transforms.replicas import CONSTANT, Twins, twin_of

__all__ = ["Changed", "NotRecordable", "State"]

_PACKAGE = __name__.partition(".")[0]
_MISS = object()  # what generated code returns where something is not as it was
_ABSENT = object()


class NotRecordable(Exception):  # noqa: N818 - not an error: such a call is made as it is
    """The call is part of a larger history, which goes on outside."""


class Changed(Exception):  # noqa: N818 - not an error: record once more
    """Numbers at some paths were others after the call: they must be inputs."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__(paths)
        self.paths = paths


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
        self.reads: list[str] = []
        self.inputs: list[str] = []  # the variable of each input
        self.static: dict[str, Any] = {}  # numbers that are part of what is recorded, by path
        self.generators_used: list[Any] = []
        self._labels: dict[str, str] = {}  # how a person says what a variable is
        self._records: list[tuple[Any, Any, str, dict[Any, Any]]] = []  # original, twin, how, what
        self._originals: dict[int, str] = {}  # the variable of the original of a twin, by its id
        self._in_optimizer = 0
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

    def expect(self, condition: str) -> None:
        """Let later calls miss unless a condition holds."""
        self.reads.append(f"if not ({condition}): return MISS")

    def label(self, path: str) -> str:
        """Say what a path is, without variables."""
        head = path.partition(".")[0].partition("[")[0]
        name = self._labels.get(head, head)
        rest = path[len(head) :].removesuffix(".data")
        return _dotted(f"{name}{rest}")

    def place(self, name: str, key: Any) -> str:
        """Say what is in an object or a container, without variables."""
        known = self._originals.get(id(key))
        if known is not None:
            return self.label(known)
        return self.label(f"{name}.{key}")

    def _input(self, variable: str, path: str, value: Any) -> Any:
        self.inputs.append(variable)
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
            self.reads.append(f"{variable} = {path}")
            self.expect(f"type({variable}) is {type(value).__name__}")
            return self._input(variable, path, value)
        if is_number:
            self.static[label] = value
        if value is None or type(value) in (bool, str):
            self.expect(f"{path} is {value!r}" if type(value) is not str else f"{path} == {value!r}")
        else:
            name = self.bound(value)
            self.expect(f"{path} is {name} or ({path} == {name} and type({path}) is type({name}))")
        return value

    def again(self, value: Any, twin: Any, path: str) -> Any:
        """What is one object now must be one then."""
        variable = self._originals.get(id(twin))
        if variable is not None and path:
            self.expect(f"{path} is {variable}")
        return twin

    def _known(self, twin: Any, variable: str) -> Any:
        self._originals[id(twin)] = variable
        return twin

    def array(self, array: Any, path: str) -> Any:
        """An array is an input."""
        if type(array) is not np.ndarray:
            raise NotRecordable(f"an array of {type(array).__module__}")
        variable = self._variable("a")
        self.reads.append(f"{variable} = {path}")
        self._expect_array(variable, array)
        return self._known(self._input(variable, path, array), variable)

    def _expect_array(self, variable: str, array: Any) -> None:
        dtype = self.bound(array.dtype)
        self.expect(
            f"type({variable}) is ndarray and {variable}.shape == {array.shape!r} "
            f"and ({variable}.dtype is {dtype} or {variable}.dtype == {dtype})"
        )

    def tensor(self, value: Tensor, path: str) -> Any:
        """A tensor's data is an input, and so is what has accumulated on it."""
        if value.node is not None and value.node.op is not None:
            raise NotRecordable("a tensor with a history")
        variable = self._variable("t")
        self.reads.append(f"{variable} = {path}")
        self._labels[variable] = self.label(path)
        kind = self.bound(type(value))
        self.expect(f"type({variable}) is {kind}")
        data = self.array(value.data, f"{variable}.data")
        if value.node is None:
            self.expect(f"{variable}.node is None")
            twin = twin_of(value, data)
            self._record(value, twin, variable, {"data": data})
            return self._known(twin, variable)
        node = self._variable("k")
        self.reads.append(f"{node} = {variable}.node")
        self.expect(f"{node} is not None and {node}.op is None and not {node}.hooks")
        if value.node.hooks:
            raise NotRecordable("a tensor with hooks")
        leaf = new_leaf()
        if value.node.grad is None:
            self.expect(f"{node}.grad is None")
        else:
            self._labels[node] = f"{self.label(path)}"
            leaf.grad = self.array(value.node.grad, f"{node}.grad")
        twin = twin_of(value, data, leaf)
        self._record(value, twin, variable, {"data": data})
        self._record(value.node, leaf, node, {"grad": leaf.grad})
        self._known(leaf, node)
        return self._known(twin, variable)

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
        return kind.__module__.startswith(f"{_PACKAGE}.optim") or home in self._homes

    def stateful(self, thing: Any, path: str) -> Any:
        """An object stays the same, and its attributes are read."""
        name = self.bound(thing)
        self.expect(f"{path} is {name}")
        self._labels[name] = self.label(path)
        is_optimizer = type(thing).__module__.startswith(f"{_PACKAGE}.optim")
        if has_options := hasattr(thing, "check_options"):
            thing.check_options()
            self.reads.append(f"{name}.check_options()")
        own = self.bound(vars(thing))
        self.expect(f"len({own}) == {len(vars(thing))}")
        self._in_optimizer += is_optimizer
        twin = super().stateful(thing, name)
        self._in_optimizer -= is_optimizer
        if has_options:
            twin.take_options()
        self._record(thing, twin, name, dict(vars(twin)))
        return self._known(twin, name)

    def filled(self, container: Any, path: str) -> Any:
        """A container may be another one, as long as the same is in it."""
        variable = self._variable("v")
        self.reads.append(f"{variable} = {path}")
        self._labels[variable] = self.label(path)
        kind = self.bound(type(container))
        self.expect(f"type({variable}) is {kind} and len({variable}) == {len(container)}")
        if isinstance(container, dict):
            twin = self._settled(container, container.copy())
            twin.clear()
            for key, item in container.items():
                if isinstance(key, (str, int, float, bool, type(None))):
                    twin[key] = self.of(item, f"{variable}[{key!r}]")
                else:
                    known = self._twins.get(id(key), (key, key))[1]
                    name = self._originals.get(id(known)) or self.bound(key)
                    inside = f"{variable}[{name}]"
                    self._labels[inside] = self.label(name)
                    entry = self._variable("v")
                    self.reads.append(f"{entry} = {inside}")
                    self._labels[entry] = self.label(name)
                    twin[known] = self.of(item, entry)
        else:
            twin = super().filled(container, variable)
        items = twin if isinstance(twin, dict) else dict(enumerate(twin))
        self._record(container, twin, variable, dict(items))
        return self._known(twin, variable)

    def row(self, value: Any, path: str) -> Any:
        """A tuple is read as a container is."""
        variable = self._variable("v")
        self.reads.append(f"{variable} = {path}")
        self._labels[variable] = self.label(path)
        kind = self.bound(type(value))
        self.expect(f"type({variable}) is {kind} and len({variable}) == {len(value)}")
        return self._known(super().row(value, variable), variable)

    def generator(self, value: np.random.Generator, path: str) -> Any:
        """Draws from a generator are instructions."""
        variable = self._variable("g")
        self.reads.append(f"{variable} = {path}")
        self.expect(f"type({variable}) is Generator")
        self.inputs.append(variable)
        twin = TracedGenerator(self.trace, self.label(path), super().generator(value, path))
        return self._known(twin, variable)

    def other(self, value: Any, path: str) -> Any:
        """A function is read through; a NumPy number is an input; all else must be the same."""
        if isinstance(value, np.generic) and value.dtype.kind in "biufc":
            variable = self._variable("a")
            self.reads.append(f"{variable} = {path}")
            self.expect(f"type({variable}) is {self.bound(type(value))}")
            return self._input(variable, path, value)
        if isinstance(value, FunctionType):
            return self.function(value, path)
        self.expect(f"{path} is {self.bound(value)}")
        return super().other(value, path)

    def function(self, value: FunctionType, path: str) -> Any:
        """A function with state is one with the twins of that."""
        name = self.bound(value)
        if path != name:
            self.expect(f"{path} is {name}")
        home = (value.__module__ or "").partition(".")[0]
        if home not in self._homes:
            return value
        self._settled(value, value)  # it may call itself
        cells = tuple(self._cell(cell) for cell in value.__closure__ or ())
        names = {n: value.__globals__[n] for n in _named(value) if n in value.__globals__}
        space = self.bound(value.__globals__)
        twins = {}
        for n, item in names.items():
            if _may_hold_state(item):
                self._labels[f"{space}[{n!r}]"] = n
                twins[n] = self.of(item, f"{space}[{n!r}]")
        defaults = value.__defaults__
        if defaults and any(map(_may_hold_state, defaults)):
            defaults = tuple(
                self.of(item, f"{name}.__defaults__[{i}]") for i, item in enumerate(defaults)
            )
        is_same = all(twin is names[n] for n, twin in twins.items())
        if is_same and cells == (value.__closure__ or ()) and defaults is value.__defaults__:
            return value
        everything = {**value.__globals__, **twins}
        twin = FunctionType(value.__code__, everything, value.__name__, defaults, cells)
        twin.__kwdefaults__, twin.__qualname__ = value.__kwdefaults__, value.__qualname__
        twin.__dict__.update(value.__dict__)
        self._record(value.__globals__, everything, space, dict(everything))
        return self._known(twin, name)

    def _cell(self, cell: CellType) -> CellType:
        name = self.bound(cell)
        try:
            content = cell.cell_contents
        except ValueError:  # nothing in it yet
            return cell
        if not _may_hold_state(content) and not isinstance(content, CONSTANT):
            self.expect(f"{name}.cell_contents is {self.bound(content)}")
            return cell
        twin = CellType(self.of(content, f"{name}.cell_contents"))
        self._record(cell, twin, name, {"cell_contents": twin.cell_contents})
        return twin

    def _record(self, original: Any, twin: Any, name: str, contents: dict[Any, Any]) -> None:
        self._records.append((original, twin, name, contents))

    # -- the call -----------------------------------------------------------------------------

    def twins_of(
        self, f: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> tuple[Any, list[Any], dict[str, Any]]:
        """Build the twins of a call."""
        self._homes = {_home_of(f), "__main__"} - {_PACKAGE, "numpy", "builtins"}
        names = _parameter_names(f, len(args))
        self.expect(f"len(args) == {len(args)} and len(kwargs) == {len(kwargs)}")
        twins = []
        for i, (name, arg) in enumerate(zip(names, args, strict=True)):
            variable = self._variable("v")
            self.reads.append(f"{variable} = args[{i}]")
            self._labels[variable] = name
            twins.append(self.of(arg, variable))
        named = {}
        for key, arg in kwargs.items():
            self.expect(f"{key!r} in kwargs")
            variable = self._variable("v")
            self.reads.append(f"{variable} = kwargs[{key!r}]")
            self._labels[variable] = key
            named[key] = self.of(arg, variable)
        target = self.bound(f)
        self._labels[target] = ""
        return self.of(f, target), twins, named

    def forget(self) -> None:
        """Let go of the twins."""
        for _, twin, _, _ in self._records:
            if isinstance(twin, dict) and "__builtins__" in twin:
                twin.clear()  # a function's globals, which hold the function
        self._records.clear()
        self._twins.clear()
        self._originals.clear()


class Changes:
    """The changes that a call made, and its result, as outputs and code."""

    def __init__(self, state: State, result: Any) -> None:
        self.state = state
        self.outputs: list[Any] = []  # what the program must compute
        self.labels: list[str] = []
        self.setters: dict[str, list[tuple[str, str]]] = {"data": [], "grad": []}
        self.calls: list[str] = []
        self.numbers: set[str] = set()
        self._by_identity: dict[int, int] = {}
        self.held: list[Any] = []
        for record_ in state._records:
            self._compare(*record_)
        if self.numbers:
            raise Changed(self.numbers)
        self.result = self._expression(result, "result")

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
            self.setters[key].append((name, f"asarray({new})"))
        elif isinstance(original, CellType):
            self.calls.append(f"(setattr, {name}, 'cell_contents', {new})")
        else:
            self.calls.append(f"(set_attribute, {name}, {key!r}, {new})")

    def _key(self, key: Any) -> str:
        known = self.state._originals.get(id(key))
        return known or (
            repr(key) if isinstance(key, (str, int, float, bool, type(None)))
            else self.state.bound(key)
        )

    def _expression(self, value: Any, label: str) -> str:
        """Write how a value of the recorded call is made in a later one."""
        known = self.state._originals.get(id(value))
        if known is not None:
            return known
        kind = type(value)
        if kind is Traced:
            return self._output(value, label)
        if isinstance(value, Tensor):
            return self._tensor(value, label)
        if kind is dict:
            items = (
                f"{self._key(k)}: {self._expression(v, f'{label}.{k}')}" for k, v in value.items()
            )
            return "{" + ", ".join(items) + "}"
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
        return f"o{position}"

    def _tensor(self, value: Tensor, label: str) -> str:
        data = self._expression(value.data, label)
        if value.node is None:
            return f"tensor({data})"
        if value.node.op is None:
            return f"leaf({data})"
        if value.node.parents is None:
            return f"spent({data}, {self.state.bound(value.node.op)})"
        raise NotRecordable("a result that has a history")


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


def compiled(state: State, changes: Changes) -> Callable[..., Any]:
    """Compile ``call(run, args, kwargs)``: read the state, run the program, change the state.

    It returns :data:`MISS` if the program is not for this call, before anything has changed.
    """
    outs = ", ".join(f"o{i}" for i in range(len(changes.outputs)))
    lines = [*state.reads, f"[{outs}] = run({', '.join(state.inputs)})"]
    parts = []
    for attribute, pairs in changes.setters.items():
        if pairs:
            names, values = (", ".join(column) for column in zip(*pairs))
            parts.append(f"map(set_{attribute}, ({names},), ({values},))")
    if changes.calls:
        parts.append(f"starmap(call, ({', '.join(changes.calls)},))")
    lines.append(f"result = {changes.result}")
    if parts:
        lines.append(f"consume({', '.join(parts)})")
    text = "def call_recorded(run, args, kwargs):\n try:\n"
    text += "".join(f"  {line}\n" for line in state.reads or ["pass"])
    text += " except (KeyError, IndexError, AttributeError):\n  return MISS\n"
    text += "".join(f" {line}\n" for line in lines[len(state.reads) :])
    text += " return result\n"
    space = {
        **state.constants, "MISS": MISS, "ndarray": np.ndarray, "Generator": np.random.Generator,
        "asarray": np.asarray, "map": map, "starmap": starmap, "call": call, "setattr": setattr,
        "set_data": _set_data, "set_grad": _set_grad, "set_attribute": object.__setattr__,
        "consume": _consume, "tensor": _tensor, "leaf": _leaf, "spent": _spent,
    }  # fmt: skip
    exec(compile(text, f"<state of {state.trace.name}>", "exec"), space)  # noqa: S102
    return space["call_recorded"]


MISS = _MISS


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
    f = getattr(f, "__func__", getattr(f, "func", f))
    code = getattr(f, "__code__", None)
    names = list(code.co_varnames[: code.co_argcount]) if code is not None else []
    if hasattr(f, "__self__"):
        names = names[1:]
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


def refuse_unseen(trace: Trace, own: Callable[[Any], int]) -> None:
    """Refuse a call that used an array which somebody else can change."""
    for array in trace.constants.values():
        base = array
        while isinstance(base.base, np.ndarray):
            base = base.base
        if base.flags.writeable and getrefcount(base) > own(base):
            raise TracingError(
                f"{trace.name} used an array ({describe(array)}) that is neither among its "
                "arguments, nor closed over, nor a global that it names: later calls would take "
                "it for a constant. Hand it over (or make it read-only: a.flags.writeable = False)"
            )
