"""Sphinx configuration: Markdown pages, and a reference made of the docstrings."""

import importlib.metadata

project = "tinygrad-lab"
author = "the tinygrad-lab authors"
copyright = "2026, the tinygrad-lab authors"
release = importlib.metadata.version("tinygrad-lab")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
]
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "tinygrad-lab"
html_static_path = ["_static"]

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
