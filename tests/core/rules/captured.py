"""What a call of the catalogue hands to its function: every argument, by where it stands.

The catalogue's calls hide their arguments in a closure.  Here they come out again: the call runs on
arrays that note what the function itself is given.

Not for: what is asked of the arguments (``test_detaching.py``, ``test_arguments.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_lab.core.rules.namespace import public_functions
from tinygrad_lab.testing.inputs.catalogue import CASES

#: The functions of NumPy's that have a derivative, but for old names, which NumPy replaces itself,
#: and for ufuncs that have no public name.
OLD_NAMES = {getattr(np, name) for name in ("row_stack", "trapz", "in1d") if hasattr(np, name)}
PUBLIC = {f for _, f in public_functions()} | {np.lib.stride_tricks.sliding_window_view}
FUNCTIONS = [op for op in CASES if op in PUBLIC - OLD_NAMES]

Place = tuple[Any, ...]  # of an argument: 0 or "axis" first, then the place within lists and tuples


class Arguments:
    """The arguments of one call, any of which can be replaced."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._all: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}

    def __call__(self, op: Callable[..., Any]) -> Any:
        kwargs = {key: value for key, value in self._all.items() if isinstance(key, str)}
        return op(*(value for key, value in self._all.items() if key not in kwargs), **kwargs)

    def places(self) -> Iterator[tuple[Place, Any]]:
        """Each argument, and each within a list or a tuple, by where it stands."""
        yield from _within((), self._all)

    def __repr__(self) -> str:
        return repr(self._all)

    def by_keyword(self, names: dict[int, str]) -> Arguments:
        """The same call with keywords for some positions."""
        other = Arguments()
        other._all = {names.get(key, key): value for key, value in self._all.items()}
        return other

    def replaced(self, place: Place, value: Any) -> Arguments:
        """The same with another value at one place."""
        other = Arguments()
        other._all = _replaced(self._all, place, value)
        return other


def _within(place: Place, value: Any) -> Iterator[tuple[Place, Any]]:
    if place:
        yield place, value
    if isinstance(value, (list, tuple, dict)):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, item in pairs:
            yield from _within((*place, key), item)


def _replaced(whole: Any, place: Place, value: Any) -> Any:
    if not place:
        return value
    first, *rest = place
    inner = _replaced(whole[first], tuple(rest), value) if rest else value
    if isinstance(whole, dict):
        return {**whole, first: inner}
    return type(whole)([*whole[:first], inner, *whole[first + 1 :]])


class _Captured(Exception):
    pass


class _Noting(np.lib.mixins.NDArrayOperatorsMixin):
    """An array that raises the arguments of the function that is waited for."""

    op: Any = None

    def __init__(self, hidden: Any) -> None:
        self._hidden = np.asarray(hidden)

    def __array_ufunc__(self, ufunc: Any, method: str, *args: Any, **kwargs: Any) -> Any:
        return self.__array_function__(getattr(ufunc, method), (), args, kwargs, ufunc)

    def __array_function__(
        self, function: Any, types: Any, args: Any, kwargs: Any, op: Any = None
    ) -> Any:
        args, kwargs = _plain(args), _plain(kwargs)
        if (op or function) is _Noting.op:
            raise _Captured(args, kwargs)
        return _noting(function(*args, **kwargs))

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._hidden, name)
        if callable(value):
            return lambda *args, **kwargs: _noting(value(*_plain(args), **_plain(kwargs)))
        return _noting(value)

    def __getitem__(self, index: Any) -> Any:
        return _noting(self._hidden[_plain(index)])

    def __len__(self) -> int:
        return len(self._hidden)


def _noting(value: Any) -> Any:
    return _Noting(value) if isinstance(value, (np.ndarray, np.generic)) else value


def _plain(value: Any) -> Any:
    if isinstance(value, _Noting):
        return value._hidden
    if isinstance(value, (list, tuple)):
        return type(value)(map(_plain, value))
    return {key: _plain(v) for key, v in value.items()} if isinstance(value, dict) else value


def arguments_of(op: Any, call: Any) -> Arguments:
    """The arguments that a call of the catalogue gives to ``op``."""
    _Noting.op = op
    try:
        call.f(*map(_Noting, call.arrays))
    except _Captured as captured:
        args, kwargs = captured.args
        return Arguments(*args, **kwargs)
    raise AssertionError(f"{call!r} does not call {op}")


def parts_of(value: Any) -> Iterator[Any]:
    """The numbers among what a function returns: text and types are none."""
    if isinstance(value, (tuple, list)):
        for part in value:
            yield from parts_of(part)
    elif isinstance(value, (int, float, complex)) or hasattr(value, "dtype"):
        array = value if hasattr(value, "dtype") else np.asarray(value)
        if array.dtype.kind in "biufc":
            yield array


def summed(value: Any) -> Any:
    """All numbers of a result in one, each with a weight of its own."""
    total: Any = 0.0
    for part in parts_of(value):
        weights = np.cos(np.arange(part.size)).reshape(part.shape) + 1.5
        total = total + np.sum(np.real(part) * weights)
        if part.dtype.kind == "c":
            total = total + np.sum(np.imag(part) * weights[::-1])
    return total
