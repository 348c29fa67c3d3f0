"""The derivative table, one file a family.  Importing it fills the table.

A rule is plain NumPy: whatever speaks NumPy's protocols flows through it.  It is written for one
argument, as ``(g, y, *args, **kwargs)``: ``g`` the upstream gradient, ``y`` the result, and then
the operation's own arguments.
"""

from tinygrad_lab.core.rules import (  # noqa: F401 - imported for their entries in the table
    arranging,
    choosing,
    decompositions,
    differences,
    elementwise,
    fft,
    indexing,
    linalg,
    namespace,
    norms,
    polynomials,
    reductions,
    shaping,
    statistics,
)
