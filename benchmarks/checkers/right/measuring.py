"""Ask checkers about right functions, and about wrong ones beside them.

Not for: what is asked about (``functions()``, ``twins.py``), or printing (``__main__.py``).
"""

from __future__ import annotations

import importlib
import importlib.util
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

import numpy as np

import tinygrad_lab as tl
from benchmarks.checkers import tools
from benchmarks.checkers.right import functions
from benchmarks.checkers.right.digits import rebound
from benchmarks.checkers.right.right import Right
from benchmarks.checkers.right.twins import TWINS, Twin
from tinygrad_lab import testing as tgt
from tinygrad_lab.testing.inputs.calls import Call

__all__ = ["CHECKERS", "OURS", "Asked", "ask", "ask_about_twin", "installed"]

Array = Any
OURS = ("ours, NumPy", "ours, Tensors", "ours, PyTorch")
CHECKERS = (*OURS, "torch", "jax", "autograd")
NEEDS = {"ours, PyTorch": "torch", "torch": "torch", "jax": "jax", "autograd": "autograd"}


@dataclass(frozen=True)
class Asked:
    """What one checker said about one function at one point, and how long the processor took."""

    function: str
    kind: str
    point: int
    checker: str
    verdict: str  # pass, fail, inconclusive
    seconds: float
    said: str = ""  # the property that failed, or the error
    is_right: bool = True

    def row(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def installed(checkers: Sequence[str] = CHECKERS) -> list[str]:
    """Those that can be asked here."""
    return [c for c in checkers if c not in NEEDS or importlib.util.find_spec(NEEDS[c])]


def ask(index: int, checkers: Sequence[str], points: int) -> list[Asked]:
    """Ask about one right function, by its place in the list, at its first points.

    Its other texts, of Tensors and of PyTorch, are asked about at half of them.
    """
    right = functions()[index]
    answers = []
    for checker in checkers:
        check = _check(checker, right)
        is_other = checker in OURS[1:]
        for point in range((points + is_other) // (1 + is_other) if check else 0):
            inputs = right.inputs(point)
            if is_other and not _agrees(right, inputs, _in(checker, right)):
                continue
            verdict, said, seconds = _timed(check, inputs, point)
            if verdict:
                answers.append(Asked(
                    right.name, right.kind(point), point, checker, verdict, seconds, said,
                ))  # fmt: skip
    return answers


def ask_about_twin(index: int, checkers: Sequence[str]) -> list[Asked]:
    """Ask about one wrong function, at all of its points."""
    twin = TWINS[index]
    return [
        Asked(twin.name, twin.of, point, checker, *_turned(_timed(check, inputs, point)), False)
        for checker in checkers
        if checker not in OURS[1:] and (check := _check(checker, twin))
        for point, inputs in _points_of(twin)
    ]


def _turned(answer: tuple[str, str, float]) -> tuple[str, float, str]:
    verdict, said, seconds = answer
    return verdict, seconds, said


def _points_of(twin: Twin) -> Iterator[tuple[int, tuple[Any, ...]]]:
    for point in range(twin.points):
        yield point, twin.inputs(point)


def _timed(
    check: Callable[[tuple[Any, ...], int], tuple[str, str]], inputs: Any, point: int
) -> tuple[str, str, float]:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        begin = time.process_time()
        try:
            verdict, said = check(inputs, point)
        except Exception as error:  # noqa: BLE001 - a checker that raises is one that objects
            verdict, said = "fail", f"{type(error).__name__}: {error}"[:80]
        return verdict, said, time.process_time() - begin


def _check(checker: str, right: Right | Twin) -> Any:
    """A function of inputs and a seed that gives the verdict; None where it cannot be asked."""
    adapter: Any = tgt.adapters.numpy(right.f, right.vjp, name=right.name)
    if checker == "ours, NumPy":
        return lambda inputs, point: _ours(adapter, inputs, point)
    if checker in OURS:
        assert isinstance(right, Right)
        subject: Any = _in(checker, right)
        if subject is None:
            return None
        if checker == "ours, PyTorch":
            subject = tgt.adapters.torch(subject, name=right.name)
        return lambda inputs, point: _ours(subject, inputs, point)
    if checker == "jax":
        return lambda inputs, point: _jax(right, inputs)
    tool: tools.Tool = tools.Torch(fast=False) if checker == "torch" else tools.Autograd()

    def alarm(inputs: Any, point: int) -> tuple[str, str]:
        if checker == "autograd" and isinstance(right.f(*inputs), tuple):
            return "", ""  # it takes functions of one result
        said = tool.alarm(Call(right.name, adapter, list(inputs)), point)
        return ("fail" if said else "pass"), said

    return alarm


def _ours(subject: Any, inputs: Any, point: int) -> tuple[str, str]:
    report = tgt.gradcheck(subject, *inputs, rng=point, raises=False)
    wrong = [r.property for r in report.results if r.verdict == "fail"]
    return report.verdict, ", ".join(wrong)


@cache
def _jax_library() -> tuple[Any, Any]:
    jax = importlib.import_module("jax")
    jax.config.update("jax_enable_x64", True)
    return jax, importlib.import_module("jax.test_util").check_grads


def _jax(right: Right | Twin, inputs: Any) -> tuple[str, str]:
    """``jax.test_util.check_grads`` of a ``custom_vjp``: untraced, it may run NumPy."""
    jax, check_grads = _jax_library()
    moved = [i for i, x in enumerate(inputs) if isinstance(x, np.ndarray) and x.dtype.kind == "f"]

    def filled(xs: Any) -> list[Any]:
        args = list(inputs)
        for i, x in zip(moved, xs, strict=True):
            args[i] = np.array(x)
        return args

    wide: Any = lambda y: jax.tree.map(lambda v: jax.numpy.asarray(np.asarray(v, np.float64)), y)
    carried = jax.custom_vjp(lambda *xs: wide(right.f(*filled(xs))))

    def backward(xs: Any, g: Any) -> Any:
        by = right.vjp(jax.tree.map(np.array, g), *filled(xs))
        by = by if isinstance(by, (tuple, list)) else (by,)
        return tuple(wide(d) for d in by)

    carried.defvjp(lambda *xs: (carried(*xs), xs), backward)
    try:
        check_grads(carried, tuple(inputs[i] for i in moved), order=1, modes=["rev"])
    except Exception as error:  # noqa: BLE001 - that it raises is what it has to say
        return "fail", type(error).__name__
    return "pass", ""


def _in(checker: str, right: Right) -> Callable[..., Any] | None:
    """The function of Tensors, or of PyTorch's: its own text, or NumPy's with another ``np``."""
    if checker == "ours, Tensors":
        return right.f
    names = importlib.import_module("benchmarks.checkers.right.torch_names")
    return right.torch or rebound(right.f, names.TORCH)


def _agrees(right: Right, inputs: Any, f: Callable[..., Any] | None) -> bool:
    """Whether a function's other text runs, and has the gradient that is known to be right.

    One that divides 0 by 0 on its way back does not, and an objection to it is no false alarm.
    """
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            g = _like(right.f(*inputs))
            by_hand = right.vjp(g, *inputs)
            pull = _pulled if f is right.f else _pulled_in_torch
            by_library = pull(f, g, inputs)
        except Exception:  # noqa: BLE001 - whatever it is, the text does not run there
            return False
    by_hand = list(by_hand) if isinstance(by_hand, (tuple, list)) else [by_hand]
    if len(by_hand) == len(inputs) != len(by_library):
        by_hand = [d for d, x in zip(by_hand, inputs, strict=True) if _moves(x)]
    return len(by_hand) == len(by_library) and all(
        _close(a, b) for a, b in zip(by_hand, by_library, strict=True)
    )


def _close(a: Array, b: Array) -> bool:
    a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
    same = a.shape == b.shape and bool(np.all(np.isfinite(b)))
    return same and float(np.max(abs(a - b), initial=0)) <= 1e-6 * float(
        np.max(abs(a), initial=1e-9)
    )


def _moves(x: Any) -> bool:
    return isinstance(x, np.ndarray) and x.dtype.kind == "f"


def _like(y: Any) -> Any:
    """An upstream."""
    if isinstance(y, tuple):
        return tuple(_like(part) for part in y)
    rng = np.random.default_rng(0)
    return np.asarray(rng.uniform(0.5, 1.5, np.shape(y)))


def _pulled(f: Any, g: Any, inputs: Any) -> list[Array]:
    xs = [tl.tensor(x, requires_grad=True) if _moves(x) else x for x in inputs]
    y = f(*xs)
    ys, gs = (y, g) if isinstance(y, tuple) else ((y,), (g,))
    total = sum((part * u).sum() for part, u in zip(ys, gs, strict=True))
    total.backward()
    return [_gradient_of(x) for x in xs if isinstance(x, tl.Tensor)]


def _gradient_of(x: Any) -> Array:
    return np.zeros(x.shape) if x.grad is None else np.asarray(x.grad)


def _pulled_in_torch(f: Any, g: Any, inputs: Any) -> list[Array]:
    import torch

    xs = [torch.tensor(x, requires_grad=True) if _moves(x) else _passed(x) for x in inputs]
    y = f(*xs)
    ys, gs = (y, g) if isinstance(y, tuple) else ((y,), (g,))
    total = sum((part * torch.as_tensor(u)).sum() for part, u in zip(ys, gs, strict=True))
    moved = [x for x in xs if getattr(x, "requires_grad", False)]
    by: Any = torch.autograd.grad(total, moved, allow_unused=True)
    pairs = zip(by, moved, strict=True)
    return [np.zeros(x.shape) if d is None else d.detach().numpy() for d, x in pairs]


def _passed(x: Any) -> Any:
    import torch

    return torch.as_tensor(x) if isinstance(x, np.ndarray) else x
