"""Which of its arguments takes a call, where arrays hold arrays: under ``vmap``, that is.

Inside a ``vmap`` an array stands for a batch of them (``transforms/batched.py``).  A tensor made
inside holds such an array, so it takes the call, as it does of any other array.  A tensor made
outside does not: it is one of the things that a batch is made of, and the batched array takes the
call.  So ``vmap`` and derivatives go inside one another in any order, the innermost first.

Not for: what a batched array does with a call (``transforms/batching.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import BatchedValueError
from tinygrad_lab.core.operations import TENSORS

_PLAIN = frozenset({np.ndarray, int, float, bool, complex, str, slice, type(None), type, np.dtype})

#: The vmaps that are running, in whatever thread: where there are none, nobody need ask.
RUNNING: list[Any] = []
#: The innermost vmap around this call.
innermost: ContextVar[Any] = ContextVar("tinygrad_lab.vmap", default=None)


def level_of(value: Any) -> Any:
    """The innermost vmap that an array belongs to, or None."""
    return getattr(value.data if type(value) in TENSORS else value, "level", None)


def settled(args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    """Give the arguments of a call, and the vmap that takes it: None where tensors do.

    What is tracked outside of the innermost vmap is a constant in there, and shared by all.
    """
    top = None
    for x in (*args, *kwargs.values()) if kwargs else args:
        level = getattr(x, "level", None)
        if level is not None:
            top = level if top is None or level.depth > top.depth else top
        elif type(x) not in _PLAIN and not (type(x) is tuple and _PLAIN.issuperset(map(type, x))):
            return _settled(args, kwargs)  # a tensor, or something in a container
    return args, kwargs, top


def _settled(args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
    members = [*_members(args), *_members(kwargs)]
    levels = [level for level in map(level_of, members) if level is not None]
    if not levels:
        return args, kwargs, None
    top = max(levels, key=lambda level: level.depth)
    is_taken = not any(type(m) in TENSORS and level_of(m) is top for m in members)

    def inside(value: Any) -> Any:
        if type(value) not in TENSORS or level_of(value) is top:
            return value
        return value.data if value.node is None else value if is_taken else top.share(value)

    return _mapped(inside, args), _mapped(inside, kwargs), top if is_taken else None


def _members(value: Any) -> Iterator[Any]:
    if isinstance(value, (tuple, list)):
        for item in value:
            yield from _members(item)
    elif isinstance(value, Mapping):
        yield from _members(list(value.values()))
    else:
        yield value


def _mapped(function: Any, value: Any) -> Any:
    if type(value) in (tuple, list):
        return type(value)(_mapped(function, item) for item in value)
    if type(value) is dict:
        return {key: _mapped(function, item) for key, item in value.items()}
    return function(value)


def lifted(data: Any) -> Any:
    """What a new leaf holds: inside a vmap, an array that belongs to it."""
    level = innermost.get()
    return data if level is None or level_of(data) is level else level.share(data)


def somewhere(condition: Any) -> bool:
    """Whether a condition holds anywhere, in any example of a batch.

    It is asked to choose a way that is right for all examples, and longer than some need.
    """
    return bool(np.any(innermost_array(condition)))


def innermost_array(x: Any) -> Any:
    """The array that holds all examples, to look at."""
    while type(x) in TENSORS or hasattr(x, "level"):
        x = x.data
    return x


def is_of_tensors(x: Any) -> bool:
    """Whether an array is a tensor, or a batch made of them."""
    return type(x) in TENSORS or (hasattr(x, "level") and is_of_tensors(x.data))


def is_tracked(x: Any) -> bool:
    """Whether an array has a history, or is a batch made of such."""
    return x.node is not None if type(x) in TENSORS else hasattr(x, "level") and is_tracked(x.data)


def detached(x: Any) -> Any:
    """The same array without history, also where a batch is made of tensors."""
    if type(x) in TENSORS:
        return x.data
    if not hasattr(x, "level"):
        return x
    return (x.level.share if x.shared else x.level.batch)(detached(x.data))


def one_at_a_time(*arrays: Any) -> None:
    """Say that a rule can answer for one cotangent alone: it is then called for each in turn."""
    for x in arrays:
        if type(x) not in TENSORS and hasattr(x, "level"):
            raise BatchedValueError("a rule that answers for one cotangent at a time", x.level)


def in_turn(error: BatchedValueError, call: Any, *args: Any, **kwargs: Any) -> Any:
    """Do what has no one value for a whole batch for each of its examples, if that is an answer."""
    if error.level is None:
        raise error
    return error.level.in_turn(call, *args, **kwargs)


def drawing(generator: np.random.Generator) -> np.random.Generator:
    """The generator to draw from: inside a vmap, one that draws for each example."""
    level = innermost.get()
    return generator if level is None else level.generator(generator)
