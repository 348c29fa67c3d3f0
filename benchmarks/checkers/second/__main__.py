"""The command ``python -m benchmarks.checkers.second``."""

from __future__ import annotations

import argparse

from benchmarks.checkers.second.pairs import is_noticed, pairs

POINTS = 20


def main() -> None:
    """Measure, and print a line for each pair that is not as it should be, then the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.checkers.second")
    parser.add_argument("--points", type=int, default=POINTS, help="inputs for each (20)")
    points = parser.parse_args().points
    every = pairs()
    first = caught = alarms = undecided = 0
    for pair in every:
        wrong = [is_noticed(pair, "wrong", i)[0] for i in range(points)]
        right = [is_noticed(pair, "right", i)[0] for i in range(points)]
        first += wrong[0] == "fail"
        caught += "fail" in wrong
        alarms += "fail" in right
        undecided += "inconclusive" in right
        if "fail" not in wrong or "fail" in right or wrong[0] != "fail":
            print(
                f"{pair.name} ({pair.source}): wrong one failed at {wrong.count('fail')} of "
                f"{points} points, right one at {right.count('fail')}"
            )
    print(
        f"{len(every)} pairs: {first} faults caught at the first point, {caught} at one of "
        f"{points}; {alarms} right ones called wrong, {undecided} not decided at some point"
    )


if __name__ == "__main__":
    main()
