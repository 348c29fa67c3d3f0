"""Streams that cannot be written: a full disk, a pipe whose reader has gone, none at all.

Not for what is written to them (``commands``).
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from typing import Any, TextIO


class Forgiving:
    """A stream for what nobody needs: what cannot be written is lost, and the work goes on.

    Examples
    --------
    >>> Forgiving(None).write("progress")
    """

    def __init__(self, stream: TextIO | None) -> None:
        self._stream = stream

    def write(self, text: str) -> None:
        """Write if it is possible."""
        if self._stream is not None:
            with suppress(OSError):
                self._stream.write(text)

    def flush(self) -> None:
        """Flush if it is possible."""
        if self._stream is not None:
            with suppress(OSError):
                self._stream.flush()

    def isatty(self) -> bool:
        """Tell whether somebody watches."""
        return self._stream is not None and self._stream.isatty()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def write_any_text() -> None:
    """Let the output streams write what their encoding has no characters for as escapes."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def give_up_unwritten() -> None:
    """Forget what the output streams could not write, which Python would try again at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
