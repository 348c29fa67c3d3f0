"""The catalogue of calls, which is part of the package: ``tinygrad_lab.testing.catalogue``."""

from tinygrad_lab.testing.catalogue import CASES, Call, layouts, mixed_layouts, name_of

__all__ = ["CASES", "Call", "layouts", "mixed_layouts", "name_of"]
