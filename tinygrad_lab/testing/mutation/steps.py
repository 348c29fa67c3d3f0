"""Composed code: functions of Tensors that have no rule of their own.

What can be wrong there is how operations are put together: something detached, counted twice, or
of the wrong sign on the way.  So the cotangent of one operation, at one line, is made wrong.

Not for: rules (``places.py``).
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tinygrad_lab.core import dispatch, tensor
from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.errors import name_of
from tinygrad_lab.testing.judging.judgement import line_at
from tinygrad_lab.testing.mutation.faults import Call
from tinygrad_lab.testing.mutation.places import Intercept


@dataclass(frozen=True)
class OfStep:
    """The gradient that goes through one operation, where it is called in one line."""

    owner: Any
    file: str
    line: int

    @property
    def label(self) -> str:
        """Name it in messages."""
        return f"the gradient through {name_of(self.owner)} at {line_at(self.file, self.line)}"


@contextlib.contextmanager
def steps(intercept: Intercept) -> Iterator[None]:
    """Step in where a cotangent arrives at an operation that is called outside this package."""
    before = vars(dispatch)["record"]  # not the engine's own where scores are nested

    def recorded(op: Any, args: Any, kwargs: Any, value: Any, parents: Any) -> Node:
        node: Node = before(op, args, kwargs, value, parents)
        site = _caller()
        if site is not None and hasattr(value, "dtype"):
            place = OfStep(op, *site)
            node.hooks = [lambda g: intercept(place, Call([g], lambda ups: ups[0], value), None)]
        return node

    dispatch.record = tensor.record = recorded  # type: ignore[attr-defined]
    try:
        yield
    finally:
        dispatch.record = tensor.record = before  # type: ignore[attr-defined]


def _caller() -> tuple[str, int] | None:
    """Find the line outside this package that called; None where the checker did."""
    frame: Any = sys._getframe(2)  # noqa: SLF001 - there is no other way to see one's caller
    while frame is not None:
        module = frame.f_globals.get("__name__", "")
        if module.startswith("tinygrad_lab.testing."):
            return None
        if not module.startswith("tinygrad_lab."):
            return frame.f_code.co_filename, frame.f_lineno
        frame = frame.f_back
    return None
