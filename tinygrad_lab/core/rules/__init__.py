"""The derivative table, under the headings of NumPy's documentation.  Importing it fills the table.

A rule is plain NumPy: whatever speaks NumPy's protocols flows through it.  It is written for one
argument, as ``(g, y, *args, **kwargs)``: ``g`` the upstream gradient, ``y`` the result, and then
the operation's own arguments.

What NumPy itself spells in other functions is *composed* of them here too, and needs no rule.
"""

from tinygrad_lab.core.rules import (  # noqa: F401 - imported for their entries in the table
    creation,
    fft,
    functional,
    indexing,
    logic,
    manipulation,
    namespace,
    padding,
    polynomials,
    sorting,
    statistics,
)
from tinygrad_lab.core.rules.linalg import (  # noqa: F401
    decompositions,
    eigenvalues,
    norms,
    products,
    solving,
)
from tinygrad_lab.core.rules.mathematical import (  # noqa: F401
    elementwise,
    extrema,
    sequences,
    sums,
)
