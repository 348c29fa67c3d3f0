"""Draw what two workers use while data pass that they could not hold: `python docs/memory.py`.

It runs examples/larger_than_memory.py, for a minute or so, and draws what Dask has measured.
"""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from distributed import Client

ROOT = Path(__file__).parent.parent
MEASURED: list[Any] = []


def main() -> None:
    """Run the example with a client that is asked what was used before it is closed."""
    close = Client.close

    def measuring(self: Client, *arguments: Any, **options: Any) -> Any:
        Client.close = close
        MEASURED.extend(self.run(samples).values())
        return close(self, *arguments, **options)

    Client.close = measuring
    example = runpy.run_path(str(ROOT / "examples/larger_than_memory.py"), run_name="__main__")
    draw(example["LIMIT"] / example["MB"], example["CHUNKS"] * 8)


def samples(dask_worker: Any) -> tuple[list[float], list[float]]:
    """Return the times and what was used at each of them."""
    quantities = dask_worker.monitor.quantities
    return list(quantities["time"]), [used / 2**20 for used in quantities["memory"]]


def draw(limit: float, total: float) -> None:
    """Draw both workers below their limit, and above it all the data."""
    figure, ax = plt.subplots(figsize=(7, 3), layout="constrained")
    begin = min(times[0] for times, _ in MEASURED)
    for number, (times, used) in enumerate(MEASURED):
        ax.plot(np.subtract(times, begin), used, lw=1, label=f"worker {number + 1}")
    ax.axhline(limit, color="0.4", ls="--", lw=1)
    ax.text(0, limit + 8, f"limit of a worker: {limit:.0f} MB", color="0.3", fontsize=9)
    ax.axhline(total, color="0.4", lw=1)
    ax.text(0, total + 8, f"all data: {total:.0f} MB", color="0.3", fontsize=9)
    ax.set(xlabel="seconds", ylabel="memory used (MB)", ylim=(0, total * 1.12))
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(frameon=False, loc="center right", ncols=2)
    figure.savefig(ROOT / "docs/images/larger-than-memory.png", dpi=110)


if __name__ == "__main__":
    main()
