"""Whether a recorded function is the function: the same numbers to the last bit, call after call.

Not for: what is recorded (``test_catalogue.py``, ``test_networks.py``).
"""

from __future__ import annotations

import functools
import gc
from collections.abc import Callable, Iterator, Sequence
from types import CellType, FunctionType
from typing import Any

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab.testing.inputs.calls import Call
from tinygrad_lab.transforms.containers import leaves
from tinygrad_lab.transforms.jit.program import Program, evaluate

Array = Any


def numbers_of(result: Any) -> list[Array]:
    """The arrays of a result."""
    plain = (part.data if isinstance(part, tl.Tensor) else part for _, part in leaves(result))
    return [np.asarray(part) for part in plain if part is not None]


def assert_alike(actual: Any, expected: Any) -> None:
    """The same shapes, dtypes and bits, but for the bits of NaN."""
    pairs = list(zip(numbers_of(actual), numbers_of(expected), strict=True))
    for a, e in pairs:
        assert (a.dtype, a.shape) == (e.dtype, e.shape)
        assert np.array_equal(a, e, equal_nan=a.dtype.kind in "fc"), f"{a!r} is not {e!r}"
        if a.dtype.kind == "f":
            assert np.array_equal(np.signbit(a) & (a == 0), np.signbit(e) & (e == 0))


def assert_goes(f: Callable[..., Any], versions: Sequence[Sequence[Array]]) -> Any:
    """Jitted, a function is what it is, for each version of its arguments in turn."""
    jitted = tl.jit(f, backend="numpy")
    for arrays in versions:
        expected, error = outcome(f, arrays)
        actual, its_error = outcome(jitted, arrays)
        assert type(error) is type(its_error), f"{its_error!r} is not {error!r}"
        if error is None:
            assert_alike(actual, expected)
    return jitted


def outcome(f: Callable[..., Any], arrays: Sequence[Array]) -> tuple[Any, Exception | None]:
    try:
        return f(*arrays), None
    except Exception as error:  # noqa: BLE001 - to be compared
        return None, error


def assert_program_goes(f: Callable[..., Any], arrays: Sequence[Array]) -> None:
    """The program of a function, and its text alone, compute what the function does."""
    expected, program = numbers_of(f(*arrays)), tl.program(f)(*arrays)
    if len(program.outputs) < len(expected):  # what is the same for all values is not computed
        return
    inputs = inputs_of(program, arrays)
    assert_alike(evaluate(program, inputs), expected)
    space: dict[str, Any] = {}
    exec(str(program), space)
    function = [v for v in space.values() if isinstance(v, FunctionType)][-1]
    result = function(*inputs)
    assert_alike(result if len(expected) > 1 else [result], expected)


def inputs_of(program: Program, arrays: Sequence[Array]) -> list[Array]:
    """The arguments that a program of ``f(*xs)`` takes."""
    return [arrays[int(given.name.removeprefix("x"))] for given in program.inputs]


def frozen(call: Call) -> Callable[..., Any]:
    """The function of a call of the catalogue, whose settled arrays nobody can write to.

    They are closed over by functions of the package, which recording does not look into.
    """
    visited, waiting = set(), [call.f]
    while waiting:
        value = waiting.pop()
        if id(value) not in visited:
            visited.add(id(value))
            waiting += _inside(value)
    return call.f


def _inside(value: Any) -> Iterator[Any]:
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
        yield value.base
    elif isinstance(value, FunctionType):
        named = (value.__globals__.get(name) for name in value.__code__.co_names)
        yield from (thing for thing in named if isinstance(thing, (np.ndarray, list, tuple)))
        yield from (value.__closure__, value.__defaults__, value.__kwdefaults__)
    elif isinstance(value, Call):
        yield vars(value)
    elif isinstance(value, (CellType, tuple, list, dict, functools.partial)):
        yield from gc.get_referents(value)


def weighted(result: Any) -> Any:
    """All numbers of a result in one, each with a weight of its own."""
    total: Any = 0.0
    for _, part in leaves(result):
        if getattr(getattr(part, "dtype", None), "kind", "") not in ("f", "c"):
            continue
        weights = np.cos(np.arange(part.size)).reshape(part.shape) + 1.5
        total = total + np.sum(np.real(part) * weights)
        if part.dtype.kind == "c":
            total = total + np.sum(np.imag(part) * weights[::-1])
    return total


def orders(f: Callable[..., Any], count: int) -> dict[str, Callable[..., Any]]:
    """A function of some arrays, its gradient, and the gradient of that."""
    argnums = tuple(range(count))
    gradient = tl.grad(lambda *xs: weighted(f(*xs)), argnums)
    return {
        "value": lambda *xs: f(*xs),
        "gradient": lambda *xs: gradient(*xs),
        "second": lambda *xs: tl.grad(lambda *ys: weighted(gradient(*ys)), argnums)(*xs),
    }
