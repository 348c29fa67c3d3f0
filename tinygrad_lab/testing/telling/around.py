"""What there is around a gradient: lengths that it may be divided by, arrays that may be a factor.

Not for: trying them (``ratios.py``, ``diagnosis.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.graph import history
from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.judgement import Evidence
from tinygrad_lab.testing.judging.point import Point
from tinygrad_lab.testing.telling.ratios import Size


def lengths_around(point: Point, i: int) -> list[Size]:
    """List what a mean may divide by, the likeliest first: the rows of data, then other lengths.

    Data is what is not differentiated by; where there is nothing of it, every input.
    """
    named = list(_named(point))
    arrays = [(name, v) for name, v in named if np.ndim(v) > 0]
    data = [(name, v) for name, v in arrays if name not in point.subject.names]
    sizes = [Size(v, name) for name, v in named if type(v) is int]
    for name, v in data or arrays:
        sizes += [Size(len(v), f"rows of {name}")] if np.ndim(v) > 1 or data else []
        sizes += [Size(np.size(v), f"elements of {name}")]
    sizes += [Size(y.size, "results") for y in point.recorded.outputs]
    x = point.arrays[i]
    sizes += [Size(n, f"elements along axis {axis}", False) for axis, n in enumerate(x.shape)]
    return [*sizes, Size(x.size, "elements", is_likely=False)]


def _named(point: Point) -> Iterator[tuple[str, Any]]:
    """Give the arguments by name, then the arrays and integers that the function itself holds."""
    subject = point.subject
    args, fn = subject.args, subject.fn
    every = replace(args, positions=tuple(range(len(args.values))))
    if len(every.values) == len(args.positions):
        yield from zip(subject.names, point.arrays, strict=False)
    else:
        yield from zip(every.names(fn), args.values, strict=False)
    for name, value in _held(inspect.unwrap(fn)).items():
        if isinstance(value, np.ndarray) or type(value) is int:
            yield name, value


def _held(fn: Any) -> dict[str, Any]:
    """Give the defaults, the variables around it, and the globals that a function uses."""
    code = getattr(fn, "__code__", None)
    if code is None:
        return {}
    defaults = fn.__defaults__ or ()
    names = code.co_varnames[: code.co_argcount][code.co_argcount - len(defaults) :]
    held = dict(zip(names, defaults, strict=True))
    for name, cell in zip(code.co_freevars, fn.__closure__ or (), strict=True):
        try:
            held[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return held | {n: fn.__globals__[n] for n in code.co_names if n in fn.__globals__}


def arrays_around(evidence: Evidence, shape: tuple[int, ...]) -> Iterator[tuple[str, Array]]:
    """Give arrays of a shape by name: what goes in and comes out, and the values in between."""
    point = evidence.point
    around = [*_named(point)]
    one = len(point.recorded.outputs) == 1
    for j, (y, u) in enumerate(zip(point.recorded.outputs, evidence.upstreams, strict=True)):
        of = "" if one else f" {j}"
        around += [(f"the result{of}", y), (f"the upstream{of}", u)]
    nodes = reversed(history(point.recorded.roots))
    around += [(f"#{k} {name_of(n.op)}", n.value) for k, n in enumerate(nodes) if n.op is not None]
    for name, value in around:
        if isinstance(value, np.ndarray) and value.shape == shape:
            yield name, value
