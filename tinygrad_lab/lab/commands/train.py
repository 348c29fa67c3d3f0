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
from tinygrad_lab.lab.settings import (
    ACTIVATIONS,
    INITS,
    LOSSES,
    OPTIMIZERS,
    parse_hidden,
    usual_settings,
)


def _one_of(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def command(
    data: Annotated[
        str,
        typer.Argument(
            help="xor, linear, spirals, moons, circles, digits; or a CSV file with --target, or an "
            "IDX file with --labels."
        ),
    ],
    hidden: Annotated[str | None, typer.Option(help="Units of each hidden layer: 4,4 say.")] = None,
    activation: Annotated[
        str | None, typer.Option(help=f"After every layer: {_one_of(ACTIVATIONS)}.")
    ] = None,
    output_activation: Annotated[
        str | None, typer.Option(help="After the last layer; softmax gives each class an output.")
    ] = None,
    bias: Annotated[bool | None, typer.Option(help="Biases, or none at all.")] = None,
    init: Annotated[
        str | None, typer.Option(help=f"Where weights are drawn from: {_one_of(INITS)}.")
    ] = None,
    loss: Annotated[str | None, typer.Option(help=f"What is minimised: {_one_of(LOSSES)}.")] = None,
    reduction: Annotated[
        str | None, typer.Option(help="Gradients over the samples: their mean or their sum.")
    ] = None,
    optimizer: Annotated[str | None, typer.Option(help=f"{_one_of(OPTIMIZERS)}.")] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Steps on the whole batch.")] = None,
    n: Annotated[
        int | None, typer.Option("--n", help="Points of linear, spirals, moons, circles.")
    ] = None,
    noise: Annotated[
        float | None, typer.Option(help="How far points of spirals, moons, circles are moved.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="Column of the CSV file that names the classes.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="IDX file with the labels of the images.")
    ] = None,
    threshold: Annotated[
        str | None, typer.Option(help="Outputs above it count as label 1: half (0.5) or median.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides data and weights.", min=0)] = 0,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only the last line.")] = False,
) -> None:
    """Train one network; print its log, ground truth beside prediction, loss and accuracy."""
    options = {
        "hidden": None if hidden is None else parse_hidden(hidden),
        "activation": activation,
        "output_activation": output_activation,
        "bias": bias,
        "init": init,
        "loss": loss,
        "reduction": reduction,
        "optimizer": optimizer,
        "lr": lr,
        "epochs": epochs,
        "n": n,
        "noise": noise,
        "target": target,
        "labels": labels,
        "threshold": threshold,
    }
    chosen = {name: value for name, value in options.items() if value is not None}
    settings = usual_settings(data, **chosen)
    with tqdm(
        total=settings.epochs, unit="epoch", delay=PATIENCE, leave=False, disable=None
    ) as bar:
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
