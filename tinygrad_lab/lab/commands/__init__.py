"""The commands of ``tinygrad-lab``, a file each; ``run`` runs a command line.

Not for what they share (``frame.py``), nor for the lab's work, which is there for Python too.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tinygrad_lab import __version__
from tinygrad_lab.lab import streams
from tinygrad_lab.lab.commands import check, graph, predict, report, sweep, train
from tinygrad_lab.lab.commands.frame import (
    CLOSED_PIPE,
    fail,
    one_line_errors,
    one_line_interruptions,
)

_UsageError: Any = typer.BadParameter.__mro__[1]  # every mistake in options and arguments


class _Commands(TyperGroup):
    """Every command runs in here: its errors are one line, and so are Ctrl-C and SIGTERM."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with one_line_interruptions():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with one_line_interruptions(), one_line_errors():
            return super().invoke(ctx)


app = typer.Typer(
    name="tinygrad-lab",
    cls=_Commands,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _add(name: str, command: Callable[..., None], summary: str) -> None:
    # What follows a backspace is shown line by line, as it stands in the docstring.
    text = (inspect.getdoc(command) or "").replace("\\b", "\b")
    app.command(name, help=text, short_help=summary)(command)


_add("train", train.command, "Train one network on a data set or a file.")
_add("predict", predict.command, "Print what a saved network says of examples.")
_add("graph", graph.command, "Draw the graph of a saved network's loss.")
_add("check", check.command, "Check gradients: of a network, or of code by hand.")
_add("report", report.command, "Run the whole lab and write one page.")
_add("sweep", sweep.command, "Train every combination of some settings.")


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
        status = fail(error.format_message())
    except BrokenPipeError:
        status = CLOSED_PIPE  # whoever reads, `head` for instance, has enough
    except OSError as error:
        status = fail(f"cannot write the output: {error.strerror or error}")
    streams.give_up_unwritten()
    return status if isinstance(status, int) else 0


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tinygrad-lab {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _program(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - it has done its work
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    r"""Train small networks by automatic differentiation, and measure two lab reports again.

    
    tinygrad-lab train xor --save xor.safetensors
    tinygrad-lab predict xor.safetensors
    tinygrad-lab report --quick
    tinygrad-lab sweep plan.toml

    COMMAND --help says what a command does and prints. Status: 0 done; 1 a gradient is wrong, a
    trial failed, or nobody reads the output any more; 2 it cannot be done, and one line says why;
    130 after Ctrl-C, 143 after SIGTERM.
    """
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
