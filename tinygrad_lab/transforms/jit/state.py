"""What a recorded call reads: twins that are traced, and the code with which later calls read.

The first call runs on twins of the function and of all that it can reach: its arguments, what it
closes over, the globals that it names.  Numbers and arrays in them are inputs of the program.
While the twins are built, a line of Python is written for each thing: how a later call reads it,
and what must be as it was.

Not for: what happens inside the call (``trace.py``), or what it changes (``changes.py``).
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from io import IOBase
from operator import is_
from types import CellType, FunctionType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.engine import Node, new_leaf
from tinygrad_lab.core.graph import is_differentiated
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.core.rules.indexing import getitem
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.containers import is_module
from tinygrad_lab.transforms.jit.reach import is_users, may_hold_state, names_in, parameter_names
from tinygrad_lab.transforms.jit.trace import Trace, Traced
from tinygrad_lab.transforms.jit.watched import Watch
from tinygrad_lab.transforms.replicas import CONSTANT, Twins, twin_of

__all__ = ["Changed", "Line", "NotRecordable", "State", "dotted", "same_number"]

_PACKAGE = __name__.partition(".")[0]
_PRIMITIVE = getitem.__code__
_MOST = 5000  # arrays and numbers that a recorded call may reach


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

    @classmethod
    def expecting(cls, condition: str, subject: str, needed_by: str | None = None) -> Line:
        """Make the line that lets a call miss unless a condition on a subject holds."""
        return cls(f"if not ({condition}): return MISS", needed_by, condition, subject)


def same_number(path: str, name: str) -> str:
    """Write that the number at a path is another, of the same type."""
    return f"{path} is {name} or ({path} == {name} and type({path}) is type({name}))"


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
        self._names: dict[int, str] = {}  # of the constants, by identity
        self.reads: list[Line] = []
        self.inputs: list[str] = []  # the variable of each input
        self.static: dict[str, Any] = {}  # numbers that are part of what is recorded, by path
        self.drawn: list[str] = []  # the variables of generators
        self._input_labels: dict[str, str] = {}
        self._labels: dict[str, str] = {}  # how a person says what a variable is
        self.records: list[tuple[Any, Any, str, dict[Any, Any]]] = []  # original, twin, how, what
        self.objects: dict[str, Any] = {}  # what the variables are, in this call
        self.originals: dict[int, str] = {}  # the variable of the original of a twin, by its id
        self._optimizer = ""  # the variable of the optimizer or schedule that is being read
        self.tracked: dict[int, tuple[Node, str]] = {}  # by input: the twin of its node, the node
        self.differentiated: list[Node] = []  # the twins of what somebody around differentiates by
        self.watch = Watch(self.expect, self._named)
        self.copies: list[tuple[Any, Any]] = []  # of sets and bytes: an original, its twin
        self._leaves: list[str] = []  # the variables of nodes: no two may be one
        self._count = 0

    # -- the code -----------------------------------------------------------------------------

    def _variable(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

    def bound(self, value: Any) -> str:
        """Name an object that is always the same."""
        name = self._names.get(id(value))
        if name is None:
            name = self._names[id(value)] = self._variable("c")
            self.constants[name] = value
        return name

    def _named(self, value: Any, label: str) -> str:
        name = self.bound(value)
        self._labels.setdefault(name, label)
        return name

    def read(self, line: str, needed_by: str | None = None) -> None:
        """Write a line; one that only an input needs goes where nothing is computed from that."""
        self.reads.append(Line(line, needed_by))

    def expect(self, condition: str, subject: str, needed_by: str | None = None) -> None:
        """Let later calls miss unless a condition holds, which is one on a ``subject``."""
        self.reads.append(Line.expecting(condition, subject, needed_by))

    def label(self, path: str) -> str:
        """Say what a path is, without variables."""
        head = path.partition(".")[0].partition("[")[0]
        name = self._labels.get(head, head)
        rest = path[len(head) :].removesuffix(".data").replace(".cell_contents", "", 1)
        return dotted(f"{name}{rest}")

    def place(self, name: str, key: Any) -> str:
        """Say what is in an object or a container, without variables."""
        known = self.originals.get(id(key))
        if known is not None:
            return self.label(known)
        return self.label(f"{name}.{key}")

    def _input(self, variable: str, path: str, value: Any) -> Any:
        if len(self.inputs) >= _MOST:
            raise NotRecordable(f"it can reach more than {_MOST:,} arrays and numbers")
        self.inputs.append(variable)
        self._input_labels[variable] = self.label(path)
        return self.trace.input(self.label(path), value)

    # -- twins, kind by kind ------------------------------------------------------------------

    def constant(self, value: Any, path: str) -> Any:
        """A number that differs from call to call is an input; all else is part of the record."""
        if isinstance(value, np.generic):  # np.float64 is a float
            return self.other(value, path)
        label = self.label(path)
        is_number = type(value) in (int, float, complex)
        if (
            is_number
            and label not in self.fixed
            and (label in self.numbers or self._optimizer or type(value) in (float, complex))
        ):
            variable = self._variable("n")
            if self._optimizer and ".param_groups." in label:  # an option: the step would check it
                known = self.bound([value])
                self.read(f"{variable} = {path}")
                check = f"{self._optimizer}.check_options(); {known}[0] = {variable}"
                self.read(f"if {variable} is not {known}[0]: {check}")
            else:
                self.read(f"{variable} = {path}", variable)
            self.expect(f"type({variable}) is {type(value).__name__}", variable, variable)
            return self._input(variable, path, value)
        if is_number:
            self.static[label] = value
        if value is None or type(value) in (bool, str):
            self.expect(f"{path} {'==' if type(value) is str else 'is'} {value!r}", path)
        else:
            self.expect(same_number(path, self.bound(value)), path)
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
            raise NotRecordable(f"an array of {type(array).__module__} flows through it")
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

    def _container(self, value: Any, path: str) -> str:
        """Name a container, which must be of the same class and length."""
        variable = self._object(value, path, "v")
        self.expect(f"len({variable}) == {len(value)}", f"len({variable})")
        return variable

    def _tracked(self, value: Tensor) -> Tensor:
        raise AssertionError("`tensor` makes those")

    def is_stateful(self, value: Any) -> bool:
        """Modules, optimizers, schedules, and objects of the user's own classes."""
        if is_module(value):
            return True
        kind = type(value)
        if not hasattr(value, "__dict__") or isinstance(value, (type, FunctionType, ModuleType)):
            return False
        if hasattr(kind, "__del__"):  # a twin would free what is the original's
            return False
        is_ours = kind.__module__.startswith(f"{_PACKAGE}.optim") or kind is SimpleNamespace
        return is_ours or is_users(kind.__module__)

    def stateful(self, thing: Any, path: str) -> Any:
        """An object may be another one of its class, as long as the same is in its attributes."""
        self.watch.kind(type(thing))
        name = self._object(thing, path, "m")
        own = self._variable("v")
        self.read(f"{own} = {name}.__dict__")
        self._labels[own] = self.label(path)
        self.expect(f"len({own}) == {len(vars(thing))}", f"len({own})")
        is_optimizer = type(thing).__module__.startswith(f"{_PACKAGE}.optim")
        if has_options := hasattr(thing, "check_options"):
            thing.check_options()
        outside, self._optimizer = self._optimizer, name if is_optimizer else ""
        twin = super().stateful(thing, own)
        self._optimizer = outside
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
        variable = self._container(container, path)
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
        variable = self._container(value, path)
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
        if getattr(type(value), "records", False):  # another jit inside: its calls are part of this
            self.expect(f"{path} is {self.bound(value)}", path)
            return self.of(value.function, f"{self.bound(value)}.function")
        if hasattr(type(value), "__array_function__"):
            raise NotRecordable(f"an array of {type(value).__module__} flows through it")
        if isinstance(value, Iterator) and not isinstance(value, IOBase):
            raise NotRecordable("an iterator, which gives another value in each call")
        if isinstance(value, (set, bytearray, array)):
            self.copies.append((copy(value), copy(value)))
            self.expect(f"{path} == {self.bound(self.copies[-1][0])}", path)
            return self.copies[-1][1]
        self.expect(f"{path} is {self.bound(value)}", path)
        self.watch.value(value, path)
        return super().other(value, path)

    def refuse_changed_copies(self) -> None:
        """Make the call as it is where it has changed a set: an original has only been compared."""
        if any(before != twin for before, twin in self.copies):
            raise NotRecordable("a set, or bytes, that the call changes")

    def function(self, value: FunctionType, path: str) -> Any:
        """A function with state is one with the twins of that."""
        name = self.bound(value)
        if path != name:
            self.expect(f"{path} is {name}", path)
        if value is not self._root and not is_users(value.__module__):
            return value
        if value.__code__ is _PRIMITIVE:  # which has its rules under its own name
            rules = OPERATIONS[value].vjps if value in OPERATIONS else ()
            for part in (vars(value)["__wrapped__"], *filter(None, rules)):
                self.watch.code(part)
            return value
        self._settled(value, value)  # it may call itself
        closed_over = zip(value.__code__.co_freevars, value.__closure__ or (), strict=True)
        named = names_in(value)
        cells = tuple(self._cell(variable, cell, named) for variable, cell in closed_over)
        space = self.bound(value.__globals__)
        twins = self._named_twins(named, value.__globals__, space, named)
        defaults = value.__defaults__
        if defaults and any(map(may_hold_state, defaults)):
            defaults = tuple(
                self.of(item, f"{name}.__defaults__[{i}]") for i, item in enumerate(defaults)
            )
        named_defaults = value.__kwdefaults__
        if named_defaults and any(map(may_hold_state, named_defaults.values())):
            named_defaults = {
                key: self.of(item, f"{name}.__kwdefaults__[{key!r}]")
                for key, item in named_defaults.items()
            }
        for key, item in vars(value).items():
            if key != "__wrapped__":  # read through its cell
                self.watch.value(item, f"{name}.{key}", named)
        is_same = all(twin is value.__globals__[n] for n, twin in twins.items())
        is_same = is_same and all(map(is_, cells, value.__closure__ or ()))
        is_same = is_same and named_defaults is value.__kwdefaults__
        if is_same and defaults is value.__defaults__:
            return value
        everything = {**value.__globals__, **twins}
        twin = FunctionType(value.__code__, everything, value.__name__, defaults, cells)
        twin.__kwdefaults__, twin.__qualname__ = named_defaults, value.__qualname__
        twin.__dict__.update(value.__dict__)
        self._record(value.__globals__, everything, space, dict(everything))
        return self._known(twin, name, value)

    def _named_twins(
        self, names: Sequence[str], values: Mapping[str, Any], space: str, attributes: Sequence[str]
    ) -> dict[str, Any]:
        """Build the twins of what some code names: of modules, with the attributes it names."""
        twins = {}
        for name in names:
            item = values.get(name)
            if isinstance(item, ModuleType) and is_users(item.__name__):
                twins[name] = self._module_twin(item, attributes)
            elif may_hold_state(item):
                variable = self._variable("v")
                self.read(f"{variable} = {space}[{name!r}]")
                self._labels[variable] = name
                twins[name] = self.of(item, variable)
            elif isinstance(item, type):
                self.watch.kind(item)
        return twins

    def _module_twin(self, module: ModuleType, attributes: Sequence[str]) -> ModuleType:
        if id(module) in self._twins:
            return self._twins[id(module)][1]
        self._settled(module, module)
        contents = self.bound(vars(module))
        twins = self._named_twins(attributes, vars(module), contents, attributes)
        if all(twin is vars(module)[name] for name, twin in twins.items()):
            return module
        twin = self._settled(module, ModuleType(module.__name__))
        vars(twin).update({**vars(module), **twins})
        self._record(vars(module), vars(twin), contents, dict(vars(twin)))
        return twin

    def _cell(self, variable: str, cell: CellType, named: Sequence[str]) -> CellType:
        name = self.bound(cell)
        self._labels[name] = variable
        try:
            content = cell.cell_contents
        except ValueError:  # nothing in it yet
            return cell
        if not may_hold_state(content) and not isinstance(content, CONSTANT):
            self.expect(f"{name}.cell_contents is {self.bound(content)}", f"{name}.cell_contents")
            self.watch.value(content, f"{name}.cell_contents", named)
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
        self._root = getattr(f, "__func__", getattr(f, "func", f))
        names = parameter_names(f, len(args))
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


def dotted(path: str) -> str:
    """Write ``a['b'][0].c`` as ``a.b.0.c``."""
    return re.sub(r"\[[\"']?(.*?)[\"']?\]", r".\1", path).lstrip(".")
