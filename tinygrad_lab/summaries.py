"""A model as a table: its layers, what they give, and what that costs.

Multiplications are counted on the NumPy calls that one call of the model makes, as ``tl.program``
records them; there are no formulas for layers here.

Not for: what a program costs as a whole (``transforms/jit/cost.py``).
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from html import escape
from typing import Any

import numpy as np

from tinygrad_lab.core.modes import no_grad
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.containers import is_module, leaves
from tinygrad_lab.transforms.jit import Program, TracingError, program
from tinygrad_lab.transforms.jit.cost import multiply_adds, size
from tinygrad_lab.transforms.jit.trace import Traced
from tinygrad_lab.transforms.stateless import replaced

__all__ = ["Row", "Summary", "summary"]

_HEADS = ("path", "layer", "output", "parameters", "multiply-adds", "activations")


@dataclass
class Row:
    """One layer, without the layers within it.

    Attributes
    ----------
    path : str
        As ``named_modules()`` has it.
    layer : str
        Its class.
    shapes : list of tuple
        Of the arrays that its last call gave; empty if it was not called.
    parameters, trainable : int
        Numbers that are its own, and those that are not frozen.
    multiply_adds : int or None
        Multiplications, each with an addition, in products and convolutions of all its calls; None
        if the model cannot be recorded.
    activations : int
        Bytes that its calls gave; 0 where they are those of layers within.
    """

    path: str
    layer: str
    shapes: list[tuple[int, ...]]
    parameters: int
    trainable: int
    multiply_adds: int | None
    activations: int

    def cells(self) -> tuple[str, ...]:
        """Its columns as texts."""
        frozen = self.parameters - self.trainable
        return (
            self.path or "(model)",
            self.layer,
            ", ".join(map(str, self.shapes)) or "-",
            _number(self.parameters) + (f" ({frozen:,} frozen)" if frozen else ""),
            _number(self.multiply_adds),
            size(self.activations) if self.activations else "",
        )


@dataclass
class Summary:
    """The table of a model: it prints itself, and shows itself in a notebook.

    Attributes
    ----------
    rows : list of Row
        The layers, in the order of ``named_modules()``.
    bytes : int
        Of all parameters and buffers: what a saved model takes.
    """

    rows: list[Row]
    bytes: int

    @property
    def parameters(self) -> int:
        """How many numbers are in all parameters."""
        return sum(row.parameters for row in self.rows)

    @property
    def trainable(self) -> int:
        """How many of them are not frozen."""
        return sum(row.trainable for row in self.rows)

    @property
    def multiply_adds(self) -> int | None:
        """How many multiplications a call makes, or None if it cannot be recorded."""
        counts = [row.multiply_adds for row in self.rows]
        return None if None in counts else sum(filter(None, counts))

    @property
    def activations(self) -> int:
        """The bytes that all layers give."""
        return sum(row.activations for row in self.rows)

    def _totals(self) -> str:
        counted = self.multiply_adds
        products = "multiply-adds not counted" if counted is None else f"{counted:,} multiply-adds"
        return (
            f"{self.parameters:,} parameters ({self.trainable:,} trainable, {size(self.bytes)}), "
            f"{products}, {size(self.activations)} of activations"
        )

    def __repr__(self) -> str:
        table = [_HEADS, *(row.cells() for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = []
        for cells in table:
            columns = zip(cells, widths, strict=True)
            texts = [c.ljust(w) if i < 3 else c.rjust(w) for i, (c, w) in enumerate(columns)]
            lines.append("  ".join(texts).rstrip())
        rule = "-" * max(map(len, lines))
        return "\n".join([lines[0], rule, *lines[1:], rule, self._totals()])

    def _repr_html_(self) -> str:
        rows = [
            "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in cells) + "</tr>"
            for tag, cells in [("th", _HEADS), *(("td", row.cells()) for row in self.rows)]
        ]
        return f"<table>{''.join(rows)}<caption>{escape(self._totals())}</caption></table>"


def _number(count: int | None) -> str:
    return "?" if count is None else f"{count:,}" if count else ""


def summary(model: Any, *inputs: Any, **kwargs: Any) -> Summary:
    """Call a model once, on copies of what it could change, and make a table of its layers.

    Parameters
    ----------
    model : Module
        In training or not, as it is.
    *inputs : array, Tensor, or tuple of int
        What it is called with; a tuple of sizes stands for zeros of that shape, in the dtype of the
        model's parameters.
    **kwargs
        Keyword arguments of the call.

    Returns
    -------
    Summary
        Its ``rows``, and sums of them.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab import nn
    >>> model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.Flatten(), nn.Linear(144, 2, rng=1))
    >>> tl.summary(model, (5, 1, 8, 8))
    path     layer       output        parameters  multiply-adds  activations
    -------------------------------------------------------------------------
    (model)  Sequential  (5, 2)
    0        Conv2d      (5, 4, 6, 6)          40          6,480      5.76 kB
    1        Flatten     (5, 144)                                     5.76 kB
    2        Linear      (5, 2)               290          1,440         80 B
    -------------------------------------------------------------------------
    330 parameters (330 trainable, 2.64 kB), 7,920 multiply-adds, 11.6 kB of activations
    """
    if not is_module(model):
        raise TypeError(f"summary of a model, not of {model!r}")
    dtype = next((p.dtype for p in model.parameters()), np.dtype(float))
    args = tuple(np.zeros(x, dtype) if _is_shape(x) else x for x in inputs)
    log = _Log()
    with no_grad():
        try:
            program(log.watch(replaced(model, {})))(*args, **kwargs)
        except TracingError:
            log.watch(copy.deepcopy(model))(*args, **kwargs)
    visited: set[int] = set()
    rows = [log.row(path, module, visited) for path, module in model.named_modules()]
    arrays = [*model.parameters(), *model.buffers()]
    return Summary(rows, sum(x.dtype.itemsize * x.size for x in arrays))


def _is_shape(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(n, (int, np.integer)) for n in value)


class _Log:
    """What happens in one call of a model, module by module."""

    def watch(self, model: Any) -> Any:
        """Register hooks in a model that nobody else has."""
        self._start()
        for path, module in model.named_modules():
            module.register_forward_pre_hook(
                partial(self._enter, path), prepend=True, with_kwargs=True
            )
            module.register_forward_hook(partial(self._leave, path))
        return model

    def _start(self) -> None:
        self._trace: Any = None
        self._around: list[str] = []  # the paths of the modules whose calls go on
        self._marks: list[tuple[int, str]] = []  # up to which instruction, and whose they are
        self._counts: dict[str, int] | None = None
        self.shapes: dict[str, list[tuple[int, ...]]] = {}
        self.bytes: dict[str, int] = {}

    def _enter(self, path: str, _: Any, args: Any, kwargs: Any) -> None:
        if not path:
            self._start()  # a call may be recorded in several attempts
        self._mark((args, kwargs))
        self._around.append(path)
        self.bytes.setdefault(path, 0)
        self._is_innermost = True

    def _leave(self, path: str, _: Any, args: Any, output: Any) -> None:
        self._mark((args, output))
        self._around.pop()
        arrays = [x for _, x in leaves(output) if hasattr(x, "shape")]
        self.shapes[path] = [tuple(x.shape) for x in arrays]
        if self._is_innermost:
            self.bytes[path] += sum(x.dtype.itemsize * x.size for x in arrays)
        self._is_innermost = False
        if not path and self._trace is not None:
            self._count(self._trace)

    def _mark(self, values: Any) -> None:
        """Whatever was recorded since the last mark belongs to the module that is called now."""
        for _, value in leaves(values):
            array = value.data if isinstance(value, Tensor) else value
            if isinstance(array, Traced):
                self._trace = array.trace
        if self._trace is not None and self._around:
            self._marks.append((len(self._trace.instructions), self._around[-1]))

    def _count(self, trace: Any) -> None:
        whole = Program(trace.name, tuple(trace.inputs), tuple(trace.instructions), (), ())
        counts, begin = multiply_adds(whole), 0
        self._counts = {}
        for end, path in self._marks:
            self._counts[path] = self._counts.get(path, 0) + sum(counts[begin:end])
            begin = end

    def row(self, path: str, module: Any, visited: set[int]) -> Row:
        """Make the row of one module; parameters that were in another row are left out."""
        own = [p for p in module.parameters(recurse=False) if id(p) not in visited]
        visited.update(map(id, own))
        return Row(
            path,
            type(module).__name__,
            self.shapes.get(path, []),
            sum(p.size for p in own),
            sum(p.size for p in own if p.requires_grad),
            None if self._counts is None else self._counts.get(path, 0),
            self.bytes.get(path, 0),
        )
