"""Whether calls are recorded, ignored or watched, here and now.

The mode lives in a ``ContextVar``, so threads and asynchronous tasks have their own.
"""

import inspect
import linecache
import operator
import sys
from collections.abc import Callable
from contextlib import ContextDecorator
from contextvars import ContextVar
from typing import Any, ParamSpec, Self, TypeVar, overload

import numpy as np

from tinygrad_lab.core.levels import innermost_array
from tinygrad_lab.core.operations import NUMPYS, in_numpy

P = ParamSpec("P")
T = TypeVar("T")
_PACKAGE = __name__.split(".", 1)[0]

RECORD, IGNORE, WATCH = "record", "ignore", "watch"

_mode: ContextVar[str] = ContextVar("tinygrad_lab.mode", default=RECORD)
current_mode = _mode.get
#: The modes to come back to. Not in the object, which several threads may have entered at once.
_outer: ContextVar[tuple[str, ...]] = ContextVar("tinygrad_lab.outer", default=())


class _Mode(ContextDecorator):
    """Switch the mode inside a ``with`` block or a decorated function; safe across threads."""

    def __init__(self, mode: str) -> None:
        self._to = mode

    def __enter__(self) -> Self:
        _outer.set((*_outer.get(), current_mode()))
        _mode.set(self._to)
        return self

    def __exit__(self, *exc_info: object) -> None:
        *outer, mode = _outer.get()
        _outer.set(tuple(outer))
        _mode.set(mode)

    def _recreate_cm(self) -> Self:
        return type(self)(self._to)  # a decorated function may run in many threads at once

    def __call__(self, function: Callable[P, T]) -> Callable[P, T]:  # type: ignore[override]
        if inspect.isgeneratorfunction(function) or inspect.iscoroutinefunction(function):
            raise TypeError(
                f"{function.__name__} runs in pieces, after the decorator is done; say "
                "`with tl.no_grad():` inside it"
            )
        return super().__call__(function)


@overload
def no_grad() -> _Mode: ...
@overload
def no_grad(function: Callable[P, T]) -> Callable[P, T]: ...
def no_grad(function: Callable[P, T] | None = None) -> _Mode | Callable[P, T]:
    """Compute without recording: a context manager and a decorator.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> w = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> with tl.no_grad():
    ...     (w * 3).requires_grad
    False
    """
    return _Mode(IGNORE) if function is None else _Mode(IGNORE)(function)


def enable_grad() -> _Mode:
    """Record again inside ``no_grad``: a context manager and a decorator."""
    return _Mode(RECORD)


def recording() -> _Mode:
    """Record inside this block, and keep watching where that is what is done."""
    return _Mode(RECORD if current_mode() == IGNORE else current_mode())


def debug() -> _Mode:
    """Watch every operation: keep its source line, and stop at the first NaN or infinity.

    A context manager and a decorator.  It costs nothing where it is not used.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 0.0], requires_grad=True)
    >>> with tl.debug(), np.errstate(divide="ignore"):
    ...     np.log(x)
    Traceback (most recent call last):
      ...
    FloatingPointError: log gave -inf at index (1,), first of 1 non-finite value in shape (2,)...
    """
    return _Mode(WATCH)


def is_grad_enabled() -> bool:
    """Tell whether calls are recorded here and now."""
    return current_mode() != IGNORE


def call_site() -> str:
    """Give the file, line and text of the innermost call from outside this package."""
    frame = sys._getframe(1)  # noqa: SLF001 - there is no other way to see one's caller
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        frame = frame.f_back
    file, line = frame.f_code.co_filename, frame.f_lineno
    return f"{file}:{line}: {linecache.getline(file, line).strip()}"


def stop_if_not_finite(value: Any, what: str, here: str) -> None:
    """Raise at the first number that is not finite, saying ``what`` it is and who called."""
    with _Mode(IGNORE):
        array = innermost_array(value)
        array = array if type(array) in NUMPYS else in_numpy(array)
    bad = ~np.isfinite(array) if array.dtype.kind in "fc" else np.zeros(array.shape, dtype=bool)
    if n := operator.index(bad.sum()):
        index = tuple(operator.index(i) for i in np.argwhere(bad)[0])
        first = f"first of {n} non-finite value{'s' * (n > 1)} in shape {array.shape}"
        where = f"at index {index}, {first}\n  called at {here}"
        raise FloatingPointError(f"{what} {array[index]} {where}")
