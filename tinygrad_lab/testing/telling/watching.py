"""Watch a call run, and note each array that a line of it assigns, changes or returns.

It looks into everything that is called, but for Python's own library, NumPy and this library, and
at local variables, attributes of objects whose methods run, and what is in their lists and dicts.

Not for: what is right or wrong about the arrays (``audit.py``).
"""

from __future__ import annotations

import ast
import functools
import linecache
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.testing.judging.judgement import line_at

MOST_ELEMENTS = 20_000  # of an array that is compared, to see whether it was written into
MOST_ITEMS = 100  # of a list or dict
MOST_EVENTS = 5_000
_LIBRARY = sysconfig.get_paths()["stdlib"]
_PACKAGE = Path(__file__).parents[2]
_NOT_LOOKED_INTO = (str(Path(np.__file__).parent), str(_PACKAGE))
_EXPERIMENTS = str(_PACKAGE / "lab")  # they use the library, and have passes by hand of their own


@dataclass
class Assigned:
    """A value that a variable came to have, in a line."""

    scope: Any  # the object whose method it is, by its path; None of a function
    name: str  # "dW", "self.dW", "grads['W']", "return"
    value: Any  # an array, copied, or a Tensor
    file: str
    line: int
    frame: int  # which call
    is_argument: bool = False  # it was there when the call began, and this is who called
    goes_on: bool = False  # it is made of what the variable had before

    @property
    def site(self) -> str:
        """File and line."""
        return line_at(self.file, self.line)

    @property
    def source(self) -> str:
        """What is written there."""
        return linecache.getline(self.file, self.line).strip()


#: Called with what was noted, and the value itself.
Hook = Callable[[Assigned, Any], bool]


class _Watch:
    """What was seen of one run."""

    def __init__(self, scope_of: Callable[[Any], Any], hook: Hook) -> None:
        self.scope_of, self.hook = scope_of, hook
        self.events: list[Assigned] = []
        self.latest: dict[tuple[Any, str], tuple[Any, Any]] = {}  # the value, and its numbers
        self.frames = 0

    def follow(self, frame: FrameType) -> Callable[..., Any]:
        """Make what watches one call."""
        self.frames += 1
        number, line = self.frames, 0
        owner = _owner(frame)
        scope = None if owner is None else self.scope_of(owner)

        def local(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal line
            if event in ("line", "return") and len(self.events) < MOST_EVENTS:
                at = (scope, *(_place(frame, line) if line else _place_of_caller(frame)), number)
                for name, value in arrays_in(frame.f_locals, owner):
                    own = name.startswith("self.")
                    self.note((scope,) if own else (scope, number), name, value, at, not line)
                if event == "return":
                    last = (scope, *_place(frame, frame.f_lineno), number)
                    for name, value in _parts("return", arg):
                        self.note((scope, number), name, value, last, False)
                line = frame.f_lineno
            return local

        return local

    def note(self, holder: Any, name: str, value: Any, at: tuple[Any, ...], begins: bool) -> None:
        """Note a value where it is another one than before, or was written into."""
        key = (holder, name)
        before = self.latest.get(key)
        numbers = _numbers(value)
        if before is not None and before[0] is value and _equal(before[1], numbers):
            return
        self.latest[key] = (value, numbers)
        scope, file, line, frame = at
        goes_on = before is not None and (before[0] is value or goes_on_with(file, line, name))
        copied = numbers if isinstance(numbers, np.ndarray) else value
        event = Assigned(scope, name, copied, file, line, frame, begins, goes_on)
        self.events.append(event)
        if self.hook(event, value):
            event.value = np.array(value)
            self.latest[key] = (value, _numbers(value))


def watched(
    call: Callable[[], Any],
    scope_of: Callable[[Any], Any] = id,
    hook: Hook = lambda _event, _value: False,
) -> tuple[Any, list[Assigned]]:
    """Run a call, and note what it assigns.

    ``hook`` gets each value as it is assigned, may write into it, and then says so.
    """
    watch = _Watch(scope_of, hook)

    def tracer(frame: FrameType, _: str, __: Any) -> Any:
        return watch.follow(frame) if _is_looked_into(frame.f_code.co_filename) else None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        return call(), watch.events
    finally:
        sys.settrace(before)


@functools.cache
def _is_looked_into(file: str) -> bool:
    if file.startswith(_EXPERIMENTS):
        return True
    if file.startswith(("<frozen", "<__array_function__", "<string>", *_NOT_LOOKED_INTO)):
        return False
    return not file.startswith(_LIBRARY) or "site-packages" in file


def _place(frame: FrameType, line: int) -> tuple[str, int]:
    """Give file and line; of a statement that goes over several lines the first."""
    file = frame.f_code.co_filename
    return file, line if frame.f_code.co_name == "<lambda>" else statement(file, line)


def _place_of_caller(frame: FrameType) -> tuple[str, int]:
    caller = frame.f_back
    if caller is None or not _is_looked_into(caller.f_code.co_filename):
        return "", 0
    return _place(caller, caller.f_lineno)


def _owner(frame: FrameType) -> Any:
    """Give the object whose method runs."""
    code = frame.f_code
    if not code.co_argcount:
        return None
    first = frame.f_locals.get(code.co_varnames[0])
    is_method = code.co_varnames[0] == "self" or hasattr(type(first), code.co_name)
    plain = isinstance(first, (np.ndarray, np.generic, Tensor, str, int, float, dict, list, tuple))
    return first if is_method and not plain and hasattr(first, "__dict__") else None


def arrays_in(variables: dict[str, Any], owner: Any) -> Iterator[tuple[str, Any]]:
    """Give the arrays in variables and in the attributes of an object, by name."""
    for name, value in variables.items():
        if value is not owner:
            yield from _parts(name, value)
    for name, value in vars(owner).items() if owner is not None else ():
        yield from _parts(f"self.{name}", value)
        # a parameter that is an object: its array and its gradient
        if type(value).__module__ != "builtins" and not _is_array(value):
            inside = getattr(value, "__dict__", {})
            yield from ((f"self.{name}.{n}", v) for n, v in inside.items() if _is_array(v))


def _parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if _is_array(value):
        yield name, value
    elif isinstance(value, (list, tuple, dict)) and len(value) <= MOST_ITEMS:
        items = value.items() if isinstance(value, dict) else enumerate(value)
        yield from ((f"{name}[{key!r}]", v) for key, v in items if _is_array(v))


def _is_array(value: Any) -> bool:
    is_array = isinstance(value, (np.ndarray, np.floating))
    return isinstance(value, Tensor) or (is_array and value.dtype.kind == "f")


def _numbers(value: Any) -> Any:
    """Copy the numbers of an array, if it is not too large to look at again and again."""
    if isinstance(value, np.ndarray) and value.size <= MOST_ELEMENTS:
        return value.copy()
    return value


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return a is b or bool(np.array_equal(a, b, equal_nan=True))
    return True


# ---------------------------------------------------------------------------------------------
# Statements


@functools.lru_cache(maxsize=64)
def _statements(file: str) -> dict[int, ast.stmt]:
    """Give the innermost statement of each line of a file."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except (SyntaxError, ValueError):
        return {}
    statements: dict[int, ast.stmt] = {}
    for node in ast.walk(tree):  # outer ones first
        if isinstance(node, ast.stmt):
            is_block = bool(getattr(node, "body", None))
            last = node.lineno if is_block else node.end_lineno or node.lineno
            statements.update(dict.fromkeys(range(node.lineno, last + 1), node))
    return statements


def statement(file: str, line: int) -> int:
    """Give the line in which a statement begins that goes over several."""
    node = _statements(file).get(line)
    return line if node is None else node.lineno


def goes_on_with(file: str, line: int, name: str) -> bool:
    """Whether a statement makes a variable of what it was: ``dx += ...``, ``dx = dx * dout``."""
    node = _statements(file).get(line)
    if isinstance(node, ast.AugAssign):
        return True
    if not isinstance(node, ast.Assign):
        return False
    targets = {ast.unparse(target) for target in node.targets}
    return not targets.isdisjoint(names_in(file, line)) and name in targets


def is_a_copy(file: str, line: int) -> bool:
    """Whether a statement copies an array, or makes one of zeros, to be written into later."""
    node = _statements(file).get(line)
    value = getattr(node, "value", None)
    parts = value.elts if isinstance(value, ast.Tuple) else [value]
    return all(map(_copies, parts))


def _copies(value: ast.expr | None) -> bool:
    if isinstance(value, ast.Call):
        called = ast.unparse(value.func).rpartition(".")[2]
        return called in ("copy", "zeros", "zeros_like", "empty", "empty_like", "array", "asarray")
    return isinstance(value, (ast.Name, ast.Attribute, ast.Subscript))


def names_in(file: str, line: int) -> set[str]:
    """Name what a statement reads: variables, and attributes of self."""
    node = _statements(file).get(line)
    if node is None:
        return set()
    value = getattr(node, "value", None) or node
    reads = [n for n in ast.walk(value) if isinstance(n, (ast.Name, ast.Attribute, ast.Subscript))]
    return {ast.unparse(n) for n in reads}
