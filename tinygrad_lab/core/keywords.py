"""PyTorch's names of arguments for NumPy's functions: the same by another name, or not.

``t.sum(dim=1, keepdim=True)`` is ``t.sum(axis=1, keepdims=True)``.  ``t.max(dim=1)`` is not
``t.max(axis=1)``: PyTorch's gives places beside the values.  Where the two would mean different
things by the same words, the call is refused, and says how to write either.

Not for: words that are methods or functions (``words.py``, ``habits.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe, name_of
from tinygrad_lab.core.operations import Op, renamed

__all__ = ["AMBIGUOUS", "FUNCTIONS", "SAME", "in_numpys_words", "refuse_ambiguous"]

_NUMPYS = {"dim": "axis", "dims": "axis", "keepdim": "keepdims"}

#: Functions that mean the same by ``dim`` and ``keepdim`` as NumPy's by ``axis`` and ``keepdims``.
SAME: frozenset[Op] = frozenset({
    np.all, np.any, np.argmax, np.argmin, np.argsort, np.concatenate, np.count_nonzero, np.cumprod,
    np.cumsum, np.diff, np.flip, np.mean, np.nanmean, np.nansum, np.prod, np.quantile, np.roll,
    np.squeeze, np.stack, np.sum, np.trapezoid,
})  # fmt: skip

_PLACES = (
    "PyTorch's gives the values and their places, NumPy's the values: say t.{0}(axis={1}) for the "
    "values, t.arg{0}(axis={1}) for the places"
)
_SPREAD = (
    "PyTorch's divides by n - 1, NumPy's by n: say t.{0}(axis={1}, ddof=1) for the first, "
    "t.{0}(axis={1}) for the second; keepdims= has an s"
)
_TILES = (
    "PyTorch's repeats the whole, NumPy's each element: say np.tile(t, {1}) for the first, "
    "t.{0}(n, axis=...) for the second"
)
#: What the others mean by PyTorch's words; {0} is the function, {1} what was written.
_DIFFERS: dict[Op, str] = {
    np.max: _PLACES,
    np.min: _PLACES,
    np.std: _SPREAD,
    np.var: _SPREAD,
    np.repeat: _TILES,
}

#: Those that differ where an axis, or the number of repeats, is told by its position alone.
AMBIGUOUS: frozenset[Op] = frozenset({np.max, np.min, np.repeat})


def in_numpys_words(op: Op, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Say ``axis`` and ``keepdims`` for ``dim`` and ``keepdim``, if they mean the same to ``op``.

    Raises
    ------
    TypeError
        They do not, or the axis is told twice.

    Examples
    --------
    >>> in_numpys_words(np.sum, {"dim": 1, "keepdim": True})
    {'axis': 1, 'keepdims': True}
    """
    if kwargs.keys().isdisjoint(_NUMPYS):
        return kwargs
    if op not in SAME:
        if op in _DIFFERS:
            raise _two_meanings(op, describe(kwargs["dim"]) if "dim" in kwargs else "...")
        return kwargs  # which the function refuses
    own = renamed(op, _NUMPYS, kwargs)
    if isinstance(own.get("axis"), list):
        own["axis"] = tuple(own["axis"])
    return own


def refuse_ambiguous(op: Op, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    """Refuse an axis that is told by its position, or a number of repeats without one."""
    if op is np.repeat and (len(args) > 1 or "axis" not in kwargs):
        raise _two_meanings(op, describe(args))
    if op is not np.repeat and args:
        raise _two_meanings(op, describe(args[0]))


def _two_meanings(op: Op, written: str) -> TypeError:
    return TypeError(f"{name_of(op)}: {_DIFFERS[op].format(name_of(op), written)}")


def _taking_words(op: Callable[..., Any]) -> Callable[..., Any]:
    """Make ``np.sum`` and its like take PyTorch's names of arguments too: ``tl.sum(t, dim=1)``.

    Examples
    --------
    >>> _taking_words(np.sum)(np.ones((2, 3)), dim=1)
    array([3., 3.])
    """
    ambiguous = op in AMBIGUOUS

    def function(*args: Any, **kwargs: Any) -> Any:
        if ambiguous:
            refuse_ambiguous(op, args[1:], kwargs)
        return op(*args, **in_numpys_words(op, kwargs))

    function.__name__ = function.__qualname__ = op.__name__
    function.__doc__ = f"As :data:`numpy.{op.__name__}`, which it calls; ``dim`` says ``axis``."
    return function


#: These functions, by their names.
FUNCTIONS = {op.__name__: _taking_words(op) for op in SAME | AMBIGUOUS}
