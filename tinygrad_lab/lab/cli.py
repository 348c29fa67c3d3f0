"""The command ``tinygrad-lab``: one clear line and exit status 2 for whatever cannot be done.

Not for the commands themselves (``commands``), which need the ``lab`` extra.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import NoReturn

_EXTRA = ("typer", "tqdm", "jinja2", "threadpoolctl")


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit with its status.

    Parameters
    ----------
    arguments
        What follows the command's name; by default what the shell gave.
    """
    try:
        from tinygrad_lab.lab import commands

        status = commands.run(arguments)
    except ModuleNotFoundError as error:
        if error.name not in _EXTRA:
            raise
        print(
            f"tinygrad-lab: {error.name} is not installed; the command line needs the lab extra: "
            'pip install "tinygrad-lab[lab]"',
            file=sys.stderr,
        )
        sys.exit(2)
    sys.exit(status)
