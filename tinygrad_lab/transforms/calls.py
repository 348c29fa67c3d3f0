"""One call of a function that is being differentiated: what goes in, the way back, what comes out.

Not for: which derivative that makes (``derivatives.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import index
from typing import Any

import numpy as np

from tinygrad_lab.core.cotangents import from_scalar
from tinygrad_lab.core.dispatch import apply, from_node
from tinygrad_lab.core.engine import NO_KWARGS, Node, Visit, propagate
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.graph import differentiating, is_differentiated, is_differentiating
from tinygrad_lab.core.levels import innermost, level_of
from tinygrad_lab.core.modes import is_grad_enabled, recording
from tinygrad_lab.core.rules.creation import copied
from tinygrad_lab.core.tensor import Tensor, refuse_complex, start, tensor
from tinygrad_lab.transforms.containers import is_module, leaves, rebuild, same_structure
from tinygrad_lab.transforms.stateless import replaced

__all__ = ["Argnums", "Call", "Function", "History", "walk"]

Function = Callable[..., Any]
Argnums = int | Sequence[int]


def walk(
    begin: Sequence[tuple[Node, Any]],
    inputs: Sequence[Tensor],
    create_graph: bool,
    retain_graph: bool,
    visit: Visit | None = None,
) -> list[Any]:
    """Carry cotangents back to the inputs."""
    for position, x in enumerate(inputs):
        if x.node is None:
            raise RuntimeError(f"gradients(): input {position} requires no gradient")
    nodes = [x.node for x in inputs if x.node is not None]
    with recording():
        by_node = propagate(
            [node for node, _ in begin],
            [cotangent for _, cotangent in begin],
            wanted=set(nodes),
            retain_graph=retain_graph,
            lift=from_node if create_graph else None,
            visit=visit,
        )
    gradients: list[Any] = []
    for x, node in zip(inputs, nodes, strict=True):
        gradient = by_node.pop(node, None)
        if gradient is None and node in nodes[: len(gradients)]:  # asked for twice
            gradient = gradients[nodes.index(node)].copy()
        elif gradient is None:  # no output depends on it
            gradient = np.zeros_like(x.data)
        is_plain = create_graph and not isinstance(gradient, Tensor)
        gradients.append(Tensor(gradient) if is_plain else gradient)
    return gradients


class History:
    """What the results of a transform keep of their history: what matters to somebody outside.

    All of it where an argument has one; else what leads to something that a transform around this
    one differentiates by, perhaps through what the function closes over; nothing in ``no_grad``.
    """

    def __init__(self, *arguments: Any) -> None:
        recorded = is_grad_enabled()
        self.is_handed_in = recorded and any(
            isinstance(leaf, Tensor) and leaf.requires_grad
            for _, leaf in leaves(arguments, open_modules=False)
        )
        self.graph = self.is_handed_in or (recorded and is_differentiating())

    def outcome(self, results: Any) -> Any:
        """Give results as plain arrays, but for those whose history matters."""
        return rebuild(results, lambda x: x if self._matters(x) else x.data)

    def value(self, output: Any) -> Any:
        """Give the value of the function, which may be a parameter's or a graph's own array."""
        return rebuild(output, lambda x: x if self._matters(x) else x.data.copy())

    def _matters(self, x: Any) -> bool:
        if not isinstance(x, Tensor):
            return True
        return self.is_handed_in or (self.graph and is_differentiated(x.node))


class Call:
    """One call of a function on fresh inputs: their tensors, and what the function returned."""

    def __init__(
        self,
        f: Function,
        args: Sequence[Any],
        argnums: Argnums,
        has_aux: bool = False,
        kwargs: Mapping[str, Any] = NO_KWARGS,
    ) -> None:
        if not callable(f):
            raise TypeError(
                f"a transform takes a function, not {describe(f)}: say tl.grad(f)(x), and not "
                "tl.grad(f(x))"
            )
        numbers = _positions(argnums, len(args))
        self.single = not isinstance(argnums, (list, tuple))
        self.arguments = [args[n] for n in numbers]
        self.inputs: list[Tensor] = []
        prepared = list(args)
        for n in numbers:
            prepared[n] = self._fresh(args[n], n)
        with recording(), differentiating(x.node for x in self.inputs if x.node):
            result = f(*prepared, **kwargs)
        self.aux = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError("has_aux=True: the function must return (result, aux)")
            result, self.aux = result
        self.output = result

    def _fresh(self, argument: Any, position: int) -> Any:
        """Replace every number in an argument by a tensor of this call's own."""
        new = []
        for path, leaf in leaves(argument, open_modules=False):
            level = innermost.get()
            if is_module(leaf):  # it is called with its own parameters, or those of each example
                own = [parameter for _, parameter in leaves(leaf)]
                inside = [p if level_of(p) is level else _lifted(level, p, path) for p in own]
                twins = {id(p): t for p, t in zip(own, inside, strict=True) if p is not t}
                new.append(replaced(leaf, twins) if twins else leaf)
                self.inputs += inside
                continue
            is_tracked = isinstance(leaf, Tensor) and leaf.requires_grad and is_grad_enabled()
            if is_tracked and level_of(leaf) is level:
                fresh = apply(copied, (leaf,))  # keeps the history of an outer derivative
            else:
                data = leaf.data if isinstance(leaf, Tensor) else leaf
                data = level.share(leaf) if is_tracked else data  # and so does this, in a vmap
                fresh = _leaf(data, f"argument {position}{path}")
            new.append(fresh)
            self.inputs.append(fresh)
        return rebuild(argument, iter(new), open_modules=False)

    def outputs(self, name: str) -> list[Any]:
        """Give all arrays of the result; what is constant has derivatives too, of zeros."""
        arrays = []
        for path, y in leaves(self.output):
            is_number = isinstance(y, (int, float, complex, np.generic))
            if not (is_number or hasattr(y, "__array_function__")):
                where = f" at output{path}" if path else ""
                raise TypeError(
                    f"{name}: the function must return a number or a tensor, not {describe(y)}"
                    + where
                )
            arrays.append(y if isinstance(y, Tensor) else from_scalar(y))
        return arrays

    def scalar(self, name: str) -> Any:
        """Give the result, which must be one real number."""
        if len(ys := self.outputs(name)) != 1 or isinstance(self.output, (list, tuple, dict)):
            raise TypeError(
                f"{name}: the function must return one number, not {len(ys)} in a "
                f"{type(self.output).__name__}; return one of them or their sum (has_aux=True for "
                "what is not to be differentiated), or take jacobian"
            )
        (y,) = ys
        if y.size != 1:
            raise ValueError(
                f"{name}: the function must return one number, not shape {y.shape}; reduce it "
                "(.sum(), .mean()), or take jacobian"
            )
        refuse_complex(y, name)
        return y

    def pull_back(self, cotangents: Sequence[Any], retain_graph: bool, graph: bool) -> list[Any]:
        """Carry one cotangent for each leaf of the output back to the inputs."""
        begin = []
        for (path, y), cotangent in zip(leaves(self.output), cotangents, strict=True):
            if isinstance(y, Tensor) and y.requires_grad:
                begin.append(start(y, cotangent, graph, f"the output{path}"))
        return walk(begin, self.inputs, graph, retain_graph)

    def directions(self, values: Sequence[Any], name: str, word: str) -> list[Any]:
        """Give the leaves of what must have the structure of the arguments, and their shapes."""
        if not same_structure(self.arguments, list(values)):
            raise ValueError(f"{name}: the {word}s must have the structure of the arguments")
        leading = [value for _, value in leaves(list(values))]
        for x, value in zip(self.inputs, leading, strict=True):
            if np.shape(value) != x.shape:
                raise ValueError(f"{name}: a {word} of shape {np.shape(value)} for {x.shape}")
            if np.iscomplexobj(value) and x.dtype.kind != "c":
                raise TypeError(f"{name}: a complex {word} for a real argument of {describe(x)}")
        return leading

    def arranged(self, gradients: Sequence[Any]) -> Any:
        """Put gradients into the structure of the arguments."""
        remaining = iter(gradients)
        structured = [rebuild(argument, remaining) for argument in self.arguments]
        return structured[0] if self.single else tuple(structured)


def _lifted(level: Any, parameter: Tensor, path: str) -> Tensor:
    """A parameter for a vmap, with its history if that matters to somebody outside."""
    matters = is_differentiated(parameter.node)
    return _leaf(level.share(parameter if matters else parameter.data), path)


def _positions(argnums: Argnums, count: int) -> list[int]:
    """Find which of some arguments are meant, each once and counted from 0."""
    try:
        numbers = list(map(index, argnums if isinstance(argnums, (list, tuple)) else [argnums]))
    except TypeError:
        raise TypeError(
            f"argnums={argnums!r}: say the position of an argument, or several"
        ) from None
    positions = [n % count if -count <= n < count else None for n in numbers]
    if None in positions:
        raise ValueError(f"argnums={argnums} of a call with {count} arguments")
    if len(set(positions)) < len(positions):
        raise ValueError(
            f"argnums={argnums} of a call with {count} arguments name one of them twice"
        )
    return [n for n in positions if n is not None]


def _leaf(data: Any, what: str) -> Tensor:
    try:
        return tensor(from_scalar(data), requires_grad=True)
    except TypeError as error:
        raise TypeError(f"cannot differentiate by {what} = {describe(data)}: {error}") from None
