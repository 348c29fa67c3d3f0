"""What all optimizers share: groups of parameters, their options, their state, and the step.

A step is all or none.  Each parameter's update is worked out first, as a list of changes; if that
goes well for all of them, the changes are made at once.  A retained graph or a detached view keeps
the old values: the array of a parameter is written only where nobody else can see it.

Not for: the update formulas (``descent.py``, ``adaptive.py``), or what is a good option or state
(``checks.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Real
from operator import is_
from sys import getrefcount
from typing import Any, ClassVar

import numpy as np

from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.core.cotangents import from_scalar
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.optim.checks import (
    check_entries,
    check_gradient,
    check_names,
    check_number,
    check_parameters,
    check_real,
    check_saved,
)  # fmt: skip
from tinygrad_lab.warnings import AbandonedParameterWarning, NoGradientWarning, warn

__all__ = ["Optimizer", "effective_gradient", "replace"]

Array = Any  # an ndarray, or a foreign array such as Dask's
Options = dict[str, Any]
Parameters = Iterable[Tensor] | Iterable[Mapping[str, Any]]
_PLAIN = (float, int, bool)
Change = tuple[Any, ...]  # a function of C, and its arguments: see `at_once`


class Optimizer:
    """The base of optimizers: ``step()`` moves every parameter that has a gradient.

    Parameters
    ----------
    params : iterable of Tensor, or of dict
        Parameters; or groups of them, ``{"params": [...], "lr": 0.1}``, with options of their own.
        Frozen ones (:class:`~tinygrad_lab.nn.Parameter` with ``requires_grad=False``) may be among
        them, and stay where they are.
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
    A subclass implements ``_check`` for one group's options, and ``_update``, which lists the
    changes that move one parameter; it names what it keeps for each parameter in ``entries``.
    """

    #: What is kept for each parameter: ``"count"``, ``"array"``, ``"positive"`` (an array of
    #: numbers of 0 or more); with ``?`` if it is not always there.
    entries: ClassVar[Mapping[str, str]] = {}
    #: Whether updates write into arrays, and not only put new ones in their places.
    in_place: ClassVar[bool] = False
    #: Attributes that no step depends on: a recorded step does not look at them.
    unread: ClassVar[frozenset[str]] = frozenset({"defaults", "_checked"})

    def __init__(self, params: Parameters, options: Options) -> None:
        self.defaults = options
        self.param_groups: list[Options] = []
        self.state: dict[Tensor, Options] = {}
        self._checked: list[list[Any]] = []  # the values of each group's options when last checked
        for group in _grouped(params):
            self.add_param_group(group)

    def add_param_group(self, group: Mapping[str, Any]) -> None:
        """Train more parameters, with the options in ``group`` or else the defaults."""
        if "params" not in group:
            raise ValueError(f'a group has its parameters under "params", not in {list(group)}')
        complete = {**self.defaults, **group}
        params = complete["params"]
        complete["params"] = params = [params] if isinstance(params, Tensor) else list(params)
        self._check_group(complete)
        check_number(complete, "lr", positive=True)
        check_parameters(params, [p for other in self.param_groups for p in other["params"]])
        self.param_groups.append(complete)

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.grad = None

    def step(self) -> None:
        """Move every parameter that has a gradient by one update: all of them, or none.

        Raises
        ------
        TypeError, ValueError
            An option was set to something that is none; or a gradient or a kept array does not fit
            its parameter, whose ``data`` was replaced.  Nothing has moved then.
        """
        changes: list[Change] = []
        abandoned: list[Tensor] = []
        for i, group in enumerate(self.param_groups):
            self._check_if_changed(i, group)
            for parameter in group["params"]:
                if getrefcount(parameter) <= _ALONE + (parameter in self.state):
                    abandoned.append(parameter)
                node = parameter.node
                if node is None or node.grad is None:
                    continue
                g, shape, dtype = node.grad, parameter.data.shape, parameter.data.dtype
                if type(g) is not np.ndarray or g.shape != shape or g.dtype is not dtype:
                    g = check_gradient(parameter, g)
                changes += self._update(parameter, g, group)
        if abandoned:
            self._warn_of_abandoned(abandoned)
        elif not changes:
            self._warn_of_no_gradient()
        at_once(changes, arithmetic=self.in_place)

    def _check(self, group: Options) -> None:
        """Raise ValueError if an option is out of range."""
        raise NotImplementedError

    def _update(self, parameter: Tensor, g: Array, group: Options) -> list[Change]:
        """List what moves a parameter and its state.  It changes nothing that others can see."""
        raise NotImplementedError

    def _keep(self, parameter: Tensor, entries: Options) -> Change:
        """Keep ``entries`` for a parameter from now on."""
        for name, value in entries.items():
            if isinstance(value, np.generic):  # arithmetic on a 0-d array gives a number
                entries[name] = from_scalar(value)
        return (self.state.__setitem__, parameter, entries)

    def _kept(self, parameter: Tensor, name: str) -> Options | None:
        """What is kept for a parameter; None before its first update.

        The array ``name`` in it is looked at: whether it fits the parameter as it is by now.
        """
        entries = self.state.get(parameter)
        if entries is None and "positive" in self.entries.values():
            check_real(type(self).__name__, parameter)
        if entries is not None:
            array, data = entries[name], parameter.data
            if array.shape != data.shape or array.dtype != data.dtype:
                raise ValueError(
                    f"{type(self).__name__} keeps {name} of {array.dtype}{array.shape} for a "
                    f"parameter that is {data.dtype}{data.shape} by now: make the optimizer after "
                    "the model has its final sizes and dtype"
                )
        return entries

    def _check_if_changed(self, i: int, group: Options) -> None:
        """Check a group's options again if somebody has set one since they were last checked."""
        if len(self._checked) <= i:
            self._checked += [[] for _ in self.param_groups[len(self._checked) :]]
        checked = self._checked[i]
        if len(group) != len(checked) or not all(map(is_, group.values(), checked)):
            self._check_group(group)
            checked[:] = group.values()

    def check_options(self) -> None:
        """Check the options that somebody has set since they were last checked, as step() does."""
        for group, checked in zip(self.param_groups, self._checked, strict=False):
            if len(group) != len(checked) or not all(map(is_, group.values(), checked)):
                break
        else:
            if len(self._checked) == len(self.param_groups):  # mostly so, and at once
                return
        for i, group in enumerate(self.param_groups):
            self._check_if_changed(i, group)

    def take_options(self) -> None:
        """Take the options for checked: they stand for some that are."""
        self._checked = [list(group.values()) for group in self.param_groups]

    def _check_group(self, group: Options) -> None:
        check_names(type(self).__name__, group, self.defaults)
        self._check(group)
        group.update({name: _of_python(value) for name, value in group.items()})

    def _warn_of_no_gradient(self) -> None:
        every = [p for group in self.param_groups for p in group["params"]]
        why = (
            "is frozen (requires_grad=False)"
            if not any(p.requires_grad for p in every)
            else "has no gradient: call loss.backward() before, and make the optimizer with the "
            "parameters that the loss is computed from"
        )
        warn(
            f"{type(self).__name__}.step() moves nothing, because each of its {len(every)} "
            f"parameters {why}",
            NoGradientWarning,
        )

    def _warn_of_abandoned(self, parameters: list[Tensor]) -> None:
        number = sum(len(group["params"]) for group in self.param_groups)
        shapes = ", ".join(str(p.shape) for p in parameters)
        warn(
            f"{type(self).__name__}.step(): nobody but the optimizer holds {len(parameters)} of "
            f"its {number} parameters (of shape {shapes}), so the model must have others by now, "
            "which it does not move: make the optimizer after the last change of the model",
            AbandonedParameterWarning,
        )

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
        """Go on from what :meth:`state_dict` gave.  Nothing is changed unless everything fits.

        Raises
        ------
        TypeError, ValueError
            It is no such state; an option is missing, unknown or out of range; the groups have
            other sizes; or what is kept for a parameter is not what this optimizer keeps, of the
            parameter's shape and dtype.
        """
        groups, entries = check_saved(saved, [len(g["params"]) for g in self.param_groups])
        changes: list[Change] = []
        for i, (group, options) in enumerate(zip(self.param_groups, groups, strict=True)):
            new = {**options, "params": group["params"]}
            try:
                self._check_group(new)
            except (TypeError, ValueError) as error:
                raise type(error)(f"param_groups[{i}] of the state: {error}") from None
            changes.append((group.update, new))
        parameters = [p for group in self.param_groups for p in group["params"]]
        state: dict[Tensor, Options] = {}
        for i, values in entries.items():
            check_entries(f"state[{i}]", values, self.entries, parameters[i])
            state[parameters[i]] = {
                key: int(value) if self.entries[key] == "count" else value.copy()
                for key, value in values.items()
            }
        at_once([*changes, (vars(self).update, {"state": state})])

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
        g = g + parameter.data * group["weight_decay"]
    return g


def replace(parameter: Tensor, value: Array) -> Change:
    """Give a parameter a new array; whoever holds the old one keeps it."""
    value = value if type(value) is np.ndarray else from_scalar(value)
    return (setattr, parameter, "data", value)


def _of_python(value: Any) -> Any:
    """Make a number of Python's of NumPy's, so that float32 parameters stay float32."""
    if type(value) is tuple:
        return tuple(map(_of_python, value))
    is_other = isinstance(value, Real) and type(value) not in _PLAIN  # type: ignore[comparison-overlap]
    return float(value) if is_other else value


def _grouped(params: Any) -> list[Mapping[str, Any]]:
    if isinstance(params, Tensor) or hasattr(params, "parameters"):
        remedy = "[tensor]" if isinstance(params, Tensor) else "model.parameters()"
        raise TypeError(f"params must be an iterable of parameters: say {remedy}")
    if isinstance(params, (set, frozenset)) or not isinstance(params, Iterable):
        raise TypeError(
            f"params must be an iterable of parameters, always in one order, not {describe(params)}"
        )
    items = list(params)
    if not items:
        raise ValueError("an optimizer needs parameters: there are none")
    if not all(isinstance(item, Mapping) for item in items):
        return [{"params": items}]
    return items


def _references(parameters: list[Any]) -> int:
    for parameter in parameters:
        return getrefcount(parameter)
    return 0


#: How often a parameter is referred to, in the loop of `step`, that only its group holds.
_ALONE = _references([object()])


def _copy(value: Any) -> Any:
    return value.copy() if hasattr(value, "copy") else value
