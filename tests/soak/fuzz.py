"""Random calls of everything that is public, and what may come of them: a result or a plain error.

Not for whether results are right: ``tests/core/rules`` compares them.
"""

from __future__ import annotations

import copy
import io
import random
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

import tinygrad_lab as tl
from tinygrad_lab import nn, optim

PACKAGE = str(Path(tl.__file__).parent)

#: Errors that tell the caller of a mistake of theirs.
PLAIN = (
    TypeError, ValueError, IndexError, ArithmeticError, NotImplementedError, RuntimeError,
    MemoryError, AttributeError, BufferError,
)  # fmt: skip
#: Errors that are plain by their type, and are of us.
OURS = (RecursionError, UnboundLocalError)

#: What changes the engine for all others, or is for declaring.
LEFT_OUT = frozenset({"defvjp", "defvjp_joint", "defvjp_variadic", "primitive", "operations"})

SECONDS_A_CALL = 20


def functions() -> dict[str, Callable[..., Any]]:
    """Everything public that can be called, by the name that a reader knows it by."""
    parts = [("np", vars(np)), ("np.linalg", vars(np.linalg)), ("np.fft", vars(np.fft))]
    named = {f"{where}.{name}": f for where, names in parts for name, f in names.items()}
    known = {name: f for name, f in named.items() if _is_known(f) and name not in _OF_FILES}
    for where, module in (("tl", tl), ("F", nn.functional), ("nn", nn), ("optim", optim)):
        names = [name for name in module.__all__ if name not in LEFT_OUT]
        known |= {f"{where}.{name}": getattr(module, name) for name in names}
    methods = [name for name in vars(tl.Tensor) if callable(getattr(tl.Tensor, name, None))]
    operators = [name for name in methods if name.startswith("__") and name not in _NO_OPERATORS]
    return known | {f"Tensor.{name}": getattr(tl.Tensor, name) for name in methods
                    if not name.startswith("_") or name in operators}  # fmt: skip


_OF_FILES = frozenset(
    f"np.{name}"
    for name in ("load", "loadtxt", "genfromtxt", "fromfile", "fromregex", "memmap", "save",
                 "savez", "savetxt", "savez_compressed", "info", "test", "show_config")
)  # fmt: skip

_NO_OPERATORS = frozenset(
    {"__class__", "__new__", "__init__", "__init_subclass__", "__subclasshook__", "__del__",
     "__setattr__", "__delattr__", "__getattribute__", "__reduce__", "__reduce_ex__",
     "__setstate__", "__dir__", "__sizeof__", "__array_ufunc__", "__array_function__"}
)  # fmt: skip


def _is_known(function: Any) -> bool:
    try:
        return function in tl.operations.OPERATIONS
    except TypeError:  # not hashable
        return False


class Arguments:
    """Draws arguments: small arrays of all kinds, tracked or not, numbers, axes, rubbish."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.numbers = np.random.default_rng(rng.getrandbits(63))

    def array(self) -> Any:
        """Draw an array."""
        shape = self.rng.choice(
            [(), (0,), (1,), (3,), (3,), (2, 3), (3, 3), (3, 3), (2, 0), (2, 1, 3)]
        )
        values = self.numbers.normal(size=shape) * self.rng.choice([1, 1, 1, 0, 1e-300, 1e200])
        if self.rng.random() < 0.1 and values.size:
            values = np.where(values > 0, self.rng.choice([np.nan, np.inf, -np.inf, 0.0]), values)
        kind = self.rng.choice("dddddfFDib?B")
        with np.errstate(all="ignore"):
            values = np.asarray(values).astype(kind)
        if self.rng.random() < 0.1:
            values = values.T
        if self.rng.random() < 0.1:
            values.flags.writeable = False
        return values

    def tensor(self) -> Any:
        """Draw a tensor: a leaf, a result, or one that is not tracked."""
        values = self.array()
        tracked = values.dtype.kind in "fc" and self.rng.random() < 0.8
        leaf = tl.tensor(values, requires_grad=tracked)
        with np.errstate(all="ignore"):
            return leaf * 1 if tracked and self.rng.random() < 0.3 else leaf

    def anything(self, deep: bool = True) -> Any:
        """Draw an argument."""
        draw = self.rng.random()
        if draw < 0.45:
            return self.tensor()
        if draw < 0.6:
            return self.array()
        if draw < 0.85 or not deep:
            return self.rng.choice([
                0, 1, 2, 3, -1, -2, 7, 0.5, -0.0, 1e-3, np.nan, np.inf, 1j, True, False, None,
                10**20, -(10**20), 1e308, "mean", "sum", "none", "x", "ij,jk", "", b"", (), (0, 1),
                (-1,), (3, 3), slice(None), slice(0, 2), ..., np.float32(2.0), np.int64(1), float,
                np.float32, "float32", np.sin, len, object(), {}, {"a": 1}, range(3), np.newaxis,
            ])  # fmt: skip
        items = [self.anything(deep=False) for _ in range(self.rng.randrange(4))]
        return tuple(items) if self.rng.random() < 0.3 else items

    def keywords(self) -> dict[str, Any]:
        """Draw keyword arguments, mostly none."""
        names = ["axis", "keepdims", "dtype", "out", "where", "ddof", "mode", "reduction", "lr",
                 "x", "requires_grad", "initial", "k", "n", "rcond", "order", "eps"]  # fmt: skip
        number = self.rng.choice([0, 0, 0, 1, 1, 2])
        return {self.rng.choice(names): self.anything() for _ in range(number)}


class HungError(BaseException):
    """A call has taken too long."""


@contextmanager
def limited() -> Iterator[None]:
    """Raise HungError in a call that takes too long, where the system has such clocks."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def late(*_: Any) -> None:
        raise HungError

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, SECONDS_A_CALL)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Fuzz:
    """Calls at random, and what was wrong with some."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.arguments = Arguments(rng)
        self.functions = functions()
        self.calls: Counter[str] = Counter()
        self.wrong: dict[str, str] = {}

    def call(self) -> None:
        """Make one call, and the backward pass of its result."""
        name = self.rng.choice(list(self.functions))
        function = self.functions[name]
        number = self.rng.choice([1, 1, 1, 2, 2, 2, 3, 4]) if self.rng.random() < 0.98 else 0
        args = [self.arguments.anything() for _ in range(number)]
        if name.startswith("Tensor."):
            args = [self.arguments.tensor(), *args[1:]]
        kwargs = self.arguments.keywords()
        if name.startswith("np.") and not holds_tensor((args, kwargs)):
            return  # NumPy's own affair
        before = copies((args, kwargs))
        try:
            with limited(), quiet():
                result = function(*args, **kwargs)
                outcome = "result"
                if isinstance(result, tl.Tensor) and result.requires_grad:
                    result.backward(np.ones(result.shape, result.dtype))
                    outcome = "gradient"
        except HungError:
            outcome = self.report(name, args, kwargs, "hangs")
        except PLAIN as error:
            outcome = type(error).__name__
            if isinstance(error, OURS) or not str(error):
                outcome = self.report(name, args, kwargs, repr(error))
            elif (leak := leaked(error)) is not None:
                outcome = self.report(
                    name, args, kwargs, f"{type(error).__name__}: {leak}", soft=True
                )
        except Exception as error:  # noqa: BLE001 - of any other type
            outcome = type(error).__name__
            if raised_by_us(error):
                outcome = self.report(name, args, kwargs, repr(error))
        if not writes(name, function, args, kwargs) and not same(before, (args, kwargs)):
            outcome = self.report(name, args, kwargs, "changed its arguments")
        self.calls[outcome] += 1

    def report(self, name: str, args: Any, kwargs: Any, what: str, soft: bool = False) -> str:
        """Write down what was wrong, once for each function."""
        key = f"{'leak' if soft else 'wrong'}: {name}"
        self.wrong.setdefault(key, f"{name}(*{args!r}, **{kwargs!r}): {what}")
        return "leak" if soft else "wrong"


@contextmanager
def quiet() -> Iterator[None]:
    """Let no warning and no output through."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            yield


def raised_by_us(error: BaseException) -> bool:
    """Tell whether an error was raised in a line of the package."""
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and frames[-1].filename.startswith(PACKAGE)


def leaked(error: BaseException) -> str | None:
    """Return the message of an error that Python raised of a line of ours, and nobody explained."""
    frames = traceback.extract_tb(error.__traceback__)
    if not raised_by_us(error):
        return None
    if (frames[-1].line or "").startswith("raise") or hasattr(error, "explained"):
        return None
    text = str(error)
    signs = ("object has no attribute", "object is not", "to unpack",
             "unsupported operand", "unhashable", "not supported between", "out of range",
             "has no len()")  # fmt: skip
    place = f"{Path(frames[-1].filename).name}:{frames[-1].lineno}"
    return f"{place}: {text}" if any(sign in text for sign in signs) else None


def writes(name: str, function: Any, args: Any, kwargs: Any) -> bool:
    """Tell whether a function is there to change its arguments."""
    declared = _is_known(function) and tl.operations.OPERATIONS[function].in_place
    declared |= isinstance(function, np.ufunc) and len(args) > function.nin  # and so into an array
    return bool(declared or "out" in kwargs or name.startswith(("Tensor.__i", "Tensor.__set")) or (
        name.startswith("Tensor.") and name.endswith("_")) or name in CHANGING)  # fmt: skip


#: The last four count a number that they are given down in place (`k %= 4`), with NumPy as well.
CHANGING = frozenset(
    {"Tensor.backward", "Tensor.register_hook", "optim.clip_grad_norm_", "optim.clip_grad_value_"}
    | {"np.rot90", "np.array_repr", "np.array_str", "np.array2string"}
)


def holds_tensor(values: Any) -> bool:
    """Tell whether there is a tensor among arguments."""
    if isinstance(values, dict):
        return holds_tensor(list(values.values()))
    if isinstance(values, (list, tuple)):
        return any(map(holds_tensor, values))
    return isinstance(values, tl.Tensor)


def copies(values: Any) -> Any:
    """Copy the numbers in arguments, to compare them later."""
    if isinstance(values, tl.Tensor):
        return (np.array(values.data), values.requires_grad)
    if isinstance(values, (list, tuple)):
        return [copies(value) for value in values]
    if isinstance(values, dict):
        return {key: copies(value) for key, value in values.items()}
    return copy.copy(values) if isinstance(values, np.ndarray) else repr(values)


def same(before: Any, values: Any) -> bool:
    """Tell whether arguments are as they were."""
    try:
        np.testing.assert_equal(copies(values), before)
    except AssertionError:
        return False
    return True
