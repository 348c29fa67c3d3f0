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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from copy import copy
from types import CellType, FunctionType, ModuleType
from typing import Any, NamedTuple
from weakref import ReferenceType

import numpy as np

from tinygrad_lab.core.engine import Node, new_leaf
from tinygrad_lab.core.graph import is_differentiated
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.core.rules.indexing import getitem
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.containers import is_module
from tinygrad_lab.transforms.jit.generators import is_generator
from tinygrad_lab.transforms.jit.reach import (
    NotRecordable,
    holder_of,
    is_of_package,
    is_open,
    is_users,
    is_writing,
    may_hold_state,
    modules_in,
    named_in,
    names_in,
    parameter_names,
    refuse_elusive,
    refuse_unnamed,
)
from tinygrad_lab.transforms.jit.trace import Trace, Traced
from tinygrad_lab.transforms.jit.watched import Watch, content_of
from tinygrad_lab.transforms.replicas import CONSTANT, Twins, twin_of

__all__ = ["Changed", "Line", "State", "dotted", "same_number"]

_PACKAGE = __name__.partition(".")[0]
_PRIMITIVE = getitem.__code__
_MOST = 5000  # arrays and numbers that a recorded call may reach


class Changed(Exception):  # noqa: N818 - not an error: record once more
    """Numbers at some paths were others after the call: they must be inputs."""

    def __init__(self, paths: set[str]) -> None:
        super().__init__(paths)
        self.paths = paths


def _missing(condition: str) -> str:
    return f"if not ({condition}): return MISS"


class Line(NamedTuple):
    """A line of the code that reads the state of a call."""

    text: str
    needed_by: str | None = None  # the variable of the input that alone needs it
    condition: str | None = None  # what it expects
    subject: str = ""  # of what
    otherwise: str = ""  # what it expects where no input needs it

    @classmethod
    def expecting(
        cls, condition: str, subject: str, needed_by: str | None = None, otherwise: str = ""
    ) -> Line:
        """Make the line that lets a call miss unless a condition on a subject holds."""
        return cls(_missing(condition), needed_by, condition, subject, otherwise)

    def among(self, used: Collection[str]) -> Iterator[str]:
        """Give what is to be done where some inputs are used."""
        if self.needed_by is None or self.needed_by in used:
            yield self.text
        elif self.otherwise:
            yield _missing(self.otherwise)


class Space(NamedTuple):
    """The globals of functions, and their twins, which all twins of these functions share."""

    name: str  # of the globals, in the code
    values: dict[str, Any]
    twin: dict[str, Any]
    module: ModuleType  # whose globals the twins are
    is_same: dict[str, bool]  # of what some code names: whether its twin is the thing itself


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
        self._bits: list[Any] = []  # and what these draw from
        self._input_labels: dict[str, str] = {}
        self._labels: dict[str, str] = {}  # how a person says what a variable is
        self.records: list[tuple[Any, Any, str, dict[Any, Any]]] = []  # original, twin, how, what
        self.objects: dict[str, Any] = {}  # what the variables are, in this call
        self.originals: dict[int, str] = {}  # the variable of the original of a twin, by its id
        self._optimizer = ""  # the variable of the optimizer or schedule that is being read
        self.tracked: dict[int, tuple[Node, str]] = {}  # by input: the twin of its node, the node
        self.differentiated: list[Node] = []  # the twins of what somebody around differentiates by
        self.watch = Watch(self.expect, self._named, lambda: {**self.constants, **self.objects})
        self.copies: list[tuple[Any, Any]] = []  # of sets and bytes: an original, its twin
        self._leaves: list[str] = []  # the variables of nodes: no two may be one
        self._spaces: dict[int, Space] = {}  # by the identity of globals
        self._open: dict[int, bool] = {}  # twins of functions in the making: whether they are used
        self._handed: dict[int, str] = {}  # the variables of arguments, by the identity of these
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
            self.expect(f"type({path}) is {type(value).__name__}", path)
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
        if id(twin) in self._open:
            self._open[id(twin)] = True
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
        self._expect_array(variable, array, path)
        return self._input(variable, path, array)

    def _expect_array(self, variable: str, array: Any, path: str) -> None:
        dtype = self.bound(array.dtype)
        line = Line.expecting(
            f"type({variable}) is ndarray and {variable}.shape == {array.shape!r} "
            f"and ({variable}.dtype is {dtype} or {variable}.dtype == {dtype})",
            variable,
            variable,
            f"type({path}) is ndarray",
        )
        self.reads.append(line)

    def tensor(self, value: Tensor, path: str) -> Any:
        """A tensor's data is an input, and so is what has accumulated on it."""
        node = value.node
        variable = self._object(value, path, "t")
        position = len(self.inputs)
        data = self.array(value.data, f"{variable}.data")
        if node is None:
            self._leaves.append(f"id({variable})")
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
        return kind.__module__.startswith(f"{_PACKAGE}.optim") or is_open(kind)

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
        if attributes := getattr(container, "__dict__", None):
            self.watch.value(attributes, f"{variable}.__dict__")
        if isinstance(container, dict):
            if all(isinstance(key, CONSTANT) for key in container):
                self.expect(f"[*{variable}] == {self.bound([*container])}", f"[*{variable}]")
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
        if any(bits is value.bit_generator for bits in self._bits):
            raise NotRecordable("two generators that draw from one bit generator")
        self._bits.append(value.bit_generator)
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
        if isinstance(value, (set, bytearray, array)):
            self.copies.append((copy(value), copy(value)))
            self.expect(f"{path} == {self.bound(self.copies[-1][0])}", path)
            if isinstance(value, set):  # {1} is {True}
                self.expect(f"repr({path}) == {repr(value)!r}", path)
            return self.copies[-1][1]
        refuse_elusive(value)
        if (holder := holder_of(value)) is not None:
            twin = self.of(holder, f"{path}.__self__")
            self.expect(f"{path}.__name__ == {value.__name__!r}", path)
            return getattr(twin, value.__name__)
        if type(value) is ReferenceType and (end := value()) is not None:
            self.expect(f"{path}() is not None", path)
            twin = self.of(end, f"{path}()")
            return value if twin is end else ReferenceType(twin)
        if is_generator(value):
            self.watch.generators.add(value)
        self.expect(f"{path} is {self.bound(value)}", path)
        self.watch.value(value, self._named(value, self.label(path)))
        return value

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
        self.watch.text(value)
        if value.__code__ is _PRIMITIVE:  # which has its rules under its own name
            rules = OPERATIONS[value].vjps if value in OPERATIONS else ()
            for part in (vars(value)["__wrapped__"], *filter(None, rules)):
                self.watch.code(part)
            return value
        is_ours = is_of_package(value)  # what tl.grad(f) gives, say
        named = [] if is_ours else names_in(value)
        refuse_unnamed(value, named)
        closed_over = tuple(value.__closure__ or ())
        cells = tuple(self._blank_cell(cell) for cell in closed_over)
        space = self._space(value.__globals__)
        twin = FunctionType(value.__code__, space.twin, value.__name__, None, cells)
        twin.__qualname__ = value.__qualname__
        twin.__dict__ = value.__dict__
        self._settled(value, twin)  # it may call itself
        self._open[id(twin)] = False
        for variable, cell in zip(value.__code__.co_freevars, closed_over, strict=True):
            self._fill(cell, variable, named)
        is_same = self._fill_space(space, named, named)
        is_same = is_same and not closed_over and not is_writing(value)
        for module in [] if is_ours else modules_in(value):
            self.watch.value(module, self._named(module, module.__name__), named)
        twin.__defaults__ = self._defaults(value.__defaults__, f"{name}.__defaults__")
        twin.__kwdefaults__ = self._defaults(value.__kwdefaults__, f"{name}.__kwdefaults__")
        is_same = is_same and twin.__defaults__ is value.__defaults__
        is_same = is_same and twin.__kwdefaults__ is value.__kwdefaults__
        for key, item in vars(value).items():
            if key != "__wrapped__":  # read through its cell
                self.watch.value(item, f"{name}.{key}", named)
        was_called = self._open.pop(id(twin))
        if is_same and not was_called:
            return value
        return self._known(twin, name, value)

    def _defaults(self, values: Any, path: str) -> Any:
        """Build the twins of a function's defaults."""
        if isinstance(values, tuple) and any(map(may_hold_state, values)):
            return tuple(self.of(item, f"{path}[{i}]") for i, item in enumerate(values))
        if isinstance(values, dict) and any(map(may_hold_state, values.values())):
            return {key: self.of(item, f"{path}[{key!r}]") for key, item in values.items()}
        return values

    def _space(self, values: dict[str, Any]) -> Space:
        """Give the twin of the globals of functions, or of what is in a module: one for all."""
        if id(values) not in self._spaces:
            module = ModuleType(values.get("__name__", ""))
            vars(module).update(values)
            name = self._named(values, values.get("__name__", ""))
            self._spaces[id(values)] = Space(name, values, vars(module), module, {})
        return self._spaces[id(values)]

    def _fill_space(self, space: Space, names: Sequence[str], attributes: Sequence[str]) -> bool:
        """Build the twins of what some code names, and say whether it has no need of them.

        Of modules that it names, what they hold under the ``attributes`` it names.
        """
        for name in names:
            if name not in space.values or name in space.is_same:
                continue
            item = space.values[name]
            space.is_same[name] = False  # as long as nobody knows
            if isinstance(item, ModuleType) and is_users(item.__name__):
                space.twin[name] = self._module_twin(item, attributes)
            elif may_hold_state(item):
                variable = self._variable("v")
                self.read(f"{variable} = {space.name}[{name!r}]")
                self._labels[variable] = name
                twin = space.twin[name] = self.of(item, variable)
                space.is_same[name] = twin is item and not isinstance(item, CONSTANT)
            else:
                self.watch.value(item, f"{space.name}[{name!r}]")
                space.is_same[name] = not isinstance(item, CONSTANT)  # somebody may set it
        return all(space.is_same.get(name, True) for name in names)

    def _module_twin(self, module: ModuleType, attributes: Sequence[str]) -> ModuleType:
        space = self._space(vars(module))
        read = named_in(module, attributes)
        if len(read) != len(attributes):  # all that is in it
            self.expect(f"len({space.name}) == {len(space.values)}", f"len({space.name})")
        self._fill_space(space, read, attributes)
        return space.module

    def _blank_cell(self, cell: CellType) -> CellType:
        """Give the twin of a variable that functions share, or one that is empty as yet."""
        known = self._twins.get(id(cell))
        return known[1] if known else self._settled(cell, CellType())

    def _fill(self, cell: CellType, variable: str, named: Sequence[str]) -> None:
        """Put the twin of what is in a variable into its twin."""
        name = self.bound(cell)
        if name in self.objects:
            return
        self._labels[name] = variable
        self.objects[name] = cell
        twin, path = self._twins[id(cell)][1], f"{name}.cell_contents"
        for content in content_of(cell):
            if isinstance(content, ModuleType) and is_users(content.__name__):
                twin.cell_contents = self._module_twin(content, named)
            elif may_hold_state(content) or isinstance(content, CONSTANT):
                twin.cell_contents = self.of(content, path)
            else:
                self.expect(f"{path} is {self.bound(content)}", path)
                self.watch.value(content, self._named(content, variable), named)
                twin.cell_contents = content
            self._record(cell, twin, name, {"cell_contents": twin.cell_contents})
            return
        self.expect(f"{name} == {self.bound(CellType())}", name)
        self._record(cell, twin, name, {})

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
        self.expect(f"[*kwargs] == {[*kwargs]!r}", "[*kwargs]")
        twins = []
        for i, (name, arg) in enumerate(zip(names, args, strict=True)):
            variable = self._variable("v")
            self.read(f"{variable} = args[{i}]")
            self._labels[variable] = name
            twins.append(self._argument(arg, variable))
        named = {}
        for key, arg in kwargs.items():
            variable = self._variable("v")
            self.read(f"{variable} = kwargs[{key!r}]")
            self._labels[variable] = key
            named[key] = self._argument(arg, variable)
        if len(self._handed) > 1:
            different = f"len({{{', '.join(f'id({v})' for v in self._handed.values())}}})"
            self.expect(f"{different} == {len(self._handed)}", different)
        target = self.bound(f)
        self._labels[target] = ""
        twin = self.of(f, target)
        for space in self._spaces.values():
            self._record(space.values, space.twin, space.name, dict(space.twin))
        self.watch.finish()
        if len(self._leaves) > 1:
            distinct = f"len({{{', '.join(self._leaves)}}})"
            self.expect(f"{distinct} == {len(self._leaves)}", distinct)
        return twin, twins, named

    def _argument(self, value: Any, variable: str) -> Any:
        """Two arguments that are one object are so in later calls, and two are not one."""
        if not (isinstance(value, (np.ndarray, Tensor, dict, list)) or self.is_stateful(value)):
            return self.of(value, variable)
        first = self._handed.setdefault(id(value), variable)
        if first != variable:
            self.expect(f"{variable} is {first}", variable)
            return self._twins[id(value)][1]
        return self.of(value, variable)

    def labels(self) -> dict[str, str]:
        """Say what the variables are, as a person does."""
        return {**self._labels, **self._input_labels}

    def forget(self) -> None:
        """Let go of the twins."""
        for space in self._spaces.values():
            space.twin.clear()  # globals, which hold the functions that hold them
        self._spaces.clear()
        self.records.clear()
        self.tracked.clear()
        self.differentiated.clear()
        self._twins.clear()
        self.originals.clear()
        self.objects = {}
        del self.watch


def dotted(path: str) -> str:
    """Write ``a['b'][0].c`` as ``a.b.0.c``."""
    return re.sub(r"\[[\"']?(.*?)[\"']?\]", r".\1", path).lstrip(".")
