"""Read a hand-written backward pass line by line, and find the first line that is wrong.

Running the forward function on Tensors gives the true gradient by every variable it names.  What
the backward function assigns to ``dZ3``, ``grad_Z3`` or ``Z3_grad`` is compared with that by
``Z3``, and a factor by which it differs is sought among the values of the forward pass.

Not for: deciding that a gradient is wrong; it looks on after that is known.
"""

from __future__ import annotations

import linecache
import sys
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.subject import BackwardPass, outputs_of
from tinygrad_lab.testing.telling.diagnosis import diagnose, wrong_factor
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


class Audit(NamedTuple):
    """Lines for a message, and file and line of the first that is wrong."""

    lines: list[str]
    site: str = ""


def audit(backward_pass: BackwardPass) -> Audit:
    """Say which line of a backward pass is the first to be wrong, and by what factor.

    It has no lines to say where the forward function does not run on Tensors, or where no
    variable of the backward pass has the name of a gradient.
    """
    code = getattr(backward_pass.functions[1], "__code__", None)
    try:
        truth, values = _truth(backward_pass)
        if code is None:
            return Audit([])
        with np.errstate(all="ignore"):
            _, assigned = _watched(code, backward_pass.run)
    except Exception:  # noqa: BLE001 - the forward function does not run on Tensors: no audit
        return Audit([])
    named = [(a, _belongs_to(a.name, truth)) for a in assigned if a.name not in truth]
    readings = [_Reading(a, by, truth[by]) for a, by in named if by is not None]
    names = backward_pass.functions[0].__code__.co_varnames
    parameters = [names[i] for i in backward_pass.positions if i < len(names)]
    return _first_wrong(readings, values, parameters)


def _truth(backward_pass: BackwardPass) -> tuple[dict[str, list[Array]], dict[str, Array]]:
    """Give the true gradients by, and the values of, all variables of the forward function."""
    forward, args = backward_pass.functions[0], list(backward_pass.args)
    for i in backward_pass.positions:
        args[i] = Tensor(np.array(args[i]), requires_grad=True)
    result, assigned = _watched(forward.__code__, lambda: forward(*args))
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


def _watched(code: Any, call: Callable[[], Any]) -> tuple[Any, list[_Assigned]]:
    """Run a call, and note each value that the function with this code assigns."""
    assigned: list[_Assigned] = []
    latest: dict[str, Any] = {}
    line = code.co_firstlineno

    def local(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal line
        if event in ("line", "return"):
            for name, value in _arrays_in(frame.f_locals):
                if latest.get(name) is not value:
                    latest[name] = value
                    copied = value.copy() if isinstance(value, np.ndarray) else value
                    assigned.append(_Assigned(name, copied, code.co_filename, line))
            line = frame.f_lineno
        return local

    def tracer(frame: FrameType, _: str, __: Any) -> Any:
        return local if frame.f_code is code else None

    before = sys.gettrace()
    sys.settrace(tracer)
    try:
        return call(), assigned
    finally:
        sys.settrace(before)


def _arrays_in(variables: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in variables.items():
        if isinstance(value, (np.ndarray, Tensor, np.floating)):
            yield name, value
        elif isinstance(value, (list, tuple, dict)) and len(value) <= 100:
            items = value.items() if isinstance(value, dict) else enumerate(value)
            for key, v in items:
                if isinstance(v, (np.ndarray, Tensor)):
                    yield f"{name}[{key!r}]", v


def _belongs_to(name: str, variables: Collection[str]) -> str | None:
    """Find the variable that a gradient is the gradient by, from the two names."""
    lowered, name = {variable.lower(): variable for variable in variables}, name.lower()
    rests = [name[len(p) :] for p in PREFIXES if name.startswith(p.lower())]
    rests += [name[: -len(s)] for s in SUFFIXES if name.endswith(s)]
    return next((lowered[rest] for rest in rests if rest in lowered), None)


class _Reading:
    """A gradient that was assigned, beside the true ones by the variable that its name says."""

    def __init__(self, assigned: _Assigned, by: str, true: Sequence[Array]) -> None:
        self.assigned, self.by, self.gradient = assigned, by, np.asarray(assigned.value)
        self.shape = true[-1].shape
        comparable = [t for t in true if t.shape == self.gradient.shape]
        self.right = comparable[-1] if comparable else None
        self.is_right = any(_agree(self.gradient, t) for t in comparable)
        self.pattern = None
        if self.right is not None and not self.is_right:
            lengths = enumerate(self.right.shape)
            sizes = [(n, f"elements along axis {k} of {by}") for k, n in lengths]
            sizes.append((self.right.size, f"elements of {by}"))
            self.pattern = diagnose(self.gradient, self.right, sizes)
        self.has_ratio = self.pattern is not None and self.pattern.ratio is not None

    def lines(self, values: dict[str, Array]) -> list[str]:
        """Say what is wrong with it."""
        name = self.assigned.name
        if self.right is None:
            return [f"  {name} has shape {self.gradient.shape}, {self.by} has {self.shape}"]
        factor = "" if self.has_ratio else wrong_factor(self.gradient, self.right, values)
        why = factor or (self.pattern.text if self.pattern else "")
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = (self.gradient / self.right).ravel()
        first = ", ".join(f"{r:.4g}" for r in ratio[:4])
        return [
            f"  {name} is not the gradient by {self.by}{f': {why}' if why else ''}",
            f"  ratio to the right one: {first}{', ...' * (ratio.size > 4)}",
        ]


def _agree(gradient: Array, right: Array) -> bool:
    size = float(np.max(np.abs(right), initial=0.0))
    return bool(np.allclose(gradient, right, rtol=AGREEMENT, atol=AGREEMENT * size))


def _first_wrong(
    readings: Sequence[_Reading], values: dict[str, Array], parameters: Sequence[str]
) -> Audit:
    """Find the first gradient that is wrong.

    A constant factor on the way may be a convention, such as dividing by n at the end.  It is one
    if the gradient by some parameter comes out right all the same.
    """
    right = [reading for reading in readings if reading.is_right]
    is_convention = any(reading.by in parameters for reading in right)
    for reading in readings:
        is_allowed = is_convention and reading.has_ratio and reading.by not in parameters
        if not reading.is_right and not is_allowed:
            file, line = reading.assigned.file, reading.assigned.line
            site = f"{PurePath(file).name}:{line}"
            first = f"first wrong line: {site}: {linecache.getline(file, line).strip()}"
            return Audit([first, *reading.lines(values)], site)
    if right:
        text = f"the {len(right)} gradients of named variables are right: look at what is returned"
        return Audit([text])
    return Audit([])
