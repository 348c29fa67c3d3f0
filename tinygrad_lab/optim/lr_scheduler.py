"""Schedules of learning rates, with PyTorch's names, arguments and rates.

A schedule computes the next rate from the last one, and not from the first, so that several can be
chained, and one goes on from a rate that was set by hand.  Numbers that change are used in formulas
rather than asked in branches where that can be, because :func:`tinygrad_lab.jit` records a step.

Not for: the optimizers themselves, or averages of weights (``swa_utils.py``).
"""

from __future__ import annotations

import copy
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf, pi
from types import FunctionType
from typing import Any

from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.operations import primitive
from tinygrad_lab.optim.checks import check_flag, check_integer, check_number, one_of
from tinygrad_lab.optim.optimizer import Change, Optimizer, Options
from tinygrad_lab.transforms.jit.kernels import PLAIN
from tinygrad_lab.warnings import ScheduleOrderWarning, warn

__all__ = [
    "ChainedScheduler", "ConstantLR", "CosineAnnealingLR", "CosineAnnealingWarmRestarts",
    "CyclicLR", "ExponentialLR", "LRScheduler", "LambdaLR", "LinearLR", "MultiStepLR",
    "MultiplicativeLR", "OneCycleLR", "PolynomialLR", "ReduceLROnPlateau", "SequentialLR",
    "StepLR",
]  # fmt: skip


@primitive
def cosine(x: float) -> float:
    """The cosine of a number of Python's, which a recorded call may have."""
    return math.cos(x)


PLAIN[cosine] = math.cos


class LRScheduler:
    """The base of schedules: ``step()``, once an epoch or a step, sets each group's rate.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates it sets.  Each group notes its first one as ``initial_lr``.
    last_epoch : int
        The epoch to go on from; -1 begins anew.

    Raises
    ------
    TypeError
        ``optimizer`` is none.
    ValueError
        An argument is out of range, or ``last_epoch`` is 0 or more and a group has no
        ``initial_lr``.

    Notes
    -----
    A subclass implements :meth:`get_lr`, which reads ``self.last_epoch``, ``self.base_lrs`` and
    ``self.optimizer.param_groups``, and changes nothing.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab import optim
    >>> class Halves(optim.lr_scheduler.LRScheduler):
    ...     def get_lr(self):
    ...         return [base / 2**self.last_epoch for base in self.base_lrs]
    >>> p = tl.nn.Parameter([1.0])
    >>> optimizer = optim.SGD([p], lr=1.0)
    >>> schedule = Halves(optimizer)
    >>> rates = []
    >>> for _ in range(3):
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    ...     schedule.step()
    ...     rates += schedule.get_last_lr()
    >>> rates
    [0.5, 0.25, 0.125]
    """

    _is_initial = False  # whether the rate is that of the first epoch of all

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        check_optimizer(self, optimizer)
        check_integer("last_epoch", last_epoch, least=-1)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                raise ValueError(
                    f"last_epoch={last_epoch} goes on with a schedule, and param_groups[{i}] has "
                    "no 'initial_lr': load the optimizer's state before, or leave last_epoch out"
                )
        self.base_lrs: list[float] = [group["initial_lr"] for group in optimizer.param_groups]
        self.last_epoch = last_epoch
        self._step_count = 0
        self._begin()

    def _begin(self) -> None:
        """Set the rates of the first epoch."""
        self._step_count = 0
        self._move(self.last_epoch + 1, is_initial=True)

    def _restart(self) -> None:
        """Set the rates of epoch 0, in the middle of training."""
        self._move(0, jumps=True)

    def step(self, epoch: int | None = None) -> None:
        """Count one more epoch, or go to ``epoch``, and set the rates of that.

        It comes after ``optimizer.step()``: where the first one comes before, the first rate is
        skipped, which is warned of.
        """
        self._warn_of_order()
        if epoch is None:
            self._move(self.last_epoch + 1)
        else:
            self._move(epoch, jumps=True)

    def get_lr(self) -> list[float]:
        """Compute the rates of the groups in ``self.last_epoch``."""
        pairs = zip(self.optimizer.param_groups, self.base_lrs, strict=True)
        return [self._rate(group, base) for group, base in pairs]

    def _rate(self, group: Options, base: float) -> float:
        """The rate of a group that had ``base`` at the start, and ``group["lr"]`` until now."""
        raise NotImplementedError(
            f"{type(self).__name__} has no get_lr(): a schedule implements it"
        )

    def _direct_rate(self, base: float) -> float:
        """The rate of an epoch, without that of the epoch before."""
        raise NotImplementedError

    def get_last_lr(self) -> list[float]:
        """The learning rates of the groups, as they are now."""
        return [group["lr"] for group in self.optimizer.param_groups]

    # -- one step ---------------------------------------------------------------------------------

    def _move(self, epoch: Any, *, jumps: bool = False, is_initial: bool = False) -> None:
        """Set the rates of an epoch, all of them or none."""
        groups = self.optimizer.param_groups
        if len(groups) != len(self.base_lrs):
            raise ValueError(
                f"the optimizer had {len(self.base_lrs)} groups when {type(self).__name__} was "
                f"made, and has {len(groups)} now: make it after the last add_param_group"
            )
        new = {**self._attributes(epoch, jumps), "_step_count": self._step_count + 1}
        ahead = copy.copy(self)
        vars(ahead).update(new, _is_initial=is_initial)
        is_direct = jumps and type(self)._direct_rate is not LRScheduler._direct_rate
        rates = [*map(ahead._direct_rate, self.base_lrs)] if is_direct else ahead.get_lr()
        changes: list[Change] = [(vars(self).update, new)]
        changes += [
            (group.update, {"lr": rate, **ahead._others(group, i)})
            for i, (group, rate) in enumerate(zip(groups, rates, strict=True))
        ]
        at_once(changes)

    def _attributes(self, epoch: Any, jumps: bool) -> dict[str, Any]:  # noqa: ARG002
        """What the schedule itself is in an epoch."""
        return {"last_epoch": epoch}

    def _others(self, group: Options, i: int) -> Options:  # noqa: ARG002 - for subclasses
        """Options of group ``i`` that change beside the rate."""
        return {}

    def _warn_of_order(self) -> None:
        optimizer = self.optimizer
        own = type(optimizer).step.__module__.startswith(__name__.rpartition(".")[0])
        if own and not optimizer.has_stepped and self._step_count == 1:
            warn(
                f"{type(self).__name__}.step() before the first optimizer.step(): the first rate "
                "of the schedule is never used. Call optimizer.step() first, then schedule.step()",
                ScheduleOrderWarning,
            )

    # -- saving -----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """What the schedule is, but for its optimizer and functions: of those, their attributes."""
        state = {name: _saved(value) for name, value in vars(self).items() if name != "optimizer"}
        return {**state, "_last_lr": self.get_last_lr()}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on from what :meth:`state_dict` gave, here or in PyTorch.

        Raises
        ------
        TypeError, ValueError
            It is the state of another kind of schedule, or of another number of groups.
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(
                f"a schedule's state is a dict, as state_dict() gives, not {describe(state_dict)}"
            )
        own = {name: value for name, value in vars(self).items() if name != "optimizer"}
        missing = [name for name in own if name not in state_dict]
        strange = [name for name in state_dict if name not in own and name not in _THEIRS]
        if missing or strange:
            what = f"has no {', '.join(missing)}" if missing else f"has {', '.join(strange)}"
            raise ValueError(
                f"the state is of another kind of schedule than {type(self).__name__}: it {what}"
            )
        loaded = {name: _loaded(name, value, state_dict[name]) for name, value in own.items()}
        check_integer("last_epoch of the state", loaded.get("last_epoch", 0), least=-1)
        at_once([(vars(self).update, loaded)])


#: What PyTorch's states have besides.
_THEIRS = frozenset({
    "_last_lr", "_get_lr_called_within_step", "_is_initial", "mode_worse", "verbose",
})  # fmt: skip


def _saved(value: Any) -> Any:
    """Copy what is saved of an attribute: of a schedule its state, of a function nothing."""
    if isinstance(value, LRScheduler):
        return value.state_dict()
    if isinstance(value, list):
        return [_saved(item) for item in value]
    if callable(value):
        return None if isinstance(value, FunctionType) else copy.deepcopy(vars(value))
    return copy.deepcopy(value)


def _loaded(name: str, own: Any, saved: Any) -> Any:
    """Give what an attribute becomes, which is ``own``, of what was saved of it."""
    if isinstance(own, list) and own and isinstance(own[0], LRScheduler):
        return own  # which have been loaded
    if isinstance(own, list) and any(map(callable, own)):
        saved = saved or [None] * len(own)
        return [_loaded(name, *pair) for pair in zip(own, saved, strict=True)]
    if callable(own):
        if not saved:
            return own
        twin = copy.copy(own)
        vars(twin).update(copy.deepcopy(saved))
        return twin
    is_same_kind = isinstance(saved, type(own)) or own is None or saved is None
    both_numbers = all(isinstance(v, (int, float)) for v in (own, saved))
    both_dicts = isinstance(own, dict) and isinstance(saved, dict)
    if not (is_same_kind or both_numbers or both_dicts):
        raise ValueError(f"{name} of the state is {describe(saved)}, and must be like {own!r}")
    if isinstance(own, list) and isinstance(saved, list) and len(own) != len(saved):
        raise ValueError(
            f"{name} of the state has {len(saved)} entries, and must have {len(own)}: make the "
            "optimizer with the same groups"
        )
    return type(own)(copy.deepcopy(saved)) if both_dicts else copy.deepcopy(saved)


# -- one formula ----------------------------------------------------------------------------------


class LambdaLR(LRScheduler):
    """The first rate, times a function of the epoch.

    Parameters
    ----------
    optimizer, last_epoch
        See :class:`LRScheduler`.
    lr_lambda : callable, or list of callable
        The function; or one for each group.

    Raises
    ------
    TypeError, ValueError
        A function is none, or there is another number of them than of groups.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab import optim
    >>> optimizer = optim.SGD([tl.nn.Parameter([1.0])], lr=8.0)
    >>> schedule = optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: min(1, (epoch + 1) / 4))
    >>> schedule.get_last_lr()
    [2.0]
    """

    def __init__(
        self, optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]], last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_optimizer(self, optimizer)
        self.lr_lambdas = _for_groups("lr_lambda", lr_lambda, optimizer)
        for f in self.lr_lambdas:
            if not callable(f):
                raise TypeError(f"lr_lambda is a function of the epoch, not {describe(f)}")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        """The first rates, times the functions."""
        pairs = zip(self.lr_lambdas, self.base_lrs, strict=True)
        return [base * f(self.last_epoch) for f, base in pairs]


class MultiplicativeLR(LambdaLR):
    """The rate so far, times a function of the epoch.

    Parameters
    ----------
    optimizer, lr_lambda, last_epoch
        See :class:`LambdaLR`.

    Raises
    ------
    TypeError, ValueError
        A function is none, or there is another number of them than of groups.
    """

    def get_lr(self) -> list[float]:
        """The rates so far, times the functions."""
        if self._is_initial:
            return self.get_last_lr()
        pairs = zip(self.lr_lambdas, self.optimizer.param_groups, strict=True)
        return [group["lr"] * f(self.last_epoch) for f, group in pairs]


class StepLR(LRScheduler):
    """Multiply the learning rate by ``gamma`` every ``step_size`` epochs.

    Raises
    ------
    ValueError
        ``step_size`` is no integer of 1 or more, or ``gamma`` no finite number above 0.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab import optim
    >>> p = tl.nn.Parameter([1.0])
    >>> optimizer = optim.SGD([p], lr=1.0)
    >>> schedule = StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for _ in range(5):
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        check_integer("step_size", step_size)
        check_number("gamma", gamma, positive=True)
        self.step_size, self.gamma = step_size, float(gamma)
        super().__init__(optimizer, last_epoch)

    def _rate(self, group: Options, base: float) -> float:  # noqa: ARG002
        if self.last_epoch == 0:
            return group["lr"]
        return group["lr"] * self.gamma ** (self.last_epoch % self.step_size == 0)

    def _direct_rate(self, base: float) -> float:
        return base * self.gamma ** (self.last_epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """Multiply the learning rate by ``gamma`` in the epochs ``milestones``.

    Raises
    ------
    ValueError
        ``milestones`` are no integers of 0 or more, or ``gamma`` is no finite number above 0.
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_number("gamma", gamma, positive=True)
        self.milestones = Counter(_milestones(milestones))
        self.gamma = float(gamma)
        super().__init__(optimizer, last_epoch)

    def _rate(self, group: Options, base: float) -> float:  # noqa: ARG002
        times = sum((self.last_epoch == epoch) * n for epoch, n in self.milestones.items())
        return group["lr"] * self.gamma**times

    def _direct_rate(self, base: float) -> float:
        times = sum((self.last_epoch >= epoch) * n for epoch, n in self.milestones.items())
        return base * self.gamma**times


class ConstantLR(LRScheduler):
    """Multiply the learning rate by ``factor`` until epoch ``total_iters``.

    Raises
    ------
    ValueError
        ``factor`` is not above 0 and at most 1, or ``total_iters`` no integer of 0 or more.
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_number("factor", factor, positive=True, most=1.0)
        check_integer("total_iters", total_iters, least=0)
        self.factor, self.total_iters = float(factor), total_iters
        super().__init__(optimizer, last_epoch)

    def _rate(self, group: Options, base: float) -> float:  # noqa: ARG002
        if self.last_epoch == 0:
            return group["lr"] * self.factor
        return group["lr"] * (1.0 / self.factor) ** (self.last_epoch == self.total_iters)

    def _direct_rate(self, base: float) -> float:
        return base * self.factor ** (self.last_epoch < self.total_iters)


class LinearLR(LRScheduler):
    """Lead a factor of the learning rate along a line, in ``total_iters`` epochs.

    Raises
    ------
    ValueError
        ``start_factor`` is not above 0 and at most 1, ``end_factor`` is not from 0 to 1, or
        ``total_iters`` is no integer of 1 or more.
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3, end_factor: float = 1.0,
        total_iters: int = 5, last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_number("start_factor", start_factor, positive=True, most=1.0)
        check_number("end_factor", end_factor, most=1.0)
        check_integer("total_iters", total_iters)
        self.start_factor, self.end_factor = float(start_factor), float(end_factor)
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _rate(self, group: Options, base: float) -> float:  # noqa: ARG002
        epoch, rise = self.last_epoch, self.end_factor - self.start_factor
        if epoch == 0:
            return group["lr"] * self.start_factor
        if self._is_initial or epoch > self.total_iters:
            return group["lr"]
        before = self.total_iters * self.start_factor + (epoch - 1) * rise
        return group["lr"] * (1.0 + rise / before)

    def _direct_rate(self, base: float) -> float:
        share = min(self.total_iters, self.last_epoch) / self.total_iters
        return base * (self.start_factor + (self.end_factor - self.start_factor) * share)


class ExponentialLR(LRScheduler):
    """Multiply the learning rate by ``gamma`` each epoch.

    Raises
    ------
    ValueError
        ``gamma`` is no finite number above 0.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        check_number("gamma", gamma, positive=True)
        self.gamma = float(gamma)
        super().__init__(optimizer, last_epoch)

    def _rate(self, group: Options, base: float) -> float:  # noqa: ARG002
        return group["lr"] if self._is_initial else group["lr"] * self.gamma

    def _direct_rate(self, base: float) -> float:
        return base * self.gamma**self.last_epoch


class PolynomialLR(LRScheduler):
    """Lower the learning rate to 0 along ``(1 - epoch / total_iters) ** power``.

    Raises
    ------
    ValueError
        ``total_iters`` is no integer of 1 or more, or ``power`` no finite number of 0 or more.
    """

    def __init__(
        self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1
    ) -> None:
        check_integer("total_iters", total_iters)
        check_number("power", power)
        self.total_iters, self.power = total_iters, float(power)
        super().__init__(optimizer, last_epoch)

    def _rate(self, group: Options, base: float) -> float:  # noqa: ARG002
        epoch, end = self.last_epoch, self.total_iters
        if self._is_initial or epoch > end:
            return group["lr"]
        return group["lr"] * ((1.0 - epoch / end) / (1.0 - (epoch - 1) / end)) ** self.power

    def _direct_rate(self, base: float) -> float:
        share = min(self.total_iters, self.last_epoch) / self.total_iters
        return base * (1.0 - share) ** self.power


class CosineAnnealingLR(LRScheduler):
    """Lower the learning rate to ``eta_min`` along half a cosine, in ``T_max`` epochs.

    After them it rises, and falls again (Loshchilov, 2017, without restarts).

    Raises
    ------
    ValueError
        ``T_max`` is no integer of 1 or more, or ``eta_min`` no finite number of 0 or more.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab import optim
    >>> p = tl.nn.Parameter([1.0])
    >>> optimizer = optim.SGD([p], lr=1.0)
    >>> schedule = CosineAnnealingLR(optimizer, T_max=10)
    >>> for _ in range(5):
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    ...     schedule.step()
    >>> [round(lr, 6) for lr in schedule.get_last_lr()]
    [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        check_integer("T_max", T_max)
        check_number("eta_min", eta_min)
        self.T_max, self.eta_min = T_max, float(eta_min)
        super().__init__(optimizer, last_epoch)

    def _rate(self, group: Options, base: float) -> float:
        epoch, end, least = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial:
            return group["lr"]
        if (epoch - 1 - end) % (2 * end) == 0:  # up from the bottom, of which no share is known
            return group["lr"] + (base - least) * (1 - cosine(pi / end)) / 2
        now, before = (1 + cosine(pi * e / end) for e in (epoch, epoch - 1))
        return now / before * (group["lr"] - least) + least

    def _direct_rate(self, base: float) -> float:
        return _along_cosine(base, self.eta_min, self.last_epoch / self.T_max)


def _along_cosine(start: float, end: float, share: float) -> float:
    """Go a share of the way from one number to another, along half a cosine."""
    return end + (start - end) * (1 + cosine(pi * share)) / 2


def _along_line(start: float, end: float, share: float) -> float:
    """Go a share of the way from one number to another, along a line."""
    return (end - start) * share + start


class CosineAnnealingWarmRestarts(LRScheduler):
    """Lower the learning rate along half a cosine, and begin again (Loshchilov, 2017).

    Parameters
    ----------
    optimizer, last_epoch
        See :class:`LRScheduler`.  ``step(epoch)`` goes to a fraction of an epoch too.
    T_0 : int
        Epochs until the first restart.
    T_mult : int
        By what the number of epochs grows with each restart.
    eta_min : float
        The lowest rate.

    Raises
    ------
    ValueError
        ``T_0`` or ``T_mult`` is no integer of 1 or more, or ``eta_min`` no number of 0 or more.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_integer("T_0", T_0)
        check_integer("T_mult", T_mult)
        check_number("eta_min", eta_min)
        self.T_0, self.T_i, self.T_mult, self.eta_min = T_0, T_0, T_mult, float(eta_min)
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def _attributes(self, epoch: Any, jumps: bool) -> dict[str, Any]:
        current, length = self.T_cur + 1, self.T_i
        if jumps:
            check_number("epoch", epoch)
            current, length = epoch, self.T_0
            epoch = math.floor(epoch)
        if self.T_mult == 1:
            return {"last_epoch": epoch, "T_cur": current % length, "T_i": length}
        while current >= length:
            current, length = current - length, length * self.T_mult
        return {"last_epoch": epoch, "T_cur": current, "T_i": length}

    def _rate(self, group: Options, base: float) -> float:  # noqa: ARG002
        return _along_cosine(base, self.eta_min, self.T_cur / self.T_i)


# -- cycles, of momentum too ----------------------------------------------------------------------


class _Cycle(LRScheduler):
    """Rates and momenta that move against each other."""

    cycle_momentum: bool
    use_beta1: bool

    def _share_momentum(
        self, optimizer: Optimizer, base: Any, largest: Any, is_new: bool
    ) -> tuple[list[float], list[float]]:
        """Note the momenta between which each group goes, and begin with the largest."""
        if not {"momentum", "betas"} & {*optimizer.defaults}:
            raise ValueError(
                f"{type(optimizer).__name__} has neither momentum nor betas: say "
                "cycle_momentum=False, or take SGD or Adam"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        bases = _for_groups("base_momentum", base, optimizer)
        tops = _for_groups("max_momentum", largest, optimizer)
        for group, low, high in zip(optimizer.param_groups, bases, tops, strict=True):
            check_number("base_momentum", low, below=1.0)
            check_number("max_momentum", high, below=1.0)
            if is_new:
                group.update(self._momentum(group, high), max_momentum=high, base_momentum=low)
        return bases, tops

    def _momentum(self, group: Options, value: float) -> Options:
        if self.use_beta1:
            return {"betas": (value, *group["betas"][1:])}
        return {"momentum": value}


class CyclicLR(_Cycle):
    """Up and down between two rates, momentum the other way round (Smith, 2017).

    Parameters
    ----------
    optimizer, last_epoch
        See :class:`LRScheduler`.
    base_lr, max_lr : float, or list of float
        The rates; or those of each group.
    step_size_up, step_size_down : int
        Steps up, and down again: as many, if not said.
    mode : {"triangular", "triangular2", "exp_range"}
        The height is always the same, or halved each cycle, or ``gamma ** step`` of it.
    gamma : float
        See ``mode``.
    scale_fn : callable, optional
        The height, in place of ``mode``: of the number of the cycle, or of the step.
    scale_mode : {"cycle", "iterations"}
        What ``scale_fn`` is a function of.
    cycle_momentum : bool
        Whether momentum (or the first of ``betas``) goes too.
    base_momentum, max_momentum : float, or list of float
        Between what it goes.

    Raises
    ------
    ValueError
        An argument is out of range, or the optimizer has no momentum.
    """

    def __init__(
        self, optimizer: Optimizer, base_lr: float | list[float], max_lr: float | list[float],
        step_size_up: int = 2000, step_size_down: int | None = None, mode: str = "triangular",
        gamma: float = 1.0, scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle", cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.8, max_momentum: float | list[float] = 0.9,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_optimizer(self, optimizer)
        check_number("step_size_up", step_size_up, positive=True)
        down = step_size_up if step_size_down is None else step_size_down
        check_number("step_size_down", down)
        check_number("gamma", gamma)
        check_flag("cycle_momentum", cycle_momentum)
        one_of("cycle", "iterations")("scale_mode", scale_mode)
        if scale_fn is None:
            one_of("triangular", "triangular2", "exp_range")("mode", mode)
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        bases = rates_for_groups("base_lr", base_lr, optimizer)
        self.max_lrs = rates_for_groups("max_lr", max_lr, optimizer)
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode, self.gamma, self.scale_mode = mode, float(gamma), scale_mode
        self._scale_fn_custom, self.cycle_momentum = scale_fn, cycle_momentum
        if cycle_momentum:
            self.base_momentums, self.max_momentums = self._share_momentum(
                optimizer, base_momentum, max_momentum, last_epoch == -1
            )
        if last_epoch == -1:
            for group, base in zip(optimizer.param_groups, bases, strict=True):
                group["lr"] = base
        super().__init__(optimizer, last_epoch)
        self.base_lrs = bases

    def scale_fn(self, x: float) -> float:
        """The height of a cycle, of its number or of the step."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        if self.mode == "triangular":
            return 1.0
        return 1 / 2.0 ** (x - 1) if self.mode == "triangular2" else self.gamma**x

    def _height(self) -> float:
        """How far up it is, from 0 to 1 and scaled."""
        turns = self.last_epoch // self.total_size
        x = self.last_epoch / self.total_size - turns
        ratio = self.step_ratio
        height = x / ratio if x <= ratio else (x - 1) / (ratio - 1)
        return height * self.scale_fn(turns + 1 if self.scale_mode == "cycle" else self.last_epoch)

    def get_lr(self) -> list[float]:
        """The rates, so far up."""
        height = self._height()
        pairs = zip(self.base_lrs, self.max_lrs, strict=True)
        return [base + (top - base) * height for base, top in pairs]

    def _others(self, group: Options, i: int) -> Options:
        if not self.cycle_momentum:
            return {}
        top, base = self.max_momentums[i], self.base_momentums[i]
        return self._momentum(group, top - (top - base) * self._height())


class OneCycleLR(_Cycle):
    """Up to ``max_lr`` and far down, once, momentum the other way round (Smith, 2018).

    Parameters
    ----------
    optimizer, last_epoch
        See :class:`LRScheduler`.
    max_lr : float, or list of float
        The largest rate; or that of each group.
    total_steps : int, optional
        Steps of the whole cycle; or else ``epochs`` times ``steps_per_epoch``.
    epochs, steps_per_epoch : int, optional
        See ``total_steps``.
    pct_start : float
        The share of steps that go up.
    anneal_strategy : {"cos", "linear"}
        Along what.
    cycle_momentum : bool
        Whether momentum (or the first of ``betas``) goes too.
    base_momentum, max_momentum : float, or list of float
        Between what it goes.
    div_factor : float
        The first rate is ``max_lr / div_factor``.
    final_div_factor : float
        The last rate is the first one divided by this.
    three_phase : bool
        Go down to the first rate in as many steps as up, and only then to the last.

    Raises
    ------
    ValueError
        An argument is out of range, the optimizer has no momentum, or ``step`` is called more than
        ``total_steps`` times.
    """

    def __init__(
        self, optimizer: Optimizer, max_lr: float | list[float], total_steps: int | None = None,
        epochs: int | None = None, steps_per_epoch: int | None = None, pct_start: float = 0.3,
        anneal_strategy: str = "cos", cycle_momentum: bool = True,
        base_momentum: float | list[float] = 0.85, max_momentum: float | list[float] = 0.95,
        div_factor: float = 25.0, final_div_factor: float = 1e4, three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_optimizer(self, optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ValueError(
                    "say how long the cycle is: total_steps, or epochs and steps_per_epoch"
                )
            check_integer("epochs", epochs)
            check_integer("steps_per_epoch", steps_per_epoch)
            total_steps = epochs * steps_per_epoch
        check_integer("total_steps", total_steps)
        check_number("pct_start", pct_start, most=1.0)
        one_of("cos", "linear")("anneal_strategy", anneal_strategy)
        check_flag("cycle_momentum", cycle_momentum)
        check_flag("three_phase", three_phase)
        check_number("div_factor", div_factor, positive=True)
        check_number("final_div_factor", final_div_factor, positive=True)
        tops = rates_for_groups("max_lr", max_lr, optimizer)
        self.total_steps, self._anneal_func_type = total_steps, anneal_strategy
        self._schedule_phases = _phases(total_steps, pct_start, three_phase)
        self.cycle_momentum = cycle_momentum
        is_new = last_epoch == -1
        if cycle_momentum:
            self._share_momentum(optimizer, base_momentum, max_momentum, is_new)
        for group, top in zip(optimizer.param_groups, tops, strict=True):
            if is_new:
                first = top / div_factor
                group.update(initial_lr=first, max_lr=top, min_lr=first / final_div_factor)
        super().__init__(optimizer, last_epoch)

    def _between(self, group: Options, what: str) -> float:
        """Where a group's rate, or its momentum, is."""
        step, start = self.last_epoch, 0.0
        if step > self.total_steps:
            raise ValueError(
                f"step {step} of a cycle of {self.total_steps} steps: make OneCycleLR with as many "
                "total_steps as there are batches in all epochs"
            )
        *others, last = self._schedule_phases
        for phase in others:
            if step <= phase["end_step"]:
                break
            start = phase["end_step"]
        else:
            phase = last
        length = phase["end_step"] - start
        share = (step - start) / length if length else 1.0
        along = _along_cosine if self._anneal_func_type == "cos" else _along_line
        return along(group[phase[f"start_{what}"]], group[phase[f"end_{what}"]], share)

    def _rate(self, group: Options, base: float) -> float:  # noqa: ARG002
        return self._between(group, "lr")

    def _others(self, group: Options, i: int) -> Options:  # noqa: ARG002
        if not self.cycle_momentum:
            return {}
        return self._momentum(group, self._between(group, "momentum"))


def _phases(steps: int, share: float, are_three: bool) -> list[dict[str, Any]]:
    """Return where each phase of a cycle ends, and between what it goes, in a group's words."""
    up = share * steps - 1
    ways = [(up, "initial_lr", "max_lr", "max_momentum", "base_momentum")]
    if are_three:
        ways += [
            (2 * share * steps - 2, "max_lr", "initial_lr", "base_momentum", "max_momentum"),
            (steps - 1, "initial_lr", "min_lr", "max_momentum", "max_momentum"),
        ]
    else:
        ways += [(steps - 1, "max_lr", "min_lr", "base_momentum", "max_momentum")]
    names = ("end_step", "start_lr", "end_lr", "start_momentum", "end_momentum")
    return [dict(zip(names, way, strict=True)) for way in ways]


# -- what depends on how training goes ------------------------------------------------------------


class ReduceLROnPlateau(LRScheduler):
    """Lower the learning rate when a number has not become better for a while.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates it sets.
    mode : {"min", "max"}
        Whether less is better, or more.
    factor : float
        What the rate is multiplied by, below 1.
    patience : int
        For how many epochs without improvement the rate stays.
    threshold : float
        What counts as an improvement.
    threshold_mode : {"rel", "abs"}
        Whether ``threshold`` is a share of the best number, or a difference.
    cooldown : int
        For how many epochs after a reduction nothing is counted.
    min_lr : float, or list of float
        The lowest rate; or that of each group.
    eps : float
        A smaller change of the rate is not made.

    Raises
    ------
    ValueError
        An argument is out of range.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab import optim
    >>> optimizer = optim.SGD([tl.nn.Parameter([1.0])], lr=1.0)
    >>> schedule = optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.1]
    """

    def __init__(
        self, optimizer: Optimizer, mode: str = "min", factor: float = 0.1, patience: int = 10,
        threshold: float = 1e-4, threshold_mode: str = "rel", cooldown: int = 0,
        min_lr: float | list[float] = 0, eps: float = 1e-8,
    ) -> None:  # fmt: skip
        check_optimizer(self, optimizer)
        one_of("min", "max")("mode", mode)
        one_of("rel", "abs")("threshold_mode", threshold_mode)
        check_number("factor", factor, below=1.0)
        check_number("threshold", threshold)
        check_number("eps", eps)
        check_integer("patience", patience, least=0)
        check_integer("cooldown", cooldown, least=0)
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode, self.cooldown = threshold, threshold_mode, cooldown
        self.min_lrs = rates_for_groups("min_lr", min_lr, optimizer)
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.eps, self.last_epoch = eps, 0
        self.best, self.num_bad_epochs, self.cooldown_counter = inf, 0, 0
        if mode == "max":
            self.best = -inf

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Look at a number, and count one more epoch."""
        value = metrics.item() if hasattr(metrics, "item") else float(metrics)
        bad, cooldown, best = self.num_bad_epochs + 1, self.cooldown_counter, self.best
        if self._is_better(value):
            best, bad = value, 0
        if cooldown > 0:
            cooldown, bad = cooldown - 1, 0
        changes: list[Change] = []
        if bad > self.patience:
            changes = self._reductions()
            cooldown, bad = self.cooldown, 0
        new = {
            "last_epoch": self.last_epoch + 1 if epoch is None else epoch,
            "best": best, "num_bad_epochs": bad, "cooldown_counter": cooldown,
        }  # fmt: skip
        at_once([*changes, (vars(self).update, new)])

    def _is_better(self, value: float) -> bool:
        sign = 1 if self.mode == "max" else -1
        if self.threshold_mode == "abs":
            return value * sign > self.best * sign + self.threshold
        return value * sign > self.best * (1 + sign * self.threshold) * sign

    def _reductions(self) -> list[Change]:
        groups = self.optimizer.param_groups
        least = self.min_lrs
        if len(groups) != len(least):
            if self.default_min_lr is None:
                raise ValueError(
                    f"min_lr was said for {len(least)} groups, and the optimizer has "
                    f"{len(groups)} now: make ReduceLROnPlateau after the last add_param_group"
                )
            least = [self.default_min_lr] * len(groups)
        lowered = (
            (g, max(g["lr"] * self.factor, low)) for g, low in zip(groups, least, strict=True)
        )
        return [(g.__setitem__, "lr", lr) for g, lr in lowered if g["lr"] - lr > self.eps]


# -- several --------------------------------------------------------------------------------------


class _Several(LRScheduler):
    """Schedules of one optimizer."""

    _schedulers: list[LRScheduler]

    def _take(self, schedulers: Iterable[Any], optimizer: Optimizer | None) -> None:
        schedulers = list(schedulers)
        if not schedulers:
            raise ValueError(f"{type(self).__name__} of no schedules: there must be one at least")
        for i, schedule in enumerate(schedulers):
            if not isinstance(schedule, LRScheduler):
                raise TypeError(f"schedulers[{i}] is {describe(schedule)}, and no schedule")
            if isinstance(schedule, ReduceLROnPlateau):
                raise ValueError(
                    f"schedulers[{i}] is ReduceLROnPlateau, which must be told a number each step: "
                    f"call its step beside that of {type(self).__name__}"
                )
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        check_optimizer(self, self.optimizer)
        for i, schedule in enumerate(schedulers):
            if schedule.optimizer is not self.optimizer:
                raise ValueError(
                    f"schedulers[{i}] sets the rate of another optimizer: make all of them with one"
                )
        self._schedulers = schedulers

    def _all(self) -> Iterator[LRScheduler]:
        """Give the schedules, and those inside them."""
        yield self
        for schedule in self._schedulers:
            yield from schedule._all() if isinstance(schedule, _Several) else [schedule]

    @contextmanager
    def _or_none(self) -> Iterator[None]:
        """Take back what was done inside, if it ends early."""
        groups, schedules = self.optimizer.param_groups, [*self._all()]
        before: list[Change] = [(group.update, dict(group)) for group in groups]
        before += [(vars(schedule).update, dict(vars(schedule))) for schedule in schedules]
        try:
            yield
        except BaseException:
            at_once(before)
            raise

    def load_state_dict(self, state_dict: Any) -> None:
        """Go on from what ``state_dict`` gave, here or in PyTorch."""
        states = state_dict.get("_schedulers") if isinstance(state_dict, Mapping) else None
        if not isinstance(states, list) or len(states) != len(self._schedulers):
            raise ValueError(
                f"the state must have those of {len(self._schedulers)} schedules, under "
                f"'_schedulers', and has {describe(states)}"
            )
        with self._or_none():
            for schedule, state in zip(self._schedulers, states, strict=True):
                schedule.load_state_dict(state)
            super().load_state_dict({**state_dict, "_schedulers": self._schedulers})


class ChainedScheduler(_Several):
    """Make the step of one schedule after the other, each from the rate that the one before left.

    Raises
    ------
    TypeError, ValueError
        There is no schedule, one is none, or they are of several optimizers.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab.optim import SGD, lr_scheduler
    >>> optimizer = SGD([tl.nn.Parameter([1.0])], lr=1.0)
    >>> warmup = lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> fall = lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> schedule = lr_scheduler.ChainedScheduler([warmup, fall])
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None
    ) -> None:
        self._take(schedulers, optimizer)

    def step(self) -> None:  # type: ignore[override]
        """Count one more epoch."""
        with self._or_none():
            for schedule in self._schedulers:
                schedule.step()

    def _begin(self) -> None:
        for schedule in self._schedulers:
            schedule._begin()

    def _restart(self) -> None:
        for schedule in self._schedulers:
            schedule._restart()


class SequentialLR(_Several):
    """Follow one schedule until the first of ``milestones``, then the next one from its beginning.

    Parameters
    ----------
    optimizer : Optimizer
        Whose rates the schedules set.
    schedulers : list of LRScheduler
        The schedules.
    milestones : list of int
        The epochs in which the second one begins, the third, ...
    last_epoch : int
        As for :class:`LRScheduler`.

    Raises
    ------
    TypeError, ValueError
        There are not as many milestones as schedules but the first, one is none, or they are of
        several optimizers.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> from tinygrad_lab.optim import SGD, lr_scheduler
    >>> p = tl.nn.Parameter([1.0])
    >>> optimizer = SGD([p], lr=1.0)
    >>> warmup = lr_scheduler.LinearLR(optimizer, start_factor=0.25, total_iters=3)
    >>> fall = lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> schedule = lr_scheduler.SequentialLR(optimizer, [warmup, fall], milestones=[3])
    >>> rates = schedule.get_last_lr()
    >>> for _ in range(5):
    ...     (p * p).sum().backward()
    ...     optimizer.step()
    ...     schedule.step()
    ...     rates += schedule.get_last_lr()
    >>> [round(rate, 3) for rate in rates]
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.0]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int],
        last_epoch: int = -1,
    ) -> None:  # fmt: skip
        self._take(schedulers, optimizer)
        milestones = _milestones(milestones)
        if len(milestones) != len(self._schedulers) - 1:
            raise ValueError(
                f"{len(self._schedulers)} schedules and {len(milestones)} milestones: there must "
                "be one less, the epochs in which the second schedule begins, the third ..."
            )
        self._milestones = milestones
        check_integer("last_epoch", last_epoch, least=-1)
        for group in optimizer.param_groups:
            group["lr"] = group["initial_lr"]
        for schedule in self._all():
            if not isinstance(schedule, _Several):
                schedule.last_epoch -= 1  # each had begun when it was made
        self._begin()
        self.last_epoch = last_epoch + 1

    def _begin(self) -> None:
        self.last_epoch = 0
        self._schedulers[self._position(0)]._begin()

    def _restart(self) -> None:
        self.last_epoch = 0
        self._schedulers[self._position(0)]._restart()

    def _position(self, epoch: int) -> int:
        """The schedule of an epoch."""
        position = 0
        for milestone in self._milestones:
            if epoch >= milestone:
                position += 1
        return position

    def step(self) -> None:  # type: ignore[override]
        """Count one more epoch."""
        epoch = self.last_epoch + 1
        position = self._position(epoch)
        schedule = self._schedulers[position]
        with self._or_none():
            if position and epoch == self._milestones[position - 1]:
                schedule._restart()
            else:
                schedule.step()
            self.last_epoch = epoch


# -- arguments ------------------------------------------------------------------------------------


def check_optimizer(schedule: LRScheduler, optimizer: Any) -> None:
    """Raise TypeError unless a schedule is given an optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(
            f"{type(schedule).__name__}({describe(optimizer)}, ...): the first argument is the "
            "optimizer whose learning rate it sets"
        )


def _for_groups(name: str, value: Any, optimizer: Optimizer) -> list[Any]:
    """Return a value for each group."""
    number = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * number
    if len(value) != number:
        raise ValueError(
            f"{name} has {len(value)} values, and the optimizer {number} groups: say one for all, "
            "or one for each"
        )
    return list(value)


def rates_for_groups(name: str, value: Any, optimizer: Optimizer) -> list[float]:
    """Return a rate for each group."""
    rates = _for_groups(name, value, optimizer)
    for rate in rates:
        check_number(name, rate)
    return rates


def _milestones(milestones: Any) -> list[int]:
    """Check that milestones are epochs, and return them in order."""
    if not isinstance(milestones, Iterable) or isinstance(milestones, str):
        raise ValueError(f"milestones={milestones!r}: expected a list of epochs, [30, 80]")
    epochs = list(milestones)
    for epoch in epochs:
        check_integer("milestones", epoch, least=0)
    return sorted(epochs)
