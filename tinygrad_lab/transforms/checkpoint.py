"""Memory for time: keep nothing of what a function computes inside, and compute it again.

The call is one node.  Going backwards, its rule runs the function anew, on the very values it had,
and carries the cotangent through that short graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_lab.core.cotangents import conjugate
from tinygrad_lab.core.dispatch import from_node
from tinygrad_lab.core.engine import NO_KWARGS, Node, record
from tinygrad_lab.core.graph import history
from tinygrad_lab.core.modes import enable_grad, is_grad_enabled, no_grad
from tinygrad_lab.core.operations import defvjp
from tinygrad_lab.core.several import Outputs, Parts, bundle
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.calls import walk
from tinygrad_lab.transforms.containers import leaves

__all__ = ["checkpoint"]


def checkpoint(f: Callable[..., Any], *args: Any) -> Any:
    """Compute ``f(*args)`` without keeping what is inside; going backwards, compute it again.

    The peak of memory falls from all that ``f`` records to its arguments and its result, for the
    time of computing it twice.

    Parameters
    ----------
    f : callable
        Returns one tensor: a module, or a function.  Where it draws random numbers (dropout), the
        generators in the modules and arguments are set back for the second time, and left as the
        first time left them.
    *args
        Tensors, containers of them, modules, and whatever else ``f`` takes.  Every tracked tensor
        that ``f`` uses must be among them, or a parameter of a module among them or of ``f``.

    Returns
    -------
    Tensor

    Raises
    ------
    RuntimeError
        Going backwards: ``f`` used a tracked tensor that was not handed over.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> tl.checkpoint(lambda x: np.exp(np.sin(x)), x).sum().backward()
    >>> bool(np.allclose(x.grad, np.cos(x.data) * np.exp(np.sin(x.data))))
    True
    """
    handed_over = [leaf for _, leaf in leaves([f, *args])]
    inputs = list({id(t): t for t in handed_over if isinstance(t, Tensor) and t.node}.values())
    generators = _generators([f, *args])
    states = [generator.bit_generator.state for generator in generators]
    with no_grad():
        y = f(*args)
    if not isinstance(y, Tensor):
        raise TypeError(f"checkpoint: the function must return one tensor, not {type(y).__name__}")
    if not inputs or not is_grad_enabled():
        return y

    def again(values: Sequence[Any]) -> tuple[Tensor, list[Tensor]]:
        """Run ``f`` on the values of the first time: its result, and the inputs it came from."""
        fresh = [v if isinstance(v, Tensor) else Tensor(v, requires_grad=True) for v in values]
        quiet = np.errstate(invalid="ignore")  # the backward pass around this raises
        with _standing_in(inputs, fresh), _set_back(generators, states), enable_grad(), quiet:
            result = f(*args)
        if result.node is not None:
            _refuse_strangers(result.node, fresh)
        return result, fresh

    values = Outputs(t.data for t in inputs)
    bundled = record(bundle, values, NO_KWARGS, values, tuple(t.node for t in inputs))
    node = record(recomputed, (values, again), NO_KWARGS, y.data, (bundled, None))
    return from_node(y.data, node)


def recomputed(values: Outputs, again: Callable[..., Any]) -> Any:
    """The result of a checkpointed call."""
    return again(values)[0].data


def _recompute(g: Any, _: Any, values: Outputs, again: Callable[..., Any]) -> Parts:
    result, inputs = again(values)
    if result.node is None:
        return Parts()
    graph = isinstance(g, Tensor)
    gradients = walk([(result.node, conjugate(g))], inputs, create_graph=graph, retain_graph=graph)
    return Parts.listed([conjugate(gradient) for gradient in gradients])


defvjp(recomputed, _recompute)


@contextmanager
def _standing_in(handles: Sequence[Tensor], others: Sequence[Tensor]) -> Iterator[None]:
    """Let the tensors that the function knows be other tensors for a while."""
    before = [(t.data, t.node) for t in handles]
    for handle, other in zip(handles, others, strict=True):
        handle.data, handle.node = other.data, other.node
    try:
        yield
    finally:
        for handle, (data, node) in zip(handles, before, strict=True):
            handle.data, handle.node = data, node


@contextmanager
def _set_back(generators: Sequence[np.random.Generator], states: Sequence[Any]) -> Iterator[None]:
    before = [generator.bit_generator.state for generator in generators]
    for generator, state in zip(generators, states, strict=True):
        generator.bit_generator.state = state
    try:
        yield
    finally:
        for generator, state in zip(generators, before, strict=True):
            generator.bit_generator.state = state


def _generators(values: Sequence[Any]) -> list[np.random.Generator]:
    """The random generators among the arguments and on the modules among them, each once."""
    generators: dict[int, np.random.Generator] = {}
    for value in values:
        modules = [m for _, m in value.named_modules()] if hasattr(value, "named_modules") else []
        inside = [leaf for _, leaf in leaves(value)] if not modules else []
        for candidate in [*inside, *(v for m in modules for v in vars(m).values())]:
            if isinstance(candidate, np.random.Generator):
                generators[id(candidate)] = candidate
    return list(generators.values())


def _refuse_strangers(output: Node, inputs: Sequence[Tensor]) -> None:
    known = {t.node for t in inputs if t.node is not None}
    for node in history([output], until=known):
        if node not in known and node.parents is None:
            raise RuntimeError(
                "checkpoint: the function used a tracked tensor that was not among its arguments, "
                "and whose gradient would be lost; hand it over, or the module it belongs to"
            )
