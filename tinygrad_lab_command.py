"""The command ``tinygrad-lab`` from its first moment: Ctrl-C and SIGTERM are one line each.

It stands beside the package because importing anything inside it reads the whole library first, and
imports little itself.
Not for the command line itself (``tinygrad_lab/lab/cli.py``).
"""

from __future__ import annotations

import os
import signal


def main() -> None:
    """Run the command line of the shell and exit with its status."""
    for each in (signal.SIGINT, signal.SIGTERM):
        # One that is ignored, as Ctrl-C is in the background of a script, stays ignored.
        if signal.getsignal(each) in (signal.default_int_handler, signal.SIG_DFL):
            signal.signal(each, _end)
    from tinygrad_lab.lab import cli

    cli.main()


def _end(number: int, _: object) -> None:
    """End at once: before a command begins and after it there is nothing to clean up.

    An exception could be caught, or reported as another one, by whatever is being imported.
    """
    os.write(2, b"tinygrad-lab: interrupted\n")
    os._exit(128 + number)
