"""Full-batch training of the reports' networks: one run, or many seeds of one setting at once.

Not for mini-batches, schedules or other models: ``tl.nn`` and ``tl.optim`` are the tools for those.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

import tinygrad_lab as tl
from tinygrad_lab import nn
from tinygrad_lab.lab.data import Data, Encoding, load
from tinygrad_lab.lab.descent import Networks, descend
from tinygrad_lab.lab.predictions import Predictions
from tinygrad_lab.lab.settings import Settings, SettingsError
from tinygrad_lab.nn import functional

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

#: A line of the log every so many epochs.
LOG_EVERY = 500

# A learning curve has about this many points at most.
_CURVE_POINTS = 500


class DivergedError(ArithmeticError):
    """Training left the finite numbers; says at which epoch, and what to try.

    Attributes
    ----------
    epoch
        The first epoch at which the loss was infinite or not a number.
    """

    def __init__(self, epoch: int, settings: Settings) -> None:
        summed = settings.reduction == "sum"
        instead = ", or average the gradients instead of summing them" if summed else ""
        super().__init__(
            f"training diverged: the loss is no longer finite at epoch {epoch} "
            f"(optimizer {settings.optimizer}, learning rate {settings.lr:g}); "
            f"try a learning rate of {settings.lr / 10:g}{instead}"
        )
        self.epoch = epoch
        self._settings = settings

    def __reduce__(self) -> tuple[Any, ...]:
        # As it is made, not from its message: a pool of processes sends errors home.
        return type(self), (self.epoch, self._settings), vars(self)


@dataclass(frozen=True, slots=True)
class Result:
    """What one run ended with.

    Attributes
    ----------
    settings, seed
        What was run.
    epochs, losses
        The learning curve: epochs, and the mean squared error before each of their steps (the last
        entry: after the last step).  Shape (points,) both.
    accuracies
        The share of the training points on the right side of the threshold, at each of these
        epochs.  Shape (points,).
    x, y
        The training data, shapes (n, 2) and (n, 1); with other data (n, inputs), (n, outputs).
    prediction
        The network's final outputs, of the shape of ``y``.
    accuracy
        Share of the training points on the right side of the threshold, or whose class has the
        largest of several outputs.
    test_accuracy
        The same on the separate test draw; None where the data has none.
    weights
        The network's ``state_dict`` as arrays.
    diverged_at
        The epoch at which the loss stopped being finite; None for a run that went well.
    encoding
        What inputs and classes are called, and how the inputs were scaled.
    snapshots
        The weights before the steps of those epochs that were asked for, by epoch.
    """

    settings: Settings
    seed: int
    epochs: NDArray[np.int64] = field(repr=False)
    losses: Array = field(repr=False)
    accuracies: Array = field(repr=False)
    x: Array = field(repr=False)
    y: Array = field(repr=False)
    prediction: Array = field(repr=False)
    accuracy: float
    test_accuracy: float | None
    weights: Mapping[str, Array] = field(repr=False)
    diverged_at: int | None = None
    encoding: Encoding = field(default=Encoding(), repr=False)
    snapshots: Mapping[int, Mapping[str, Array]] = field(default_factory=dict, repr=False)

    @property
    def loss(self) -> float:
        """The final mean squared error; infinite for a run that diverged."""
        return float(self.losses[-1]) if self.diverged_at is None else float("inf")

    @property
    def threshold(self) -> float:
        """Outputs above it count as label 1."""
        return float(np.squeeze(_threshold(self.settings, self.prediction)))

    def loss_at(self, epoch: int) -> float:
        """Return the loss before this epoch's step, or at the nearest one on the curve."""
        if self.diverged_at is not None and epoch >= self.diverged_at:
            return float("inf")
        return float(self.losses[np.argmin(np.abs(self.epochs - epoch))])

    def epochs_to(self, loss: float) -> float:
        """Return the first epoch of the curve with a smaller loss; infinite where there is none."""
        return self._first(self.losses < loss)

    def epochs_to_accuracy(self, accuracy: float) -> float:
        """Return the first epoch of the curve with at least this accuracy, or infinity."""
        return self._first(self.accuracies >= accuracy)

    def _first(self, reached: Flags) -> float:
        """Return the first epoch of the curve at which something is so."""
        points = np.flatnonzero(reached)
        return float(self.epochs[points[0]]) if points.size else float("inf")

    def model(self, epoch: int | None = None) -> nn.Module:
        """Build the trained network, or what it was before this epoch's step, of the snapshots."""
        model = build(self.settings, self.encoding, rng=self.seed)
        model.load_state_dict(dict(self.weights if epoch is None else self.snapshots[epoch]))
        return model

    def predict(self, x: Array, epoch: int | None = None) -> Array:
        """Return the outputs of :meth:`model` for inputs such as ``x``, shaped as ``y``."""
        return outputs_of(self.settings, self.model(epoch), x)


def train(
    settings: Settings,
    seed: int = 0,
    *,
    on_epoch: Callable[[int, float], None] | None = None,
) -> Result:
    """Train one network.

    Parameters
    ----------
    settings
        What to train, on what, and how.
    seed
        Decides the draw of the data and of the weights.
    on_epoch
        Called with an epoch and the loss before its step, for each point of the learning curve:
        every 20 epochs or oftener, so that each line of the log is among them, and after the last.

    Returns
    -------
    Result

    Raises
    ------
    DivergedError
        The loss is no longer finite.

    Examples
    --------
    >>> result = train(Settings(optimizer="adam", lr=0.1, epochs=300), seed=1)
    >>> bool(result.loss < result.losses[0])
    True
    """

    def stop(epoch: int, _: Flags) -> None:
        raise DivergedError(epoch, settings)

    def log(epoch: int, losses: Array) -> None:
        if on_epoch is not None:
            on_epoch(epoch, float(losses[0]))

    return _trained(settings, [seed], on_divergence=stop, on_epoch=log)[0]


def train_many(
    settings: Settings, seeds: Sequence[int], *, snapshots: Collection[int] = ()
) -> list[Result]:
    """Train one network a seed, all of them at once: one network, by ``vmap`` over its parameters.

    Each result is what :func:`train` gives for its seed, to the last bit and in any company.  A run
    that diverges is a result here, not an error: its weights and outputs are NaN.

    Parameters
    ----------
    settings
        What to train, on what, and how.
    seeds
        One network each.
    snapshots
        Epochs whose weights are wanted too, from 0, the untrained network, to the last.

    Returns
    -------
    list of Result
        In the order of the seeds.

    Examples
    --------
    >>> [result.seed for result in train_many(Settings(epochs=10), seeds=[3, 4])]
    [3, 4]
    """
    diverged: list[int | None] = [None] * len(seeds)

    def note(epoch: int, lost: Flags) -> None:
        for index in np.flatnonzero(lost):
            diverged[index] = epoch

    results = _trained(settings, seeds, snapshots, on_divergence=note)
    return [replace(r, diverged_at=epoch) for r, epoch in zip(results, diverged, strict=True)]


def prepare(settings: Settings, seed: int) -> tuple[Data, nn.MLP]:
    """Return what a run starts from: the data and the untrained network of a seed."""
    data = load_data(settings, seed)
    return data, build(settings, data.encoding, rng=_streams(seed)[1])


def _streams(seed: int) -> list[np.random.Generator]:
    """The streams of a seed for data and for weights: other data leave the weights as they are."""
    return np.random.default_rng(seed).spawn(2)


def load_data(settings: Settings, seed: int) -> Data:
    """Return the data of a run, with targets of the shape that its network's outputs have.

    Raises
    ------
    DataError
        A file cannot be read, or has no classes.
    SettingsError
        The threshold is for one output, and there are several.
    """
    data = load(
        *(settings.data, settings.n, _streams(seed)[0]),
        **{name: getattr(settings, name) for name in ("noise", "target", "labels", "digest")},
    )
    if settings.last_activation == "softmax":
        data = data.with_a_column_a_class()
    outputs = data.y.shape[1]
    if outputs > 1 and settings.threshold != "half":
        raise SettingsError(
            f"threshold {settings.threshold!r} is for one output; of the {outputs} that there are "
            "the largest counts: leave it out"
        )
    return data


def build(
    settings: Settings,
    encoding: Encoding = Encoding(),  # noqa: B008 - it cannot be changed
    *,
    rng: int | np.random.Generator | None = None,
) -> nn.MLP:
    """Build the untrained network: weights drawn as the settings say, biases 0 or none.

    Where the loss is a cross-entropy the network ends before its last sigmoid, which the loss and
    the outputs then apply themselves: computed together they cannot overflow.
    """
    hidden, last = _activations(settings)
    classes = len(encoding.classes)
    outputs = 1 if classes == 2 and settings.last_activation != "softmax" else classes
    return nn.MLP(
        [len(encoding.columns), *settings.hidden, outputs],
        activation=hidden,
        output_activation=last,
        bias=settings.bias,
        init=settings.init,
        rng=rng,
    )


def loss_of(settings: Settings, model: nn.Module, x: Any, y: Array) -> Any:
    """Return what training minimises, as a scalar Tensor: its gradients are those of a step."""
    scores = model(x if isinstance(x, tl.Tensor) else tl.Tensor(x))
    reduction: Any = settings.reduction
    if settings.last_activation == "softmax":
        return functional.cross_entropy(scores, y.argmax(axis=-1), reduction=reduction)
    if settings.loss == "mse":
        loss: Any = functional.mse_loss(scores, y, reduction=reduction)
    else:
        loss = functional.binary_cross_entropy_with_logits(scores, y, reduction=reduction)
    factor = 2 if settings.loss == "report-a" else 1
    if reduction == "mean":
        factor *= y.shape[-1]  # the mean is over examples, not outputs
    return loss if factor == 1 else factor * loss


def log_line(epoch: int, loss: float, digits: int = 17) -> str:
    """Return a line of the training log, in the reports' format: with all digits of the loss.

    Examples
    --------
    >>> log_line(500, 0.010990509556571368)
    'epoch 500 loss : 0.010990509556571368'
    >>> log_line(500, 0.010990509556571368, digits=6)
    'epoch 500 loss : 0.0109905'
    """
    return f"epoch {epoch} loss : {loss if digits >= 17 else format(loss, f'.{digits}g')}"


def prediction_table(result: Result) -> str:
    """Return ground truth beside prediction, one line a training point, then loss and accuracy.

    Examples
    --------
    >>> table = prediction_table(train(Settings(epochs=1), seed=0)).splitlines()
    >>> table[0][:37], len(table)
    ('Iter1 | Ground truth: 0 | prediction:', 22)
    """
    return "\n".join([*predictions(result).lines(), closing_line(result.loss, result.accuracy)])


def predictions(result: Result) -> Predictions:
    """Return what a network says of the points that it was trained on."""
    threshold = np.asarray(_threshold(result.settings, result.prediction)).item()
    return Predictions(result.prediction, result.encoding, threshold, result.y)


def closing_line(loss: float, accuracy: float) -> str:
    """Return the line that closes the prediction table.

    Examples
    --------
    >>> closing_line(1.487e-7, 1.0)
    'loss=0.0000001487 accuracy=100.00%'
    """
    return f"loss={loss:.10f} accuracy={accuracy:.2%}"


# ---- one descent --------------------------------------------------------------------------------


@dataclass(slots=True)
class _History:
    epochs: list[int]
    losses: list[Array]
    accuracies: list[Array]

    def of(self, index: int) -> _History:
        """The history of one network of many."""
        losses, accuracies = ([p[index] for p in ps] for ps in (self.losses, self.accuracies))
        return _History(self.epochs, losses, accuracies)

    def add(self, settings: Settings, epoch: int, outputs: Array, y: Array) -> Array:
        """Add a point, and return the losses there."""
        with np.errstate(over="ignore", invalid="ignore"):  # of runs that diverge
            losses: Array = np.square(outputs - y).mean(axis=(-2, -1))
        self.epochs.append(epoch)
        self.losses.append(losses)
        self.accuracies.append(_accuracy(outputs, y, _threshold(settings, outputs)))
        return losses


def _trained(
    settings: Settings,
    seeds: Sequence[int],
    snapshots: Collection[int] = (),
    *,
    on_divergence: Callable[[int, Flags], None],
    on_epoch: Callable[[int, Array], None] = lambda epoch, losses: None,
) -> list[Result]:
    """Train a network a seed; say which diverge, and the losses at each point of the curve."""
    from threadpoolctl import threadpool_limits

    prepared = [prepare(settings, seed) for seed in seeds]
    networks = Networks([model for _, model in prepared])
    x, y = (np.stack([getattr(data, name) for data, _ in prepared]) for name in ("x", "y"))
    stride = _stride(settings.epochs)
    history = _History([], [], [])
    states = {0: networks.weights()}
    with threadpool_limits(1, "blas"):  # several share a product out, which then rounds otherwise
        for epoch, scores in descend(networks, settings, x, y, on_divergence):
            if epoch + 1 in snapshots:
                states[epoch + 1] = networks.weights()
            if epoch % stride == 0 or epoch == settings.epochs:
                on_epoch(epoch, history.add(settings, epoch, _outputs(settings, scores), y))
        trained = networks.weights()
        results = []
        for index, (seed, (data, model)) in enumerate(zip(seeds, prepared, strict=True)):
            model.load_state_dict(_member(trained, index))
            parts = {epoch: _member(states[epoch], index) for epoch in sorted(snapshots)}
            results.append(_result(settings, seed, data, model, history.of(index), parts))
        return results


def _member(stacks: Mapping[str, Array], index: int) -> dict[str, Array]:
    """The weights of one network of many."""
    return {name: stack[index] for name, stack in stacks.items()}


def _outputs(settings: Settings, scores: Any) -> Any:
    """Turn what the network returns into outputs: its last activation may be left to the loss."""
    if settings.loss == "mse":
        return scores
    if settings.last_activation == "softmax":
        return functional.softmax(scores, -1)
    return functional.sigmoid(scores)


def _activations(settings: Settings) -> tuple[str, str]:
    """The hidden and the last activation of the network, which the loss may take upon itself."""
    return settings.activation, settings.last_activation if settings.loss == "mse" else "none"


def _stride(epochs: int) -> int:
    """Epochs between two points of the curve: few enough points, every log line among them."""
    divisors = (d for d in range(1, LOG_EVERY + 1) if LOG_EVERY % d == 0)
    return next((d for d in divisors if epochs / d <= _CURVE_POINTS), LOG_EVERY)


def _result(
    settings: Settings,
    seed: int,
    data: Data,
    model: nn.MLP,
    history: _History,
    snapshots: Mapping[int, Mapping[str, Array]],
) -> Result:
    prediction = outputs_of(settings, model, data.x)
    threshold = _threshold(settings, prediction)
    test = None
    if data.x_test is not None and data.y_test is not None:
        test = float(_accuracy(outputs_of(settings, model, data.x_test), data.y_test, threshold))
    return Result(
        settings=settings,
        seed=seed,
        epochs=np.array(history.epochs),
        losses=np.array(history.losses),
        accuracies=np.array(history.accuracies),
        x=data.x,
        y=data.y,
        prediction=prediction,
        accuracy=float(_accuracy(prediction, data.y, threshold)),
        test_accuracy=test,
        weights=model.state_dict(),
        encoding=data.encoding,
        snapshots=snapshots,
    )


def outputs_of(settings: Settings, model: nn.Module, x: Array) -> Array:
    """Return a network's outputs, without recording them; a diverged one may overflow."""
    with tl.no_grad(), np.errstate(over="ignore", invalid="ignore"):
        outputs: Array = _outputs(settings, model(tl.Tensor(x))).data
    return outputs


def _threshold(settings: Settings, outputs: Array) -> Any:
    """Above what an output counts as label 1: shape (..., 1, 1) where it depends on the outputs."""
    return 0.5 if settings.threshold == "half" else np.median(outputs, axis=(-2, -1), keepdims=True)


def _accuracy(outputs: Array, y: Array, threshold: Any) -> Any:
    """Share of each network's outputs on the right side; one that is not a number counts as 0."""
    if y.shape[-1] > 1:
        return np.mean(outputs.argmax(axis=-1) == y.argmax(axis=-1), axis=-1)
    return np.mean((outputs > threshold) == (y > 0.5), axis=(-2, -1))
