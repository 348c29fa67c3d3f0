"""What every command has around it: exit statuses, errors in one line, signals, files to write.

Not for any one command.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from tinygrad_lab.lab.data import DataError
from tinygrad_lab.lab.networks import NetworkError
from tinygrad_lab.lab.settings import SettingsError
from tinygrad_lab.lab.training import DivergedError

CLOSED_PIPE, BAD_INPUT, INTERRUPTED = 1, 2, 130


#: What an interrupted command says that has nothing more to say.
UNFINISHED = "interrupted; nothing was written"


class CommandError(Exception):
    """What a command cannot do, and why, in one line."""


def fail(message: str, status: int = BAD_INPUT) -> int:
    """Print what is wrong in one line, and return the exit status."""
    with suppress(OSError):  # with nowhere to say it, there is the status
        typer.echo(f"tinygrad-lab: {' '.join(message.split())}", err=True)
    return status


Json = Annotated[bool, typer.Option("--json", help="One JSON document in place of text.")]


def echo_json(document: Mapping[str, Any]) -> None:
    """Print a document, on one line, in ASCII."""
    typer.echo(json.dumps(document, allow_nan=False))


def check_target(path: Path | None, option: str, endings: tuple[str, ...] = ()) -> None:
    """Raise CommandError for a file that could not be written, before there is work to lose."""
    if path is None:
        return
    what = f"cannot write {option} {path}"
    if endings and path.suffix.lower().removeprefix(".") not in endings:
        allowed = ", ".join(f".{ending}" for ending in endings)
        raise CommandError(
            f"{what}: its name has to end in {'one of ' * (len(endings) > 1)}{allowed}"
        )
    if path.is_dir():
        raise CommandError(f"{what}: it is a folder")
    if not path.parent.is_dir():
        raise CommandError(f"{what}: there is no folder {path.parent}")
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise CommandError(f"{what}: Permission denied")


@contextmanager
def doing(what: str) -> Iterator[None]:
    """Say what was being done where the system refuses it: ``cannot write m.png: …``."""
    try:
        yield
    except OSError as error:
        raise CommandError(f"cannot {what}: {error.strerror or error}") from None


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn an error into one line and an exit status."""
    try:
        yield
    except (CommandError, DataError, DivergedError, NetworkError, SettingsError) as error:
        raise typer.Exit(fail(str(error))) from None
    except MemoryError as error:
        advice = "train with fewer hidden units or fewer points"
        raise typer.Exit(fail(f"not enough memory ({error}); {advice}")) from None


@contextmanager
def one_line_interruptions() -> Iterator[None]:
    """Turn Ctrl-C and SIGTERM into one line and an exit status.

    SIGTERM does what Ctrl-C does, so that no process and no unfinished file stays behind.  A signal
    that is ignored, as Ctrl-C is in the background of a script, stays ignored.
    """
    status = INTERRUPTED

    def interrupt(number: int, _: object) -> None:
        nonlocal status
        status = 128 + number
        raise KeyboardInterrupt

    signals = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.getsignal(each) for each in signals}
    try:
        for each in signals:
            if before[each] is not signal.SIG_IGN:
                signal.signal(each, interrupt)
        yield
    except KeyboardInterrupt as interruption:
        raise typer.Exit(fail(str(interruption) or UNFINISHED, status)) from None
    finally:
        for each in signals:
            signal.signal(each, before[each])
