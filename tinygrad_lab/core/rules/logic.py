"""Logic functions: comparisons and tests.  Their results are truths, which have no derivative."""

import numpy as np

from tinygrad_lab.core.operations import constant

constant(
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal,
    np.isclose, np.allclose, np.array_equal, np.array_equiv,
    np.logical_and, np.logical_or, np.logical_xor, np.logical_not, np.all, np.any,
    np.isfinite, np.isinf, np.isnan, np.isneginf, np.isposinf,
    np.isreal, np.iscomplex, np.isrealobj, np.iscomplexobj, np.isin,
)  # fmt: skip
