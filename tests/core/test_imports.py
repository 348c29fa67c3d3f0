"""What ``import tinygrad_lab`` loads, and what it does not."""

from __future__ import annotations

import ast
import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

import tinygrad_lab as tl

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


def on_demand() -> dict[str, str]:
    """Each name that is loaded when it is asked for, and the module that a type checker reads."""
    [block] = [
        node
        for node in ast.parse(Path(tl.__file__).read_text(encoding="utf-8")).body
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
    ]
    return {alias.name: node.module for node in block.body for alias in node.names}


def test_importing_the_package_loads_the_core_alone():
    loaded = loaded_by("import tinygrad_lab")
    ours = {name.split(".")[1] for name in loaded if name.startswith("tinygrad_lab.")}
    assert ours == {"absent", "core", "habits", "warnings", "words"}
    assert not {"numpy.random", "numpy.polynomial"} & loaded


def test_type_checkers_read_where_a_name_comes_from():
    for name, module in on_demand().items():
        home = importlib.import_module(module)
        expected = getattr(home, name, None) or importlib.import_module(f"{module}.{name}")
        assert getattr(tl, name) is expected
    assert {name for name in tl.__all__ if name not in on_demand()} <= set(vars(tl))
    assert {*tl.__all__, "data", "fit", "lab", "metrics", "testing", "viz"} <= set(dir(tl))


def test_what_is_loaded_late_is_whole_in_every_thread():
    names = ["optim", "relu", "jit", "nn", "save", "summary", "data", "fit"]
    loaded_by(
        "import threading, warnings, tinygrad_lab as tl\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "warnings.simplefilter('error')\n"
        f"names, start = {names}, threading.Barrier({len(names)})\n"
        "ask = lambda name: start.wait() * 0 or getattr(tl, name)\n"
        "with ThreadPoolExecutor(len(names)) as pool:\n"
        "    assert list(pool.map(ask, names)) == [getattr(tl, name) for name in names]"
    )


@pytest.mark.parametrize(
    "first",
    [
        "x.relu()",
        "x.clone().relu_()",
        "tl.vmap(lambda row: row.relu())(x)",
        "tl.jit(lambda x: tl.relu(x))(x)",
    ],
)
def test_what_networks_know_is_loaded_where_it_is_first_used(first: str):
    loaded_by(
        "import numpy as np, tinygrad_lab as tl\n"
        "x = tl.tensor([-1.0, 2.0])\n"
        f"assert np.array_equal({first}, [0.0, 2.0])\n"
        "assert tl.Tensor.relu is tl.relu is tl.nn.functional.relu"
    )
