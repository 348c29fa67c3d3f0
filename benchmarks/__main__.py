"""The command `python -m benchmarks`: measure, print tables, write JSON, compare with earlier."""

import argparse
import contextlib
import importlib.metadata
import json
import os
import platform
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import tinygrad_lab as tl
from benchmarks import (
    chain,
    checks,
    cnn_step,
    convolution,
    costs,
    derivatives,
    digit_step,
    digit_training,
    ensemble,
    imports,
    lab_step,
    per_example,
    pooling,
)
from benchmarks.timing import Result, Workload, measure
from tinygrad_lab.files import write_file

WORKLOADS = {
    workload.name: workload
    for workload in (
        lab_step.WORKLOAD,
        lab_step.RUN,
        chain.WORKLOAD,
        digit_step.WORKLOAD,
        cnn_step.WORKLOAD,
        digit_training.WORKLOAD,
        *convolution.WORKLOADS,
        *pooling.WORKLOADS,
        derivatives.WORKLOAD,
        per_example.WORKLOAD,
        ensemble.WORKLOAD,
        checks.WORKLOAD,
        imports.WORKLOAD,
    )
}
PEERS = ("numpy", "numba", "torch", "mygrad", "autograd", "jax")


def main() -> None:
    """Run what the arguments ask for."""
    arguments = parse()
    if arguments.only[0] == "costs":
        with threads(1):
            for line in costs.report(arguments.only[1:]):
                print(line, flush=True)
        return
    earlier = read_earlier(arguments.compare)
    chosen = [name for name in WORKLOADS if any(name.startswith(o) for o in arguments.only)]
    if not chosen:
        sys.exit(f"no workload named {' '.join(arguments.only)}; there are {', '.join(WORKLOADS)}")
    record = {"machine": machine(), "workloads": {}}
    print_machine(record["machine"])
    for name in chosen:
        workload = WORKLOADS[name]
        limit = arguments.threads or workload.threads
        with threads(limit):
            results = measure(workload, rounds=arguments.rounds, seconds=arguments.seconds)
        print_table(workload, results, limit, earlier.get(name, {}))
        record["workloads"][name] = {
            result.contender: as_json(result, workload.unit, limit)
            for result in results
            if not result.absent
        }
    write(record, arguments.json)


def parse() -> argparse.Namespace:
    """Read the command line."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H%M%SZ")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "only",
        nargs="*",
        default=[""],
        help=f"of {', '.join(WORKLOADS)}: "
        "the beginning of a name chooses all that begin so; or `costs`, which "
        "fits how time and memory grow, and words of functions' names",
    )
    parser.add_argument("--rounds", type=int, default=25, help="times each contender has its turn")
    parser.add_argument("--seconds", type=float, default=1.0, help="for each contender, in all")
    parser.add_argument(
        "--threads",
        type=int,
        help="for BLAS, torch and us; one is steadier where "
        "the machine has other work (default: 1 for tiny arrays, else all)",
    )
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results") / f"{stamp}.json")
    parser.add_argument(
        "--compare", type=Path, metavar="EARLIER.json", help="print the earlier ratios beside these"
    )
    arguments = parser.parse_args()
    if arguments.rounds < 1 or not arguments.seconds > 0 or (arguments.threads or 1) < 1:
        parser.error("--rounds, --seconds and --threads must be positive")
    return arguments


def read_earlier(path: Path | None) -> dict:
    """Return the workloads of an earlier run."""
    if path is None:
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))["workloads"]
    except (OSError, ValueError, KeyError) as error:
        sys.exit(f"cannot compare with an earlier run: {error}")


@contextlib.contextmanager
def threads(limit: int | None) -> Iterator[None]:
    """Hold BLAS, torch and ourselves to so many threads, where threadpoolctl is installed."""
    with contextlib.ExitStack() as stack:
        if limit is not None:
            stack.callback(tl.set_num_threads, tl.get_num_threads())
            tl.set_num_threads(limit)
            with contextlib.suppress(ImportError):
                from threadpoolctl import threadpool_limits

                stack.enter_context(threadpool_limits(limit))
            with contextlib.suppress(ImportError):
                import torch

                stack.callback(torch.set_num_threads, torch.get_num_threads())
                torch.set_num_threads(limit)
        yield


def machine() -> dict[str, str | int | None]:
    """Return what a reader of the numbers needs to know."""
    versions = {}
    for name in PEERS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"python": platform.python_version(), "cores": os.cpu_count(), **versions}


def print_machine(facts: dict[str, str | int | None]) -> None:
    """Say what runs, and how to read it."""
    print(" · ".join(f"{name} {value}" for name, value in facts.items()))
    print("ratio: median over rounds of the time divided by the first line's in the same round,")
    print("with its quartiles. start: what the first three steps took beyond three later ones, to")
    print("record and to compile. Garbage collector on. JAX chooses its threads itself.")


def print_table(
    workload: Workload, results: list[Result], limit: int | None, earlier: dict
) -> None:
    """Print one workload, a line a contender."""
    limited = f", {limit} thread{'s' if limit > 1 else ''}" if limit else ""
    print(f"\n{workload.title}{limited}  [{workload.name}]")
    rate = f"{'GFLOP/s':>9}" if workload.flops else ""
    then = f"{'then':>8}{'now/then':>10}" if earlier else ""
    print(f"{'':27}{workload.unit:>16}{'ratio':>8}{'quartiles':>16}{rate}{'start':>11}{then}")
    for result in results:
        if result.absent:
            print(f"{result.contender:27}{result.absent:>16}")
            continue
        low, high = result.quartiles
        line = f"{result.contender:27}{figure(result.time):>16}{figure(result.ratio):>8}"
        line += f"{f'{figure(low)}-{figure(high)}':>16}"
        if result.gflops is not None:
            line += f"{result.gflops:9.0f}"
        line += f"{1e3 * result.begin:8.1f} ms"
        if result.contender in earlier:
            ratio = earlier[result.contender]["ratio"]
            line += f"{ratio:8.2f}{result.ratio / ratio:10.2f}"
        print(line, flush=True)


def figure(x: float) -> str:
    """Write a number with two or three digits, or all before the point."""
    return f"{x:.2f}" if 0.1 <= x < 100 else f"{x:.0f}" if x >= 100 else f"{x:.2g}"


def as_json(result: Result, unit: str, limit: int | None) -> dict:
    """Return a result as JSON writes it."""
    record = {
        "threads": limit,
        "time": result.time,
        "unit": unit,
        "ratio": result.ratio,
        "quartiles": result.quartiles,
        "start": result.begin,
        "seconds_by_round": result.rounds,
    }
    return record | ({"gflops": result.gflops} if result.gflops is not None else {})


def write(record: dict, path: Path) -> None:
    """Write the record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_file(path, json.dumps(record, indent=1).encode())
    print(f"\nwritten: {path}")


if __name__ == "__main__":
    main()
