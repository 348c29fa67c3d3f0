"""Modules called without a change to them: with other parameters, or in evaluation mode.

For ensembles: one model, and ``vmap`` over stacks of what its parameters are in each.
"""

from __future__ import annotations

import copy
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.transforms.containers import attributes, is_module

__all__ = ["evaluating", "functional_call", "replaced", "stack_module_state"]


def functional_call(
    module: Any,
    parameters_and_buffers: Mapping[str, Any] | Sequence[Mapping[str, Any]],
    args: Any = (),
    kwargs: Mapping[str, Any] | None = None,
) -> Any:
    """Call a module with these parameters and buffers in place of its own, which stay untouched.

    Parameters
    ----------
    module : Module
        It is not changed: what its ``forward`` assigns to attributes is forgotten.
    parameters_and_buffers : dict, or sequence of dicts
        Arrays or tensors by path, as ``named_parameters()`` names them; the others are its own.
    args : tuple, or the one argument
        What it is called with.
    kwargs : dict, optional
        Keyword arguments.

    Raises
    ------
    KeyError
        It has no such parameter or buffer.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> layer = tl.nn.Linear(2, 1, bias=False, rng=0)
    >>> tl.functional_call(layer, {"weight": np.array([[1.0, 10.0]])}, np.array([3.0, 4.0]))
    array([43.])
    """
    state = parameters_and_buffers
    dicts = [state] if isinstance(state, Mapping) else list(state)
    values: dict[str, Any] = {name: value for each in dicts for name, value in each.items()}
    own = {**dict(module.named_parameters()), **dict(module.named_buffers(remove_duplicate=False))}
    if unknown := [name for name in values if name not in own]:
        raise KeyError(
            f"functional_call: {type(module).__name__} has no {', '.join(unknown)}; it has "
            f"{', '.join(own)}"
        )
    twin = replaced(module, {id(own[name]): value for name, value in values.items()})
    return twin(*(args if isinstance(args, tuple) else (args,)), **(kwargs or {}))


def replaced(value: Any, new: Mapping[int, Any]) -> Any:
    """Make a module anew around other parameters or buffers, by the identity of its own."""
    built: dict[int, Any] = {}

    def of(value: Any) -> Any:
        if id(value) in new:
            return new[id(value)]
        if id(value) in built:
            return built[id(value)]
        if is_module(value):
            twin = built[id(value)] = object.__new__(type(value))
            on_class = lambda item: isinstance(item, Tensor) or is_module(item)
            for name, item in attributes(value, on_class).items():
                object.__setattr__(twin, name, of(item))
            return twin
        if type(value) is tuple:
            return tuple(map(of, value))
        if isinstance(value, (dict, list, deque)):
            twin = built[id(value)] = copy.copy(value)
            for key, item in list(value.items() if isinstance(value, dict) else enumerate(value)):
                twin[key] = of(item)
            return twin
        return value

    return of(value)


@contextmanager
def evaluating(module: Any) -> Iterator[None]:
    """Put a module in evaluation mode, and each layer back in the mode that it was in.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> model = tl.nn.Sequential(tl.nn.Dropout(), tl.nn.Dropout().eval())
    >>> with evaluating(model):
    ...     [layer.training for layer in model]
    [False, False]
    >>> [layer.training for layer in model]
    [True, False]
    """
    before = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for layer, training in before:
            layer.training = training


def stack_module_state(modules: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Stack the parameters, and the buffers, of modules of one kind, each along a new first axis.

    Returns
    -------
    parameters, buffers : dict
        Arrays by path, for :func:`functional_call` under :func:`vmap`.

    Raises
    ------
    ValueError
        The modules differ in the names, shapes or dtypes of what they hold, or there are none.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> models = [tl.nn.MLP([2, 3, 1], rng=seed) for seed in range(5)]
    >>> parameters, _ = tl.stack_module_state(models)
    >>> predict = lambda p, x: tl.functional_call(models[0], p, x)
    >>> tl.vmap(predict, (0, None))(parameters, np.ones((7, 2))).shape
    (5, 7, 1)
    """
    if not modules:
        raise ValueError("stack_module_state of no modules: it takes a list of one or more")
    kinds = ("named_parameters", "named_buffers")
    parameters, buffers = ([dict(getattr(m, kind)()) for m in modules] for kind in kinds)
    return _stacked(parameters), _stacked(buffers)


def _stacked(states: list[dict[str, Any]]) -> dict[str, Any]:
    first = {name: describe(value) for name, value in states[0].items()}
    for position, state in enumerate(states):
        own = {name: describe(value) for name, value in state.items()}
        if own != first:
            raise ValueError(
                f"stack_module_state: module {position} holds {own}, and module 0 {first}: only "
                "modules of the same names, shapes and dtypes can be stacked"
            )
    data = [{k: v.data if isinstance(v, Tensor) else v for k, v in s.items()} for s in states]
    return {name: np.stack([each[name] for each in data]) for name in first}
