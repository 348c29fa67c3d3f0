"""What every command has around it: exit statuses, errors in one line, signals.

Not for any one command.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import typer

from tinygrad_lab.lab.settings import SettingsError
from tinygrad_lab.lab.training import DivergedError

CLOSED_PIPE, BAD_INPUT, INTERRUPTED = 1, 2, 130


class CommandError(Exception):
    """What a command cannot do, and why, in one line."""


def fail(message: str, status: int = BAD_INPUT) -> int:
    """Print what is wrong in one line, and return the exit status."""
    with suppress(OSError):  # with nowhere to say it, there is the status
        typer.echo(f"tinygrad-lab: {' '.join(message.split())}", err=True)
    return status


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Say what was being done where the system refuses it: ``cannot write m.png: …``."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"cannot {what}: {error.strerror or error}") from None


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an error or an interruption into one line and an exit status."""
    try:
        yield
    except (CommandError, SettingsError, DivergedError) as error:
        raise typer.Exit(fail(str(error))) from None
    except MemoryError as error:
        advice = "train with fewer hidden units or fewer points"
        raise typer.Exit(fail(f"not enough memory ({error}); {advice}")) from None
    except KeyboardInterrupt as interrupt:
        message = str(interrupt) or "interrupted; nothing was written"
        raise typer.Exit(fail(message, INTERRUPTED)) from None


@contextmanager
def unwound_by_sigterm() -> Iterator[None]:
    """Leave at SIGTERM as from an error, so that no process and no unfinished file stays behind."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
