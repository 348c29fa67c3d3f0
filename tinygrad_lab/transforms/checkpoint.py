"""Memory for time: keep nothing of what a function computes inside, and compute it again.

The call is one node.  Going backwards, its rule calls the function anew, on twins of what it was
called with as that was then, and carries the cotangent through that short graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from tinygrad_lab.core.arguments import plain
from tinygrad_lab.core.cotangents import conjugate, from_scalar
from tinygrad_lab.core.dispatch import from_node
from tinygrad_lab.core.engine import NO_KWARGS, Node, new_leaf, record
from tinygrad_lab.core.errors import describe, name_of
from tinygrad_lab.core.graph import differentiating, history, is_differentiating
from tinygrad_lab.core.levels import innermost, innermost_array, level_of
from tinygrad_lab.core.modes import (
    WATCH,
    call_site,
    current_mode,
    is_grad_enabled,
    no_grad,
    recording,
)
from tinygrad_lab.core.operations import defvjp_joint
from tinygrad_lab.core.rules.creation import copied
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.calls import walk
from tinygrad_lab.transforms.containers import rebuild
from tinygrad_lab.transforms.level import Level
from tinygrad_lab.transforms.replicas import Twins, twin_of
from tinygrad_lab.transforms.vmap import vmap

__all__ = ["checkpoint"]


def checkpoint(f: Callable[..., Any], *args: Any) -> Any:
    """Compute ``f(*args)`` without keeping what is inside; going backwards, compute it again.

    The peak of memory falls from all that ``f`` records to its arguments and its result, for the
    time of computing it twice.

    Parameters
    ----------
    f : callable
        Returns one array: a module, a method of one, or a function.
    *args
        Tensors, containers of them, modules, and whatever else ``f`` takes.  Every tracked tensor
        that ``f`` uses must be among them, or a parameter of a module among them or of ``f``; and
        so must every ``numpy.random.Generator``.

    Returns
    -------
    Tensor

    Raises
    ------
    RuntimeError
        Going backwards: ``f`` used a tracked tensor that was not handed over, or gave another
        result than the first time.

    Notes
    -----
    The second time, ``f`` is called on twins of the modules, containers and generators, with the
    values that all of these had before the first: random numbers (dropout) are the same, running
    statistics are updated once, and nothing that others hold is touched, in whatever thread.  The
    first time, ``f`` draws alone: other threads that draw from its generators wait.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> tl.checkpoint(lambda x: np.exp(np.sin(x)), x).sum().backward()
    >>> bool(np.allclose(x.grad, np.cos(x.data) * np.exp(np.sin(x.data))))
    True
    """
    if not is_grad_enabled():
        return f(*args)
    level = innermost.get()
    tracked: dict[Node, Any] = {}

    def remember(t: Tensor) -> Tensor:
        if level_of(t) is not level:  # a constant of the derivative inside the vmap around
            return t
        tracked[t.node] = t.data  # type: ignore[index]
        return twin_of(t, t.data, t.node)

    twins = Twins(remember, all_arrays=False)
    before = twins.of((f, args))
    if not tracked:
        is_of_batch = level is not None and level.holds(args)
        return _of_batch(level, f, args) if is_of_batch else f(*args)
    arguments = rebuild(args, _own_tensor, open_modules=False)
    is_watching = current_mode() is WATCH
    is_inside = level is not None  # a vmap: what is tracked outside of it goes on being recorded
    with nullcontext() if is_watching or is_inside else no_grad():
        result = _drawing_alone(twins.generators, lambda: f(*arguments))
    y = from_scalar(plain(result))
    if not hasattr(y, "dtype"):
        raise TypeError(
            f"checkpoint: the function must return one tensor, not {describe(result)}; several can "
            "be one with np.stack or np.concatenate"
        )
    if y.dtype.kind not in "fc":
        return result
    again = _Again(before, list(tracked), is_differentiating())
    values = (again, *tracked.values())
    node = record(recomputed, values, NO_KWARGS, y, (None, *tracked))
    node.site = call_site() if is_watching else None
    return from_node(y, node)


def _of_batch(level: Level, f: Callable[..., Any], args: Sequence[Any]) -> Any:
    """Do so for all examples of a vmap at once, so that nothing that is inside is kept."""
    axes = rebuild(args, lambda arg: 0 if level.is_batched(arg) else None, open_modules=False)
    return level.batch(checkpoint(_Mapped(axes, level), f, *level.inner(args)))


class _Mapped:
    """Calls a function for all examples of a batch."""

    def __init__(self, axes: Any, level: Level) -> None:
        self._axes, self._size, self._randomness = axes, level.size, level.randomness
        self.__name__ = level.name

    def __call__(self, f: Callable[..., Any], *args: Any) -> Any:
        mapped = vmap(f, self._axes, axis_size=self._size, randomness=self._randomness)
        return mapped(*args)


def _own_tensor(value: Any) -> Any:
    """Let the function assign to a tensor of its own, ``t += u``, and not to its caller's."""
    return twin_of(value, value.data, value.node) if isinstance(value, Tensor) else value


def _drawing_alone(
    generators: Sequence[tuple[np.random.Generator, np.random.Generator]], call: Callable[[], Any]
) -> Any:
    """Call while nobody else can draw from some generators, whose twins begin where they do."""
    if not generators:
        return call()
    (generator, twin), *others = sorted(generators, key=lambda pair: id(pair[0].bit_generator))
    with generator.bit_generator.lock:
        twin.bit_generator.state = generator.bit_generator.state
        return _drawing_alone(others, call)


class _Again:
    """A call to be made again: what it was made with, and the nodes of the tensors therein."""

    def __init__(self, before: Any, nodes: Sequence[Node], is_inside: bool) -> None:
        self._before = before
        self._nodes = nodes
        self._is_inside = is_inside  # another transform: its rules are in force inside

    @property
    def called(self) -> str:
        """The name of the function, or of the class of the module."""
        f = self._before[0]
        return str(getattr(f, "__name__", type(f).__name__))

    def __repr__(self) -> str:
        return name_of(self._before[0])  # in errors: checkpoint's function and its tensors

    def __call__(self, values: Sequence[Any]) -> tuple[Any, list[Tensor]]:
        """Call on twins that have some values: the result, and the tensors that it came from."""
        birth = new_leaf()
        inputs = list(map(_standing_for, self._nodes, values))
        fresh: dict[Any, Any] = dict(zip(self._nodes, inputs, strict=True))

        def anew(t: Tensor) -> Tensor:
            x = fresh.get(t.node)  # None for what is tracked outside of the vmap around
            return t if x is None else twin_of(t, x.data, x.node)

        twins = Twins(anew, all_arrays=True)
        f, args = twins.of(self._before)
        nodes = [x.node for x in inputs]
        quiet = np.errstate(invalid="ignore")  # the backward pass around this raises
        with recording(), quiet, differentiating(nodes) if self._is_inside else nullcontext():
            result = f(*args)
        _refuse_strangers(getattr(result, "node", None), nodes, birth)
        return result, inputs


def _standing_for(node: Node, value: Any) -> Any:
    """Make a tensor of a value: a leaf where the node is one, or else a result.

    One with a history is a result of its own, so that no input is behind another.
    """
    if not isinstance(value, Tensor) and node.op is None:
        return Tensor(value, requires_grad=True)
    behind = value.node if isinstance(value, Tensor) else new_leaf()
    value = plain(value)
    return from_node(value, record(copied, (value,), NO_KWARGS, value, (behind,)))


def recomputed(again: _Again, *values: Any) -> Any:
    """The result of a checkpointed call."""
    return plain(again(values)[0])


recomputed.transform = "checkpoint"  # type: ignore[attr-defined]  # for pictures


def _recompute(argnums: Sequence[int], g: Any, y: Any, again: _Again, *values: Any) -> list[Any]:
    result, inputs = again(values)
    _refuse_change(plain(result), plain(y))
    node = getattr(result, "node", None)
    begin = [(node, conjugate(g))] if node is not None else []
    wanted = [inputs[argnum - 1] for argnum in argnums]
    graph = isinstance(y, Tensor)  # g may be a batch of upstreams, and no tensor
    gradients = walk(begin, wanted, create_graph=graph, retain_graph=graph)
    return [conjugate(gradient) for gradient in gradients]


defvjp_joint(recomputed, _recompute)


def _refuse_strangers(output: Node | None, inputs: Sequence[Node], birth: Node) -> None:
    """Refuse a result that depends on tracked tensors which are older than the call."""
    known = set(inputs)
    for node in history([output], until=known):
        if node not in known and node.parents is None and node.order > birth.order:
            raise RuntimeError(
                "checkpoint: the function used a tracked tensor that was not among its arguments, "
                "and whose gradient would be lost; hand it over, or the module it belongs to"
            )


def _refuse_change(again: Any, first: Any) -> None:
    """Refuse a result that is not, but for rounding, what it was the first time."""
    again, first = innermost_array(again), innermost_array(first)
    if np.array_equal(again, first):
        return
    if np.shape(again) == first.shape:
        with np.errstate(invalid="ignore", over="ignore"):
            scale = np.max(np.abs(first), initial=0, where=np.isfinite(first))
            tolerance = np.sqrt(np.finfo(first.dtype).eps) * scale
            if np.allclose(again, first, rtol=0, atol=tolerance, equal_nan=True):
                return
    raise RuntimeError(
        "checkpoint: the function gave another result than the first time, so its gradient would "
        "be another's. It depends on something that has changed since: hand over the random "
        "generators and the modules that it uses, and write into no array before backward()"
    )
