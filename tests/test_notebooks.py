"""Every notebook runs from top to bottom, from an empty namespace and in an empty folder.

By day one kernel runs one after the other: packages are imported once.  In the thorough tests each
has a kernel of its own.
"""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
THOROUGH = os.environ.get("HYPOTHESIS_PROFILE") == "thorough"
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

#: What takes long is shorter here: texts of cells, and what stands in their place.
SHORTENED = {
    "04_digits": {"EPOCHS = 8": "EPOCHS = 1"},
    "05_from_and_to_pytorch": {"for _ in range(4):": "for _ in range(1):"},
    "06_a_transformer_in_an_hour": {"STEPS, BATCH = 420, 16": "STEPS, BATCH = 20, 16"},
    "07_seeing_graphs": {'"epochs": 50': '"epochs": 3'},
    "08_the_two_reports": {"EPOCHS_A, EPOCHS_B = 10_000, 9_000": "EPOCHS_A, EPOCHS_B = 40, 40"},
    "09_a_sweep": {"epochs = 400": "epochs = 40"},
}

#: What is run before a notebook: no names, no open figures.
CLEARED = """import matplotlib.pyplot
matplotlib.pyplot.close("all")
%reset_selective -f ."""


@pytest.fixture(scope="function" if THOROUGH else "module")
def kernel():
    """The manager of a kernel that has started."""
    pytest.importorskip("nbclient")
    manager = pytest.importorskip("jupyter_client").KernelManager(
        client_class="jupyter_client.asynchronous.AsyncKernelClient"
    )
    manager.start_kernel(env={**os.environ, "PYTHONPATH": str(ROOT)})
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.notebook
# The kernel's own packages warn about sockets and event loops while they start and stop.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, tmp_path, kernel):
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for long, short in SHORTENED.get(path.stem, {}).items():
        [cell] = [cell for cell in notebook.cells if long in cell.source]
        cell.source = cell.source.replace(long, short)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(f"{CLEARED}\n%cd -q {tmp_path}"))
    client = nbclient.NotebookClient(notebook, km=kernel, timeout=120)
    try:
        client.execute()  # raises, with the cell and its traceback, at the first error
    finally:
        client.kc.stop_channels()
    complaints = [
        output["text"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    ]
    assert complaints == []


def test_there_is_a_notebook():
    assert NOTEBOOKS
