"""The catalogue of calls, which is part of the package: ``tinygrad_lab.testing.catalogue``."""

from tinygrad_lab.testing.catalogue import (
    CASES,
    Call,
    arrays,
    axes,
    indices,
    layouts,
    mixed_layouts,
    name_of,
    shapes,
)

__all__ = [
    "CASES",
    "Call",
    "arrays",
    "axes",
    "indices",
    "layouts",
    "mixed_layouts",
    "name_of",
    "shapes",
]
