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
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.graph import is_differentiated
from tinygrad_lab.core.levels import somewhere
from tinygrad_lab.core.rules.arguments import untracked
from tinygrad_lab.core.tensor import Tensor, start, tensor
from tinygrad_lab.transforms.calls import Argnums, Call, Function, History, walk
from tinygrad_lab.transforms.containers import leaves, rebuild, same_structure
from tinygrad_lab.transforms.level import Level
from tinygrad_lab.transforms.vmap import owned

__all__ = ["grad", "gradients", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp"]


def gradients(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    upstream: Any = None,
    *,
    create_graph: bool | None = None,
    retain_graph: bool | None = None,
) -> Any:
    """Compute the gradients of ``outputs`` with respect to ``inputs``, leaves or intermediates.

    Parameters
    ----------
    outputs, inputs : Tensor or sequence of Tensor
        Where to start and where to stop.
    upstream : array_like or sequence of array_like, optional
        One for each output, of its shape; may be left out where the output has one element.
    create_graph : bool, optional
        Return Tensors that can be differentiated again, in place of arrays.  By default where a
        transform around the call (:func:`grad` ...) differentiates one of the outputs.
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
    if create_graph is None:
        create_graph = is_differentiated(*(getattr(t, "node", None) for t in (*ys, *upstreams)))
    begin = [start(y, u, create_graph, "gradients()") for y, u in zip(ys, upstreams, strict=True)]
    keep = create_graph if retain_graph is None else retain_graph
    results = walk(begin, xs, create_graph, keep)
    return results[0] if isinstance(inputs, Tensor) else results


# ---------------------------------------------------------------------------------------------
# Functions into functions


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
        history = History(args, kwargs)
        call = Call(f, args, argnums, has_aux, kwargs)
        y = call.scalar("grad")
        gradient = call.arranged(call.pull_back([None], history.graph, history.graph))
        value, gradient = history.value(y), history.outcome(gradient)
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
    history = History(args)
    call = Call(f, args, tuple(range(len(args))), has_aux)

    def pullback(cotangent: Any) -> Any:
        if not same_structure(cotangent, call.output):
            raise ValueError("the cotangent must have the structure of the output")
        history = History(args, cotangent)
        cotangents = [c for _, c in leaves(cotangent)]
        gradients = call.pull_back(cotangents, retain_graph=True, graph=history.graph)
        return history.outcome(call.arranged(gradients))

    y = history.value(call.output)
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
    _refuse_alone("jvp", args, tangents)
    history = History(args, tangents)
    call = Call(f, args, tuple(range(len(args))))
    directions = call.directions(tangents, "jvp", "tangent")
    ys = [y for _, y in leaves(call.output)]
    is_live = [isinstance(y, Tensor) and y.requires_grad for y in ys]
    seeds = [  # not zeros: an upstream of 0 stays 0, whatever slope it meets
        tensor(np.ones_like(y.data), requires_grad=True) if live else None
        for y, live in zip(ys, is_live, strict=True)
    ]
    pulled = call.pull_back(seeds, retain_graph=True, graph=True)
    wanted = [seed for seed in seeds if seed is not None]
    moved = iter(_along(pulled, directions, wanted, history.graph))
    changes = [
        next(moved) if live else np.zeros_like(getattr(y, "data", y))
        for y, live in zip(ys, is_live, strict=True)
    ]
    return history.value(call.output), history.outcome(rebuild(call.output, iter(changes)))


def _refuse_alone(name: str, args: Any, directions: Any) -> None:
    """Refuse an argument, or a direction, that stands where a tuple of them is meant."""
    for each in (args, directions):
        if not isinstance(each, (tuple, list)):
            raise TypeError(
                f"{name}: the arguments come in a tuple, and so do their directions: say "
                f"{name}(f, (x,), (v,)), not {describe(each)} by itself"
            )


def _along(
    slopes: Sequence[Any], directions: Sequence[Any], inputs: Sequence[Tensor], graph: bool
) -> list[Any]:
    """Differentiate slopes, each times its direction, by some inputs."""
    pairs = zip(slopes, directions, strict=True)
    begin = [start(slope, d, graph, "the slope") for slope, d in pairs if slope.requires_grad]
    return walk(begin, inputs, graph, graph)


def jacobian(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Make the function that computes all partial derivatives of ``f``.

    The rows come out of one backward pass, with all upstreams side by side, wherever the rules on
    the way take them so.

    Parameters
    ----------
    f : callable
        Returns an array, or a container of arrays; with ``has_aux``, ``(result, aux)``.
    argnums : int or sequence of int
        Which arguments to differentiate by, as for :func:`value_and_grad`.

    Returns
    -------
    callable
        Its result has, in place of each array of the result, the structure of the argument, and
        there in place of each array one of the shape of the result followed by that array's.  By a
        complex argument a complex result has its complex derivative, and a real result its
        gradients as rows.  With ``has_aux`` it returns ``(jacobian, aux)``.

    Raises
    ------
    ValueError
        A complex result is no holomorphic function of a complex argument.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> tl.jacobian(lambda x: x[:2] * x[2])(np.array([1.0, 2.0, 3.0]))
    array([[3., 0., 1.],
           [0., 3., 2.]])
    >>> tl.jacobian(lambda x: np.exp(1j * x))(0.0)
    array(0.+1.j)
    """

    @functools.wraps(f)
    def derived(*args: Any, **kwargs: Any) -> Any:
        history = History(args, kwargs)
        call = Call(f, args, argnums, has_aux, kwargs)
        ys = call.outputs("jacobian")
        retain = history.graph or len(ys) > 1
        blocks = [call.arranged(_partials(y, call.inputs, history.graph, retain)) for y in ys]
        result = history.outcome(rebuild(call.output, iter(blocks)))
        return (result, call.aux) if has_aux else result

    return derived


def _partials(y: Any, inputs: Sequence[Tensor], graph: bool, retain: bool) -> list[Any]:
    """Compute the partial derivatives of one array by each input."""
    units = np.eye(y.size, dtype=y.dtype).reshape((y.size, *y.shape))
    is_complex = y.dtype.kind == "c"
    rows = np.concatenate([units, 1j * units]) if is_complex else units
    is_live = isinstance(y, Tensor) and y.node is not None and y.size > 0
    with Level("jacobian", len(rows)).running() as level:
        begin = [(y.node, level.batch(rows))] if is_live else []
        gradients = walk(begin, inputs, graph, retain)
        stacks = [owned(level.front(gradient), rows) for gradient in gradients]
    if is_complex:
        stacks = [_complex_rows(g[: y.size], g[y.size :]) for g in stacks]
    return [g.reshape((*y.shape, *x.shape)) for g, x in zip(stacks, inputs, strict=True)]


def _complex_rows(re: Any, im: Any) -> Any:
    """Derivatives of a complex y from the gradients of its real and its imaginary part.

    By a real x they are ``re + i im``.  By a complex x a gradient is the derivative along the real
    axis plus i times that along the imaginary axis, so that the equations of Cauchy and Riemann,
    without which there is no complex derivative, say ``im = i re``.
    """
    if re.dtype.kind != "c":
        return re + 1j * im
    a, b = map(untracked, (re, im))
    tolerance = np.sqrt(np.finfo(a.dtype).eps) * np.max(np.abs(a) + np.abs(b), initial=0)
    if somewhere(np.abs(b - 1j * a) > tolerance):
        raise ValueError(
            "jacobian: a complex result is no holomorphic function of a complex argument here "
            "(np.conj, np.real, np.abs are none), so it has no complex derivative; differentiate "
            "by the real and the imaginary part: jacobian(lambda x, y: f(x + 1j * y), (0, 1))"
        )
    return np.conj(re)


def hessian(f: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """Make the function that computes all second derivatives of ``f``, which returns one number.

    It is the :func:`jacobian` of the gradient: with containers or several arguments, a container
    of containers.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> tl.hessian(lambda x: x[0] ** 2 * x[1])(np.array([1.0, 2.0]))
    array([[4., 2.],
           [2., 0.]])
    """
    return jacobian(grad(f, argnums, has_aux), argnums, has_aux)


def hvp(f: Function, args: Sequence[Any], vectors: Sequence[Any]) -> Any:
    """Compute the Hessian of ``f`` at ``args``, times ``vectors``, without the Hessian.

    The gradient, and then the gradient of its product with the vectors: two backward passes.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> tl.hvp(lambda x: np.sum(x ** 3), (np.array([1.0, 2.0]),), (np.array([1.0, 1.0]),))
    (array([ 6., 12.]),)
    """
    _refuse_alone("hvp", args, vectors)
    history = History(args, vectors)
    call = Call(f, args, tuple(range(len(args))))
    directions = call.directions(vectors, "hvp", "vector")
    call.scalar("hvp")
    slopes = call.pull_back([None], retain_graph=True, graph=True)
    return history.outcome(call.arranged(_along(slopes, directions, call.inputs, history.graph)))
