"""Matrix and vector products.

Each product is linear in each operand, so every rule is a product of the same kind.
"""

import functools
import string

import numpy as np

from tinygrad_lab.core.arguments import beside
from tinygrad_lab.core.operations import composed, constant, defvjp, defvjp_variadic, primitive
from tinygrad_lab.core.rules.arguments import as_array, untracked
from tinygrad_lab.core.rules.linalg.matrices import mT
from tinygrad_lab.core.rules.mathematical.elementwise import conj

# A 1-D operand is a row on the left and a column on the right.


def matrix_product(a, b):
    """``a @ b`` of stacks of matrices; of columns and rows in a third of the time of a product."""
    is_outer = a.ndim > 2 < b.ndim and a.shape[-1] == 1 == b.shape[-2]
    return a * b if is_outer else a @ b


def _matmul_left(g, y, a, b):
    if b.ndim == 1:
        return g[..., None] * b
    if a.ndim == 1:
        return (b @ g[..., None])[..., 0]
    return matrix_product(g, mT(b))


def _matmul_right(g, y, a, b):
    if a.ndim == 1:
        return a.reshape((-1, 1)) * g[..., None, :] if b.ndim > 1 else a * g[..., None]
    if b.ndim == 1:
        return (mT(a) @ g[..., None])[..., 0]
    return matrix_product(mT(a), g)


defvjp(np.matmul, _matmul_left, _matmul_right)
composed(np.linalg.matmul, by=("x1", "x2"))(lambda x1, x2, /: np.matmul(x1, x2))


# Products of stacks of vectors.  As in NumPy, the row on the left is conjugated.


@composed(np.vecdot, np.linalg.vecdot, by=("x1", "x2"))
def vecdot(x1, x2, /, *, axis=-1):
    x1, x2 = as_array(x1), as_array(x2)
    left, right = (np.moveaxis(x, axis, -1) for x in (x1, x2))
    if left.shape[-1] != right.shape[-1]:
        raise ValueError(f"vectors of {left.shape[-1]} and of {right.shape[-1]} elements")
    return np.sum(conj(left) * right, axis=-1)


if hasattr(np, "matvec"):  # NumPy 2.2

    @composed(np.matvec, by=("x1", "x2"))
    def matvec(x1, x2, /):
        return np.matmul(x1, as_array(x2)[..., None])[..., 0]

    @composed(np.vecmat, by=("x1", "x2"))
    def vecmat(x1, x2, /):
        return np.matmul(conj(as_array(x1))[..., None, :], x2)[..., 0, :]


@composed(np.vdot, by=("a", "b"))
def vdot(a, b, /):
    return np.dot(conj(as_array(a).reshape(-1)), as_array(b).reshape(-1))


@composed(np.inner, by=("a", "b"))
def inner(a, b, /):
    a, b = as_array(a), as_array(b)
    return a * b if a.ndim == 0 or b.ndim == 0 else np.tensordot(a, b, (-1, -1))


@composed(np.outer, by=("a", "b"))
def outer(a, b, out=None):
    return as_array(a).reshape((-1, 1)) * as_array(b).reshape(-1)


@composed(np.linalg.outer, by=("x1", "x2"))
def np_outer(x1, x2, /):
    x1, x2 = as_array(x1), as_array(x2)
    if x1.ndim != 1 or x2.ndim != 1:
        raise ValueError(f"outer takes vectors, not shapes {x1.shape} and {x2.shape}")
    return np.outer(x1, x2)


@composed(np.kron, by=("a", "b"))
def kron(a, b):
    a, b = as_array(a), as_array(b)
    n = max(a.ndim, b.ndim)
    shape_a, shape_b = ((1,) * (n - x.ndim) + x.shape for x in (a, b))
    left = a.reshape(tuple(k for m in shape_a for k in (m, 1)))
    right = b.reshape(tuple(k for m in shape_b for k in (1, m)))
    return (left * right).reshape(tuple(j * k for j, k in zip(shape_a, shape_b)))


@composed(np.cross, by=("a", "b"))
def cross(a, b, axisa=-1, axisb=-1, axisc=-1, axis=None):
    if axis is not None:
        axisa = axisb = axisc = axis
    left, right = np.moveaxis(as_array(a), axisa, -1), np.moveaxis(as_array(b), axisb, -1)
    if left.shape[-1] != 3 or right.shape[-1] != 3:
        raise ValueError(f"a cross product is of vectors of 3, not {left.shape} and {right.shape}")
    x, y, z = (left[..., i] for i in range(3))
    u, v, w = (right[..., i] for i in range(3))
    return np.stack([y * w - z * v, z * u - x * w, x * v - y * u], axis=axisc)


@composed(np.linalg.cross, by=("x1", "x2"))
def np_cross(x1, x2, /, *, axis=-1):
    return np.cross(x1, x2, axis=axis)


# Contractions


def tensordot_axes(a, b, axes):
    """The contracted axes of each operand, none of them negative."""
    if np.ndim(axes) == 0:
        return list(range(a.ndim - axes, a.ndim)), list(range(axes))
    of_a, of_b = ([i] if np.ndim(i) == 0 else list(i) for i in axes)
    return [i % a.ndim for i in of_a], [i % b.ndim for i in of_b]


def _tensordot_left(g, y, a, b, axes=2):
    b = as_array(b)
    of_a, of_b = tensordot_axes(a, b, axes)
    free_a = [i for i in range(a.ndim) if i not in of_a]
    free_b = [i for i in range(b.ndim) if i not in of_b]
    # g's axes are a's free ones, then b's.  Contracting b's away leaves b's contracted axes, in
    # increasing order, in the place of a's.
    c = np.tensordot(g, b, (list(range(len(free_a), g.ndim)), free_b))
    stand_for = free_a + [of_a[of_b.index(i)] for i in sorted(of_b)]
    return np.transpose(c, tuple(int(i) for i in np.argsort(stand_for)))


def _tensordot_right(g, y, a, b, axes=2):
    a = as_array(a)
    of_a, of_b = tensordot_axes(a, b, axes)
    free_a = [i for i in range(a.ndim) if i not in of_a]
    free_b = [i for i in range(b.ndim) if i not in of_b]
    c = np.tensordot(a, g, (free_a, list(range(len(free_a)))))
    stand_for = [of_b[of_a.index(i)] for i in sorted(of_a)] + free_b
    return np.transpose(c, tuple(int(i) for i in np.argsort(stand_for)))


defvjp(np.tensordot, _tensordot_left, _tensordot_right)


@composed(np.linalg.tensordot, by=("x1", "x2"))
def tensordot(x1, x2, /, *, axes=2):
    return np.tensordot(x1, x2, axes)


def dot_axes(a, b):
    """np.dot as a tensordot: the last axis of a with the last but one of b (or its only one)."""
    return ([a.ndim - 1], [max(b.ndim - 2, 0)])


def _dot_left(g, y, a, b):
    b = as_array(b)
    if a.ndim == 0 or b.ndim == 0:
        return np.sum(g * b) if a.ndim == 0 else g * b
    return _tensordot_left(g, y, a, b, dot_axes(a, b))


def _dot_right(g, y, a, b):
    a = as_array(a)
    if a.ndim == 0 or b.ndim == 0:
        return np.sum(g * a) if b.ndim == 0 else g * a
    return _tensordot_right(g, y, a, b, dot_axes(a, b))


defvjp(np.dot, _dot_left, _dot_right)


# Einstein summation: the gradient by one operand is an einsum of the upstream and the others


@primitive
def einsum(subscripts, *operands, **kwargs):
    """Sum products of elements over the axes that ``subscripts`` name."""
    return np.einsum(subscripts, *operands, **kwargs)


@composed(np.einsum)
def np_einsum(*operands, out=None, optimize=False, **kwargs):
    if kwargs:
        raise TypeError(f"{', '.join(kwargs)}: only optimize= is differentiable")
    if not isinstance(operands[0], str):
        operands = _with_letters(operands)
    arrays = [as_array(o) for o in operands[1:]]
    dtype = np.result_type(*(a.dtype for a in arrays))  # sums of booleans would be truths
    arrays = [a.astype(dtype) if a.dtype.kind in "biu" else a for a in arrays]
    return einsum(operands[0], *arrays, optimize=optimize)


def _with_letters(operands):
    """Turn NumPy's other form, einsum(a, [0, 1], b, [1, 2], [0, 2]), into letters."""
    terms = [_letters(t) for t in operands[1::2]]
    text = ",".join(terms)
    if len(operands) % 2:
        return (f"{text}->{_letters(operands[-1])}", *operands[:-1:2])
    return (text, *operands[::2])


def _letters(term):
    return "".join("..." if i is Ellipsis else string.ascii_letters[i] for i in term)


def _einsum(argnum, g, y, subscripts, *operands, optimize=False):
    *terms, result = explicit_terms(subscripts, operands)
    own, x = terms[argnum - 1], operands[argnum - 1]
    factors = [(result, g)]
    factors += [(t, o) for i, (t, o) in enumerate(zip(terms, operands)) if i != argnum - 1]

    # An axis named twice is a diagonal: give the second its own name, tied to the first by an
    # identity matrix.  An axis that nothing else names was summed over, and one that has length one
    # everywhere else was broadcast over: spread it by ones.
    unused = iter(sorted(set(string.ascii_letters) - set("".join(terms) + result)))
    long = {c for t, o in factors for c, n in zip(t, o.shape) if n != 1}
    named, wanted = "".join(t for t, _ in factors), ""
    for axis, letter in enumerate(own):
        n = x.shape[axis]
        if letter in wanted:
            twin = next(unused)
            factors.append((letter + twin, beside(np.eye(n, dtype=x.dtype), g)))
            letter = twin
        elif letter not in named or (n != 1 and letter not in long):
            factors.append((letter, beside(np.ones(n, dtype=x.dtype), g)))
        wanted += letter
    text = ",".join(t for t, _ in factors) + "->" + wanted
    return np.einsum(text, *(o for _, o in factors), optimize=len(factors) > 2)


def explicit_terms(subscripts, operands):
    """Split subscripts into one term an operand and the result's, with no ellipsis left."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    unused = iter(sorted(set(string.ascii_letters) - set(subscripts), reverse=True))
    hidden = [
        o.ndim - len(t.replace("...", "")) if "..." in t else 0 for t, o in zip(terms, operands)
    ]
    names = "".join(next(unused) for _ in range(max(hidden, default=0)))
    expanded = [
        t.replace("...", names[len(names) - k :]) for t, k in zip(terms, hidden, strict=True)
    ]
    if arrow:
        return [*expanded, right.replace("...", names)]
    letters = "".join(terms).replace(".", "")
    once = sorted(c for c in set(letters) if letters.count(c) == 1)
    return [*expanded, names + "".join(once)]


defvjp_variadic(einsum, _einsum)


# Powers and chains


@composed(np.linalg.matrix_power)
def matrix_power(a, n):
    one = np.linalg.matrix_power(untracked(a), 0)  # and NumPy's refusals
    if n == 0:
        return one + 0 * a
    if n < 0:
        a, n = np.linalg.inv(a), -n
    result = None
    while n:
        if n % 2:
            result = a if result is None else result @ a
        n //= 2
        a = a @ a if n else a
    return result


@composed(np.linalg.multi_dot, lists=True)
def multi_dot(arrays, *, out=None):
    arrays = [as_array(a) for a in arrays]
    if len(arrays) < 2:
        raise ValueError("Expecting at least two arrays.")
    if arrays[-1].ndim == 1:  # from the vector's side, every product is a vector
        return functools.reduce(lambda right, left: np.dot(left, right), reversed(arrays))
    return functools.reduce(np.dot, arrays)


constant(np.einsum_path)
