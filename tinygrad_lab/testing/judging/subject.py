"""What can be checked: anything with a value and a pullback.

A :class:`Subject` is a function of float arrays.  ``evaluate`` computes; ``record`` computes and
hands back the function that pulls cotangents back.  Both run what the user wrote as ``running.py``
says, and so does the pullback; how they compute is for each kind of subject to say.
:class:`TensorSubject` is one made of a function of Tensors; ``adapters`` makes them of other
libraries' functions.

Not for: checking (``properties``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.operations import vjps_of
from tinygrad_lab.core.tensor import Tensor, start
from tinygrad_lab.testing.judging.arrays import Arguments, Array, array_of
from tinygrad_lab.testing.judging.judgement import Kind, Misbehaved, Site
from tinygrad_lab.testing.judging.running import as_the_user_has_it
from tinygrad_lab.transforms.calls import walk
from tinygrad_lab.transforms.containers import leaves
from tinygrad_lab.transforms.derivatives import gradients

Pull = Callable[[Sequence[Array]], list[Any]]


@dataclass
class Evaluation:
    """What one call gave: the arrays, and the nodes they come from where there are any."""

    outputs: list[Array]
    roots: tuple[Node | None, ...] = ()


@dataclass
class Recorded:
    """A call that can be pulled back: ``pull(upstreams)`` gives a gradient for each input."""

    outputs: list[Array]
    pull: Pull
    roots: tuple[Node | None, ...] = ()
    inputs: tuple[Node | None, ...] = ()


class Origin(NamedTuple):
    """A call, and the one of its derivative rules, that another call was made in."""

    node: Node
    rule: Callable[..., Any]


class BackwardPass(NamedTuple):
    """A backward function that somebody wrote, and what it is called with."""

    forward: Callable[..., Any]
    backward: Callable[..., Any]
    args: Sequence[Any]  # of the forward function
    positions: Sequence[int]  # of those that are differentiated by
    run: Callable[[], Any]  # calls the backward function
    upstreams: Sequence[Array]  # what it pulls back


class Subject(ABC):
    """A function of float arrays whose gradient can be asked for."""

    is_lenient = False  # whether form and manners that can make no number wrong are no failure
    upstream: float | None = None  # what to pull back where nobody says: by None, random numbers

    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str = "") -> None:
        self.fn, self.args, self.name = fn, args, name or name_of(fn)
        self.names: Sequence[str] = args.names(fn)

    @final
    def evaluate(self, inputs: Sequence[Array]) -> Evaluation:
        """Compute the outputs."""
        with as_the_user_has_it():
            return self.evaluated(inputs)

    def record(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs, with what the way back needs."""
        with as_the_user_has_it():
            recorded = self.recorded(inputs)
        pull = recorded.pull

        def pulled(upstreams: Sequence[Array]) -> list[Any]:
            with as_the_user_has_it():
                return pull(upstreams)

        recorded.pull = pulled
        return recorded

    @abstractmethod
    def evaluated(self, inputs: Sequence[Array]) -> Evaluation:
        """Compute the outputs: what ``evaluate`` runs."""

    @abstractmethod
    def recorded(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs, with what the way back needs: what ``record`` runs."""

    @property
    def written(self) -> tuple[str, tuple[Any, ...]]:
        """Give what a program says for what is checked: a template, and the functions in it.

        The template is empty where no program can say it.
        """
        return "{}", (self.fn,)

    def derivative(self, args: Arguments) -> Subject | None:  # noqa: ARG002
        """Give the gradient as a subject of inputs and upstreams, where it can be derived again."""
        return None

    def origins(self, inputs: Sequence[Array]) -> list[Origin | None]:  # noqa: ARG002
        """Say for each node of the graph in which derivative rule it was made, where known."""
        return []

    def backward_pass(
        self,
        inputs: Sequence[Array],  # noqa: ARG002
        upstreams: Sequence[Array],  # noqa: ARG002
    ) -> BackwardPass | None:
        """Give the backward pass, where somebody wrote one that can be read line by line."""
        return None

    def site(self, i: int, index: tuple[int, ...] | None = None) -> Site:
        """Name an input, or an element of it."""
        part = ""
        if index is not None:
            index, part = self.args.element(i, index)
        return Site(i, self.names[i], index, part)

    def names_of_derivative(self, args: Arguments) -> list[str]:
        """Name the inputs of the gradient: those of the function, then the upstreams."""
        upstreams = range(len(args.positions) - len(self.names))
        return [*self.names, *(f"upstream {i}" for i in upstreams)]


class Adapter:
    """What is checked in place of a function of Tensors: it makes a subject of the arguments."""

    def __init__(self, subject: Callable[[Arguments], Subject], name: str) -> None:
        self.subject = subject
        self.__name__ = name


def subject_of(fn: Callable[..., Any] | Adapter, args: Arguments, name: str = "") -> Subject:
    """Make a subject of a function of Tensors, or of what was adapted."""
    if not isinstance(fn, Adapter):
        return TensorSubject(fn, args, name)
    subject = fn.subject(args)
    subject.name = name or subject.name
    return subject


class TensorSubject(Subject):
    """A function of Tensors."""

    def _call(self, inputs: Sequence[Array]) -> tuple[list[Tensor], list[Any], list[Node | None]]:
        tensors = [Tensor(x, requires_grad=True) for x in inputs]
        ys = outputs_of(self.fn(*self.args.filled(tensors)))
        return tensors, ys, _nodes_of(ys)

    def evaluated(self, inputs: Sequence[Array]) -> Evaluation:
        """Compute the outputs, with their graph, in which blame looks for its cause."""
        _, ys, roots = self._call(inputs)
        return Evaluation([np.asarray(array_of(y)) for y in ys], tuple(roots))

    def recorded(self, inputs: Sequence[Array]) -> Recorded:
        """Compute the outputs, to pull cotangents back as often as asked."""
        tensors, ys, roots = self._call(inputs)
        if not any(roots):
            raise Misbehaved(Kind.UNTRACKED, results=[array_of(y) for y in ys])

        def pull(upstreams: Sequence[Array]) -> list[Any]:
            pairs = [(y, u) for y, u in zip(ys, upstreams, strict=True) if _is_tracked(y)]
            begin, cotangents = [y for y, _ in pairs], [u for _, u in pairs]
            result = list(gradients(begin, tensors, cotangents, retain_graph=True))
            if any(x.grad is not None for x in tensors):
                raise Misbehaved(Kind.WRITES_GRAD)
            return result

        own = tuple(x.node for x in tensors)
        return Recorded([np.asarray(array_of(y)) for y in ys], pull, tuple(roots), own)

    def derivative(self, args: Arguments) -> Subject:
        """Give the gradients as a function of the inputs and, behind them, the upstreams."""
        return _Derivative(self, args)


class _Derivative(TensorSubject):
    """The gradient of a function of Tensors, to be differentiated itself."""

    def __init__(self, of: TensorSubject, args: Arguments) -> None:
        super().__init__(self._gradients, args, f"the gradient of {of.name}")
        self.of = of
        self.names = of.names_of_derivative(args)

    def _gradients(self, *moved: Any, visit: Any = None) -> list[Any]:
        number = len(self.of.names)
        xs, ups = list(moved[:number]), moved[number:]
        ys = outputs_of(self.of.fn(*self.of.args.filled(xs)))
        pairs = [(y, u) for y, u in zip(ys, ups, strict=True) if _is_tracked(y)]
        begin = [start(y, u, True, "gradients()") for y, u in pairs]
        return walk(begin, xs, create_graph=True, retain_graph=True, visit=visit)

    def origins(self, inputs: Sequence[Array]) -> list[Origin | None]:
        """Say for each node, the oldest first, in which rule it was made; None if in none."""
        origins: dict[int, Origin | None] = {}

        def visit(node: Node, _g: Any, contributions: tuple[Any, ...]) -> None:
            for forward in history([node]):
                origins.setdefault(forward.order, None)
            for rule, c in zip(vjps_of(node.op), contributions, strict=False):
                for inside in history(_nodes_of([c])):
                    origins.setdefault(inside.order, Origin(node, rule))

        tensors = [Tensor(x, requires_grad=True) for x in inputs]
        roots = _nodes_of(self._gradients(*tensors, visit=visit))
        return [origins.get(node.order) for node in reversed(history(roots))]


def _is_tracked(y: Any) -> bool:
    return isinstance(y, Tensor) and y.requires_grad


def _nodes_of(ys: Sequence[Any]) -> list[Node | None]:
    return [y.node if isinstance(y, Tensor) else None for y in ys]


def outputs_of(result: Any) -> list[Any]:
    """Take apart what a function returned, complex numbers too; refuse what has no derivative."""
    ys = [] if result is None else [y for _, y in leaves(result)]
    if not ys:
        raise Misbehaved(Kind.RETURNS_NOTHING, **({} if result is None else {"empty": result}))
    outputs: list[Any] = []
    for y in ys:
        x = array_of(y)
        numbers = isinstance(x, (np.ndarray, np.generic, float, complex))
        if not numbers or np.asarray(x).dtype.kind not in "fc":
            facts = {"array": np.asarray(x)} if numbers else {"result": x}
            raise Misbehaved(Kind.NOT_FLOAT, **facts)
        outputs += [np.real(y), np.imag(y)] if np.iscomplexobj(x) else [y]
    return outputs
