"""The commands of ``tinygrad-lab``: ``train`` and ``report``.

Only what belongs to a command line: options, progress, and errors in one line.  Not for the
lab's work, which ``training.py`` and ``reports`` do for Python too.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer
from tqdm import tqdm

from tinygrad_lab.lab import reports, streams
from tinygrad_lab.lab.runner import PATIENCE
from tinygrad_lab.lab.settings import Settings, SettingsError, parse_hidden
from tinygrad_lab.lab.training import (
    LOG_EVERY,
    DivergedError,
    closing_line,
    log_line,
    prediction_table,
    train,
)

CLOSED_PIPE, BAD_INPUT, INTERRUPTED = 1, 2, 130

_DEFAULT = Settings()
_UsageError: Any = typer.BadParameter.__mro__[1]  # every mistake in options and arguments

app = typer.Typer(
    name="tinygrad-lab",
    help="Train small networks by automatic differentiation, and measure two lab reports again.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit status."""
    streams.write_any_text()
    try:
        status = app(
            args=None if arguments is None else list(arguments),
            prog_name="tinygrad-lab",
            standalone_mode=False,
        )
        if sys.stdout is not None:
            sys.stdout.flush()
    except _UsageError as error:
        status = _fail(error.format_message())
    except BrokenPipeError:
        status = CLOSED_PIPE  # whoever reads, `head` for instance, has enough
    except OSError as error:
        status = _fail(f"cannot write the output: {error.strerror or error}")
    streams.give_up_unwritten()
    return status if isinstance(status, int) else 0


@contextmanager
def _errors_in_one_line() -> Iterator[None]:
    """Turn an error or an interruption into one line and an exit status."""
    try:
        yield
    except (SettingsError, DivergedError) as error:
        raise typer.Exit(_fail(str(error))) from None
    except MemoryError as error:
        advice = "train with fewer hidden units or fewer points"
        raise typer.Exit(_fail(f"not enough memory ({error}); {advice}")) from None
    except KeyboardInterrupt as interrupt:
        message = str(interrupt) or "interrupted; nothing was written"
        raise typer.Exit(_fail(message, INTERRUPTED)) from None


@contextmanager
def _unwound_by_sigterm() -> Iterator[None]:
    """Leave at SIGTERM as from an error, so that no process and no unfinished file stays behind."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@app.callback(invoke_without_command=True)
def _help(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("train")
def train_command(
    data: Annotated[str, typer.Argument(help="xor or linear.")],
    hidden: Annotated[str, typer.Option(help="Units of each hidden layer.")] = "4,4",
    activation: Annotated[
        str, typer.Option(help="After every layer: sigmoid, relu, tanh or none.")
    ] = _DEFAULT.activation,
    optimizer: Annotated[
        str, typer.Option(help="sgd, momentum, adagrad, rmsprop, adam or adamw.")
    ] = _DEFAULT.optimizer,
    lr: Annotated[float, typer.Option(help="Learning rate.")] = _DEFAULT.lr,
    epochs: Annotated[int, typer.Option(help="Steps on the whole batch.")] = _DEFAULT.epochs,
    seed: Annotated[int, typer.Option(help="Decides data and weights.", min=0)] = 0,
    bias: Annotated[bool, typer.Option(help="Biases, or none at all.")] = _DEFAULT.bias,
    loss: Annotated[str, typer.Option(help="mse, cross-entropy or report-a.")] = _DEFAULT.loss,
    reduction: Annotated[
        str, typer.Option(help="Gradients over the samples: their mean or their sum.")
    ] = _DEFAULT.reduction,
    n: Annotated[int, typer.Option("--n", help="Points of the linear data.")] = _DEFAULT.n,
    quiet: Annotated[bool, typer.Option(help="Only the last line.")] = False,
) -> None:
    """Train one network; print its log, ground truth beside prediction, loss and accuracy."""
    with _errors_in_one_line():
        settings = Settings(
            data=data,
            hidden=parse_hidden(hidden),
            activation=activation,
            bias=bias,
            loss=loss,
            reduction=reduction,
            optimizer=optimizer,
            lr=lr,
            epochs=epochs,
            n=n,
        )
        with tqdm(total=epochs, unit="epoch", delay=PATIENCE, leave=False, disable=None) as bar:
            result = train(settings, seed, on_epoch=_reporter(bar, quiet))
        typer.echo(closing_line(result) if quiet else prediction_table(result))


def _reporter(bar: tqdm[None], quiet: bool) -> Callable[[int, float], None]:
    """Return the callback that moves the bar and writes the log above it."""
    started = time.monotonic()

    def on_epoch(epoch: int, loss: float) -> None:
        bar.update(epoch - bar.n)
        if quiet or epoch % LOG_EVERY:
            return
        if time.monotonic() - started < PATIENCE:
            typer.echo(log_line(epoch, loss))
        else:  # the bar shows, and is drawn again below the line
            bar.write(log_line(epoch, loss), file=sys.stdout)

    return on_epoch


def _folder(name: str) -> Path:
    """Read the name of a folder; an empty one would be the current folder."""
    if not name:
        raise typer.BadParameter("it is empty; name a folder, such as report")
    return Path(name)


@app.command("report")
def report_command(
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer seeds and settings, in seconds.")
    ] = False,
    out: Annotated[
        Path, typer.Option(parser=_folder, metavar="PATH", help="Folder to write to.")
    ] = Path("report"),
) -> None:
    """Run every study of the lab and write one page, with the data of its figures beside it."""
    try:
        with _errors_in_one_line(), _unwound_by_sigterm():
            outcome = reports.make_report(out, quick=quick)
    except OSError as error:
        message = f"cannot write the report to {out}: {error.strerror or error}"
        raise typer.Exit(_fail(message)) from None
    typer.echo(f"{outcome.path} written in {outcome.seconds:.0f} s")


def _fail(message: str, status: int = BAD_INPUT) -> int:
    """Print what is wrong in one line, and return the exit status."""
    with suppress(OSError):  # with nowhere to say it, there is the status
        typer.echo(f"tinygrad-lab: {' '.join(message.split())}", err=True)
    return status
