"""What can be checked: anything with a value and a pullback.

A :class:`Subject` is a function of float arrays.  ``evaluate`` computes; ``record`` computes and
hands back the function that pulls cotangents back.  Both run what the user wrote as ``running.py``
says, and so does the pullback; how they compute is for each kind of subject to say.
:class:`TensorSubject` is one made of a function of Tensors; ``adapters`` makes them of other
libraries' functions.

Not for: checking (``properties``).
"""

from __future__ import annotations

import contextlib
import copy
import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, final

import numpy as np

from tinygrad_lab.core.engine import Node
from tinygrad_lab.core.errors import name_of
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.operations import defvjp_joint, primitive, vjps_of
from tinygrad_lab.core.tensor import Tensor, start
from tinygrad_lab.testing.judging import foreign
from tinygrad_lab.testing.judging.arrays import Arguments, Array, array_of
from tinygrad_lab.testing.judging.judgement import Kind, Misbehaved, Site
from tinygrad_lab.testing.judging.running import as_the_user_has_it
from tinygrad_lab.transforms.calls import walk
from tinygrad_lab.transforms.containers import leaves
from tinygrad_lab.transforms.derivatives import gradients

#: From an upstream for each output, None for one that nobody uses, to a gradient for each input.
Pull = Callable[[Sequence[Any]], list[Any]]


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
    tensors: tuple[Tensor, ...] = ()  # what the function was called with, where that is Tensors


class Reuse(NamedTuple):
    """Both passes of an object that has been through them before, at other inputs."""

    outputs: list[Array]
    before: list[Any]  # the gradients of the first time
    gradients: list[Any]


class Origin(NamedTuple):
    """A call, and the one of its derivative rules, that another call was made in."""

    node: Node
    rule: Callable[..., Any]


class BackwardPass(NamedTuple):
    """A backward pass that somebody wrote, beside its forward pass, to be read line by line."""

    forward: Callable[[Sequence[Any]], Any]  # of arrays or Tensors in the places of ``arrays``
    run: Callable[[], Sequence[Any]]  # runs the backward pass alone, and gives the gradients
    arrays: Sequence[Array]  # what is differentiated by
    names: Sequence[str]  # of these
    upstreams: Sequence[Array]  # what is pulled back
    #: Names an object whose methods run, by where it is; the passes may have two such objects.
    path: Callable[[Any], Hashable] = id


class Kept(NamedTuple):
    """An array that a call keeps where nothing notices that it is written into."""

    owner: str  # whose it is
    name: str  # under which
    whose: str  # "input" or "result" of the owner
    site: Site
    goes_wrong: bool  # whether the gradient changes, in silence, when it is written into


class Rule(NamedTuple):
    """A derivative by hand: where it is written, and what its author calls it."""

    site: Site
    part: str


class Inside(NamedTuple):
    """A call, inside a function, of one that has a derivative by hand."""

    subject: Subject
    arrays: list[Array]  # what it is called with, of what is differentiated by
    rule: Rule


class Subject(ABC):
    """A function of float arrays whose gradient can be asked for."""

    is_lenient = False  # whether form and manners that can make no number wrong are no failure
    is_for_a_step = False  # whether ``b - rate * db`` is what gradients are for, not more rules
    upstream: float | None = None  # what to pull back where nobody says: by None, random numbers
    told_inputs = False  # whether its rules are told which gradients are asked for
    told_results = False  # and which results are used
    adds_in_any_order = False  # as GPUs do: the last digits of two calls may differ

    def __init__(self, fn: Callable[..., Any], args: Arguments, name: str = "") -> None:
        self.fn, self.args, self.name = fn, args, name or name_of(fn)
        self.names: Sequence[str] = args.names(fn)
        self.notes: list[str] = []  # what is worth knowing about it, and no failure
        self.adapter: Adapter | None = None  # that made it
        self.asked = args  # what that was asked for; a layer adds its parameters

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

    def used_again(
        self,
        before: Sequence[Array],  # noqa: ARG002
        inputs: Sequence[Array],  # noqa: ARG002
        upstreams: Sequence[Array],  # noqa: ARG002
    ) -> Reuse | None:
        """Go both ways twice with one object, where there is an object that keeps things."""
        return None

    @property
    def written(self) -> tuple[str, tuple[Any, ...]]:
        """Give what a program says for what is checked: a template, and the functions in it.

        The template is empty where no program can say it.
        """
        return "{}", (self.fn,)

    def derivative(self, args: Arguments) -> Subject | None:  # noqa: ARG002
        """Give the gradient as a subject of inputs and upstreams, where it can be derived again."""
        return None

    def by_some(self, wanted: Sequence[int], inputs: Sequence[Array]) -> Subject:
        """Give the function of some of its inputs, with the others constant."""
        subject = copy.copy(self)
        subject.args = self.args.some(wanted, inputs)
        subject.names = [self.names[i] for i in wanted]
        return subject

    def unguarded(
        self,
        inputs: Sequence[Array],  # noqa: ARG002
        upstreams: Sequence[Array],  # noqa: ARG002
    ) -> list[Kept]:
        """Find what the way back needs, and others may write into unnoticed."""
        return []

    def hints(self, kind: Kind) -> list[str]:  # noqa: ARG002
        """Say what its author may want to know about a fault of a kind."""
        return []

    def rule(self) -> Rule | None:
        """Give the derivative by hand that the function itself has, where it has one."""
        return None

    def called(self, inputs: Sequence[Array]) -> list[Inside]:  # noqa: ARG002
        """Give the calls inside that have a derivative by hand, each as a subject by itself."""
        return []

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

    def call_inputs(self, names: Sequence[str]) -> None:
        """Name the inputs: all arguments, or those that are differentiated by."""
        if isinstance(names, str) or not all(isinstance(name, str) for name in names):
            raise TypeError(f"names={names!r}: say a list of strings")
        if len(names) == len(self.args.positions):
            self.names = list(names)
        elif len(names) == len(self.args.values):
            self.names = [names[i] for i in self.args.positions]
        else:
            raise ValueError(
                f"names= has {len(names)}, and there are {len(self.args.values)} inputs, of which "
                f"{len(self.args.positions)} are differentiated by: {', '.join(self.names)}"
            )

    def names_of_derivative(self, args: Arguments) -> list[str]:
        """Name the inputs of the gradient: those of the function, then the upstreams."""
        upstreams = range(len(args.positions) - len(self.names))
        return [*self.names, *(f"upstream {i}" for i in upstreams)]


class Adapter:
    """What is checked in place of a function of Tensors: it makes a subject of the arguments.

    It can be called: with arrays it gives the value of what was adapted, and in a function of
    Tensors it is an operation, with the gradient that was adapted.
    """

    def __init__(
        self,
        subject: Callable[[Arguments], Subject],
        name: str,
        value: Callable[..., Any] | None = None,
        has_parameters: bool = False,
    ) -> None:
        self._make, self._value = subject, value
        self.has_parameters = has_parameters  # to differentiate by, whatever it is called with
        self.__name__ = name

    def subject(self, args: Arguments) -> Subject:
        """Make a subject of what it is called with."""
        made_of = self._make(args)
        inner = made_of.of if isinstance(made_of, Intended) else made_of
        inner.adapter, inner.asked = self, args
        return made_of

    def __call__(self, *inputs: Any) -> Any:
        """Compute the value."""
        if any(isinstance(x, Tensor) for x in inputs):
            return self._operation(*inputs)
        if self._value is not None:
            return self._value(*inputs)
        subject = self.subject(Arguments(inputs, ()))
        evaluation = subject.evaluate(subject.args.arrays)
        return evaluation.outputs[0] if len(evaluation.outputs) == 1 else evaluation.outputs

    @functools.cached_property
    def _operation(self) -> Callable[..., Any]:
        """The operation that it is among those of Tensors, with the gradient that was adapted."""

        def body(*inputs: Any) -> Any:
            return np.asarray(self(*inputs))

        def rule(argnums: Sequence[int], g: Any, _y: Any, *inputs: Any) -> list[Any]:
            values = tuple(map(array_of, inputs))
            subject = self.subject(Arguments(values, tuple(argnums)))
            # behind the gradients by what it was called with come those by its parameters
            gradients = subject.record(subject.args.arrays).pull([array_of(g)])[: len(argnums)]
            for i, gradient in zip(argnums, gradients, strict=True):
                if np.size(gradient) > np.size(values[i]):  # the engine would sum it
                    raise ValueError(
                        f"{self.__name__}, the gradient by input {i} has shape "
                        f"{np.shape(gradient)}, the input {np.shape(values[i])}"
                    )
            return gradients

        body.__name__ = self.__name__
        operation = primitive(body)
        defvjp_joint(operation, rule)
        return operation


def subject_of(fn: Callable[..., Any] | Adapter, args: Arguments, name: str = "") -> Subject:
    """Make a subject of a function of Tensors, or of what was adapted."""
    if not isinstance(fn, Adapter):
        return TensorSubject(fn, args, name)
    subject = fn.subject(args)
    subject.name = name or subject.name
    return subject


class Intended(Subject):
    """A function whose gradient is meant to be that of another one, or a multiple of its own."""

    def __init__(self, of: Subject, intended: Callable[..., Any] | float) -> None:
        super().__init__(of.fn, of.args, of.name)
        self.of, self.intended = of, intended
        self.is_lenient, self.is_for_a_step = of.is_lenient, of.is_for_a_step
        self.names, self.upstream = of.names, of.upstream
        if callable(intended):
            what = f"the slope of {name_of(intended)}, which it is meant to have"
        else:
            what = f"{intended:g} times the slope of the function"
        self.notes = [*of.notes, f"the gradient is compared with {what}"]

    def evaluated(self, inputs: Sequence[Array]) -> Evaluation:
        """Compute what is meant: another function, or so many times this one."""
        if not callable(self.intended):
            outputs = self.of.evaluated(inputs).outputs
            return Evaluation([np.asarray(self.intended * y, y.dtype) for y in outputs])
        result = outputs_of(self.intended(*self.args.filled(inputs)))
        return Evaluation([np.asarray(array_of(y)) for y in result])

    def recorded(self, inputs: Sequence[Array]) -> Recorded:
        """Compute what is meant, and record the function whose gradient is asked for."""
        recorded = self.of.record(inputs)
        outputs = self.evaluated(inputs).outputs
        shapes = [[y.shape for y in ys] for ys in (recorded.outputs, outputs)]
        if shapes[0] != shapes[1]:
            raise TypeError(
                f"intended= gives results of the shapes {shapes[1]}, the function itself of "
                f"{shapes[0]}"
            )
        return Recorded(outputs, recorded.pull)


def meant(adapter: Adapter, intended: Callable[..., Any] | float) -> Adapter:
    """Compare the gradient that was adapted with the slope that is intended."""
    return Adapter(
        lambda args: Intended(adapter.subject(args), intended),
        adapter.__name__,
        adapter,
        adapter.has_parameters,
    )


class TensorSubject(Subject):
    """A function of Tensors."""

    told_inputs = told_results = True
    _was_called = False

    def _call(self, inputs: Sequence[Array]) -> tuple[list[Tensor], list[Any], list[Node | None]]:
        tensors = [Tensor(x, requires_grad=True) for x in inputs]
        first = contextlib.nullcontext() if self._was_called else foreign.refusing_tensors()
        with first:
            result = self.fn(*self.args.filled(tensors))
        ys, self._was_called = outputs_of(result), True
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

        def pull(upstreams: Sequence[Any]) -> list[Any]:
            every = zip(ys, upstreams, strict=True)
            pairs = [(y, u) for y, u in every if _is_tracked(y) and u is not None]
            begin, cotangents = [y for y, _ in pairs], [u for _, u in pairs]
            result = list(gradients(begin, tensors, cotangents, retain_graph=True))
            if any(x.grad is not None for x in tensors):
                raise Misbehaved(Kind.WRITES_GRAD)
            return result

        own = tuple(x.node for x in tensors)
        outputs = [np.asarray(array_of(y)) for y in ys]
        return Recorded(outputs, pull, tuple(roots), own, tuple(tensors))

    def hints(self, kind: Kind) -> list[str]:
        """Say what to write for what is called in another way than it is meant to be."""
        if kind not in (Kind.RAISES, Kind.NOT_FLOAT):
            return []
        lines = foreign.hints(self.fn)
        if any(callable(x) and hasattr(x, "__name__") for x in self.args.values):
            lines.append("of a gradient by hand say gradcheck(adapters.numpy(f, grad=g), x)")
        if self.args.containers is not None and len(self.args.containers) == 1:
            lines.append("inputs are handed over one by one: gradcheck(f, x, w)")
        return lines

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
