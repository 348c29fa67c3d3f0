"""How long a new interpreter takes to import us, beside NumPy alone and the small peers."""

import importlib.util
import subprocess
import sys
from functools import partial

from benchmarks.timing import Runner, Workload


def importing(name: str) -> Runner:
    """Return a step that starts Python and imports one package."""
    if importlib.util.find_spec(name) is None:
        raise ImportError(name=name)
    command = [sys.executable, "-c", f"import {name}"]
    return Runner(partial(subprocess.run, command, check=True), list)


WORKLOAD = Workload(
    name="import",
    title="start Python and import",
    contenders={
        name: partial(importing, name) for name in ("numpy", "tinygrad_lab", "mygrad", "autograd")
    },
    tolerance=0.0,
    unit="ms",
    per=1000,
)
