"""Averages of weights over the course of training: their mean (SWA), or a running mean (EMA).

The averaged model is a model of its own, often better than the last one (Izmailov, 2018).

Not for: the training that is averaged.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_lab.core.arguments import on_cpu
from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.nn import Module
from tinygrad_lab.nn.layers.normalization import _BatchNorm
from tinygrad_lab.optim.checks import check_integer, check_number, one_of
from tinygrad_lab.optim.lr_scheduler import LRScheduler, check_optimizer, cosine, rates_for_groups
from tinygrad_lab.optim.optimizer import Optimizer, Options

__all__ = [
    "SWALR", "AveragedModel", "get_ema_avg_fn", "get_ema_multi_avg_fn", "get_swa_avg_fn",
    "get_swa_multi_avg_fn", "update_bn",
]  # fmt: skip

Array = Any
Average = Callable[[Array, Array, Any], Array]
ListAverage = Callable[[list[Array], list[Array], Any], "list[Array] | None"]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """Make the running mean that remembers ``decay`` of itself: for ``avg_fn``.

    Raises
    ------
    ValueError
        ``decay`` is not from 0 to 1.
    """
    check_number("decay", decay, most=1.0)
    return lambda averaged, current, _: averaged * decay + current * (1 - decay)


def get_swa_avg_fn() -> Average:
    """Make the mean of all models: for ``avg_fn``."""
    return lambda averaged, current, number: averaged + (current - averaged) / (number + 1)


def get_ema_multi_avg_fn(decay: float = 0.999) -> ListAverage:
    """Make the running mean of a list of arrays: for ``multi_avg_fn``."""
    return _of_lists(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> ListAverage:
    """Make the mean of a list of arrays: for ``multi_avg_fn``."""
    return _of_lists(get_swa_avg_fn())


def _of_lists(average: Average) -> ListAverage:
    return lambda averaged, current, number: [
        average(a, b, number) for a, b in zip(averaged, current, strict=True)
    ]


class AveragedModel(Module):
    """A copy of a model that holds an average of what its weights have been.

    Parameters
    ----------
    model : Module
        Which is copied.
    device : {None, "cpu"}
        There is one device.
    avg_fn : callable, optional
        ``avg_fn(averaged, current, number)`` gives the next average of two arrays, of which the
        first is one of ``number`` models; the mean of all models unless said.
    multi_avg_fn : callable, optional
        The same of two lists of arrays: it gives a list, or writes into the arrays of the first.
    use_buffers : bool
        Whether buffers of floats are averaged too; otherwise those of the last model are copied.

    Raises
    ------
    ValueError
        Both ``avg_fn`` and ``multi_avg_fn`` are said.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn, optim
    >>> model = nn.Linear(1, 1, rng=0)
    >>> average = optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     model.weight.data = np.full((1, 1), value)
    ...     average.update_parameters(model)
    >>> average.module.weight.item(), int(average.n_averaged)
    (3.0, 3)
    """

    def __init__(
        self, model: Module, device: Any = None, avg_fn: Average | None = None,
        multi_avg_fn: ListAverage | None = None, use_buffers: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        on_cpu(device)
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("avg_fn and multi_avg_fn say the same in two ways: say one of them")
        self.module = copy.deepcopy(model)
        self.n_averaged = np.array(0)
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """Call the averaged model."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Take the weights of ``model`` into the average.

        Raises
        ------
        RuntimeError
            ``model`` has other parameters.  Nothing is changed then.
        """
        own, new = self.module.state_dict(), model.state_dict()
        if self.n_averaged > 0 and own.keys() == new.keys():
            buffers = {name for name, _ in model.named_buffers()}
            names = [
                name
                for name, value in own.items()
                if value.dtype.kind in "fc" and (self.use_buffers or name not in buffers)
            ]
            averages = self._averages([own[name] for name in names], [new[name] for name in names])
            new = {**new, **dict(zip(names, averages, strict=True))}
        state = {f"module.{name}": value for name, value in new.items()}
        self.load_state_dict({**state, "n_averaged": self.n_averaged + 1})

    def _averages(self, averaged: list[Array], current: list[Array]) -> list[Array]:
        if self.multi_avg_fn is None:
            average = _of_lists(self.avg_fn or get_swa_avg_fn())
        else:
            average = self.multi_avg_fn
        averages = average(averaged, current, self.n_averaged)
        return averaged if averages is None else averages


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Measure the running statistics of batch normalisation anew, in one pass over the data.

    Averaged weights have statistics of their own, which no training step has seen.

    Parameters
    ----------
    loader : iterable
        Batches, or tuples that begin with one.
    model : Module
        Whose layers are measured; it stays in training or evaluation, as it is.
    device : {None, "cpu"}
        There is one device.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn, optim
    >>> model = nn.BatchNorm1d(1)
    >>> batches = [(np.full((4, 1), value), None) for value in (1.0, 3.0)]
    >>> optim.swa_utils.update_bn(batches, model)
    >>> model.running_mean
    array([2.])
    """
    on_cpu(device)
    layers = [layer for layer in model.modules() if isinstance(layer, _BatchNorm)]
    if not layers:
        return
    before = [layer.momentum for layer in layers]
    was_training = model.training
    model.train()
    try:
        for layer in layers:
            layer.reset_running_stats()
            layer.momentum = None  # the mean of all batches
        for batch in loader:
            model(batch[0] if isinstance(batch, (list, tuple)) else batch)
    finally:
        for layer, momentum in zip(layers, before, strict=True):
            layer.momentum = momentum
        model.train(was_training)


class SWALR(LRScheduler):
    """Lead the learning rate to ``swa_lr``, at which weights are averaged.

    Parameters
    ----------
    optimizer, last_epoch
        See :class:`~tinygrad_lab.optim.lr_scheduler.LRScheduler`.
    swa_lr : float, or list of float
        The last rate; or that of each group.
    anneal_epochs : int
        In how many epochs.
    anneal_strategy : {"cos", "linear"}
        Along what.

    Raises
    ------
    ValueError
        An argument is out of range.
    """

    def __init__(
        self, optimizer: Optimizer, swa_lr: float | list[float], anneal_epochs: int = 10,
        anneal_strategy: str = "cos", last_epoch: int = -1,
    ) -> None:  # fmt: skip
        check_optimizer(self, optimizer)
        rates = rates_for_groups("swa_lr", swa_lr, optimizer)
        check_integer("anneal_epochs", anneal_epochs, least=0)
        one_of("cos", "linear")("anneal_strategy", anneal_strategy)
        at_once((group.__setitem__, "swa_lr", rate)
                for group, rate in zip(optimizer.param_groups, rates, strict=True))  # fmt: skip
        self.anneal_epochs, self._anneal_strategy = anneal_epochs, anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How much of the way is done in a step."""
        share = max(0, min(1, step / max(1, self.anneal_epochs)))
        return share if self._anneal_strategy == "linear" else (1 - cosine(np.pi * share)) / 2

    def _rate(self, group: Options, base: float) -> float:  # noqa: ARG002
        step, end = self._step_count - 1, group["swa_lr"]
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        start = end if before == 1 else (group["lr"] - before * end) / (1 - before)
        return end * now + start * (1 - now)
