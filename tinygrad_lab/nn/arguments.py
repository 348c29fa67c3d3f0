"""What the functions of ``nn`` take: whatever NumPy's own functions take for arrays, and its words.

Their arguments have PyTorch's names; NumPy's ``axis``, ``keepdims`` and ``x`` are taken too.

Not for: what an operation does with tensors among its arguments (``core/arguments.py``).
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

import numpy as np

from tinygrad_lab.core.arguments import operand
from tinygrad_lab.core.cotangents import from_scalar, is_traced_number
from tinygrad_lab.core.engine import next_order
from tinygrad_lab.core.operations import IN_ORDER, renamed
from tinygrad_lab.core.scopes import note

__all__ = ["WORDS", "takes_arrays", "takes_words"]

P = ParamSpec("P")
T = TypeVar("T")

#: NumPy's names of arguments, and PyTorch's.
WORDS = {"axis": "dim", "keepdims": "keepdim", "x": "input"}


def takes_words(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function, or a layer's ``__init__``: ``axis=`` is taken for ``dim=``, and so on.

    Examples
    --------
    >>> from tinygrad_lab.nn.arguments import takes_words
    >>> @takes_words
    ... def total(array, dim):
    ...     return array.sum(dim)
    >>> total(np.ones((2, 3)), axis=1)
    array([3., 3.])
    """
    words = _words(function)

    @functools.wraps(function)
    def worded(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = _spelled(function, words, kwargs)
        return function(*args, **kwargs)

    return cast(Callable[P, T], worded)


def _words(function: Callable[..., Any]) -> dict[str, str]:
    """The words that a function is taken to know under PyTorch's names."""
    own = inspect.signature(function).parameters
    return {word: name for word, name in WORDS.items() if name in own and word not in own}


def _spelled(function: Any, words: dict[str, str], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments under the names that a function knows; two old ones of losses are told of."""
    if not _OLD.isdisjoint(kwargs):
        raise TypeError(
            f"{function.__name__}: {' and '.join(sorted(_OLD & kwargs.keys()))} went out of use in "
            "PyTorch: say reduction='mean', 'sum' or 'none'"
        )
    return kwargs if words.keys().isdisjoint(kwargs) else renamed(function, words, kwargs)


_OLD = frozenset({"size_average", "reduce"})


def takes_arrays(function: Callable[P, T]) -> Callable[P, T]:
    """Decorate a function: lists and numbers for parameters annotated ``Array`` become arrays.

    NumPy's words are taken as :func:`takes_words` does.  Numbers stay what they are for parameters
    that have a default, and a Python float takes the dtype of the array before it, as in NumPy.

    Examples
    --------
    >>> @takes_arrays
    ... def shape_of(x: Array):
    ...     return x.shape
    >>> shape_of([1.0, 2.0]), shape_of(3)
    ((2,), ())
    """
    words = _words(function)
    parameters = inspect.signature(function).parameters.values()
    names = [p.name for p in parameters]
    by_name = [f"{p.name}=" for p in parameters if p.kind is p.KEYWORD_ONLY]
    most = len(parameters) - len(by_name)
    of_arrays = [
        (i, p.name, p.default is p.empty)
        for i, p in enumerate(parameters)
        if str(p.annotation).startswith("Array")
    ]

    @functools.wraps(function)
    def ordered(*args: Any, **kwargs: Any) -> Any:
        if kwargs:
            kwargs = _spelled(function, words, kwargs)
        if len(args) > most and by_name:
            raise TypeError(
                f"{function.__name__} takes {most} arguments by their position, not {len(args)}; "
                f"these go by name: {', '.join(by_name)}"
            )
        if kwargs or not IN_ORDER.issuperset(map(type, args)):
            for i, name, _ in of_arrays:
                if type(args[i] if i < len(args) else kwargs.get(name)) not in IN_ORDER:
                    args, kwargs = in_order(args, kwargs)
                    break
        since = next_order()
        result = function(*args, **kwargs)
        if type(result) is not np.ndarray:
            note(result, since, function, None, names, args, kwargs)
        return result

    def in_order(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        values: dict[Any, Any] = {**dict(enumerate(args)), **kwargs}
        dtype = None
        for i, name, needed in of_arrays:
            key = i if i in values else name
            if key in values:
                values[key] = _array(function, values[key], needed, dtype)
                dtype = dtype or getattr(values[key], "dtype", None)
        return [values[i] for i in range(len(args))], {key: values[key] for key in kwargs}

    ordered.words = words  # type: ignore[attr-defined]  # which a primitive is asked by too
    ordered.takes_lists = False  # type: ignore[attr-defined]  # to an operation, lists are arrays
    ordered.on_arrays = function  # type: ignore[attr-defined]
    return cast(Callable[P, T], ordered)


def _array(function: Any, value: Any, needed: bool, dtype: Any) -> Any:
    value = operand(function, value)
    is_number = isinstance(value, (int, float, complex)) or is_traced_number(value)
    if not (needed and is_number):
        return value
    array = from_scalar(value)
    takes_dtype = dtype is not None and dtype.kind == array.dtype.kind == "f"
    return array.astype(dtype) if takes_dtype else array
