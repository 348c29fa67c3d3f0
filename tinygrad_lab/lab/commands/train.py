"""``tinygrad-lab train``: one network, its log, and its predictions beside the ground truth.

Not for the training (``lab/training.py``), nor for how it is drawn (``lab/pictures.py``).
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from tinygrad_lab.lab import training
from tinygrad_lab.lab.commands.frame import CommandError, Json, check_target, doing, echo_json
from tinygrad_lab.lab.data import DATA_NAMES
from tinygrad_lab.lab.networks import Network, save_network
from tinygrad_lab.lab.runner import PATIENCE
from tinygrad_lab.lab.settings import (
    ACTIVATIONS,
    INITS,
    LOSSES,
    OPTIMIZERS,
    OUTPUT_ACTIVATIONS,
    REDUCTIONS,
    THRESHOLDS,
    command_of,
    parse_hidden,
    pinned,
    usual_settings,
)

# A table of more lines is no table to read; `predict` prints it.
_LINES = 100

# People compare losses by a few digits; to the last bit only programs do.
_DIGITS, _ALL_DIGITS = 6, 17

_PICTURES = ("png", "svg", "pdf")


def _one_of(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _completed(names: tuple[str, ...]) -> Callable[[str], list[str]]:
    """Return what a shell asks for the values that begin as somebody has typed."""
    return lambda incomplete: [name for name in names if name.startswith(incomplete)]


def command(
    data: Annotated[
        str,
        typer.Argument(
            autocompletion=_completed(DATA_NAMES),
            help="xor, linear, spirals, moons, circles, digits; or a CSV file with --target, or an "
            "IDX file with --labels.",
        ),
    ],
    hidden: Annotated[str | None, typer.Option(help="Units of each hidden layer: 4,4 say.")] = None,
    activation: Annotated[
        str | None,
        typer.Option(
            autocompletion=_completed(ACTIVATIONS),
            help=f"After every layer: {_one_of(ACTIVATIONS)}.",
        ),
    ] = None,
    output_activation: Annotated[
        str | None,
        typer.Option(
            autocompletion=_completed(OUTPUT_ACTIVATIONS),
            help="After the last layer, where it differs; or softmax over the classes.",
        ),
    ] = None,
    bias: Annotated[bool | None, typer.Option(help="Biases, or none at all.")] = None,
    init: Annotated[
        str | None,
        typer.Option(
            autocompletion=_completed(INITS),
            help=f"Where weights are drawn from: {_one_of(INITS)}.",
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            autocompletion=_completed(LOSSES), help=f"What is minimised: {_one_of(LOSSES)}."
        ),
    ] = None,
    reduction: Annotated[
        str | None,
        typer.Option(
            autocompletion=_completed(REDUCTIONS),
            help="Gradients over the examples: their mean or their sum.",
        ),
    ] = None,
    optimizer: Annotated[
        str | None,
        typer.Option(
            autocompletion=_completed(OPTIMIZERS),
            help=f"How weights are moved: {_one_of(OPTIMIZERS)}.",
        ),
    ] = None,
    lr: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    epochs: Annotated[int | None, typer.Option(help="Steps, each on all examples.")] = None,
    n: Annotated[
        int | None, typer.Option("--n", help="How many points of linear, spirals, moons, circles.")
    ] = None,
    noise: Annotated[
        float | None, typer.Option(help="How far points of spirals, moons, circles are moved.")
    ] = None,
    target: Annotated[
        str | None, typer.Option(help="The column of a CSV file that names the classes.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="The IDX file with the labels of the images.")
    ] = None,
    digest: Annotated[
        str | None, typer.Option(help="What the files must hold, as a row of a run says it.")
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            autocompletion=_completed(THRESHOLDS),
            help="A single output above it is class 1: half (0.5) or median.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Decides the draw of data and weights.", min=0)] = 0,
    save: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Save the network: xor.safetensors, say.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw loss and decisions: .png, .svg or .pdf."),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="All digits in the log.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", help="Only loss and accuracy.")] = False,
    json: Json = False,
) -> None:
    r"""Train one network; print its log, truth beside prediction, loss and accuracy.

    \b
    tinygrad-lab train xor --hidden 4,4 --optimizer adam --lr 0.1 --epochs 1000
    tinygrad-lab train spirals --save spirals.safetensors --plot spirals.png
    tinygrad-lab train flowers.csv --target kind

    What is not said is, for xor and linear, as in the reports: two hidden layers of 4, sigmoids,
    mean squared error, gradient descent at rate 0.1 over 5000 epochs; for other data what trains on
    them, cross-entropy and Adam. The loss of the log is the mean squared error, whatever is
    minimised. The same command gives the same numbers each time.
    """
    options: dict[str, Any] = {
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
        "digest": digest,
        "threshold": threshold,
    }
    chosen = {name: value for name, value in options.items() if value is not None}
    settings = pinned(usual_settings(data, **chosen))
    check_target(save, "--save")
    check_target(plot, "--plot", _PICTURES)
    if save is not None and save == plot:
        raise CommandError(f"--save and --plot are both {save}; give each a file of its own")
    digits = _ALL_DIGITS if exact else _DIGITS
    with tqdm(
        total=settings.epochs, unit="epoch", delay=PATIENCE, leave=False, disable=None
    ) as bar:
        show = _reporter(bar, None if quiet or json else digits)
        result = training.train(settings, seed, on_epoch=show)
    if save is not None:
        with doing(f"write {save}"):
            save_network(Network.of(result), save)
    if plot is not None:
        from tinygrad_lab.lab.pictures import picture_of

        with doing(f"write {plot}"):
            picture_of(result, plot)
    if json:
        echo_json(_document(result))
    else:
        _print(result, quiet)


def _reporter(bar: tqdm[None], digits: int | None) -> Callable[[int, float], None]:
    """Return the callback that moves the bar and writes the log above it, unless it is None."""
    started = time.monotonic()

    def on_epoch(epoch: int, loss: float) -> None:
        bar.update(epoch - bar.n)
        if digits is None or epoch % training.LOG_EVERY:
            return
        line = training.log_line(epoch, loss, digits)
        if time.monotonic() - started < PATIENCE:
            typer.echo(line)
        else:  # the bar shows, and is drawn again below the line
            bar.write(line, file=sys.stdout)

    return on_epoch


def _print(result: training.Result, quiet: bool) -> None:
    lines = [] if quiet else training.predictions(result).lines()
    if len(lines) > _LINES:
        lines = [f"({len(lines):,} predictions: --save the network, and predict prints them)"]
    lines.append(training.closing_line(result.loss, result.accuracy))
    if result.test_accuracy is not None:
        lines.append(f"on examples that it was not trained on: accuracy={result.test_accuracy:.2%}")
    typer.echo("\n".join(lines))


def _document(result: training.Result) -> dict[str, Any]:
    return {
        "command": command_of(result.settings, result.seed),
        "settings": result.settings.to_row(),
        "seed": result.seed,
        "loss": result.loss,
        "accuracy": result.accuracy,
        "test_accuracy": result.test_accuracy,
        "epochs": result.epochs.tolist(),
        "losses": result.losses.tolist(),
        "classes": list(result.encoding.classes),
        "predictions": training.predictions(result).rows(),
    }
