"""What can be checked: anything with a value and a pullback.

A :class:`Subject` is a function of float arrays.  ``evaluate`` computes; ``record`` computes and
hands back the function that pulls cotangents back.  :class:`TensorSubject` is one made of a
function of Tensors; ``adapters.py`` makes them of other libraries' functions.

Not for: checking (``properties.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.errors import describe, name_of
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.operations import OPERATIONS
from tinygrad_lab.core.tensor import Tensor, start
from tinygrad_lab.transforms.containers import leaves
from tinygrad_lab.transforms.derivatives import gradients, walk

__all__ = [
    "Arguments",
    "Evaluation",
    "Misbehaved",
    "Origin",
    "Recorded",
    "Subject",
    "TensorSubject",
    "bind",
    "flat",
    "frozen",
]

Array = NDArray[Any]


class Misbehaved(Exception):  # noqa: N818 - found and named, not an error of the checker
    """The function under test did something that no derivative can be compared with."""

    def __init__(self, kind: str, text: str, position: int | None = None) -> None:
        super().__init__(text)
        self.kind, self.text, self.position = kind, text, position


@dataclass
class Evaluation:
    """What one call gave: the arrays, and the nodes they come from where there are any."""

    outputs: list[Array]
    roots: tuple[Node | None, ...] = ()


@dataclass
class Recorded:
    """A call that can be pulled back: ``pull(upstreams)`` gives a gradient for each input."""

    outputs: list[Array]
    pull: Callable[[Sequence[Array]], list[Any]]
    roots: tuple[Node | None, ...] = ()
    inputs: tuple[Node | None, ...] = ()


class Subject(Protocol):
    """A function of float arrays whose gradient can be asked for.

    Attributes
    ----------
    name : str
        What it is called in messages.
    names : sequence of str
        What its inputs are called.

    Notes
    -----
    A subject may have a method ``derivative(args)``: the subject whose inputs are these inputs and
    upstreams, and whose outputs are the gradients.  Second derivatives are checked of those.
    """

    name: str
    names: Sequence[str]

    def evaluate(self, inputs: Sequence[Array]) -> Evaluation:
        """Compute the outputs."""
        ...

    def record(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs, and keep what the way back needs."""
        ...


@dataclass
class Arguments:
    """Everything a function was given, and which of it is differentiated by.

    A complex array is looked at as a real one with one more axis, of real and imaginary parts.
    """

    given: tuple[Any, ...]
    positions: tuple[int, ...]

    def filled(self, inputs: Sequence[Any]) -> list[Any]:
        """Put other arrays in the places that are differentiated by."""
        args = list(self.given)
        for position, x in zip(self.positions, inputs, strict=True):
            args[position] = x[..., 0] + 1j * x[..., 1] if self._is_complex(position) else x
        return args

    @property
    def arrays(self) -> list[Array]:
        """The arrays that are differentiated by, in real numbers."""
        plain = [(i, np.asarray(self.given[i])) for i in self.positions]
        return [in_parts(x) if self._is_complex(i) else x for i, x in plain]

    def place(self, i: int, index: tuple[int, ...]) -> str:
        """Write the index of an element of the ``i``-th of the arrays as that of what was given."""
        part = ""
        if self._is_complex(self.positions[i]):
            part, index = (".real", ".imag")[index[-1]], index[:-1]
        return f"{list(index) if index else ''}{part}"

    def _is_complex(self, position: int) -> bool:
        return np.iscomplexobj(self.given[position])


def in_parts(z: Array) -> Array:
    """Give real and imaginary parts along a last axis."""
    return np.stack([np.real(z), np.imag(z)], axis=-1)


def bind(given: Sequence[Any], wrt: int | Sequence[int] | None) -> Arguments:
    """Choose what to differentiate by: ``wrt``, or every array of floats or complex numbers.

    A Python number counts as an array when nothing else is one.
    """
    plain = [_plain(x) for x in given]
    if wrt is None:
        numbers = (float, complex, np.inexact)
        chosen = [i for i, x in enumerate(plain) if isinstance(x, np.ndarray) and _is_float(x)]
        chosen = chosen or [i for i, x in enumerate(plain) if isinstance(x, numbers)]
    else:
        chosen = [wrt] if isinstance(wrt, int) else list(wrt)
    for i in chosen:
        if not 0 <= i < len(plain) or not _is_float(np.asarray(plain[i])):
            what = describe(plain[i]) if 0 <= i < len(plain) else "not there"
            raise TypeError(f"cannot differentiate by input {i}: it is {what}, not floats")
    if not chosen:
        told = ", ".join(describe(x) for x in plain)
        raise TypeError(
            f"none of the inputs ({told}) is an array of floats, so there is nothing to "
            "differentiate by; hand over arrays such as np.array([1.0, 2.0]), with a point"
        )
    return Arguments(tuple(plain), tuple(chosen))


def _plain(x: Any) -> Any:
    return x.data if isinstance(x, Tensor) else x


def _is_float(x: Array) -> bool:
    return x.dtype.kind in "fc"


def flat(outputs: Sequence[Array]) -> Array:
    """Put all outputs into one row, at least in float64."""
    rows = [np.ravel(y) for y in outputs]
    row = rows[0] if len(rows) == 1 else np.concatenate(rows)
    return row if row.dtype.itemsize >= 8 else row.astype(np.float64)


def frozen(x: Array) -> Array:
    """Give the same array read-only, so that the line that writes into it raises."""
    view = x[...]
    view.flags.writeable = False
    return view


def input_names(fn: Any, args: Arguments) -> list[str]:
    """Name the inputs as the function's signature does, or its ``input_names``."""
    if hasattr(fn, "input_names"):
        return [fn.input_names[i] for i in args.positions]
    try:
        parameters = list(inspect.signature(fn).parameters.values())
    except (TypeError, ValueError):
        parameters = []
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return [
        positional[i].name if i < len(positional) else f"input {i}" for i in args.positions
    ]


class TensorSubject:
    """A function of Tensors.

    Parameters
    ----------
    fn : callable
    args : Arguments
    name : str, optional
    """

    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str | None = None) -> None:
        self.fn, self.args = fn, args
        self.name = name or name_of(fn)
        self.names: Sequence[str] = input_names(fn, args)

    def _call(self, inputs: Sequence[Array]) -> tuple[list[Tensor], list[Any]]:
        tensors = [Tensor(x, requires_grad=True) for x in inputs]
        found = self.fn(*self.args.filled(tensors))
        return tensors, outputs_of(found)

    def evaluate(self, inputs: Sequence[Array]) -> Evaluation:
        """Compute the outputs, and keep the graph: blame looks at it if there is a need."""
        _, ys = self._call(inputs)
        roots = tuple(y.node if isinstance(y, Tensor) else None for y in ys)
        return Evaluation([np.asarray(_plain(y)) for y in ys], roots)

    def record(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs, and pull cotangents back as often as asked."""
        tensors, ys = self._call(inputs)
        roots = tuple(y.node if isinstance(y, Tensor) else None for y in ys)
        if not any(roots):
            raise Misbehaved("untracked", _lost(ys))

        def pull(upstreams: Sequence[Array]) -> list[Any]:
            pairs = [(y, u) for y, u in zip(ys, upstreams, strict=True) if _tracked(y)]
            begin, cotangents = [y for y, _ in pairs], [u for _, u in pairs]
            found = list(gradients(begin, tensors, cotangents, retain_graph=True))
            if any(x.grad is not None for x in tensors):
                raise Misbehaved(
                    "writes grad", "asking for gradients added them to .grad of the inputs"
                )
            return found

        own = tuple(x.node for x in tensors)
        return Recorded([np.asarray(_plain(y)) for y in ys], pull, roots, own)

    def derivative(self, args: Arguments) -> Subject:
        """Give the gradients as a function of the inputs and, behind them, the upstreams."""
        return _Derivative(self, args)


class _Derivative(TensorSubject):
    """The gradient of a function of Tensors, to be differentiated itself."""

    def __init__(self, of: TensorSubject, args: Arguments) -> None:
        super().__init__(self._gradients, args, f"the gradient of {of.name}")
        self.of = of
        upstreams = range(len(args.positions) - len(of.names))
        self.names = [*of.names, *(f"upstream {i}" for i in upstreams)]

    def _gradients(self, *moved: Any, visit: Any = None) -> list[Any]:
        number = len(self.of.names)
        xs, ups = list(moved[:number]), moved[number:]
        ys = outputs_of(self.of.fn(*self.of.args.filled(xs)))
        begin = [
            start(y, u, True, "gradients()") for y, u in zip(ys, ups, strict=True) if _tracked(y)
        ]
        return walk(begin, xs, create_graph=True, retain_graph=True, visit=visit)

    def origins(self, inputs: Sequence[Array]) -> list[Origin | None]:
        """Tell for each node of the graph in which derivative rule it was made.

        None where it belongs to the function itself.  The oldest first.
        """
        made_in: dict[int, Origin | None] = {}

        def visit(node: Node, _g: Any, contributions: tuple[Any, ...]) -> None:
            for forward in history([node]):
                made_in.setdefault(forward.order, None)
            rules = OPERATIONS[node.op].vjps if node.op in OPERATIONS else ()
            for rule, c in zip(rules, contributions, strict=False):
                for made in history([c.node] if isinstance(c, Tensor) else []):
                    made_in.setdefault(made.order, Origin(node, rule))

        tensors = [Tensor(x, requires_grad=True) for x in inputs]
        found = self._gradients(*tensors, visit=visit)
        roots = [y.node if isinstance(y, Tensor) else None for y in found]
        return [made_in.get(node.order) for node in reversed(history(roots))]


class Origin(NamedTuple):
    """A call, and the one of its derivative rules, that another call was made in."""

    node: Node
    rule: Callable[..., Any]


def _tracked(y: Any) -> bool:
    return isinstance(y, Tensor) and y.requires_grad


def _lost(ys: Sequence[Any]) -> str:
    told = ", ".join(describe(_plain(y)) for y in ys)
    return (
        f"it returned {told} without a history: the gradient was lost on the way (detach(), "
        ".data, no_grad, or an operation on plain arrays)"
    )


def outputs_of(found: Any) -> list[Any]:
    """Take what a function returned apart, and refuse what has no derivative.

    A complex result is two: its real and its imaginary part.
    """
    if found is None:
        raise Misbehaved("returns nothing", "it returned None; is a `return` missing?")
    ys = [y for _, y in leaves(found)]
    if not ys:
        raise Misbehaved("returns nothing", f"it returned {found!r}, with no number in it")
    for y in ys:
        plain = _plain(y)
        if not isinstance(plain, (np.ndarray, np.generic, float, complex)):
            raise Misbehaved("not float", f"it returned {describe(plain)}, not floats")
        if np.asarray(plain).dtype.kind not in "fc":
            raise Misbehaved(
                "not float", f"it returned {describe(np.asarray(plain))}, which has no derivative"
            )
    found_parts = [[np.real(y), np.imag(y)] if np.iscomplexobj(_plain(y)) else [y] for y in ys]
    return [part for parts in found_parts for part in parts]
