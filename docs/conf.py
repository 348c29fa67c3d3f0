"""Sphinx configuration: Markdown pages, and a reference made of the docstrings."""

import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import pages
import pytorch

import tinygrad_lab
from tinygrad_lab.core.rules.namespace import table

project = "tinygrad-lab"
author = "the tinygrad-lab authors"
copyright = "2026, the tinygrad-lab authors"
release = tinygrad_lab.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build", "reference/generated"]
html_theme = "furo"
html_title = "tinygrad-lab"
html_static_path = ["_static"]
html_css_files = ["messages.css"]

myst_enable_extensions = ["deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = False
napoleon_use_rtype = False


def write_operations(app: Any) -> None:
    """Write the lists that the package itself holds: NumPy's functions, PyTorch's words."""
    folder = Path(app.srcdir) / "reference" / "generated"
    folder.mkdir(exist_ok=True)
    (folder / "operations.md").write_text(table(), encoding="utf-8")
    (folder / "pytorch.md").write_text(pytorch.words(), encoding="utf-8")
    (folder / "pytorch-names.md").write_text(pytorch.markdown(), encoding="utf-8")


def write_walks(app: Any) -> None:
    """Write the pages to step through and to move in, beside the page that shows them."""
    if app.builder.format == "html":
        files = ("step.html", "interactive.html")
        pages.write_files(Path(app.srcdir) / "pictures.md", Path(app.outdir), files)


def point_to_numpy(_app: Any, what: str, _name: str, obj: Any, _options: Any, lines: list) -> None:
    """Say which NumPy function a method is, instead of repeating NumPy's page about it."""
    function = getattr(obj, "__wrapped__", obj)
    module = getattr(function, "__module__", None) or ""
    borrowed = isinstance(function, np.ufunc) or module.startswith("numpy")
    if borrowed and what in ("method", "attribute"):
        lines[:] = [f"As ``numpy.{function.__name__}``."]


def setup(app: Any) -> None:
    """Connect these to the build."""
    app.connect("builder-inited", write_operations)
    app.connect("builder-inited", write_walks)
    app.connect("autodoc-process-docstring", point_to_numpy)
