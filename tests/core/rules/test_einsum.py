"""Einstein summation with everything NumPy allows: lengths of one, diagonals, ellipses, lists.

The sum is linear in each operand, so its gradient by one is the sum of unit arrays in its place.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tinygrad_lab as tl
from tinygrad_lab.testing.inputs.calls import arrays

LENGTHS = {"i": 2, "j": 3, "k": 2}


@st.composite
def summations(draw: Any) -> tuple[str, list[Any]]:
    """Subscripts and operands, in which any axis may have length one, hidden ones as well."""
    hidden = draw(st.sampled_from([None, (), (2,), (3, 2)]))
    terms, operands = [], []
    for _ in range(draw(st.integers(1, 3))):
        letters = draw(st.lists(st.sampled_from("ijk"), max_size=3))
        shortened = draw(st.sets(st.sampled_from("ijk")))
        shape = [1 if c in shortened else LENGTHS[c] for c in letters]
        text = "".join(letters)
        if hidden is not None and draw(st.booleans()):
            at, dropped = draw(st.integers(0, len(text))), draw(st.integers(0, len(hidden)))
            text = f"{text[:at]}...{text[at:]}"
            shape[at:at] = [draw(st.sampled_from([n, 1])) for n in hidden[dropped:]]
        terms.append(text)
        operands.append(draw(arrays(tuple(shape))))
    subscripts = ",".join(terms)
    if draw(st.booleans()):
        result = draw(st.permutations(sorted(set(subscripts) & set("ijk"))))
        kept_axes = "".join(result[: draw(st.integers(0, len(result)))])
        subscripts += f"->{'...' if '...' in subscripts else ''}{kept_axes}"
    return subscripts, operands


def check(f: Any, operands: list[Any]) -> None:
    y = f(*operands)
    upstream = np.cos(np.arange(y.size)).reshape(y.shape)
    leaves = [tl.tensor(x, requires_grad=True) for x in operands]
    ours = f(*leaves)
    np.testing.assert_allclose(ours.data, y, atol=1e-12)
    for i, gradient in enumerate(tl.gradients(ours, leaves, upstream)):
        expected = np.zeros_like(operands[i])
        for place in np.ndindex(expected.shape):
            unit = np.zeros_like(expected)
            unit[place] = 1
            expected[place] = np.sum(f(*operands[:i], unit, *operands[i + 1 :]) * upstream)
        np.testing.assert_allclose(gradient, expected, atol=1e-12)


@given(case=summations(), optimize=st.booleans())
def test_every_summation(case: Any, optimize: bool):
    subscripts, operands = case
    try:
        np.einsum(subscripts, *operands)
    except ValueError:  # one axis named twice, of two lengths
        return
    check(lambda *x: np.einsum(subscripts, *x, optimize=optimize), operands)


@pytest.mark.parametrize(
    ("f", "shapes"),
    [
        (lambda a, b: np.einsum("i,i", a, b), [(2,), (1,)]),
        (lambda a, b: np.einsum(a, [0, 1], b, [1]), [(2, 3), (1,)]),
        (lambda a, b: np.einsum(a, [Ellipsis, 1], b, [1], [Ellipsis]), [(2, 1), (3,)]),
        (lambda a, b: np.einsum(a, [0, 0], b, [0, 1], [1]), [(1, 1), (3, 2)]),
    ],
)
def test_lengths_of_one(f: Any, shapes: Any):
    check(f, [np.arange(1.0, 1 + np.prod(shape)).reshape(shape) for shape in shapes])
