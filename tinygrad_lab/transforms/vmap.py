"""``vmap``: a function of one example, made a function of a batch of them.

Not for: the array that stands for an example inside (``batched.py``), or what each NumPy function
is for a batch (``batching.py``).
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from operator import index
from typing import Any, Literal

import numpy as np

from tinygrad_lab.core.arguments import refuse_strange
from tinygrad_lab.core.engine import next_order
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.levels import level_of
from tinygrad_lab.core.rules.arguments import untracked
from tinygrad_lab.core.scopes import POSITIONS, note
from tinygrad_lab.transforms.batching import form_of  # noqa: F401 - for its forms
from tinygrad_lab.transforms.containers import rebuild
from tinygrad_lab.transforms.level import Level

__all__ = ["owned", "vmap"]

Axes = Any  # an int, None, or a container of them


def vmap(
    f: Callable[..., Any],
    in_axes: Axes = 0,
    out_axes: Axes = 0,
    *,
    axis_size: int | None = None,
    randomness: Literal["different", "same", "error"] = "different",
) -> Callable[..., Any]:
    """Make of a function of one example a function of many of them at once, without a loop.

    Parameters
    ----------
    f : callable
        Takes and returns arrays, tensors, or containers of them: a function, a module.
    in_axes : int, None, or a sequence with one for each positional argument
        The axis of each argument that counts the examples; None for what all share.  For a
        container, one for all of it, or the same container of axes.  Keyword arguments are counted
        by their axis 0.  What is no array (a module, a function, a generator) all share anyway.
    out_axes : int, None, or a container of them
        Where that axis lies in each result; None for what is the same in all examples.
    axis_size : int, optional
        How many examples there are, where no argument says so.
    randomness : {"different", "same", "error"}
        Whether dropout, or another draw from a generator that ``f`` is handed, draws for each
        example, once for all, or is refused.  A seed draws the same for all.

    Returns
    -------
    callable
        Takes the arguments of ``f`` with the axis of the examples, and gives what calling ``f``
        with each example and stacking the results would.

    Raises
    ------
    ValueError
        The arguments hold different numbers of examples, or none; axes do not fit.
    BatchedValueError
        ``f`` asks for the one value of an array (``if``, ``float()``), which it has not; or gives
        results of different shapes.  A ``TypeError``.

    Notes
    -----
    Inside ``f`` an array shows the shape of one example.  ``vmap``, derivatives and ``checkpoint``
    go inside one another in any order.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> x = np.arange(6.0).reshape(3, 2)
    >>> tl.vmap(np.dot, (0, None))(x, np.array([1.0, 10.0]))
    array([10., 32., 54.])
    >>> slope = tl.grad(lambda w, x: np.sin(w @ x))
    >>> tl.vmap(slope, (None, 0))(np.zeros(2), x)  # one gradient for each example
    array([[0., 1.],
           [2., 3.],
           [4., 5.]])
    """
    if not callable(f):
        raise TypeError(
            f"vmap takes a function, not {describe(f)}: say tl.vmap(f)(x), and not tl.vmap(f(x))"
        )
    if randomness not in ("different", "same", "error"):
        raise ValueError(f"randomness={randomness!r}: expected 'different', 'same' or 'error'")

    @functools.wraps(f, updated=())
    def mapped(*args: Any, **kwargs: Any) -> Any:
        outer, since = args, next_order()
        arrays = list(_leaves(in_axes, args, "", "in_axes"))
        arrays += _leaves(0, kwargs, "", "in_axes")
        size = _batch_size(arrays, axis_size)
        name = f"vmap({getattr(f, '__name__', type(f).__name__)})"
        with Level(name, size, randomness).running() as level:
            inside = iter([_entered(level, value, axis) for _, value, axis in arrays])
            args, kwargs = rebuild((args, kwargs), inside, open_modules=False)
            result = f(*args, **kwargs)
            outside = [_left(level, *place) for place in _leaves(out_axes, result, "", "out_axes")]
        results = [owned(y, *(x for _, x, _ in arrays)) for y in outside]
        result = rebuild(result, iter(results), open_modules=False)
        note(result, since, mapped, None, POSITIONS, outer, {})
        return result

    mapped.transform = "vmap"  # type: ignore[attr-defined]  # for pictures
    return mapped


def _leaves(axes: Axes, value: Any, path: str, name: str) -> Iterator[tuple[str, Any, Any]]:
    """The arrays in a value, depth first, each with its name and its axis."""
    is_container = isinstance(axes, (tuple, list, dict))
    if not is_container and axes is not None and not isinstance(axes, (int, np.integer)):
        raise TypeError(f"vmap: {name}={axes!r}: an axis is an int, or None for none")
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, (tuple, list)):
        items = list(enumerate(value))
    elif is_container:
        raise ValueError(f"vmap: {name} has a container, {axes!r}, for {_of(path, name)}, an array")
    else:
        yield path, value, axes
        return
    if is_container:
        own = list(axes) if isinstance(axes, dict) else list(range(len(axes)))
        if isinstance(axes, dict) != isinstance(value, dict) or set(own) != {k for k, _ in items}:
            what = "the arguments" if name == "in_axes" else "the result"
            raise ValueError(
                f"vmap: {name} {axes!r} has another structure than {path or what}, a "
                f"{type(value).__name__} of {len(items)}: say one axis for each, None for what all "
                "share, or one number for all"
            )
    for key, item in items:
        is_argument = name == "in_axes" and not path
        at = f"argument {key}" if is_argument else f"{path}[{key!r}]"
        yield from _leaves(axes[key] if is_container else axes, item, at, name)


def _of(path: str, name: str) -> str:
    return path or ("the arguments" if name == "in_axes" else "the result")


def _is_array(value: Any) -> bool:
    return hasattr(value, "__array_function__") or isinstance(value, (int, float, complex))


def _batch_size(arrays: list[tuple[str, Any, Any]], axis_size: int | None) -> int:
    """How many examples there are."""
    sizes = {}
    for path, value, axis in arrays:
        if axis is None or not _is_array(value):
            continue
        refuse_strange(value)
        shape = np.shape(value)
        if not -len(shape) <= axis < len(shape):
            raise ValueError(
                f"vmap: {path} has shape {shape}, and no axis {axis} that counts examples: say "
                f"in_axes=None for what all share"
            )
        sizes[path] = shape[axis]
    if axis_size is not None:
        sizes["axis_size"] = index(axis_size)
    if not sizes:
        raise ValueError(
            "vmap: no argument has an axis of examples, so that nobody knows how many there are: "
            "say in_axes=0 for one of them, or axis_size=..."
        )
    if len(set(sizes.values())) > 1:
        counts = ", ".join(f"{path}: {n}" for path, n in sizes.items())
        raise ValueError(f"vmap: the arguments hold different numbers of examples: {counts}")
    return next(iter(sizes.values()))


def _entered(level: Level, value: Any, axis: Any) -> Any:
    """What stands for a value inside."""
    if isinstance(value, np.random.Generator):
        return level.generator(value)
    if axis is None or not _is_array(value):
        return value
    return level.batch(value if axis in (0, -value.ndim) else np.moveaxis(value, axis, 0))


def _left(level: Level, path: str, value: Any, axis: Any) -> Any:
    """What a result is outside."""
    if value is None:
        return None
    if not _is_array(value):
        raise TypeError(
            f"vmap: the function must return arrays, not {describe(value)}"
            + (f" at result{path}" if path else "")
        )
    if axis is None:
        if level.is_batched(untracked(value)):
            raise ValueError(
                f"vmap: out_axes=None for result{path}, which is another in each example: say the "
                "axis that counts them"
            )
        return level.inner(untracked(value) if level_of(value) is level else value)
    whole = level.front(value)
    if not -whole.ndim <= axis < whole.ndim:
        raise ValueError(
            f"vmap: out_axes={axis} for result{path}, whose shape with the examples in front is "
            f"{whole.shape}"
        )
    return whole if axis in (0, -whole.ndim) else np.moveaxis(whole, 0, axis)


def owned(result: Any, *inputs: Any) -> Any:
    """Give a result that its caller may write to, and nobody else."""
    if not isinstance(result, np.ndarray):
        return result
    arrays = [x for x in inputs if isinstance(x, np.ndarray)]
    is_free = result.flags.writeable and not any(np.may_share_memory(result, x) for x in arrays)
    return result if is_free else result.copy()
