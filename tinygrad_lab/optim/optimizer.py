"""What all optimizers share: groups of parameters, their options, their state, and the step.

A step is all or none.  Each parameter's update is worked out first, as a list of changes; if that
goes well for all of them, the changes are made at once.  A retained graph or a detached view keeps
the old values: the array of a parameter is written only where nobody else can see it.

Not for: the update formulas (``descent.py``, ``adaptive.py``, ``adam.py``, ``lbfgs.py``), or what
is a good option or state (``checks.py``).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from operator import is_
from sys import getrefcount
from typing import Any, ClassVar

import numpy as np

from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.core.cotangents import from_scalar
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.modes import enable_grad
from tinygrad_lab.core.ownership import is_shared
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.optim.blocks import LEAST, in_blocks, without_subnormals
from tinygrad_lab.optim.checks import (
    ARRAYS,
    LATER,
    Check,
    check_gradient,
    check_names,
    check_parameters,
    check_real,
    check_saved,
    loaded_entries,
    of_python,
    strangers,
)
from tinygrad_lab.warnings import AbandonedParameterWarning, NoGradientWarning, warn

__all__ = ["Optimizer", "decayed", "options", "replace"]

Array = Any  # an ndarray, or a foreign array such as Dask's
Options = dict[str, Any]
Parameters = Iterable[Tensor] | Iterable[tuple[str, Tensor]] | Iterable[Mapping[str, Any]]
Change = tuple[Any, ...]  # a function of C, and its arguments: see `at_once`


class Optimizer:
    """The base of optimizers: ``step()`` moves every parameter that has a gradient.

    Parameters
    ----------
    params : iterable of Tensor, of (str, Tensor), or of dict
        Parameters; or ``model.named_parameters()``, whose names errors then say; or groups of
        either, ``{"params": [...], "lr": 0.1}``, with options of their own.  Frozen parameters
        (:class:`~tinygrad_lab.nn.Parameter` with ``requires_grad=False``) may be among them, and
        stay where they are.
    defaults : dict
        Options for what the groups leave out.

    Raises
    ------
    TypeError
        ``params`` is a single tensor, a module, or contains something that is not a tensor.
    ValueError
        There are no parameters, one occurs twice or is no leaf that requires a gradient, or
        an option is unknown or out of range.

    Notes
    -----
    All optimizers here take these arguments of PyTorch's too:

    - ``lr``, ``weight_decay``, ``eps``: the learning rate; how much of the parameter is added to
      its gradient, or with ``decoupled_weight_decay`` taken from the parameter itself; what keeps
      a division defined.  Each is a finite number of 0 or more.
    - ``maximize``: climb instead of descend.
    - ``foreach``, ``fused``, ``capturable``: which of its implementations PyTorch uses.  They are
      accepted, kept and saved, and have no effect.
    - ``differentiable``: False; ``step()`` is no part of a graph.

    A subclass may override :meth:`step` alone, as in PyTorch: ``param_groups`` are dicts with
    ``"params"``, and ``self.state[p]`` is a dict that is empty at first.  Or it describes one
    parameter's update, and has from here that a step is all or none, that options and states are
    checked, and that it runs under :func:`tinygrad_lab.jit`: ``_moved`` gives the new value of a
    parameter and what is kept for it, ``entries`` names what is kept, ``checks`` says what options
    must be.  With ``elementwise``, ``_moved`` is of operators and ufuncs alone, and large arrays
    are written in place, a block at a time.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> class SignDescent(Optimizer):
    ...     def __init__(self, params, lr=0.1):
    ...         super().__init__(params, {"lr": lr})
    ...     def step(self, closure=None):
    ...         for group in self.param_groups:
    ...             for p in group["params"]:
    ...                 if p.grad is not None:
    ...                     p.data = p.data - group["lr"] * np.sign(p.grad)
    >>> p = tl.tensor([1.0, -20.0], requires_grad=True)
    >>> (p * p).sum().backward()
    >>> SignDescent([p]).step()
    >>> p.data
    array([  0.9, -19.9])
    """

    #: What is kept for each parameter: ``"count"``, ``"number"``, ``"array"``, ``"positive"`` (an
    #: array of numbers of 0 or more); with ``?`` if it is not always there.  None: anything.
    entries: ClassVar[Mapping[str, str] | None] = None
    #: What each option must be.
    checks: ClassVar[Mapping[str, Check]] = {}
    #: Whether ``_moved`` is made of operators and ufuncs alone: then large arrays are written in
    #: place, if nobody else holds them.
    elementwise: ClassVar[bool] = False
    #: Attributes that no step depends on: a recorded step does not look at them.
    unread: ClassVar[frozenset[str]] = frozenset({"defaults", "_checked", "has_stepped"})
    _array: ClassVar[str] = ""  # the first array among the entries

    def __init_subclass__(cls) -> None:
        arrays = (name for name, kind in (cls.entries or {}).items() if kind in ARRAYS)
        cls._array = next(arrays, "")

    def __init__(self, params: Parameters, defaults: Options) -> None:
        self.defaults = defaults
        self.param_groups: list[Options] = []
        self.state: dict[Tensor, Options] = defaultdict(dict)
        self.has_stepped = False
        self._checked: list[list[Any]] = []  # the values of each group's options when last checked
        for group in _grouped(params):
            self.add_param_group(group)

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Train more parameters, with the options in ``param_group`` or else the defaults."""
        if not isinstance(param_group, Mapping):
            raise TypeError(
                f'a group is a dict, {{"params": [...], "lr": 0.1}}, not {describe(param_group)}'
            )
        if "params" not in param_group:
            raise ValueError(
                f'a group has its parameters under "params", not in {list(param_group)}'
            )
        complete = {**self.defaults, **param_group}
        params, names = _named(complete["params"])
        complete["params"] = params
        if names:
            complete["param_names"] = names
        self._check_group(complete)
        others = self.param_groups
        check_parameters(params, names, [p for other in others for p in other["params"]])
        if any(bool(names) != ("param_names" in other) for other in others):
            raise ValueError("some groups have named parameters and some not: name all, or none")
        for parameter in params:
            self._check_member(parameter)
        self.param_groups.append(complete)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients; without ``set_to_none``, those that there are become 0."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if set_to_none:
                    parameter.grad = None
                elif parameter.grad is not None:
                    parameter.grad = np.zeros_like(parameter.data)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move every parameter that has a gradient by one update: all of them, or none.

        Parameters
        ----------
        closure : callable, optional
            Called first: it forgets the gradients, computes the loss and its gradients, and
            returns the loss.

        Returns
        -------
        Tensor or None
            What ``closure`` returned.

        Raises
        ------
        TypeError, ValueError
            An option was set to something that is none; or a gradient or a kept array does not fit
            its parameter, whose ``data`` was replaced.  Nothing has moved then.

        Notes
        -----
        The arithmetic is silent, as that of ``backward()`` is: what overflows is infinite.  At
        every 64th step subnormal numbers in the state, of float32 and float64, become 0 where the
        state counts the steps, so that training that is gone on with does the same.
        """
        loss = None if closure is None else called(closure)
        changes: list[Change] = []
        abandoned: list[Tensor] = []
        with np.errstate(all="ignore"):
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
            if not self.has_stepped:
                changes.append((setattr, self, "has_stepped", True))
            at_once(changes)
        return loss

    def _check(self, group: Options) -> None:
        """Raise ValueError if an option is out of range."""
        for name, check in self.checks.items():
            check(name, group[name])

    def _check_member(self, parameter: Tensor) -> None:
        """Raise if a parameter is none for this kind of optimizer."""

    def _update(self, parameter: Tensor, g: Array, group: Options) -> list[Change]:
        """List what moves a parameter and its state.  It changes nothing that others can see."""
        state = self._kept(parameter) or self._start(parameter.data, group)
        are_numpys = type(g) is type(parameter.data) is np.ndarray
        if self.elementwise and are_numpys and _PLAIN.issuperset(map(type, state.values())):
            is_due = state.get("step", 1) % _NORMAL == 0 and g.dtype.char in "fd"
            if g.size >= LEAST:
                return self._update_in_place(parameter, g, state, group, is_due)
            moved, entries = self._moved(parameter.data, g, state, group)
            if is_due:
                entries = {name: without_subnormals(value) for name, value in entries.items()}
        else:
            moved, entries = self._moved(parameter.data, g, state, group)
        return [replace(parameter, moved), *self._keep(parameter, entries)]

    def _update_in_place(
        self, parameter: Tensor, g: Array, state: Options, group: Options, is_due: bool
    ) -> list[Change]:
        """Do the same without new arrays: a fresh one costs more than the arithmetic on it."""
        arrays, fixed = {"parameter": parameter.data, "gradient": g}, {"gradient"}
        if not _is_own(parameter.data, 2):
            fixed.add("parameter")
        for name in state:
            if type(state[name]) is np.ndarray:
                arrays[name] = state[name]
                if not _is_own(state[name], 2):
                    fixed.add(name)

        def formula(terms: dict[str, Any]) -> Options:
            p, of_g = terms.pop("parameter"), terms.pop("gradient")
            moved, entries = self._moved(p, of_g, {**state, **terms}, group)
            return {**entries, "parameter": moved}

        entries, calls = in_blocks(formula, arrays, fixed, self.entries or () if is_due else ())
        moved = entries.pop("parameter")
        last = [replace(parameter, moved)] if "parameter" in fixed else []
        return [*calls, *last, *self._keep(parameter, entries)]

    def _start(self, p: Array, group: Options) -> Options:  # noqa: ARG002 - for subclasses
        """What is kept for a parameter before its first update: zeros, and ones for factors."""
        zeros = np.zeros_like(p)
        first = {"count": 0, "number": 1.0, "array": zeros, "positive": zeros}
        return {name: first[kind] for name, kind in (self.entries or {}).items() if kind in first}

    def _moved(self, p: Array, g: Array, state: Options, group: Options) -> tuple[Array, Options]:
        """Give a parameter's new value and what is kept for it, of plain arrays."""
        raise NotImplementedError(
            f"{type(self).__name__} has no step(): override it, or _moved for one parameter"
        )

    def _keep(self, parameter: Tensor, entries: Options) -> list[Change]:
        """Keep ``entries`` for a parameter from now on, if there are any."""
        for name, value in entries.items():
            if isinstance(value, np.generic):  # arithmetic on a 0-d array gives a number
                entries[name] = from_scalar(value)
        return [(self.state.__setitem__, parameter, entries)] if entries else []

    def _kept(self, parameter: Tensor) -> Options | None:
        """What is kept for a parameter, with a look at whether it fits it; None at first."""
        entries = self.state.get(parameter)
        if not entries:
            if "positive" in (self.entries or {}).values():
                check_real(type(self).__name__, parameter)
            return None
        array, data = entries[self._array], parameter.data
        if array.shape != data.shape or array.dtype != data.dtype:
            raise ValueError(
                f"{type(self).__name__} keeps {self._array} of {array.dtype}{array.shape} for a "
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
        if self.entries is None:  # the options are what a subclass makes of them
            return
        check_names(type(self).__name__, group, self.defaults)
        self._check(group)
        for name in self.defaults:  # so that nothing in it changes unchecked
            group[name] = of_python(group[name])

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

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave, here or in PyTorch.

        Nothing is changed unless everything fits.  Numbers of another precision are taken in the
        parameter's dtype.

        Raises
        ------
        TypeError, ValueError
            It is no such state; an option is missing, unknown or out of range; the groups have
            other sizes; or what is kept for a parameter is not what this optimizer keeps, of the
            parameter's shape.
        """
        sizes = [len(g["params"]) for g in self.param_groups]
        groups, entries = check_saved(state_dict, sizes)
        changes: list[Change] = []
        later = {name: self.defaults[name] for name in LATER if name in self.defaults}
        for i, (group, saved) in enumerate(zip(self.param_groups, groups, strict=True)):
            strange = strangers(saved, self.defaults)
            new = {**later, **{k: v for k, v in saved.items() if k not in strange}}
            new.update({k: v for k, v in group.items() if k in ("params", "param_names")})
            try:
                self._check_group(new)
            except (TypeError, ValueError) as error:
                raise type(error)(f"param_groups[{i}] of the state: {error}") from None
            changes.append((group.update, new))
        parameters = [p for group in self.param_groups for p in group["params"]]
        state: dict[Tensor, Options] = defaultdict(dict)
        for i, values in entries.items():
            known = self._loaded(f"state[{i}]", values, parameters[i])
            if known:
                state[parameters[i]] = known
        at_once([*changes, (vars(self).update, {"state": state})])

    def _loaded(self, where: str, values: Any, parameter: Tensor) -> Options:
        """Give a copy of what a state has for a parameter, if it is what is kept here."""
        return loaded_entries(where, values, self.entries, parameter)

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            lines += ["", f"Parameter Group {i}"]
            lines += [f"    {key}: {group[key]}" for key in sorted(group) if key != "params"]
        return f"{type(self).__name__} (" + "\n".join(lines) + "\n)"


def options(names: Mapping[str, Any]) -> Options:
    """Return the options among the local names of a constructor: all but what is no option."""
    return {key: v for key, v in names.items() if key not in ("self", "params", "__class__")}


def called(closure: Callable[[], Any]) -> Any:
    """Call what computes the loss and its gradients, where these are recorded."""
    with enable_grad():
        return closure()


def decayed(p: Array, g: Array, group: Options) -> tuple[Array, Array]:
    """Return the parameter and the gradient to descend along: with weight decay and maximize."""
    if group["maximize"]:
        g = -g
    if not group["weight_decay"]:
        return p, g
    if group.get("decoupled_weight_decay"):
        return p * (1 - group["lr"] * group["weight_decay"]), g
    return p, g + p * group["weight_decay"]


def replace(parameter: Tensor, value: Array) -> Change:
    """Give a parameter a new array; whoever holds the old one keeps it."""
    value = value if type(value) is np.ndarray else from_scalar(value)
    return (setattr, parameter, "data", value)


def _grouped(params: Any) -> list[Mapping[str, Any]]:
    is_method = callable(params) and hasattr(getattr(params, "__self__", None), "parameters")
    if isinstance(params, Tensor) or hasattr(params, "parameters") or is_method:
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


def _named(params: Any) -> tuple[list[Any], list[str]]:
    """Return parameters and their names, if they have any."""
    if isinstance(params, (set, frozenset)):
        raise TypeError("the parameters of a group are always in one order: a list, and not a set")
    items = [params] if isinstance(params, Tensor) else list(params)
    is_named = [isinstance(item, tuple) and len(item) == 2 for item in items]
    if not any(is_named):
        return items, []
    if not all(is_named) or not all(isinstance(name, str) for name, _ in items):
        raise ValueError(
            "some parameters are given as (name, parameter) and some are not: say "
            "model.named_parameters(), or model.parameters()"
        )
    return [parameter for _, parameter in items], [name for name, _ in items]


def _references(parameters: list[Any]) -> int:
    for parameter in parameters:
        return getrefcount(parameter)
    return 0


#: Once in so many steps, numbers that are kept and are smaller than the smallest normal one become
#: 0.  The mean of what has become 0 (the gradient of a unit that no example reaches) does not get
#: there by itself, and a processor takes ten times as long with such numbers.
_NORMAL = 64


#: What a state is made of, where it is NumPy's.
_PLAIN = frozenset({np.ndarray, int, float})


def _is_own(array: Array, owners: int) -> bool:
    """Whether an array may be written to: only its owners, and the caller's call, see it."""
    return not is_shared(array, owners + 1) and array.flags.writeable


#: How often a parameter is referred to, in the loop of `step`, that only its group holds.
_ALONE = _references([object()])


def _copy(value: Any) -> Any:
    if isinstance(value, (list, tuple)):
        return type(value)(map(_copy, value))
    return value.copy() if hasattr(value, "copy") else value
