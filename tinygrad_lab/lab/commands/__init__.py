"""The commands of ``tinygrad-lab``, a file each; ``run`` runs a command line.

Not for what they share (``frame.py``), nor for the lab's work, which is there for Python too.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import typer
from typer.core import TyperGroup

from tinygrad_lab.lab import streams
from tinygrad_lab.lab.commands import report, sweep, train
from tinygrad_lab.lab.commands.frame import CLOSED_PIPE, fail, one_line_errors, unwound_by_sigterm

_UsageError: Any = typer.BadParameter.__mro__[1]  # every mistake in options and arguments


class _Commands(TyperGroup):
    """Every command runs in here: its errors are one line, and SIGTERM unwinds it."""

    def invoke(self, ctx: Any) -> Any:
        with one_line_errors(), unwound_by_sigterm():
            return super().invoke(ctx)


app = typer.Typer(
    name="tinygrad-lab",
    cls=_Commands,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command("train")(train.command)
app.command("report")(report.command)
app.command("sweep")(sweep.command)


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


@app.callback(invoke_without_command=True)
def _program(context: typer.Context) -> None:
    """Train small networks by automatic differentiation, and measure two lab reports again."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
