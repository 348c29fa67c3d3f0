"""The catalogue of sorting and of choosing by a condition."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tinygrad_lab.testing.inputs.calls import ENOUGH, Call, arrays, broadcasting, shapes
from tinygrad_lab.testing.inputs.catalogue.families import each, family, table, variants


@family
def sortings(draw: Any, op: Any) -> Call:
    """Elements that are all different, along any axis."""
    shape = draw(shapes())
    axes = [{}, *each(axis=[0, -1, None])]
    kwargs = draw(st.sampled_from(axes if shape else axes[-1:]))
    x = draw(arrays(shape, ENOUGH, unique=True))
    return Call(f"{op.__name__}(x, {kwargs})", lambda x: op(x, **kwargs), [x])


@family
def masked(draw: Any, op: Any) -> Call:
    """A mask that is constant, and two operands."""
    a, b, condition = draw(broadcasting(3))
    mask = draw(arrays(condition, [0.0, 1.0])).astype(bool)
    f = lambda x, z: op(mask, x, z)
    return Call(f"where({mask!r}, x, x)", f, (draw(arrays(a)), draw(arrays(b))))


CASES = table({
    np.sort: sortings(),
    np.sort_complex: variants(
        [((4,),)], through=lambda op, x: np.imag(op(x) * (1 + 2j)), unique=True
    ),
    np.partition: variants(
        [((3, 4),), ((4, 4),)], [{"kth": 1}, {"kth": [0, 2], "axis": 0}], unique=True
    ),
    np.where: masked(),
    np.extract: variants(
        [((3, 4),)], through=lambda op, x: op(np.arange(12).reshape(3, 4) % 3 == 1, x)
    ),
})  # fmt: skip
