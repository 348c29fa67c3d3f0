"""What all optimizers share: groups of parameters, their options, their state, and how to write.

A parameter's array is written in place only while nothing else refers to it.  Where a retained
graph or a detached view does, the parameter gets a new array, and they keep the old values.

Not for: the update formulas (``descent.py``, ``adaptive.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import inf, isfinite
from typing import Any

import numpy as np

from tinygrad_lab.core.ownership import is_shared
from tinygrad_lab.core.tensor import Tensor

__all__ = ["Optimizer", "check_number", "effective_gradient", "move"]

Array = Any  # an ndarray, or a foreign array such as Dask's
Options = dict[str, Any]
Parameters = Iterable[Tensor] | Iterable[Mapping[str, Any]]


class Optimizer:
    """The base of optimizers: ``step()`` moves every parameter that has a gradient.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Parameters; or groups of them, ``{"params": [...], "lr": 0.1}``, with options of their own.
    options : dict
        Defaults for what the groups leave out.

    Raises
    ------
    TypeError
        ``params`` is a single tensor, a module, or contains something that is not a tensor.
    ValueError
        There are no parameters, one occurs twice or is no leaf that requires a gradient, or
        an option is out of range.

    Notes
    -----
    A subclass implements ``_check`` for one group's options and ``_update`` for one parameter.
    """

    def __init__(self, params: Parameters, options: Options) -> None:
        self.defaults = options
        self.param_groups: list[Options] = []
        self.state: dict[Tensor, Options] = {}
        for group in _grouped(params):
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train more parameters, with the options in ``group`` or else the defaults."""
        unknown = [name for name in group if name != "params" and name not in self.defaults]
        if unknown:
            raise ValueError(
                f"{type(self).__name__} has no option {', '.join(map(repr, unknown))}; it has "
                f"{', '.join(self.defaults)}"
            )
        params = group["params"]
        params = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for position, parameter in enumerate(params):
            _check_parameter(parameter, position, known)
            known.add(id(parameter))
        if not params:
            raise ValueError("an optimizer needs parameters: this group has none")
        complete = {**self.defaults, **group, "params": params}
        self._check(complete)
        self.param_groups.append(complete)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient by one update."""
        for group in self.param_groups:
            for parameter in group["params"]:
                g = parameter.grad
                if g is None:
                    continue
                if isinstance(g, Tensor):  # left by backward(create_graph=True)
                    g = g.data
                self._update(parameter, g, group)

    def _check(self, group: Options) -> None:
        """Raise ValueError if an option is out of range."""
        raise NotImplementedError

    def _update(self, parameter: Tensor, g: Array, group: Options) -> None:
        raise NotImplementedError

    # -- saving -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Options and copies of the state, with numbers in place of the parameters."""
        parameters = [p for group in self.param_groups for p in group["params"]]
        number = {id(p): i for i, p in enumerate(parameters)}
        return {
            "state": {
                number[id(p)]: {key: _copy(value) for key, value in values.items()}
                for p, values in self.state.items()
            },
            "param_groups": [
                {**group, "params": [number[id(p)] for p in group["params"]]}
                for group in self.param_groups
            ],
        }

    def load_state_dict(self, saved: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave.

        Raises
        ------
        ValueError
            The groups have other sizes, or the state belongs to parameters of other shapes.
        """
        groups = saved["param_groups"]
        here = [len(group["params"]) for group in self.param_groups]
        there = [len(group["params"]) for group in groups]
        if here != there:
            raise ValueError(
                f"this optimizer has groups of {here} parameters, the state has {there}: build it "
                "with the same model and groups"
            )
        parameters = [p for group in self.param_groups for p in group["params"]]
        state: dict[Tensor, Options] = {}
        for i, values in saved["state"].items():
            for key, value in values.items():
                if getattr(value, "shape", ()) not in ((), parameters[int(i)].shape):
                    raise ValueError(
                        f"state {key!r} of parameter {i} has shape {value.shape}, the parameter "
                        f"{parameters[int(i)].shape}"
                    )
            state[parameters[int(i)]] = {key: _copy(value) for key, value in values.items()}
        options = [{k: v for k, v in group.items() if k != "params"} for group in groups]
        for group in options:
            self._check({**self.defaults, **group})
        for group, new in zip(self.param_groups, options, strict=True):
            group.update(new)
        self.state = state

    def __repr__(self) -> str:
        lines = []
        for group in self.param_groups:
            size = sum(p.size for p in group["params"])
            options = ", ".join(f"{k}={v}" for k, v in group.items() if k != "params")
            lines.append(f"{len(group['params'])} parameters, {size} numbers: {options}")
        return f"{type(self).__name__}(" + "; ".join(lines) + ")"


def effective_gradient(parameter: Tensor, g: Array, group: Options) -> Array:
    """Return the gradient to descend along: ``g`` with ``maximize`` and weight decay applied."""
    if group["maximize"]:
        g = -g
    if group["weight_decay"]:
        g = g + parameter.data * float(group["weight_decay"])
    return g


def move(parameter: Tensor, change: Array) -> None:
    """Subtract ``change``: in place if nothing else refers to the array, else into a new one."""
    if is_shared(parameter.data):
        parameter.data = parameter.data - change
    else:
        np.subtract(parameter.data, change, out=parameter.data)


def check_number(
    group: Options, name: str, least: float = 0.0, below: float = inf, *, positive: bool = False
) -> None:
    """Raise ValueError unless the option is a finite number, ``least <= number < below``."""
    value = group[name]
    try:
        fits = isfinite(value) and least <= value < below and not (positive and value <= 0)
    except TypeError:
        fits = False
    if not fits:
        above = "above 0" if positive else f"of {least:g} or more"
        limit = "" if below == inf else f", below {below:g}"
        raise ValueError(f"{name}={value!r}: expected a finite number {above}{limit}")


def _grouped(params: Any) -> list[Mapping[str, Any]]:
    if isinstance(params, Tensor) or hasattr(params, "parameters"):
        remedy = "[tensor]" if isinstance(params, Tensor) else "model.parameters()"
        raise TypeError(f"params must be an iterable of parameters: say {remedy}")
    items = list(params)
    if not items:
        raise ValueError("an optimizer needs parameters: there are none")
    if isinstance(items[0], Mapping):
        return items
    return [{"params": items}]


def _check_parameter(parameter: Any, position: int, known: set[int]) -> None:
    if not isinstance(parameter, Tensor):
        raise TypeError(
            f"parameter {position} is a {type(parameter).__name__}, not a Tensor: gradients "
            "arrive on Tensors, made with requires_grad=True"
        )
    frozen = type(parameter) is not Tensor and not parameter.requires_grad  # an nn.Parameter
    if not (frozen or (parameter.requires_grad and parameter.is_leaf)):
        raise ValueError(
            f"parameter {position} (shape {parameter.shape}) is no leaf that requires a gradient, "
            "so no gradient will ever arrive there"
        )
    if id(parameter) in known:
        raise ValueError(f"parameter {position} (shape {parameter.shape}) is there twice")


def _copy(value: Any) -> Any:
    return value.copy() if hasattr(value, "copy") else value
