"""Pictures out of the code that shows them: blocks of a page, and cells of a notebook.

A picture of a graph stands on a page below the block that makes it, so that neither can be without
the other: the value of the block's last line is drawn into the file that the page shows.

Not for: pictures whose code no page shows (``draw.py``, ``plots.py``).
"""

from __future__ import annotations

import ast
import base64
import contextlib
import io
import re
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from tinygrad_lab.viz.drawing import Drawing

BLOCK = re.compile(r"^```python\n(.*?)^```$\n*((?:!\[[^\]]*\]\([^)]+\)\n*)*)", re.M | re.S)
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)]+)\)")

# Numbers of a picture in a notebook: a palette of so many colours is a third of the bytes.
_COLOURS = 128


def draw_page(page: Path) -> None:
    """Run the blocks of a page in turn, and draw the pictures that stand below them."""
    with tempfile.TemporaryDirectory() as folder, _quietly_in(Path(folder)):
        for value, targets in values(page):
            for target in targets:
                if isinstance(value, Drawing):
                    value.save(page.parent / target)


def values(page: Path) -> Iterator[tuple[Any, list[str]]]:
    """Run the blocks of a page, and give the value of each, and the pictures below it."""
    namespace: dict[str, Any] = {}
    for code, targets in blocks(page):
        yield last_value(code, namespace), targets


def blocks(page: Path) -> Iterator[tuple[str, list[str]]]:
    """Give the blocks of a page, and the pictures below each."""
    for match in BLOCK.finditer(page.read_text(encoding="utf-8")):
        yield match[1], PICTURE.findall(match[2])


def write_files(page: Path, folder: Path, names: Collection[str]) -> None:
    """Run the blocks of a page in a folder until these files lie there."""
    folder.mkdir(parents=True, exist_ok=True)
    waiting = [folder / name for name in names]
    for file in waiting:
        file.unlink(missing_ok=True)
    with _quietly_in(folder):
        for _ in values(page):
            if all(file.exists() for file in waiting):
                return


@contextlib.contextmanager
def _quietly_in(folder: Path) -> Iterator[None]:
    """What is run writes its files there, and prints nothing."""
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        yield


def last_value(code: str, namespace: dict[str, Any]) -> Any:
    """Run code, and give the value of its last line, as a notebook does."""
    *before, last = ast.parse(code).body
    if not isinstance(last, ast.Expr):
        exec(compile(code, "<page>", "exec"), namespace)
        return None
    exec(compile(ast.Module(before, []), "<page>", "exec"), namespace)
    return eval(compile(ast.Expression(last.value), "<page>", "eval"), namespace)


def draw_notebook(path: Path, folder: Path) -> None:
    """Run a notebook, and keep its results in it, and its pictures in files by the names of cells.

    What is kept is what viewers of notebooks show: an SVG and a PNG. They show no page that has
    scripts, but the picture beside it instead; and a PDF is for printing.
    """
    import nbclient
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=120, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)  # when it was
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/png" in data:
                png = small(base64.b64decode(data["image/png"]))
                data["image/png"] = base64.b64encode(png).decode()
                name = folder / f"gallery-{cell.id}"
                if "image/svg+xml" in data:
                    name.with_suffix(".svg").write_text(data["image/svg+xml"], encoding="utf-8")
                elif "text/html" not in data:
                    name.with_suffix(".png").write_bytes(png)
            for kind in ("text/html", "application/pdf"):
                data.pop(kind, None)
    nbformat.write(notebook, path)


def small(png: bytes) -> bytes:
    """Give a picture in a palette of few colours."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    if len(picture.getcolors(1 << 24) or ()) > _COLOURS:
        picture = picture.quantize(_COLOURS, dither=Image.Dither.NONE)
    small = io.BytesIO()
    picture.save(small, "PNG", optimize=True)
    return small.getvalue()
