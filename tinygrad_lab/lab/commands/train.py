"""``tinygrad-lab train``: one network, its log, and its predictions beside the ground truth.

Not for the training (``lab/training.py``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer
from tqdm import tqdm

from tinygrad_lab.lab import training
from tinygrad_lab.lab.runner import PATIENCE
from tinygrad_lab.lab.settings import Settings, parse_hidden

_DEFAULT = Settings()


def command(
    data: Annotated[str, typer.Argument(help="xor or linear.")],
    hidden: Annotated[str, typer.Option(help="Units of each hidden layer.")] = "4,4",
    activation: Annotated[
        str, typer.Option(help="After every layer: sigmoid, relu, leaky_relu, tanh or none.")
    ] = _DEFAULT.activation,
    output_activation: Annotated[
        str | None, typer.Option(help="After the last layer, where it differs.")
    ] = None,
    optimizer: Annotated[
        str, typer.Option(help="sgd, momentum, adagrad, rmsprop, adam or adamw.")
    ] = _DEFAULT.optimizer,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = _DEFAULT.lr,
    epochs: Annotated[int, typer.Option(help="Steps on the whole batch.")] = _DEFAULT.epochs,
    seed: Annotated[int, typer.Option(help="Decides data and weights.", min=0)] = 0,
    bias: Annotated[bool, typer.Option(help="Biases, or none at all.")] = _DEFAULT.bias,
    init: Annotated[
        str, typer.Option(help="How weights are drawn: normal or kaiming_normal.")
    ] = _DEFAULT.init,
    loss: Annotated[str, typer.Option(help="mse, cross-entropy or report-a.")] = _DEFAULT.loss,
    reduction: Annotated[
        str, typer.Option(help="Gradients over the samples: their mean or their sum.")
    ] = _DEFAULT.reduction,
    threshold: Annotated[
        str, typer.Option(help="Scores above it count as label 1: half or median.")
    ] = _DEFAULT.threshold,
    n: Annotated[int, typer.Option("--n", help="Points of the linear data.")] = _DEFAULT.n,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the last line.")] = False,
) -> None:
    """Train one network; print its log, ground truth beside prediction, loss and accuracy."""
    settings = Settings(
        data=data,
        hidden=parse_hidden(hidden),
        activation=activation,
        output_activation=output_activation,
        bias=bias,
        init=init,
        loss=loss,
        reduction=reduction,
        optimizer=optimizer,
        lr=lr,
        epochs=epochs,
        n=n,
        threshold=threshold,
    )
    with tqdm(total=epochs, unit="epoch", delay=PATIENCE, leave=False, disable=None) as bar:
        result = training.train(settings, seed, on_epoch=_reporter(bar, quiet))
    typer.echo(training.closing_line(result) if quiet else training.prediction_table(result))


def _reporter(bar: tqdm[None], quiet: bool) -> Callable[[int, float], None]:
    """Return the callback that moves the bar and writes the log above it."""
    started = time.monotonic()

    def on_epoch(epoch: int, loss: float) -> None:
        bar.update(epoch - bar.n)
        if quiet or epoch % training.LOG_EVERY:
            return
        if time.monotonic() - started < PATIENCE:
            typer.echo(training.log_line(epoch, loss))
        else:  # the bar shows, and is drawn again below the line
            bar.write(training.log_line(epoch, loss), file=sys.stdout)

    return on_epoch
