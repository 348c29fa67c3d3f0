"""What ``import tinygrad_lab`` loads, and what it does not."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

HEAVY = (
    "matplotlib", "hypothesis", "graphviz", "pygraphviz", "dask", "distributed", "torch", "scipy",
    "pytest", "typer", "tqdm", "numba", "llvmlite",
)  # fmt: skip


def loaded_by(statements: str) -> set[str]:
    """The modules that a fresh interpreter has after some statements."""
    code = f"import sys, json\n{statements}\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_importing_the_package_loads_nothing_heavy():
    loaded = loaded_by("import tinygrad_lab")
    assert "numpy" in loaded
    assert not {name for name in loaded if name.split(".")[0] in HEAVY}


def test_training_a_little_loads_nothing_heavy():
    loaded = loaded_by(
        "import numpy as np, tinygrad_lab as tl\n"
        "x = tl.tensor([1.0, 2.0], requires_grad=True)\n"
        "y = np.tanh(x) @ x\n"
        "y.backward(); repr(x); repr(y)"
    )
    assert not {name for name in loaded if name.split(".")[0] in HEAVY}


@pytest.mark.parametrize("module", ["tinygrad_lab", "tinygrad_lab.core.tensor", "tinygrad_lab.nn"])
def test_the_table_is_whole_whatever_is_imported_first(module: str):
    loaded_by(
        f"import {module}, numpy as np\n"
        "from tinygrad_lab.core.operations import OPERATIONS\n"
        "assert {np.sin, np.sum, np.matmul, np.take, np.transpose} <= set(OPERATIONS)"
    )
