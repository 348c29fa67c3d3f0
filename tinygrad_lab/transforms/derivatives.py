"""Derivatives as functions: nothing here touches any tensor's ``.grad``.

``grad``, ``jacobian`` and the rest turn a function into one that computes its derivative.  They
take several arguments, arguments that are containers of arrays, and each other: a derivative of a
derivative is a derivative.

All rest on :func:`gradients`, the backward pass from some tensors to others.  There is no second
set of rules for going forwards: the backward pass is linear in the upstream, and differentiating
it by the upstream gives the product with a tangent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.dispatch import apply, from_node
from tinygrad_lab.core.engine import NO_KWARGS, Node, Visit, propagate
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.modes import depth, enable_grad
from tinygrad_lab.core.rules.creation import copied
from tinygrad_lab.core.tensor import Tensor, start, tensor
from tinygrad_lab.transforms.containers import leaves, rebuild, same_structure

__all__ = [
    "grad",
    "gradients",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "value_and_grad",
    "vjp",
    "walk",
]

Function = Callable[..., Any]
Argnums = int | Sequence[int]


def gradients(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    upstream: Any = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> Any:
    """Compute the gradients of ``outputs`` with respect to ``inputs``, leaves or intermediates.

    Parameters
    ----------
    outputs, inputs : Tensor or sequence of Tensor
        Where to start and where to stop.
    upstream : array_like or sequence of array_like, optional
        One for each output, of its shape; may be left out where the output has one element.
    create_graph : bool
        Return Tensors that can be differentiated again, in place of arrays.
    retain_graph : bool, optional
        Keep the graph for another pass.  By default as ``create_graph``.

    Returns
    -------
    array or Tensor, or a list of them
        As ``inputs`` is one tensor or a sequence.  An input that no output depends on has zeros.

    Raises
    ------
    RuntimeError
        An output has no history, or an input requires no gradient.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> slope = tl.gradients((x ** 3).sum(), x, create_graph=True)
    >>> tl.gradients(slope.sum(), x)
    array([ 6., 12.])
    """
    ys = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    xs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    upstreams = [upstream] if isinstance(outputs, Tensor) or upstream is None else list(upstream)
    if upstream is None:
        upstreams *= len(ys)
    if len(upstreams) != len(ys):
        raise ValueError(f"gradients(): {len(upstreams)} upstreams for {len(ys)} outputs")
    begin = [start(y, u, create_graph, "gradients()") for y, u in zip(ys, upstreams, strict=True)]
    keep = create_graph if retain_graph is None else retain_graph
    results = walk(begin, xs, create_graph, keep)
    return results[0] if isinstance(inputs, Tensor) else results


def walk(
    begin: Sequence[tuple[Node, Any]],
    inputs: Sequence[Tensor],
    create_graph: bool,
    retain_graph: bool,
    batch: int | None = None,
    visit: Visit | None = None,
) -> list[Any]:
    """Carry cotangents (a batch of them, where ``batch`` says how many) back to the inputs."""
    for position, x in enumerate(inputs):
        if x.node is None:
            raise RuntimeError(f"gradients(): input {position} requires no gradient")
    nodes = [x.node for x in inputs if x.node is not None]
    with enable_grad():
        by_node = propagate(
            [node for node, _ in begin],
            [cotangent for _, cotangent in begin],
            wanted=set(nodes),
            retain_graph=retain_graph,
            lift=from_node if create_graph else None,
            batched=batch is not None,
            visit=visit,
        )
    gradients = []
    for x, node in zip(inputs, nodes, strict=True):
        gradient = by_node.get(node)
        if gradient is None:  # no output depends on it
            shape = x.shape if batch is None else (batch, *x.shape)
            gradient = np.zeros_like(x.data, shape=shape)
        is_plain = create_graph and not isinstance(gradient, Tensor)
        gradients.append(Tensor(gradient) if is_plain else gradient)
    return gradients


# ---------------------------------------------------------------------------------------------
# Functions into functions


class _Call:
    """One call of a function on fresh inputs: their tensors, and what the function returned."""

    def __init__(
        self,
        f: Function,
        args: Sequence[Any],
        argnums: Argnums,
        has_aux: bool = False,
        kwargs: Mapping[str, Any] = NO_KWARGS,
    ) -> None:
        self.single = isinstance(argnums, int)
        numbers = [argnums] if isinstance(argnums, int) else list(argnums)
        for n in numbers:
            if not -len(args) <= n < len(args):
                raise ValueError(f"argnums={argnums} of a call with {len(args)} arguments")
        self.numbers = [n % len(args) for n in numbers]
        self.arguments = [args[n] for n in self.numbers]
        self.create_graph = depth.get() > 0 or any(
            isinstance(leaf, Tensor) and leaf.requires_grad and not leaf.is_leaf
            for argument in self.arguments
            for _, leaf in leaves(argument)
        )
        self.inputs: list[Tensor] = []
        prepared = list(args)
        for n in self.numbers:
            prepared[n] = self._fresh(args[n], n)
        token = depth.set(depth.get() + 1)
        try:
            with enable_grad():
                result = f(*prepared, **kwargs)
        finally:
            depth.reset(token)
        self.aux = None
        if has_aux:
            if not isinstance(result, tuple) or len(result) != 2:
                raise TypeError("has_aux=True: the function must return (result, aux)")
            result, self.aux = result
        self.output = result

    def _fresh(self, argument: Any, position: int) -> Any:
        """Replace every number in an argument by a tensor of this call's own."""
        if hasattr(argument, "named_parameters"):  # a module is called with its own parameters
            self.inputs += [parameter for _, parameter in leaves(argument)]
            return argument
        tensors = []
        for path, leaf in leaves(argument):
            if isinstance(leaf, Tensor) and leaf.requires_grad:
                fresh = apply(copied, (leaf,))  # keeps the history of an outer derivative
            else:
                data = leaf.data if isinstance(leaf, Tensor) else leaf
                fresh = _leaf(data, f"argument {position}{path}")
            tensors.append(fresh)
        self.inputs += tensors
        return rebuild(argument, iter(tensors))

    def array(self, name: str) -> Tensor:
        """Give the result, which must be one array; a constant has a gradient too, of zeros."""
        y = self.output
        if isinstance(y, Tensor) and y.requires_grad:
            return y
        if not isinstance(y, (Tensor, int, float, complex, np.generic, np.ndarray)):
            raise TypeError(
                f"{name}: the function must return a number or a tensor, not {describe(y)}"
            )
        y = y.data if isinstance(y, Tensor) else np.asarray(y)
        return tensor(y if y.dtype.kind in "fc" else y.astype(float), requires_grad=True)

    def scalar(self, name: str) -> Tensor:
        """Give the result, which must be one number."""
        y = self.array(name)
        if y.size != 1:
            raise ValueError(
                f"{name}: the function must return one number, not shape {y.shape}; reduce it "
                "(.sum(), .mean()), or take jacobian"
            )
        return y

    def pull_back(self, cotangents: Sequence[Any], retain_graph: bool, graph: bool) -> list[Any]:
        """Carry one cotangent for each leaf of the output back to the inputs."""
        begin = []
        for (path, y), cotangent in zip(leaves(self.output), cotangents, strict=True):
            if isinstance(y, Tensor) and y.requires_grad:
                begin.append(start(y, cotangent, graph, f"the output{path}"))
        return walk(begin, self.inputs, graph, retain_graph)

    def arranged(self, gradients: Sequence[Any]) -> Any:
        """Put gradients into the structure of the arguments."""
        remaining = iter(gradients)
        structured = [rebuild(argument, remaining) for argument in self.arguments]
        return structured[0] if self.single else tuple(structured)


def _leaf(data: Any, what: str) -> Tensor:
    try:
        return tensor(np.asarray(data) if np.ndim(data) == 0 else data, requires_grad=True)
    except TypeError as error:
        raise TypeError(f"cannot differentiate by {what} = {describe(data)}: {error}") from None


def _out(value: Any, keep: bool) -> Any:
    """Give results their histories inside another derivative, and as plain arrays outside."""
    return rebuild(value, lambda x: x.data if isinstance(x, Tensor) and not keep else x)


def value_and_grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Make a function that returns ``(f(*args), gradient)``.

    Parameters
    ----------
    f : callable
        Returns one number, or ``(number, aux)``.
    argnums : int or sequence of int
        Which arguments to differentiate by: numbers, arrays, or containers (dict, list, tuple,
        Module) of them.
    has_aux : bool
        ``f`` returns a pair; its second part is handed on as it is.

    Returns
    -------
    callable
        It takes the arguments of ``f``; keyword arguments are handed on, and not differentiated.
        Its gradient has the structure of the argument (a dict by name for a Module); a tuple of
        them when ``argnums`` is a sequence.  With ``has_aux`` it returns
        ``((value, aux), gradient)``.

    Raises
    ------
    TypeError
        An argument is not of floats.
    ValueError
        ``f`` returns more than one number.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> def loss(parameters, x):
    ...     return np.sum((parameters["w"] * x + parameters["b"]) ** 2)
    >>> value, slope = tl.value_and_grad(loss)({"w": 2.0, "b": 1.0}, np.array([0.0, 1.0]))
    >>> float(value), {name: float(g) for name, g in slope.items()}
    (10.0, {'w': 6.0, 'b': 8.0})
    """

    @functools.wraps(f)
    def derived(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, argnums, has_aux, kwargs)
        y = call.scalar("grad")
        call.output = y
        gradient = call.arranged(call.pull_back([None], call.create_graph, call.create_graph))
        value = _out(y, call.create_graph)
        return ((value, call.aux), gradient) if has_aux else (value, gradient)

    return derived


def grad(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Make the function that computes the gradient of ``f``, which returns one number.

    As :func:`value_and_grad`, without the value: it returns the gradient, or ``(gradient, aux)``.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> slope = tl.grad(np.tanh)
    >>> curvature = tl.grad(tl.grad(np.tanh))
    >>> float(slope(0.0)), float(curvature(0.0))
    (1.0, -0.0)
    """
    both = value_and_grad(f, argnums, has_aux)

    @functools.wraps(f)
    def derived(*args: Any, **kwargs: Any) -> Any:
        value, gradient = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return derived


def vjp(f: Function, *args: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """Compute ``f(*args)``, and a function that pulls cotangents back.

    Returns
    -------
    y, pullback : container of arrays, callable
        ``pullback(cotangent)`` takes what has the structure of ``y``, as often as wanted, and
        returns a tuple with the gradient for each argument.  With ``has_aux`` also the aux.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> y, pullback = tl.vjp(np.multiply, np.array([1.0, 2.0]), np.array([3.0, 4.0]))
    >>> pullback(np.array([1.0, 10.0]))
    (array([ 3., 40.]), array([ 1., 20.]))
    """
    call = _Call(f, args, tuple(range(len(args))), has_aux)

    def pullback(cotangent: Any) -> Any:
        if not same_structure(cotangent, call.output):
            raise ValueError("the cotangent must have the structure of the output")
        tracked = any(isinstance(c, Tensor) and c.requires_grad for _, c in leaves(cotangent))
        graph = call.create_graph or tracked
        return call.arranged(
            call.pull_back([c for _, c in leaves(cotangent)], retain_graph=True, graph=graph)
        )

    y = _out(call.output, call.create_graph)
    return (y, pullback, call.aux) if has_aux else (y, pullback)


def jvp(f: Function, args: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """Compute ``f(*args)`` and its derivative along ``tangents``.

    The backward pass is linear in its upstream u: its gradient by u, along the tangents, is the
    directional derivative (J. Townsend, "A new trick for calculating Jacobian vector products",
    2017).

    Parameters
    ----------
    f : callable
    args, tangents : sequence
        The arguments, and a direction of the same structure for each.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> y, change = tl.jvp(np.square, (np.array([1.0, 3.0]),), (np.array([1.0, 0.5]),))
    >>> change
    array([2., 3.])
    """
    if not same_structure(list(args), list(tangents)):
        raise ValueError("jvp: the tangents must have the structure of the arguments")
    call = _Call(f, args, tuple(range(len(args))))
    ys = [(path, y) for path, y in leaves(call.output)]
    seeds = [
        tensor(np.zeros_like(y.data), requires_grad=True) if isinstance(y, Tensor) else None
        for _, y in ys
    ]
    pulled = call.pull_back(seeds, retain_graph=True, graph=True)
    directions = [direction for _, direction in leaves(list(tangents))]
    for x, direction in zip(call.inputs, directions, strict=True):
        if np.shape(direction) != x.shape:
            raise ValueError(f"jvp: a tangent of shape {np.shape(direction)} for {x.shape}")
    live = [(p, d) for p, d in zip(pulled, directions, strict=True) if p.requires_grad]
    begin = [start(p, d, call.create_graph, "jvp") for p, d in live]
    wanted = [seed for seed in seeds if seed is not None]
    tracked_changes = iter(walk(begin, wanted, call.create_graph, call.create_graph))
    changes = [
        next(tracked_changes) if seed is not None else np.zeros_like(y)
        for seed, (_, y) in zip(seeds, ys, strict=True)
    ]
    return _out(call.output, call.create_graph), rebuild(call.output, iter(changes))


def jacobian(f: Function, argnums: Argnums = 0) -> Function:
    """Make the function that computes all partial derivatives of ``f``, which returns one array.

    The rows come out of one backward pass, with all upstreams side by side, wherever the rules on
    the way take them so.

    Returns
    -------
    callable
        Its result has, in place of each array of the argument, one of the shape of the output
        followed by the shape of that array.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> tl.jacobian(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    """

    @functools.wraps(f)
    def derived(*args: Any, **kwargs: Any) -> Any:
        call = _Call(f, args, argnums, kwargs=kwargs)
        y = call.array("jacobian")
        keep, shape = call.create_graph, y.shape
        node, one = start(y, np.ones_like(y.data), keep, "jacobian")
        dtype = one.dtype
        rows = np.eye(y.size, dtype=dtype).reshape((y.size, *shape))
        stacks = walk([(node, rows)], call.inputs, keep, keep, batch=y.size)
        return call.arranged(
            [g.reshape((*shape, *x.shape)) for g, x in zip(stacks, call.inputs, strict=True)]
        )

    return derived


def hessian(f: Function, argnums: int = 0) -> Function:
    """Make the function that computes all second derivatives of ``f``, which returns one number.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> tl.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums), argnums)


def hvp(f: Function, args: Sequence[Any], vectors: Sequence[Any]) -> Any:
    """Compute the Hessian of ``f`` at ``args``, times ``vectors``, without the Hessian.

    The gradient, and then the gradient of its product with the vectors: two backward passes.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> tl.hvp(lambda x: np.sum(x ** 3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    (array([ 6., 12.]),)
    """
    if not same_structure(list(args), list(vectors)):
        raise ValueError("hvp: the vectors must have the structure of the arguments")
    call = _Call(f, args, tuple(range(len(args))))
    call.output = call.scalar("hvp")
    slopes = call.pull_back([None], retain_graph=True, graph=True)
    directions = [direction for _, direction in leaves(list(vectors))]
    live = [(s, d) for s, d in zip(slopes, directions, strict=True) if s.requires_grad]
    begin = [start(slope, d, call.create_graph, "hvp") for slope, d in live]
    return call.arranged(walk(begin, call.inputs, call.create_graph, call.create_graph))
