"""The command ``python -m benchmarks.checkers.right``."""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.checkers.right import POINTS, functions
from benchmarks.checkers.right.figures import alarms, alarms_by_kind, by_function, twins
from benchmarks.checkers.right.measuring import (
    CHECKERS,
    OURS,
    Asked,
    ask,
    ask_about_twin,
    installed,
)
from benchmarks.checkers.right.twins import TWINS
from tinygrad_lab.files import write_file


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.checkers.right",
        description="Which checker calls a right function wrong, and which a wrong one right?",
    )
    add = parser.add_argument
    add("--only", nargs="+", choices=CHECKERS, default=CHECKERS, metavar="CHECKER",
        help=f"of {', '.join(map(repr, CHECKERS))}")  # fmt: skip
    add("--points", type=int, default=POINTS, help=f"inputs for each function ({POINTS})")
    add("--every", type=int, default=1, metavar="N", help="one function in N")
    add("--workers", type=int, default=1, help="processes (1)")
    add("--list", action="store_true", help="name the functions that ours calls wrong")
    add("--json", type=Path, metavar="PATH", help="write every answer there")
    options = parser.parse_args(arguments)
    begin = time.perf_counter()
    checkers = installed(options.only)
    chosen = range(0, len(functions()), options.every)
    about_right = partial(ask, checkers=checkers, points=options.points)
    about_wrong = partial(ask_about_twin, checkers=checkers)
    right = _in_processes(about_right, chosen, options.workers)
    wrong = _in_processes(about_wrong, range(0, len(TWINS), options.every), options.workers)
    if options.json:
        rows = [a.row() for a in right + wrong]
        write_file(options.json, json.dumps(rows, indent=0).encode())
    print(f"{len(chosen)} right functions at {options.points} points\n\n{alarms(right)}\n")
    print(f"{alarms_by_kind(right)}\n\nWrong functions at nasty points\n\n{twins(wrong)}\n")
    if options.list:
        print(by_function(right, lambda a: a.checker in OURS), "\n")
    print(f"{time.perf_counter() - begin:.0f} s, {options.workers} processes")
    return 0


def _in_processes(work: partial[list[Asked]], on: Sequence[int], workers: int) -> list[Asked]:
    if workers == 1:
        return list(itertools.chain.from_iterable(map(work, on)))
    with ProcessPoolExecutor(workers) as pool:
        return list(itertools.chain.from_iterable(pool.map(work, on, chunksize=4)))


if __name__ == "__main__":
    sys.exit(main())
