"""The catalogue of sorting."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_lab.testing.inputs.calls import ENOUGH, Call, arrays, shapes
from tinygrad_lab.testing.inputs.catalogue.families import each, family, table, variants


@family
def sortings(draw: Any, op: Any) -> Call:
    """Elements that are all different, along any axis."""
    shape = draw(shapes())
    axes = [{}, *each(axis=[0, -1, None])]
    kwargs = draw(st.sampled_from(axes if shape else axes[-1:]))
    x = draw(arrays(shape, ENOUGH, unique=True))
    return Call(f"{op.__name__}(x, {kwargs})", lambda x: op(x, **kwargs), [x])


CASES = table({
    np.sort: sortings(),
    np.sort_complex: variants(
        [((4,),)], through=lambda op, x: np.imag(op(x) * (1 + 2j)), unique=True
    ),
    np.partition: variants(
        [((3, 4),), ((4, 4),)], [{"kth": 1}, {"kth": [0, 2], "axis": 0}], unique=True
    ),
})  # fmt: skip
