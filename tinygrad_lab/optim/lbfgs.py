"""L-BFGS: Newton's method with a curvature that is read off the last gradients.

For few parameters and a loss of all the data; it calls the loss several times in a step.  The
parameters are one long vector here, of which a line search tries points.

Not for: batches, which differ from call to call (``adam.py``, ``descent.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import numpy as np

from tinygrad_lab.core import engine
from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.optim.checks import (
    check_gradient,
    check_integer,
    check_number,
    check_real,
    foreign,
    loaded_value,
    one_of,
    usual,
)
from tinygrad_lab.optim.optimizer import (
    Array,
    Optimizer,
    Options,
    Parameters,
    called,
    options,
    replace,
)
from tinygrad_lab.transforms.jit.trace import TracingError

__all__ = ["LBFGS"]

_KINDS = {"func_evals": "count", "n_iter": "count", "t": "number", "H_diag": "number",
          "prev_loss": "number"}  # fmt: skip
_VECTORS = ("d", "prev_flat_grad")
_HISTORY = ("old_dirs", "old_stps", "ro")


class LBFGS(Optimizer):
    """Step along the inverse curvature times the gradient, of the last ``history_size`` steps.

    The direction is that of the two loops (Nocedal, 1980); how far to go along it is ``lr``, or
    with ``line_search_fn="strong_wolfe"`` what a line search finds (Nocedal and Wright, Numerical
    Optimization, section 3.5, with cubic interpolation).  One ``step`` makes up to ``max_iter`` of
    them.

    Parameters
    ----------
    params : iterable of Tensor
        Real parameters, in one group.
    lr : float
        The rate; with a line search, where that begins.
    max_iter : int
        Iterations a step.
    max_eval : int, optional
        Calls of the closure a step, ``max_iter * 5 // 4`` by default.
    tolerance_grad : float
        A step ends where no element of the gradient is larger.
    tolerance_change : float
        A step ends where neither a parameter nor the loss changes by more.
    history_size : int
        How many past steps tell the curvature.
    line_search_fn : {None, "strong_wolfe"}
        See above.

    Raises
    ------
    ValueError
        An option is out of range, or there are several groups.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([-1.2, 1.0], requires_grad=True)  # Rosenbrock's valley
    >>> optimizer = LBFGS([p], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - p[0]) ** 2 + 100 * (p[1] - p[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> for _ in range(3):
    ...     loss = optimizer.step(closure)
    >>> p.data.round(3)
    array([1., 1.])
    """

    entries: ClassVar[Mapping[str, str]] = {
        **{name: f"{kind}?" for name, kind in _KINDS.items()},
        **dict.fromkeys((*_VECTORS, *_HISTORY), "vector?"),
    }
    checks = usual(
        max_iter=check_integer, max_eval=check_integer, tolerance_grad=check_number,
        tolerance_change=check_number, history_size=check_integer,
        line_search_fn=one_of(None, "strong_wolfe"),
    )  # fmt: skip

    def __init__(
        self, params: Parameters, lr: float = 1, max_iter: int = 20, max_eval: int | None = None,
        tolerance_grad: float = 1e-7, tolerance_change: float = 1e-9, history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:  # fmt: skip
        check_integer("max_iter", max_iter)
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, options(locals()))

    def add_param_group(self, param_group: Mapping[str, Any]) -> None:
        """Take the only group there can be."""
        if self.param_groups:
            raise ValueError("LBFGS has one group, with one set of options: put all in it")
        super().add_param_group(param_group)

    def _check_member(self, parameter: Tensor) -> None:
        check_real("LBFGS", parameter)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Make up to ``max_iter`` iterations, or none if the closure fails.

        Parameters
        ----------
        closure : callable
            It forgets the gradients, computes the loss and its gradients, and returns the loss.

        Returns
        -------
        Tensor
            What the closure returned at first.

        Raises
        ------
        TypeError
            There is no closure, or it does not return a loss.
        TracingError
            The step is being recorded by ``tl.jit``.
        """
        if engine.recorder.get() is not None:
            raise TracingError(
                "LBFGS.step() decides by values how often it calls its closure, which no program "
                "does: record the closure, tl.jit(closure), and call step outside"
            )
        if not callable(closure):
            raise TypeError(
                "LBFGS.step(closure) calls closure several times: a function that calls "
                f"zero_grad() and backward() and returns the loss, not {describe(closure)}"
            )
        (group,) = self.param_groups
        self._check_if_changed(0, group)
        parameters = group["params"]
        state = {"func_evals": 0, "n_iter": 0, **self._known()}
        point = _Point(parameters, closure)
        first = point.loss
        if all(p.grad is None for p in parameters):
            self._warn_of_no_gradient()
        before = [p.data for p in parameters]
        try:
            state = _minimised(point, state, group)
        except BaseException:
            at_once([replace(p, data) for p, data in zip(parameters, before, strict=True)])
            raise
        at_once([
            (self.state.__setitem__, parameters[0], state),
            (vars(self).__setitem__, "has_stepped", True),
        ])  # fmt: skip
        return first

    def _known(self) -> Options:
        """What is kept, with a look at whether it fits."""
        (group,) = self.param_groups
        state = self.state.get(group["params"][0], {})
        size = sum(p.size for p in group["params"])
        if state and "d" in state and state["d"].size != size:
            raise ValueError(
                f"LBFGS keeps a direction of {state['d'].size} numbers, and its parameters have "
                f"{size} by now: make the optimizer after the model has its final sizes"
            )
        return {**state, **{name: list(state[name]) for name in _HISTORY if name in state}}

    def _loaded(self, where: str, values: Any, parameter: Tensor) -> Options:
        parameters = self.param_groups[0]["params"]
        known = {*self.entries, "al"}  # PyTorch keeps room for the factors of its loops
        if not isinstance(values, Mapping) or not {*values} <= known:
            has = list(values) if isinstance(values, Mapping) else describe(values)
            raise ValueError(f"{where} must hold {', '.join(self.entries)}; it holds {has}")
        if values and parameter is not parameters[0]:
            raise ValueError(f"{where} is of no parameter: LBFGS keeps all under the first, 0")
        values = {k: foreign(v) for k, v in values.items() if v is not None and k != "al"}
        if values and len({"d", "t", "H_diag", *_HISTORY} & {*values}) not in (0, 6):
            raise ValueError(f"{where} holds {list(values)}, and not all of {list(self.entries)}")
        like = _flat([p.data for p in parameters])
        state: Options = {}
        for name, value in values.items():
            place = f"{where}[{name!r}]"
            if name not in _HISTORY:
                state[name] = loaded_value(place, value, _KINDS.get(name, "array"), like)
                continue
            if not isinstance(value, (list, tuple)):
                raise ValueError(f"{place} is {describe(value)}, and not a list")
            kind = "number" if name == "ro" else "array"
            state[name] = [loaded_value(place, foreign(item), kind, like) for item in value]
        if len({len(state[name]) for name in _HISTORY if name in state}) > 1:
            raise ValueError(f"{where}: {', '.join(_HISTORY)} must be equally long")
        return state


# -- a point, and the way to the next -----------------------------------------------------------


def _flat(arrays: list[Array]) -> Array:
    return np.concatenate([a.reshape(-1) for a in arrays])


class _Point:
    """Where the parameters are, as one vector; what the loss and its gradient are there."""

    def __init__(self, parameters: list[Tensor], closure: Callable[[], Any]) -> None:
        self._parameters, self._closure = parameters, closure
        self.x = _flat([p.data for p in parameters])
        self.evaluate()

    def evaluate(self) -> None:
        """Call the closure where the parameters are."""
        self.loss = called(self._closure)
        if not hasattr(self.loss, "item") and not isinstance(self.loss, (float, int)):
            raise TypeError(
                f"the closure returned {describe(self.loss)}: it must return the loss, a number, "
                "of which it has called backward()"
            )
        self.value = float(self.loss.item() if hasattr(self.loss, "item") else self.loss)
        self.gradient = _flat([
            np.zeros_like(p.data) if p.grad is None else check_gradient(p, p.grad)
            for p in self._parameters
        ])  # fmt: skip

    def move(self, x: Array) -> None:
        """Put the parameters at ``x``."""
        changes, begin = [], 0
        for p in self._parameters:
            part = x[begin : begin + p.size].reshape(p.shape).astype(p.dtype)
            if p.requires_grad:  # the frozen ones have no gradient, and stay exactly
                changes.append(replace(p, part))
            begin += p.size
        at_once(changes)
        self.x = x


def _minimised(point: _Point, state: Options, group: Options) -> Options:
    """Make the iterations of one step; return what is kept from then on."""
    evaluations, is_flat = 1, _largest(point.gradient) <= group["tolerance_grad"]
    state["func_evals"] += 1
    for iteration in range(1, group["max_iter"] + 1):
        if is_flat:
            break
        state["n_iter"] += 1
        is_first = state["n_iter"] == 1
        state = _turned(point.gradient, state, group["history_size"])
        direction, before = state["d"], point.value
        state = {**state, "prev_flat_grad": point.gradient, "prev_loss": before}
        slope = float(point.gradient @ direction)
        t = group["lr"]
        if is_first:
            t = min(1.0, 1.0 / float(np.abs(point.gradient).sum())) * t
        state["t"] = t
        if slope > -group["tolerance_change"]:
            break
        x, calls = point.x, 0
        if group["line_search_fn"] is not None:
            t, calls = _searched(point, direction, t, slope, group, evaluations)
            state["t"] = t
            point.x = x + t * direction
        else:
            point.move(x + t * direction)
            if iteration < group["max_iter"]:  # the next step begins with this call
                point.evaluate()
                calls = 1
        evaluations += calls
        state["func_evals"] += calls
        is_flat = calls > 0 and _largest(point.gradient) <= group["tolerance_grad"]
        has_stopped = _largest(t * direction) <= group["tolerance_change"] or (
            abs(point.value - before) < group["tolerance_change"]
        )
        if evaluations >= group["max_eval"] or has_stopped:
            break
    return state


def _largest(vector: Array) -> float:
    return float(np.abs(vector).max(initial=0.0))


def _turned(gradient: Array, state: Options, history_size: int) -> Options:
    """Return the state with the next direction, and with what the last step tells."""
    if state["n_iter"] == 1:
        return {**state, "d": -gradient, "old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1.0}
    changes, steps, factors = (list(state[name]) for name in _HISTORY)
    scale = state["H_diag"]
    change, step = gradient - state["prev_flat_grad"], state["d"] * state["t"]
    curvature = float(change @ step)
    if curvature > 1e-10:
        changes.append(change)
        steps.append(step)
        factors.append(1.0 / curvature)
        scale = curvature / float(change @ change)
    changes, steps, factors = (x[-history_size:] for x in (changes, steps, factors))
    d, shares = -gradient, []
    for y, s, rho in reversed(list(zip(changes, steps, factors, strict=True))):
        shares.append(float(s @ d) * rho)
        d = d - shares[-1] * y
    d = d * scale
    for y, s, rho in zip(changes, steps, factors, strict=True):
        d = d + (shares.pop() - float(y @ d) * rho) * s
    return {**state, "d": d, "old_dirs": changes, "old_stps": steps, "ro": factors, "H_diag": scale}


# -- how far to go ------------------------------------------------------------------------------


class _Trial(NamedTuple):
    """How the loss is at one distance along the direction."""

    t: float
    value: float
    gradient: Array
    slope: float


class _Line:
    """The loss along a direction, and the conditions of Wolfe: lower, and less steep."""

    def __init__(self, point: _Point, direction: Array, slope: float) -> None:
        self._point, self._x, self._direction = point, point.x, direction
        self.start = _Trial(0.0, point.value, point.gradient, slope)
        self.calls = 0

    def at(self, t: float) -> _Trial:
        """Look at the loss, at a distance."""
        self.calls += 1
        self._point.move(self._x + t * self._direction)
        self._point.evaluate()
        gradient = self._point.gradient
        return _Trial(t, self._point.value, gradient, float(gradient @ self._direction))

    def rises(self, trial: _Trial) -> bool:
        """Whether the loss falls by less than a share of what the slope promises, or is nan."""
        return not trial.value <= self.start.value + 1e-4 * trial.t * self.start.slope

    def is_level(self, trial: _Trial) -> bool:
        """Whether the slope is less steep than at the start."""
        return abs(trial.slope) <= -0.9 * self.start.slope

    def stay(self, trial: _Trial) -> None:
        """Leave the parameters where a trial was."""
        self._point.move(self._x + trial.t * self._direction)
        self._point.value, self._point.gradient = trial.value, trial.gradient


def _searched(
    point: _Point, direction: Array, t: float, slope: float, group: Options, evaluations: int
) -> tuple[float, int]:
    """Go where the strong conditions of Wolfe hold; return how far that is, in how many calls."""
    line, most = _Line(point, direction, slope), group["max_eval"] - evaluations
    trials, is_found = _bracketed(line, t, most)
    least = group["tolerance_change"] / (_largest(direction) or 1.0)
    best = trials[0] if is_found else _narrowed(line, trials, most, least)
    line.stay(best)
    return best.t, line.calls


def _bracketed(line: _Line, t: float, most: int) -> tuple[list[_Trial], bool]:
    """Go further until a minimum is between two trials, or one is good as it is."""
    previous, trial = line.start, line.at(t)
    for n in range(most):
        is_higher = line.rises(trial) or (n > 1 and trial.value >= previous.value)
        if not is_higher and line.is_level(trial):
            return [trial], True
        if is_higher or trial.slope >= 0:
            return [previous, trial], False
        bounds = trial.t + 0.01 * (trial.t - previous.t), 10 * trial.t
        previous, trial = trial, line.at(_interpolated(previous, trial, bounds))
    return [line.start, trial], False


def _narrowed(line: _Line, ends: list[_Trial], most: int, least: float) -> _Trial:
    """Bring two ends closer, until one is good, or they are ``least`` apart."""
    low, has_waited = int(ends[1].value < ends[0].value), False
    while line.calls <= most:
        left, right = sorted(end.t for end in ends)
        if right - left < least:
            break
        t, margin = _interpolated(ends[0], ends[1]), 0.1 * (right - left)
        is_close = min(right - t, t - left) < margin
        if is_close and (has_waited or not left < t < right):
            t, is_close = (right - margin if right - t < t - left else left + margin), False
        has_waited = is_close
        trial = line.at(t)
        if line.rises(trial) or trial.value >= ends[low].value:
            ends[1 - low] = trial
            low = int(ends[1].value < ends[0].value)
            continue
        if line.is_level(trial):
            return trial
        if trial.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = trial
    return ends[low]


def _interpolated(a: _Trial, b: _Trial, bounds: tuple[float, float] | None = None) -> float:
    """Return the least point of the cubic through two trials, or the middle if it has none."""
    low, high = bounds or sorted((a.t, b.t))
    middle = (low + high) / 2
    if a.t == b.t:
        return middle
    a, b = (a, b) if a.t < b.t else (b, a)
    mixed = a.slope + b.slope - 3 * (a.value - b.value) / (a.t - b.t)
    square = mixed * mixed - a.slope * b.slope
    if not square >= 0:  # or it is nan
        return middle
    root = square**0.5
    bend = b.slope - a.slope + 2 * root
    t = b.t - (b.t - a.t) * ((b.slope + root - mixed) / bend) if bend else middle
    return min(max(t, low), high) if t == t else middle  # unless it is nan
