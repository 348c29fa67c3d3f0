"""``fit``: the loop over epochs and batches, and ``evaluate``.

An epoch is whole or it is not in the history.  Not for what is done between epochs
(``callbacks.py``), nor for what is measured (``metrics.py``).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from os import PathLike
from time import perf_counter
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import describe, name_of
from tinygrad_lab.core.modes import no_grad
from tinygrad_lab.core.tensor import Tensor
from tinygrad_lab.data import DataLoader, Dataset, TensorDataset
from tinygrad_lab.data.loader import check_number
from tinygrad_lab.nn.module import Module
from tinygrad_lab.optim import Optimizer, clip_grad_norm_
from tinygrad_lab.training.callbacks import Callback
from tinygrad_lab.training.checkpoints import restore
from tinygrad_lab.training.history import History
from tinygrad_lab.training.progress import progress as progress_here
from tinygrad_lab.transforms import TracingError
from tinygrad_lab.transforms import jit as recorded
from tinygrad_lab.warnings import RecordingWarning, warn

__all__ = ["DivergedError", "Run", "evaluate", "fit"]

Metric = Callable[[Any, Any], Any]
Metrics = Metric | Sequence[Metric] | Mapping[str, Metric] | None
Rng = int | np.random.Generator | None


class DivergedError(ArithmeticError):
    """The loss is no longer finite.  The model is as it was after the last whole epoch.

    Attributes
    ----------
    epoch, batch
        Where, counted from 1.
    history
        The epochs before.
    """

    epoch = batch = 0
    history: History


@dataclass(eq=False)
class Run:
    """A training that is going on: what callbacks are told.

    Attributes
    ----------
    model, optimizer, schedule, loader
        What it is of; the loader gives the batches to train on.
    epochs
        How many there are to be.
    callbacks
        Whoever is told of it.
    history
        The epochs so far.
    epoch, batch
        Which one it is at, counted from 1.
    loss
        Of the last batch.
    """

    model: Module
    optimizer: Optimizer
    schedule: Any
    loader: Any
    epochs: int
    callbacks: list[Callback]
    history: History = field(default_factory=History)
    epoch: int = 0
    batch: int = 0
    loss: float = float("nan")

    def stop(self, why: str) -> None:
        """End the training after this epoch."""
        self.history.stopped = why

    def tell(self, event: str) -> None:
        """Call a method of all callbacks."""
        for callback in self.callbacks:
            getattr(callback, event)(self)

    def __str__(self) -> str:
        numbers = (f"{name} {c[-1]:.4g}" for name, c in self.history.items() if name != "seconds")
        return f"epoch {self.epoch}/{self.epochs}: {', '.join(numbers)}"


def fit(
    model: Module,
    data: Any,
    loss: Metric,
    optimizer: Optimizer,
    epochs: int = 1,
    *,
    validation: Any = None,
    metrics: Metrics = None,
    schedule: Any = None,
    clip: float | None = None,
    callbacks: Callback | Callable[[Run], Any] | Iterable[Callback | Callable[[Run], Any]] = (),
    batch_size: int = 32,
    rng: Rng = None,
    jit: bool | str = True,
    progress: bool = True,
    resume: str | PathLike[str] | None = None,
) -> History:
    """Train a model: for each batch, the loss, its gradients, and a step of the optimizer.

    Parameters
    ----------
    model : Module
        It is in training mode in the steps, in evaluation mode in the validation, and after.
    data : DataLoader, Dataset, or tuple of arrays
        Gives batches ``(input, target)``; the model gets all parts but the last.  A data set, or a
        tuple of arrays with an example in each row, is shuffled in batches of ``batch_size``.
    loss : callable
        ``loss(output, target)`` is one number, a mean over the batch.
    optimizer : Optimizer
        Made of the model's parameters.
    epochs : int
        How many there are to be, those of a training that is resumed among them.
    validation : DataLoader, Dataset, or tuple of arrays, optional
        What the model is tested on after each epoch, without training on it.
    metrics : callable, or sequence or dict of them, optional
        ``metric(output, target)`` of all outputs and targets of an epoch, as arrays; see
        :mod:`tinygrad_lab.training.metrics`.  Those of the training are of outputs that the model
        gave while it was moving.
    schedule : optional
        Its ``step()`` is called after each epoch, with the loss if it takes one.
    clip : float, optional
        The largest norm that the gradients of a step may have together.
    callbacks : Callback, callable, or iterable of them
        Called between epochs; a function after each.
    batch_size, rng
        Of data that come without a loader; ``rng`` is the seed of the shuffling.
    jit : bool or {"numpy", "numba", "auto"}
        Whether steps are recorded (:func:`tinygrad_lab.jit`) and what runs them; with True that is
        NumPy, with the same numbers to the bit as without.  What cannot be recorded is run as it
        is, with a warning that says why.
    progress : bool
        Show a bar in a terminal, or the learning curves in a notebook.
    resume : path, optional
        Go on from the file of a :class:`~tinygrad_lab.training.Checkpoint`.

    Returns
    -------
    History
        ``"loss"``, the metrics, ``"val_loss"`` and so on, a number for each epoch.  After Ctrl-C
        it has the epochs that were complete, and ``stopped`` says so.

    Raises
    ------
    tinygrad_lab.training.DivergedError
        A loss is infinite or not a number.  The model and the optimizer are as they were after the
        last whole epoch.
    TypeError, ValueError
        The data give no batches, or none with inputs and targets; the loss gives no number.

    Examples
    --------
    >>> import numpy as np, tinygrad_lab as tl
    >>> x = np.linspace(-1, 1, 64)[:, None]
    >>> model = tl.nn.MLP([1, 16, 1], activation="tanh", rng=0)
    >>> optimizer = tl.optim.Adam(model.parameters(), lr=0.03)
    >>> history = fit(model, (x, np.sin(3 * x)), tl.mse_loss, optimizer, epochs=100, rng=0)
    >>> history["loss"][-1] < 0.01
    True
    """
    _check_arguments(model, loss, optimizer, epochs)
    measured = _by_name(metrics)
    several = callbacks if isinstance(callbacks, Iterable) else [callbacks]
    every = [c if isinstance(c, Callback) else _after_each_epoch(c) for c in several]
    run = Run(model, optimizer, schedule, _batches(data, batch_size, rng), epochs, every)
    if progress:
        every.append(progress_here())
    if resume is not None:
        restore(run, resume)
    step = step_of(model, loss, optimizer, clip, jit)
    predict = _recorded(lambda *inputs: model(*inputs), jit)
    held_out = None if validation is None else _batches(validation, batch_size, None, False)
    run.tell("on_start")
    try:
        # a loss that is not finite is told of by itself
        with np.errstate(over="ignore", invalid="ignore"):
            while run.history.epochs < epochs and not run.history.stopped:
                began, values = perf_counter(), _epoch(run, step, measured)
                if held_out is not None:
                    scores = _evaluated(model, predict, held_out, measured | {"loss": loss})
                    values |= {f"val_{name}": scores[name] for name in ("loss", *measured)}
                values |= _scheduled(run, values)
                run.history.record(values | {"seconds": perf_counter() - began})
                run.tell("on_epoch")
    except KeyboardInterrupt:
        run.stop(f"interrupted in epoch {run.history.epochs + 1} of {epochs}")
    finally:
        model.eval()
        run.tell("on_end")
    return run.history


def evaluate(
    model: Module,
    data: Any,
    metrics: Metrics,
    *,
    batch_size: int = 256,
) -> dict[str, float]:
    """Measure a model on data, in evaluation mode and without gradients.

    Parameters
    ----------
    model : Module
        It is left in the mode that it was in.
    data, metrics, batch_size
        As :func:`fit` takes them; a loss is a metric, too.

    Returns
    -------
    dict
        A number for each metric, of all outputs at once.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> evaluate(tl.nn.Linear(2, 1, rng=0), tl.lab.xor(), tl.mse_loss)
    {'mse_loss': 1.68364...}
    """
    was_training = model.training
    try:
        return _evaluated(model, model, _batches(data, batch_size, None, False), _by_name(metrics))
    finally:
        model.train(was_training)


# -- one epoch ------------------------------------------------------------------------------------


def step_of(
    model: Module,
    loss: Metric,
    optimizer: Optimizer,
    clip: float | None = None,
    jit: bool | str = True,
) -> Callable[..., tuple[Tensor, Any]]:
    """Make the function of a batch that makes a step, and returns the loss and the output."""
    parameters = list(model.parameters())
    takes_closure = "closure" in inspect.signature(optimizer.step).parameters

    def step(*batch: Any) -> tuple[Tensor, Any]:
        *inputs, target = batch
        results: list[tuple[Tensor, Any]] = []

        def closure() -> Tensor:  # which LBFGS calls more than once
            optimizer.zero_grad()
            output = model(*inputs)
            value = loss(output, target)
            _check_loss(loss, value)
            value.backward(np.ones_like(value.data))
            if clip is not None:
                clip_grad_norm_(parameters, clip)
            results.append((value, output))
            return value

        if takes_closure:
            optimizer.step(closure)
        else:  # a subclass that overrides step alone
            closure()
            optimizer.step()
        return results[0]

    return _recorded(step, jit)


def _check_loss(loss: Metric, value: Any) -> None:
    if not isinstance(value, Tensor) or value.size != 1:
        remedy = "; a loss of each example has reduction='mean', or .mean()"
        raise TypeError(
            f"the loss must be one number to go down: {name_of(loss)}(output, target) gave "
            f"{describe(value)}{remedy if isinstance(value, Tensor) else ''}"
        )


def _epoch(run: Run, step: Callable[..., Any], metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Make a step for each batch.  If one fails to be finite, the epoch has not been."""
    before = run.model.state_dict(), run.optimizer.state_dict()
    run.model.train()
    run.epoch, run.batch = run.history.epochs + 1, 0
    total, number, pairs = 0.0, 0, []
    for *inputs, target in _checked(run.loader):
        value, output = step(*inputs, target)
        run.batch, run.loss = run.batch + 1, value.item()
        if not isfinite(run.loss):
            run.model.load_state_dict(before[0])
            run.optimizer.load_state_dict(before[1])
            raise _diverged(run, inputs)
        size = _length(target)
        total, number = total + size * run.loss, number + size
        if metrics:
            pairs.append((output.data, _data(target)))
        run.tell("on_batch")
    return {"loss": total / number, **_measured(metrics, pairs)}


def _evaluated(
    model: Module, predict: Callable[..., Any], loader: Any, metrics: Mapping[str, Metric]
) -> dict[str, float]:
    model.eval()
    with no_grad():
        pairs = [(predict(*inputs).data, _data(target)) for *inputs, target in _checked(loader)]
        return _measured(metrics, pairs)


def _measured(metrics: Mapping[str, Metric], pairs: list[tuple[Any, Any]]) -> dict[str, float]:
    """Measure all outputs of an epoch at once: exact for whatever is measured."""
    if not metrics:
        return {}
    outputs, targets = (np.concatenate(column) for column in zip(*pairs, strict=True))
    values = {}
    for name, metric in metrics.items():
        value = metric(outputs, targets)
        if np.size(value) != 1:
            raise TypeError(
                f"metric {name!r} must give one number, and gave {describe(value)}: call it on "
                "the outputs after the training, or average it"
            )
        values[name] = float(_data(value))
    return values


def _scheduled(run: Run, values: Mapping[str, float]) -> dict[str, float]:
    if run.schedule is None:
        return {}
    rate = float(run.optimizer.param_groups[0]["lr"])
    takes_loss = "metrics" in inspect.signature(run.schedule.step).parameters
    run.schedule.step(*([values.get("val_loss", values["loss"])] if takes_loss else []))
    return {"lr": rate}


def _diverged(run: Run, inputs: list[Any]) -> DivergedError:
    rate = run.optimizer.param_groups[0]["lr"]
    if all(np.isfinite(_data(part)).all() for part in inputs):
        remedy = (
            f"try lr={rate / 10:g}, or clip=1.0; under tl.debug() the first operation that is not "
            "finite is named"
        )
    else:
        remedy = "the inputs of this batch have values that are not finite"
    whole = run.history.epochs
    kept = f"after epoch {whole}" if whole else "before"
    error = DivergedError(
        f"the loss is {run.loss} in epoch {run.epoch}, batch {run.batch} (lr={rate:g}): {remedy}. "
        f"The model is as it was {kept}"
    )
    error.epoch, error.batch, error.history = run.epoch, run.batch, run.history
    return error


# -- what comes in --------------------------------------------------------------------------------


def _check_arguments(model: Any, loss: Any, optimizer: Any, epochs: Any) -> None:
    for what, value, kind in ("model", model, Module), ("optimizer", optimizer, Optimizer):
        if not isinstance(value, kind):
            raise TypeError(
                f"fit(model, data, loss, optimizer): the {what} must be of the class "
                f"{kind.__name__}, and is {describe(value)}"
            )
    if isinstance(loss, type) or not callable(loss):
        raise TypeError(
            "fit(model, data, loss, optimizer): the loss is a function of output and target, "
            f"nn.functional.mse_loss or nn.MSELoss() say, and not {loss!r}"
        )
    check_number("epochs", epochs, 1)


def _batches(data: Any, batch_size: int, rng: Rng, shuffle: bool = True) -> Any:
    """Make a loader of what is none: shuffled to train on."""
    if isinstance(data, tuple):
        data = TensorDataset(*data)
    if isinstance(data, Dataset):
        return DataLoader(data, batch_size, shuffle=shuffle, rng=rng)
    if not isinstance(data, Iterable) or isinstance(data, (Iterator, Tensor, np.ndarray)):
        raise TypeError(
            f"data is {describe(data)}: say (x, y) for arrays, or give a Dataset or a DataLoader, "
            "whose batches can be gone through once an epoch"
        )
    return data


def _checked(loader: Any) -> Iterator[Sequence[Any]]:
    """Go through batches that have inputs and targets, of which there is at least one."""
    batch = None
    for batch in loader:
        if not isinstance(batch, (tuple, list)) or len(batch) < 2:
            raise TypeError(
                f"a batch is {describe(batch)}, and fit wants (input, target): say "
                "TensorDataset(x, y), or (x, x) where the target is the input"
            )
        yield batch
    if batch is None:
        raise ValueError(
            "there is no batch in the data: the data set is empty, or smaller than a batch with "
            "drop_last=True"
        )


def _by_name(metrics: Any) -> dict[str, Metric]:
    if metrics is None:
        return {}
    if isinstance(metrics, Mapping):
        return dict(metrics)
    every = [metrics] if callable(metrics) else list(metrics)
    for metric in every:
        if not callable(metric) or not getattr(metric, "__name__", "<").isidentifier():
            raise TypeError(
                f"a metric is a function of outputs and targets, tl.metrics.accuracy say, and "
                f'{metric!r} has no name: say metrics={{"name": metric}}'
            )
    return {metric.__name__: metric for metric in every}


def _after_each_epoch(function: Any) -> Callback:
    if not callable(function):
        raise TypeError(f"a callback is a Callback or a function of the run, not {function!r}")
    callback = Callback()
    callback.on_epoch = function  # type: ignore[method-assign]
    return callback


def _recorded(f: Callable[..., Any], jit: bool | str) -> Callable[..., Any]:
    """Record a function; one that cannot be is called as it is, and that is said once."""
    if jit is False:
        return f
    fast = recorded(f, backend="numpy" if jit is True else jit)  # type: ignore[call-overload]
    refused: list[TracingError] = []

    def call(*args: Any) -> Any:
        if not refused:
            try:
                return fast(*args)
            except TracingError as error:
                refused.append(error)
                warn(f"fit goes on without jit, which would be faster: {error}", RecordingWarning)
        return f(*args)

    return call


def _data(values: Any) -> Any:
    return values.data if isinstance(values, Tensor) else np.asarray(values)


def _length(target: Any) -> int:
    return np.shape(_data(target))[0] if np.ndim(_data(target)) else 1
