"""Every notebook runs from top to bottom in a kernel of its own."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

#: What takes long is shorter here: a text of a cell, and what stands in its place.
SHORTENED = {
    "04_digits": ("EPOCHS = 8", "EPOCHS = 2"),
    "05_from_and_to_pytorch": ("for _ in range(4):", "for _ in range(1):"),
    "06_a_transformer_in_an_hour": ("STEPS, BATCH = 420, 16", "STEPS, BATCH = 20, 16"),
    "07_seeing_graphs": ('"epochs": 50', '"epochs": 3'),
    "08_the_two_reports": ("EPOCHS_A, EPOCHS_B = 10_000, 9_000", "EPOCHS_A, EPOCHS_B = 40, 40"),
    "09_a_sweep": ("epochs = 400", "epochs = 40"),
}


@pytest.mark.notebook
# The kernel's own packages warn about sockets and event loops while they start and stop.
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path, tmp_path, monkeypatch):
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    long, short = SHORTENED.get(path.stem, ("", ""))
    if long:
        [cell] = [cell for cell in notebook.cells if long in cell.source]
        cell.source = cell.source.replace(long, short)
    client = nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    )
    client.execute()  # raises, with the cell and its traceback, at the first error
    complaints = [
        output["text"]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    ]
    assert complaints == []


def test_there_is_a_notebook():
    assert NOTEBOOKS
