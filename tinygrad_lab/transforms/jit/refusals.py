"""What would make a stale constant, found after a call was recorded: and refused.

Not for: what is refused as it happens (``trace.py``).
"""

from __future__ import annotations

import gc
import random
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from sys import getrefcount
from time import sleep
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.transforms.jit.program import Program
from tinygrad_lab.transforms.jit.trace import Trace, TracingError

__all__ = ["UnseenDrawError", "refuse_leaks", "refuse_unseen", "refusing_unseen_draws"]


class UnseenDrawError(TracingError):
    """Somebody drew from a state that all programs share: the call, or another thread beside it."""


@contextmanager
def refusing_unseen_draws(name: str) -> Iterator[None]:
    """Refuse draws from the states that all programs share, which would be the same ever after."""
    numpys, pythons = np.random.get_state(legacy=False), random.getstate()  # noqa: NPY002
    yield
    if _position(np.random.get_state(legacy=False)) != _position(numpys) or (  # noqa: NPY002
        random.getstate() != pythons
    ):
        np.random.set_state(numpys)  # noqa: NPY002
        random.setstate(pythons)
        raise UnseenDrawError(
            f"{name} draws from np.random or random, whose numbers would be constants in all later "
            "calls: hand over a generator, np.random.default_rng(seed), and draw from that"
        )


def _position(state: Any) -> tuple[Any, ...]:
    """Where the legacy generator is: its key, how far in that, and whether a draw is left over."""
    inner = state["state"]
    return inner["key"].tobytes(), inner["pos"], state["has_gauss"]


def refuse_leaks(trace: Trace) -> None:
    """Refuse a call that keeps a traced value somewhere where nobody looks."""
    if not any(reference() is not None for reference in trace.alive):
        return
    _collect()
    leaked = [t for t in (reference() for reference in trace.alive) if t is not None]
    if leaked:
        raise TracingError(
            f"a value ({describe(leaked[0])}) computed in {trace.name} was kept somewhere that is "
            "neither an argument, nor closed over, nor a global that the function names, so later "
            "calls could not put a new one there: return it, or hand over what keeps it"
        )


def _collect() -> None:
    """Free what nobody holds.  The collector refuses while it is at work in another thread."""
    for _ in range(100):
        before = gc.get_stats()[-1]["collections"]
        gc.collect()
        if gc.get_stats()[-1]["collections"] > before:
            return
        sleep(0.001)


def refuse_unseen(trace: Trace, program: Program, constants: Mapping[str, Any]) -> None:
    """Refuse a call that used an array which somebody else can change.

    An array that was made inside the call is held by the trace and by the program alone.
    """
    arrays = trace.constants
    trace.constants = {}
    holders = Counter(map(id, _constants_in(program)))
    holders.update(id(value) for value in constants.values() if isinstance(value, np.ndarray))
    distinct = {id(a): id(a.base) for a in (*arrays.values(), *_constants_in(program))}
    views = Counter(distinct.values())  # each holds what it is a view of
    while arrays:
        _, array = arrays.popitem()
        owner = array if not isinstance(array.base, np.ndarray) else array.base
        own = holders[id(owner)] + views[id(owner)] + (id(owner) in arrays)
        if owner.flags.writeable and getrefcount(owner) - own > _ALONE + (owner is array):
            raise TracingError(
                f"{trace.name} used an array ({describe(array)}) that is neither among its "
                "arguments, nor closed over, nor a global that it names: later calls would take "
                "it for a constant. Hand it over, or make it read-only: a.flags.writeable = False"
            )


def _constants_in(value: Any) -> Iterator[Any]:
    """The arrays among the constants of a program, each as often as it is held."""
    if isinstance(value, Program):
        for line in value.instructions:
            yield from _constants_in((line.args, dict(line.kwargs)))
    elif isinstance(value, (tuple, list)):
        for item in value:
            yield from _constants_in(item)
    elif isinstance(value, dict):
        yield from _constants_in(tuple(value.values()))
    elif isinstance(value, slice):
        yield from _constants_in((value.start, value.stop, value.step))
    elif isinstance(value, np.ndarray):
        yield value


def _held_alone() -> int:
    owner = np.empty(2)
    return getrefcount(owner)


#: How often an array is referred to that one variable holds.
_ALONE = _held_alone()
