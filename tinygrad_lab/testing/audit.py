"""Read a hand-written backward pass line by line, and find the first line that is wrong.

The forward function is run on Tensors, which gives the true gradient by every variable it names.
The backward function is run as it is, and watched: when it assigns to ``dZ3``, ``grad_Z3`` or
``Z3_grad``, the value is compared with the true gradient by ``Z3``.  The first that differs is the
line to mend, and the factor by which it differs is sought among the values of the forward pass.

Not for: deciding that a gradient is wrong; it looks on after that is known.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import FrameType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.testing.diagnosis import diagnose, missing_factor
from tinygrad_lab.testing.subjects import outputs_of
from tinygrad_lab.transforms.derivatives import gradients

__all__ = ["Audit", "audit"]

Array = NDArray[Any]
PREFIXES = ("d_", "grad_", "g_", "delta_", "bar_", "dL_d", "dl_d", "dLd", "d", "g")
SUFFIXES = ("_grad", "_bar", "_delta", "_gradient", "grad")
AGREEMENT = 1e-7


@dataclass
class _Assigned:
    """A variable got a value, in a line."""

    name: str
    value: Any
    file: str
    line: int

    @property
    def site(self) -> str:
        return f"{PurePath(self.file).name}:{self.line}"

    @property
    def place(self) -> str:
        text = linecache.getline(self.file, self.line).strip()
        return f"{self.site}: {text}"


class Audit(NamedTuple):
    """What was seen: lines for a message, and file and line of the first that is wrong."""

    lines: list[str]
    site: str = ""


def audit(
    f: Callable[..., Any],
    given: Sequence[Any],
    positions: Sequence[int],
    written: Callable[..., Any],
    backward: Callable[[], Any],
    upstreams: Sequence[Array],
) -> Audit:
    """Say which line of a backward pass is the first to be wrong, and by what factor.

    Parameters
    ----------
    f : callable
        The forward function, in plain NumPy.
    given, positions
        Its arguments, and which of them are differentiated by.
    written : callable
        The backward function, whose lines are looked at.
    backward : callable
        Calls it.
    upstreams : sequence of array
        What it is the backward pass of.

    Returns
    -------
    Audit
        No lines where nothing could be seen.
    """
    code = getattr(written, "__code__", None)
    try:
        truth, values = _truth(f, given, positions, upstreams)
        if code is None:
            return Audit([])
        assigned: list[_Assigned] = []
        with np.errstate(all="ignore"):
            _watched(code, backward, assigned)
    except Exception:  # noqa: BLE001 - the forward function does not run on Tensors: no audit
        return Audit([])
    return _first_wrong(assigned, truth, values, _parameters(f, positions))


def _parameters(f: Callable[..., Any], positions: Sequence[int]) -> list[str]:
    names = f.__code__.co_varnames
    return [names[i] for i in positions if i < len(names)]


def _truth(
    f: Callable[..., Any],
    given: Sequence[Any],
    positions: Sequence[int],
    upstreams: Sequence[Array],
) -> tuple[dict[str, list[Array]], dict[str, Array]]:
    """Give the true gradients by, and the values of, all variables of the forward function."""
    args = list(given)
    for i in positions:
        args[i] = Tensor(np.array(args[i]), requires_grad=True)
    assigned: list[_Assigned] = []
    found = _watched(f.__code__, lambda: f(*args), assigned)
    ys = [y for y in outputs_of(found) if isinstance(y, Tensor) and y.requires_grad]
    tracked = [
        a for a in assigned if isinstance(a.value, Tensor) and a.value.requires_grad
    ]
    truth: dict[str, list[Array]] = {}
    slopes = gradients(ys, [a.value for a in tracked], list(upstreams)) if tracked else []
    values: dict[str, Array] = {}
    for a, slope in zip(tracked, slopes, strict=True):
        truth.setdefault(a.name, []).append(np.asarray(slope))
        values[a.name] = a.value.data
    return truth, values


def _watched(code: Any, call: Callable[[], Any], assigned: list[_Assigned]) -> Any:
    """Run something, and note each value that the function with this code gives to a variable."""
    seen: dict[str, int] = {}
    kept: list[Any] = []  # so that no identity is used twice
    last = [code.co_firstlineno]

    def look(frame: FrameType) -> None:
        for name, value in _arrays_in(frame.f_locals):
            if seen.get(name) != id(value):
                seen[name] = id(value)
                kept.append(value)
                copied = value.copy() if isinstance(value, np.ndarray) else value
                assigned.append(_Assigned(name, copied, code.co_filename, last[0]))

    def local(frame: FrameType, event: str, _: Any) -> Any:
        if event in ("line", "return"):
            look(frame)
            last[0] = frame.f_lineno
        return local

    def tracer(frame: FrameType, _: str, __: Any) -> Any:
        return local if frame.f_code is code else None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        return call()
    finally:
        sys.settrace(before)


def _arrays_in(variables: dict[str, Any]) -> list[tuple[str, Any]]:
    found = []
    for name, value in variables.items():
        if isinstance(value, (np.ndarray, Tensor, np.floating)):
            found.append((name, value))
        elif isinstance(value, (list, tuple)) and len(value) <= 100:
            found += [(f"{name}[{i}]", v) for i, v in enumerate(value) if _is_array(v)]
        elif isinstance(value, dict) and len(value) <= 100:
            found += [(f"{name}[{key!r}]", v) for key, v in value.items() if _is_array(v)]
    return found


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, Tensor))


def _belongs_to(name: str, known: dict[str, list[Array]]) -> str | None:
    """Tell which variable a gradient is the gradient by, from the two names."""
    lowered = {other.lower(): other for other in known}
    for prefix in PREFIXES:
        if name.lower().startswith(prefix.lower()):
            rest = name[len(prefix) :].lower()
            if rest in lowered:
                return lowered[rest]
    for suffix in SUFFIXES:
        if name.lower().endswith(suffix):
            rest = name[: -len(suffix)].lower()
            if rest in lowered:
                return lowered[rest]
    return None


def _first_wrong(
    assigned: Sequence[_Assigned],
    truth: dict[str, list[Array]],
    values: dict[str, Array],
    parameters: Sequence[str],
) -> Audit:
    """Find the first gradient that is wrong.

    A constant factor on the way may be a convention, such as dividing by n at the end.  It is one
    if the gradient by some parameter comes out right all the same.
    """
    named = [(a, _belongs_to(a.name, truth)) for a in assigned if a.name not in truth]
    judged = [(a, by, _judged(a, truth[by])) for a, by in named if by is not None]
    right = sum(verdict == RIGHT for *_, verdict in judged)
    by_convention = any(v == RIGHT for _, by, v in judged if by in parameters)
    for a, by, verdict in judged:
        if verdict == SHAPE:
            told = f"  {a.name} has shape {np.shape(a.value)}, {by} has {truth[by][-1].shape}"
            return Audit([f"first wrong line: {a.place}", told], a.site)
        if verdict == SCALED and by_convention and by not in parameters:
            continue
        if verdict != RIGHT:
            got = np.asarray(a.value)
            same_shape = [t for t in truth[by] if t.shape == got.shape]
            return Audit(_described(a, by, got, same_shape[-1], values), a.site)
    if right:
        told = f"the {right} gradients of named variables are right: look at what is returned"
        return Audit([told])
    return Audit([])


RIGHT, SCALED, WRONG, SHAPE = "right", "scaled", "wrong", "shape"


def _judged(a: _Assigned, true: Sequence[Array]) -> str:
    got = np.asarray(a.value)
    same_shape = [t for t in true if t.shape == got.shape]
    if not same_shape:
        return SHAPE
    if any(_agree(got, t) for t in same_shape):
        return RIGHT
    return SCALED if diagnose(got, same_shape[-1]).startswith("ratio") else WRONG


def _agree(got: Array, right: Array) -> bool:
    size = float(np.max(np.abs(right), initial=0.0))
    return bool(np.allclose(got, right, rtol=AGREEMENT, atol=AGREEMENT * size))


def _described(
    a: _Assigned, by: str, got: Array, right: Array, values: dict[str, Array]
) -> list[str]:
    lines = [f"first wrong line: {a.place}"]
    sizes = [(n, f"elements along axis {k} of {by}") for k, n in enumerate(right.shape)]
    pattern = diagnose(got, right, [*sizes, (right.size, f"elements of {by}")])
    factor = missing_factor(got, right, values)
    if factor is not None and not pattern.startswith("ratio"):
        text, what = factor
        lines.append(f"  {a.name} is not the gradient by {by}: the factor {text} is {what}")
    else:
        lines.append(f"  {a.name} is not the gradient by {by}" + f": {pattern}" * bool(pattern))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (got / right).ravel()
    shown = ", ".join(f"{r:.4g}" for r in ratio[:4])
    lines.append(f"  ratio to the right one: {shown}{', ...' * (ratio.size > 4)}")
    return lines
