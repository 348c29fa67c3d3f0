"""What an optimizer asks of its options, parameters, gradients and saved states.

Everything is refused before anything changes, with what is wrong and where.

Not for: what is done with them (``optimizer.py``).
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import inf, isfinite
from numbers import Integral, Real
from types import NoneType
from typing import Any

import numpy as np

from tinygrad_lab.core.cotangents import is_traced_number
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.graph import is_differentiated
from tinygrad_lab.core.tensor import Tensor

# -- options ----------------------------------------------------------------------------------

Check = Callable[[str, Any], None]


def check_number(
    name: str,
    value: Any,
    least: float = 0.0,
    below: float = inf,
    most: float = inf,
    *,
    positive: bool = False,
) -> None:
    """Raise ValueError unless it is a finite number, ``least <= number < below`` and ``<= most``.

    Examples
    --------
    >>> check_number("lr", 0.1, positive=True)
    >>> check_number("alpha", 2.0, most=1.0)
    Traceback (most recent call last):
      ...
    ValueError: alpha=2.0: expected a finite number of 0 or more, at most 1
    """
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


def number(**limits: Any) -> Check:
    """Make the check of a number with limits: see :func:`check_number`."""
    return partial(check_number, **limits)


def numbers(count: int, **limits: Any) -> Check:
    """Make the check of so many numbers with limits."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, (tuple, list)) or len(value) != count:
            raise ValueError(f"{name}={value!r}: expected {('two', 'three')[count - 2]} numbers")
        for i, part in enumerate(value):
            check_number(f"{name}[{i}]", part, **limits)

    return check


def _is_finite(value: Any) -> bool:
    if is_traced_number(value):
        return bool(value - value == 0)
    try:
        return not isinstance(value, bool) and isinstance(value, Real) and isfinite(value)
    except OverflowError:  # an integer beyond all floats
        return False


def check_integer(name: str, value: Any, least: int = 1, below: int = 2**63) -> None:
    """Raise ValueError unless the option is an integer, ``least <= integer < below``."""
    is_integer = not isinstance(value, bool) and isinstance(value, Integral)
    if not is_integer or not least <= value < below:
        limit = f"{below:,}" if below < 2**63 else "2**63"
        raise ValueError(f"{name}={value!r}: expected an integer of {least} or more, below {limit}")


def check_flag(name: str, value: Any) -> None:
    """Raise ValueError unless the option is True or False."""
    if not isinstance(value, (bool, np.bool)):
        raise ValueError(f"{name}={value!r}: expected True or False")


def one_of(*choices: Any) -> Check:
    """Make the check of an option that is one of a few words, or None."""

    def check(name: str, value: Any) -> None:
        if not isinstance(value, (str, bool, NoneType)) or value not in choices:
            raise ValueError(f"{name}={value!r}: expected {' or '.join(map(repr, choices))}")

    return check


def _check_differentiable(name: str, value: Any) -> None:
    check_flag(name, value)
    if value:
        raise ValueError(
            f"{name}=True: step() is no part of a graph here. To differentiate through updates, "
            "write them out: w = w - lr * tl.grad(loss)(w)"
        )


#: Options that choose one of PyTorch's implementations, and have no effect.
IMPLEMENTATION: dict[str, Check] = {
    "foreach": one_of(None, True, False),
    "fused": one_of(None, True, False),
    "capturable": check_flag,
    "differentiable": _check_differentiable,
}
#: What an option must be, where most optimizers have it.
USUAL: dict[str, Check] = {
    "lr": check_number,
    "weight_decay": check_number,
    "eps": check_number,
    "maximize": check_flag,
    **IMPLEMENTATION,
}
#: Options that older versions of PyTorch do not have: their states are completed.
LATER = (*IMPLEMENTATION, "maximize", "decoupled_weight_decay", "amsgrad", "nesterov", "centered")
#: What schedules, PyTorch and people note in a group, besides its options.
NOTES = frozenset({
    "params", "param_names", "name", "initial_lr", "max_lr", "min_lr", "base_momentum",
    "max_momentum", "swa_lr",
})  # fmt: skip


def usual(*names: str, **others: Check) -> dict[str, Check]:
    """Make the checks of an optimizer's options: usual ones by name, and its own."""
    return {"lr": check_number, **{name: USUAL[name] for name in names}, **others}


def check_names(owner: str, group: Mapping[str, Any], options: Mapping[str, Any]) -> None:
    """Raise ValueError unless a group has the options that an optimizer has, and no other."""
    unknown = [name for name in group if name not in NOTES and name not in options]
    if unknown:
        raise ValueError(
            f"{owner} has no option {', '.join(map(repr, unknown))}; it has {', '.join(options)}"
        )
    missing = [name for name in ("params", *options) if name not in group]
    if missing:
        raise ValueError(f"the group has no {', '.join(map(repr, missing))}, which {owner} needs")


def of_python(value: Any) -> Any:
    """Make a number of Python's of NumPy's, so that float32 parameters stay float32."""
    if isinstance(value, (tuple, list)):
        return tuple(map(of_python, value))
    is_other = isinstance(value, Real) and type(value) not in _PLAIN  # type: ignore[comparison-overlap]
    return float(value) if is_other else value


_PLAIN = (float, int, bool)


# -- parameters and gradients -------------------------------------------------------------------


def check_parameters(
    parameters: Sequence[Any], names: Sequence[str], others: Sequence[Tensor]
) -> None:
    """Raise unless all are leaves, and none is there twice or among the ``others``."""
    if not parameters:
        raise ValueError("an optimizer needs parameters: this group has none")
    known = set(map(id, others))
    for position, parameter in enumerate(parameters):
        label = f"parameter {names[position]!r}" if names else f"parameter {position}"
        _check_parameter(parameter, label)
        if id(parameter) in known:
            raise ValueError(
                f"{label} (shape {parameter.shape}) is there twice, and would be moved twice a "
                "step: a parameter is in one group, once"
            )
        known.add(id(parameter))


def _check_parameter(parameter: Any, label: str) -> None:
    if not isinstance(parameter, Tensor):
        raise TypeError(
            f"{label} is a {type(parameter).__name__}, not a Tensor: say model.parameters(), or "
            "Tensors that were made with requires_grad=True"
        )
    frozen = type(parameter) is not Tensor and not parameter.requires_grad  # an nn.Parameter
    if not (frozen or (parameter.requires_grad and parameter.is_leaf)):
        raise ValueError(
            f"{label} (shape {parameter.shape}) is no leaf that requires a gradient, so no "
            "gradient will ever arrive there"
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


def strangers(saved: Mapping[str, Any], options: Mapping[str, Any]) -> set[str]:
    """Return PyTorch's options in a saved group that mean nothing here."""
    return {name for name in saved if name in IMPLEMENTATION and name not in options}


#: Kinds of what is kept that are arrays.
ARRAYS = ("array", "positive", "array?", "positive?")


def foreign(value: Any) -> Any:
    """Make NumPy's of another library's array, such as a tensor of PyTorch's."""
    is_foreign = hasattr(value, "__array__") and not hasattr(value, "__array_function__")
    return np.asarray(value) if is_foreign and not isinstance(value, np.generic) else value


def loaded_entries(
    where: str, values: Any, entries: Mapping[str, str] | None, parameter: Tensor
) -> dict[str, Any]:
    """Return a copy of what an optimizer keeps for a parameter; raise ValueError if it is not."""
    if isinstance(values, Mapping):  # PyTorch says None for what is not there yet
        values = {name: foreign(value) for name, value in values.items() if value is not None}
    if entries is None:
        return copy.deepcopy(dict(values))
    needed = [name for name, kind in entries.items() if not kind.endswith("?")]
    if not isinstance(values, Mapping) or not {*needed} <= {*values} <= {*entries}:
        has = list(values) if isinstance(values, Mapping) else describe(values)
        raise ValueError(f"{where} must hold {', '.join(entries) or 'nothing'}; it holds {has}")
    return {
        name: loaded_value(
            f"{where}[{name!r}]", value, entries[name].removesuffix("?"), parameter.data
        )
        for name, value in values.items()
    }


def loaded_value(where: str, value: Any, kind: str, like: Any) -> Any:
    """Return a copy of one thing that an optimizer keeps; raise ValueError if it is none."""
    if kind in ("count", "number"):
        if getattr(value, "shape", None) == () and not isinstance(value, Tensor):
            value = value.item()
        if kind == "count" and isinstance(value, float) and value.is_integer():
            value = int(value)  # PyTorch's count is a float
        (check_number if kind == "number" else partial(check_integer, least=0))(where, value)
        return value
    return _loaded_array(where, value, like, kind == "positive")


def _loaded_array(where: str, value: Any, like: Any, positive: bool) -> Any:
    """Return a copy of an array of the shape, and in the dtype, of another."""
    is_array = hasattr(value, "__array_function__") and not isinstance(value, Tensor)
    if not is_array or value.shape != like.shape or value.dtype.kind != like.dtype.kind:
        raise ValueError(
            f"{where} is {describe(value)}, and its parameter is {like.dtype}{like.shape}"
        )
    if positive and like.dtype.kind == "f" and (value < 0).any():
        raise ValueError(f"{where} has a number below 0, where sums of squares are kept")
    return value.astype(like.dtype)
