"""The command ``python -m benchmarks.checkers``."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.checkers.faults import FAULTS
from benchmarks.checkers.measuring import PARTS, measure
from benchmarks.checkers.primitives import CASES
from benchmarks.checkers.table import Table
from tinygrad_lab.files import write_file

EVERY = 5  # with --quick, one in so many


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.checkers",
        description="Which checker notices which fault, and when does it cry wolf?  Ctrl-C ends "
        "it with what there is by then.",
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART",
        help=f"of {', '.join(PARTS)}")  # fmt: skip
    add("--seeds", type=int, help="seeds for false alarms (20)")
    add("--examples", type=int, help="examples of our strategy (100)")
    add("--workers", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    add("--quick", action="store_true", help=f"one in {EVERY} of everything, 2 seeds")
    add("--from", type=Path, dest="earlier", metavar="PATH",
        help="JSON of an earlier run, for the parts that are not measured")  # fmt: skip
    add("--json", type=Path, metavar="PATH", help="write the numbers there")
    add("--markdown", type=Path, metavar="PATH", help="write the page there")
    options = parser.parse_args(arguments)
    step = EVERY if options.quick else 1
    table = measure(
        options.only,
        seeds=options.seeds or (2 if options.quick else 20),
        examples=options.examples or (50 if options.quick else 100),
        chosen=range(0, len(FAULTS), step),
        operations=range(0, len(CASES), step),
        workers=options.workers,
        progress=lambda text: print(text, file=sys.stderr, flush=True),
    )
    if options.earlier:
        table = table.filled(Table.read(options.earlier))
    for path, text in ((options.json, table.json()), (options.markdown, table.markdown())):
        if path:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_file(path, text.encode())
    print(table.markdown())
    return 0


if __name__ == "__main__":
    sys.exit(main())
