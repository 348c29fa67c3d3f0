"""``tinygrad-lab report``: the whole lab as one page.

Not for what is run or shown (``lab/reports``).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tinygrad_lab.lab.commands.frame import Json, doing, echo_json


def _folder(name: str) -> Path:
    """Read the name of a folder; an empty one would be the current folder."""
    if not name:
        raise typer.BadParameter("it is empty; name a folder, such as report")
    return Path(name)


def command(
    quick: Annotated[
        bool, typer.Option("--quick", help="Fewer seeds and settings, in seconds.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Begin anew, not where an interrupted run was.")
    ] = False,
    out: Annotated[
        Path, typer.Option(parser=_folder, metavar="PATH", help="Folder to write to.")
    ] = Path("report"),
    json: Json = False,
) -> None:
    r"""Run every study of the lab and write one page, with the data of its figures beside it.

    \b
    tinygrad-lab report --quick
    tinygrad-lab report --out results

    What is finished is stored at once: after an interruption the same command goes on from there.
    A report that is there already is replaced when the new one is whole.
    """
    from tinygrad_lab.lab import reports

    with doing(f"write the report to {out}"):
        outcome = reports.make_report(out, quick=quick, fresh=fresh)
    if json:
        echo_json({"page": str(outcome.path), "seconds": outcome.seconds})
    else:
        typer.echo(f"{outcome.path} written in {outcome.seconds:.0f} s")
