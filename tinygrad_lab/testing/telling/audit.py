"""Read a hand-written backward pass line by line, and find the first line that is wrong.

The forward function is run on Tensors, which gives the true gradient by every variable it names.
The backward function is run as it is, and watched: when it assigns to ``dZ3``, ``grad_Z3`` or
``Z3_grad``, the value is compared with the true gradient by ``Z3``.  The first that differs is the
line to mend, and the factor by which it differs is sought among the values of the forward pass.

Not for: deciding that a gradient is wrong; it looks on after that is known.
"""

from __future__ import annotations

import enum
import linecache
import sys
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.subject import BackwardPass, outputs_of
from tinygrad_lab.testing.telling.diagnosis import diagnose, missing_factor
from tinygrad_lab.transforms.derivatives import gradients

PREFIXES = ("d_", "grad_", "g_", "delta_", "bar_", "dL_d", "dl_d", "dLd", "d", "g")
SUFFIXES = ("_grad", "_bar", "_delta", "_gradient", "grad")
AGREEMENT = 1e-7


@dataclass
class _Assigned:
    """The assignment of a value to a variable, in a line."""

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
    """Lines for a message, and file and line of the first that is wrong."""

    lines: list[str]
    site: str = ""


def audit(backward_pass: BackwardPass) -> Audit:
    """Say which line of a backward pass is the first to be wrong, and by what factor.

    It has no lines to say where the forward function does not run on Tensors, or where no
    variable of the backward pass has the name of a gradient.
    """
    code = getattr(backward_pass.backward, "__code__", None)
    try:
        truth, values = _truth(backward_pass)
        if code is None:
            return Audit([])
        assigned: list[_Assigned] = []
        with np.errstate(all="ignore"):
            _watched(code, backward_pass.run, assigned)
    except Exception:  # noqa: BLE001 - the forward function does not run on Tensors: no audit
        return Audit([])
    names = backward_pass.forward.__code__.co_varnames
    parameters = [names[i] for i in backward_pass.positions if i < len(names)]
    return _first_wrong(assigned, truth, values, parameters)


def _truth(backward_pass: BackwardPass) -> tuple[dict[str, list[Array]], dict[str, Array]]:
    """Give the true gradients by, and the values of, all variables of the forward function."""
    forward, args = backward_pass.forward, list(backward_pass.args)
    for i in backward_pass.positions:
        args[i] = Tensor(np.array(args[i]), requires_grad=True)
    assigned: list[_Assigned] = []
    result = _watched(forward.__code__, lambda: forward(*args), assigned)
    ys = [y for y in outputs_of(result) if isinstance(y, Tensor) and y.requires_grad]
    tracked = [a for a in assigned if isinstance(a.value, Tensor) and a.value.requires_grad]
    truth: dict[str, list[Array]] = {}
    values: dict[str, Array] = {}
    ups = list(backward_pass.upstreams)
    slopes = gradients(ys, [a.value for a in tracked], ups) if tracked else []
    for a, slope in zip(tracked, slopes, strict=True):
        truth.setdefault(a.name, []).append(np.asarray(slope))
        values[a.name] = a.value.data
    return truth, values


def _watched(code: Any, call: Callable[[], Any], assigned: list[_Assigned]) -> Any:
    """Run a call, and note each value that the function with this code assigns."""
    identities: dict[str, int] = {}
    alive: list[Any] = []  # so that no identity is used twice
    last = [code.co_firstlineno]

    def look(frame: FrameType) -> None:
        for name, value in _arrays_in(frame.f_locals):
            if identities.get(name) != id(value):
                identities[name] = id(value)
                alive.append(value)
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
    arrays = []
    for name, value in variables.items():
        if isinstance(value, (np.ndarray, Tensor, np.floating)):
            arrays.append((name, value))
        elif isinstance(value, (list, tuple, dict)) and len(value) <= 100:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            parts = ((key, v) for key, v in items if isinstance(v, (np.ndarray, Tensor)))
            arrays += [(f"{name}[{key!r}]", v) for key, v in parts]
    return arrays


def _belongs_to(name: str, variables: Collection[str]) -> str | None:
    """Find the variable that a gradient is the gradient by, from the two names."""
    lowered, name = {variable.lower(): variable for variable in variables}, name.lower()
    rests = [name[len(p) :] for p in PREFIXES if name.startswith(p.lower())]
    rests += [name[: -len(s)] for s in SUFFIXES if name.endswith(s)]
    return next((lowered[rest] for rest in rests if rest in lowered), None)


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
    right = sum(likeness is _Likeness.RIGHT for *_, likeness in judged)
    is_convention = any(
        likeness is _Likeness.RIGHT and by in parameters for _, by, likeness in judged
    )
    for a, by, likeness in judged:
        if likeness is _Likeness.OTHER_SHAPE:
            line = f"  {a.name} has shape {np.shape(a.value)}, {by} has {truth[by][-1].shape}"
            return Audit([f"first wrong line: {a.place}", line], a.site)
        if likeness is _Likeness.SCALED and is_convention and by not in parameters:
            continue
        if likeness is not _Likeness.RIGHT:
            gradient = np.asarray(a.value)
            return Audit(_described(a, by, _of_shape(gradient, truth[by])[-1], values), a.site)
    if right:
        line = f"the {right} gradients of named variables are right: look at what is returned"
        return Audit([line])
    return Audit([])


class _Likeness(enum.Enum):
    RIGHT = enum.auto()
    SCALED = enum.auto()
    WRONG = enum.auto()
    OTHER_SHAPE = enum.auto()


def _of_shape(like: Array, arrays: Sequence[Array]) -> list[Array]:
    return [x for x in arrays if x.shape == like.shape]


def _judged(a: _Assigned, true: Sequence[Array]) -> _Likeness:
    gradient = np.asarray(a.value)
    comparable = _of_shape(gradient, true)
    if not comparable:
        return _Likeness.OTHER_SHAPE
    if any(_agree(gradient, t) for t in comparable):
        return _Likeness.RIGHT
    pattern = diagnose(gradient, comparable[-1])
    is_scaled = pattern is not None and pattern.ratio is not None
    return _Likeness.SCALED if is_scaled else _Likeness.WRONG


def _agree(gradient: Array, right: Array) -> bool:
    size = float(np.max(np.abs(right), initial=0.0))
    return bool(np.allclose(gradient, right, rtol=AGREEMENT, atol=AGREEMENT * size))


def _described(a: _Assigned, by: str, right: Array, values: dict[str, Array]) -> list[str]:
    gradient = np.asarray(a.value)
    sizes = [(n, f"elements along axis {k} of {by}") for k, n in enumerate(right.shape)]
    pattern = diagnose(gradient, right, [*sizes, (right.size, f"elements of {by}")])
    factor = missing_factor(gradient, right, values)
    why = "" if pattern is None else f": {pattern.text}"
    if factor is not None and (pattern is None or pattern.ratio is None):
        why = f": the factor {factor.text} is {'missing' if factor.missing else 'one too many'}"
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (gradient / right).ravel()
    first = ", ".join(f"{r:.4g}" for r in ratio[:4])
    return [
        f"first wrong line: {a.place}",
        f"  {a.name} is not the gradient by {by}{why}",
        f"  ratio to the right one: {first}{', ...' * (ratio.size > 4)}",
    ]
