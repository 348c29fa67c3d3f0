"""What an optimizer asks of its options, parameters, gradients and saved states.

Everything is refused before anything changes, with what is wrong and where.

Not for: what is done with them (``optimizer.py``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from numbers import Integral, Real
from typing import Any

import numpy as np

from tinygrad_lab.core.cotangents import is_traced_number
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.graph import is_differentiated
from tinygrad_lab.core.tensor import Tensor

# -- options ----------------------------------------------------------------------------------


def check_number(
    options: Mapping[str, Any],
    name: str,
    least: float = 0.0,
    below: float = inf,
    most: float = inf,
    *,
    positive: bool = False,
) -> None:
    """Raise ValueError unless it is a finite number, ``least <= number < below`` and ``<= most``.

    Examples
    --------
    >>> check_number({"lr": 0.1}, "lr", positive=True)
    >>> check_number({"alpha": 2.0}, "alpha", most=1.0)
    Traceback (most recent call last):
      ...
    ValueError: alpha=2.0: expected a finite number of 0 or more, at most 1
    """
    value = options[name]
    fits = (
        _is_finite(value)
        and least <= value < below
        and value <= most
        and not (positive and value <= 0)
    )
    if not fits:
        above = " above 0" if positive else f" of {least:g} or more" if least > -inf else ""
        limit = f", below {below:g}" if below < inf else f", at most {most:g}" if most < inf else ""
        raise ValueError(f"{name}={value!r}: expected a finite number{above}{limit}")


def _is_finite(value: Any) -> bool:
    if is_traced_number(value):
        return bool(value - value == 0)
    try:
        return not isinstance(value, bool) and isinstance(value, Real) and isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def check_integer(options: Mapping[str, Any], name: str, least: int = 1) -> None:
    """Raise ValueError unless the option is an integer of ``least`` or more."""
    value = options[name]
    is_integer = not isinstance(value, bool) and isinstance(value, Integral)
    if not is_integer or not least <= value < 2**63:
        raise ValueError(f"{name}={value!r}: expected an integer of {least} or more, below 2**63")


def check_flag(options: Mapping[str, Any], name: str) -> None:
    """Raise ValueError unless the option is True or False."""
    if not isinstance(options[name], (bool, np.bool)):
        raise ValueError(f"{name}={options[name]!r}: expected True or False")


def check_names(owner: str, group: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise ValueError unless a group has the options that an optimizer has, and no other."""
    unknown = [name for name in group if name != "params" and name not in options]
    if unknown:
        raise ValueError(
            f"{owner} has no option {', '.join(map(repr, unknown))}; it has {', '.join(options)}"
        )
    missing = [name for name in ("params", *options) if name not in group]
    if missing:
        raise ValueError(f"the group has no {', '.join(map(repr, missing))}, which {owner} needs")


# -- parameters and gradients -------------------------------------------------------------------


def check_parameters(parameters: Sequence[Any], others: Sequence[Tensor]) -> None:
    """Raise unless all are leaves, and none is there twice or among the ``others``."""
    if not parameters:
        raise ValueError("an optimizer needs parameters: this group has none")
    known = set(map(id, others))
    for position, parameter in enumerate(parameters):
        _check_parameter(parameter, position)
        if id(parameter) in known:
            raise ValueError(f"parameter {position} (shape {parameter.shape}) is there twice")
        known.add(id(parameter))


def _check_parameter(parameter: Any, position: int) -> None:
    if not isinstance(parameter, Tensor):
        raise TypeError(
            f"parameter {position} is a {type(parameter).__name__}, not a Tensor: say "
            "model.parameters(), or Tensors that were made with requires_grad=True"
        )
    frozen = type(parameter) is not Tensor and not parameter.requires_grad  # an nn.Parameter
    if not (frozen or (parameter.requires_grad and parameter.is_leaf)):
        raise ValueError(
            f"parameter {position} (shape {parameter.shape}) is no leaf that requires a gradient, "
            "so no gradient will ever arrive there"
        )


def check_real(owner: str, parameter: Tensor) -> None:
    """Raise TypeError if a parameter is complex, where the squares of gradients are kept."""
    if parameter.dtype.kind == "c":
        raise TypeError(
            f"{owner} adapts to the size of each real number, and a parameter is "
            f"{parameter.dtype}{parameter.shape}: make two real parameters of it, or use SGD"
        )


def check_gradient(parameter: Tensor, g: Any) -> Any:
    """Return a gradient as a plain array of the parameter's dtype; raise if it does not fit."""
    data = parameter.data
    if isinstance(g, Tensor):  # left by backward(create_graph=True)
        if is_differentiated(g.node):
            raise TypeError(
                "step() writes into parameters, so a derivative that is being taken around it "
                "would be lost: write the update out, w = w - lr * tl.grad(loss)(w)"
            )
        g = g.data
    if g.shape != data.shape:
        raise ValueError(
            f"a gradient of shape {g.shape} for a parameter that has shape {data.shape} by now: "
            "call zero_grad() and backward() after the change"
        )
    if not np.can_cast(g.dtype, data.dtype, "same_kind"):
        raise TypeError(f"a gradient of {g.dtype} for a parameter of {data.dtype}")
    return g if g.dtype == data.dtype else g.astype(data.dtype)


# -- saved states -------------------------------------------------------------------------------


def check_saved(
    saved: Any, sizes: Sequence[int]
) -> tuple[list[Mapping[str, Any]], dict[int, Mapping[str, Any]]]:
    """Return the groups' options, and what is kept by parameter, of what ``state_dict()`` gave.

    ``sizes`` are the numbers of parameters of the groups here.
    """
    if not isinstance(saved, Mapping) or {*saved} != {"state", "param_groups"}:
        raise ValueError(
            "an optimizer's state is a dict of 'state' and 'param_groups', as state_dict() gives, "
            f"not {describe(saved)}"
        )
    state, groups = saved["state"], saved["param_groups"]
    if not isinstance(groups, (list, tuple)) or not all(_is_group(group) for group in groups):
        raise ValueError(
            "param_groups of the state must be a list of dicts, each with the numbers of its "
            f"parameters under 'params', not {describe(groups)}"
        )
    there = [len(group["params"]) for group in groups]
    if there != list(sizes):
        raise ValueError(
            f"this optimizer has groups of {list(sizes)} parameters, the state has {there}: build "
            "it with the same model and groups"
        )
    numbers = [number for group in groups for number in group["params"]]
    if numbers != list(range(len(numbers))):
        raise ValueError(f"the parameters of the state are numbered {numbers}, not from 0 upwards")
    if not isinstance(state, Mapping):
        raise ValueError(f"'state' must be a dict by parameter, not {describe(state)}")
    by_number = {str(number): number for number in numbers}  # JSON makes text of the numbers
    strangers = [key for key in state if str(key) not in by_number]
    if strangers:
        raise ValueError(
            f"the state is of parameters {strangers}, and there are 0 to {len(numbers) - 1}"
        )
    entries = {by_number[str(key)]: values for key, values in state.items()}
    return [{k: v for k, v in group.items() if k != "params"} for group in groups], entries


def _is_group(group: Any) -> bool:
    return isinstance(group, Mapping) and isinstance(group.get("params"), (list, tuple))


def check_entries(where: str, values: Any, entries: Mapping[str, str], parameter: Tensor) -> None:
    """Raise ValueError unless ``values`` are what an optimizer keeps for a parameter."""
    needed = [name for name, kind in entries.items() if not kind.endswith("?")]
    if not isinstance(values, Mapping) or not {*needed} <= {*values} <= {*entries}:
        has = list(values) if isinstance(values, Mapping) else describe(values)
        raise ValueError(f"{where} must hold {', '.join(entries) or 'nothing'}; it holds {has}")
    for name, value in values.items():
        kind = entries[name].removesuffix("?")
        if kind == "count":
            check_integer({f"{where}[{name!r}]": value}, f"{where}[{name!r}]", least=0)
        else:
            _check_array(f"{where}[{name!r}]", value, parameter.data, kind == "positive")


def _check_array(where: str, value: Any, like: Any, positive: bool) -> None:
    is_array = hasattr(value, "__array_function__") and not isinstance(value, Tensor)
    if not is_array or value.shape != like.shape or value.dtype != like.dtype:
        raise ValueError(
            f"{where} is {describe(value)}, and its parameter is {like.dtype}{like.shape}"
        )
    if positive and like.dtype.kind == "f" and (value < 0).any():
        raise ValueError(f"{where} has a number below 0, where sums of squares are kept")
