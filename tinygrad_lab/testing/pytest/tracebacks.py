"""Remove from a failed gradient test the frames and notes that its reader did not write.

The frames between the line of the test and the raising of a finding are ours and Hypothesis'.

Not for: what the message says (``telling``), or pytest (``plugin.py``).
"""

from __future__ import annotations

import ast
import sysconfig
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tinygrad_lab.testing.telling.finding import GradientError

_INSIDE = ("tinygrad_lab", "hypothesis", "_pytest", "pluggy")
_GENERATED = "hypothesis_temporary_module"
_FOLDERS = (  # of code that is not the reader's: this package, the standard library, site-packages
    str(Path(__file__).parents[2]),
    *(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib")),
)
_EXAMPLE = ("Failing test case:", "Falsifying example:")


def says_it_all(error: BaseException | None) -> bool:
    """Whether an error is a finding, or a group of findings."""
    if isinstance(error, BaseExceptionGroup):
        return all(says_it_all(one) for one in error.exceptions)
    return isinstance(error, GradientError)


def tidy(error: BaseException, written: Callable[..., Any] | None = None) -> None:
    """Take frames and notes out of an error, of its causes, and of its parts.

    Of the function that ``gradtest`` made a test of, which has returned when the error is raised,
    the last line is shown for the place.
    """
    for one in all_of(error):
        one.__traceback__ = _outside(one.__traceback__)
        if notes := getattr(one, "__notes__", None):
            one.__notes__ = _without_noise(notes, example=written is None)
    if error.__traceback__ is None and written is not None:
        error.__traceback__ = _raised_in(written, error)


def all_of(error: BaseException) -> Iterable[BaseException]:
    """List an error, its causes and its parts, each once: a cause may be an error's own."""
    errors = [error]
    for one in errors:
        inside = list(one.exceptions) if isinstance(one, BaseExceptionGroup) else []
        for other in [*inside, one.__cause__]:
            if other is not None and not any(other is known for known in errors):
                errors.append(other)
    return errors


def _outside(first: TracebackType | None) -> TracebackType | None:
    """Rebuild a traceback without the frames of this package, Hypothesis and pytest."""
    outside = None
    for frame, line in reversed(list(traceback.walk_tb(first))):
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] not in _INSIDE and not name.startswith(_GENERATED):
            outside = TracebackType(outside, frame, frame.f_lasti, line)
    return outside


def _without_noise(notes: Sequence[str], example: bool) -> list[str]:
    """Leave out explanations that name no line of the reader's, and, if asked, examples."""
    useful: list[str] = []
    lines = iter(notes)
    for note in lines:
        if note.startswith("Explanation:"):
            listed = [line for line in lines if not line.strip().startswith(_FOLDERS)]
            if any(":" in line for line in listed if line.startswith(" " * 8)):
                useful += [note, *listed]
        elif example or not note.startswith(_EXAMPLE):
            useful.append(note)
    return useful


def _raised_in(function: Callable[..., Any], error: BaseException) -> TracebackType | None:
    """Make the traceback that there would be, had the last line of a function raised the error."""
    code = getattr(function, "__code__", None)
    if code is None:
        return None
    name = code.co_name if code.co_name.isidentifier() else "test"
    last = max(line for _, _, line in code.co_lines() if line is not None)
    tree = ast.parse(f"def {name}(): raise error")
    for node in ast.walk(tree):
        if isinstance(node, (ast.stmt, ast.expr)):
            node.lineno = node.end_lineno = last
            node.col_offset = node.end_col_offset = -1  # no part of the line is underlined
    tree.body[0].lineno = code.co_firstlineno
    namespace: dict[str, Any] = {"error": error, "__name__": function.__module__}
    exec(compile(tree, code.co_filename, "exec"), namespace)
    try:
        namespace[name]()
    except type(error) as raised:
        first = raised.__traceback__
    return first.tb_next if first is not None else None
