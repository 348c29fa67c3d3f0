"""The rest of NumPy's namespace: every public function is on one of four lists, and none is lost.

Differentiable functions are in the families' files.  Here are those that are *constant* (their
results are not floats, or do not change with small changes of the arguments), those that are *not
supported* (they say why), and those that *take no array* of floats.  :func:`kind` tells which list
a function is on, :func:`table` writes all four down.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from tinygrad_lab.core.operations import (
    OPERATIONS,
    Operation,
    composed,
    constant,
    no_array,
    refused,
)
from tinygrad_lab.core.rules import manipulation  # noqa: F401 - for its entries, used below
from tinygrad_lab.core.rules.mathematical import sums  # noqa: F401 - and theirs

__all__ = ["KINDS", "kind", "public_functions", "table"]

Function = Callable[..., object]


def _named(*names: str) -> list[Function]:
    """The functions of these names, as far as this version of NumPy has them."""
    paths = [name.rpartition(".") for name in " ".join(names).split()]
    homes = [(getattr(np, family) if family else np, name) for family, _, name in paths]
    return [getattr(home, name) for home, name in homes if hasattr(home, name)]


for _function, _new_name in (("row_stack", np.vstack), ("trapz", np.trapezoid)):
    for _old_name in _named(_function):  # NumPy warns, and calls the new one
        _known = OPERATIONS[_new_name]
        composed(_old_name, by=_known.by, lists=_known.lists)(_new_name)

# Not of floats, or about an array rather than of its values

constant(
    *_named(
        "bitwise_and bitwise_or bitwise_xor invert left_shift right_shift bitwise_count gcd lcm",
        "in1d packbits unpackbits ravel_multi_index unravel_index",
        "common_type min_scalar_type array2string array_repr array_str",
    )
)

# Not supported

refused(
    "makes a plain array, and would lose the gradient of a tracked tensor t. Use t as it is, or "
    "np.stack([t, ...]); for plain values say t.detach()",
    *_named(
        "asarray asanyarray ascontiguousarray asfortranarray asarray_chkfinite require",
        "asmatrix bmat nested_iters",
    ),
)
refused(
    "writes to a file, which keeps no gradient: say t.detach()",
    *_named("save savez savez_compressed savetxt"),
)
refused(
    "has no derivative, because which elements stay depends on which are equal. Pick them by "
    "position, as in t[np.unique(t.detach(), return_index=True)[1]], or say t.detach()",
    *_named(
        "unique unique_all unique_counts unique_inverse unique_values",
        "intersect1d union1d setdiff1d setxor1d",
    ),
)
refused(
    "counts, and counts do not change with the values. For weighted counts say np.histogram or "
    "np.bincount; for plain ones t.detach()",
    np.histogram2d,
    np.histogramdd,
)
refused(
    "writes into its argument, and tensors are values: say t[i] = v, which rebinds t, or np.where; "
    "for plain values say t.detach()",
    *_named("copyto put put_along_axis putmask place fill_diagonal"),
    in_place=True,
)

# Given sizes, types, text, files or settings; they make an array or none

no_array(
    *_named(
        "arange bartlett base_repr binary_repr blackman broadcast_shapes busday_count",
        "busday_offset datetime_as_string datetime_data diag_indices empty eye",
        "format_float_positional format_float_scientific from_dlpack fromfile frombuffer",
        "fromfunction fromiter frompyfunc fromregex fromstring full genfromtxt get_include",
        "get_printoptions getbufsize geterr geterrcall hamming hanning identity indices info",
        "is_busday isdtype isfortran isnat isscalar issubdtype iterable kaiser load loadtxt",
        "mask_indices mintypecode ones printoptions promote_types set_printoptions setbufsize",
        "seterr seterrcall show_config show_runtime test tri tril_indices triu_indices typename",
        "zeros linalg.test fft.fftfreq fft.rfftfreq fft.test",
    )
)

KINDS = {
    "differentiable": "With a derivative",
    "constant": "Piecewise constant or not of floats: they give plain arrays",
    "not supported": "Not supported: they refuse a tracked tensor, and say why",
    "no array": "They take no array of floats",
}


def public_functions() -> Iterator[tuple[str, Function]]:
    """Every public function of NumPy's main namespace, ``linalg`` and ``fft``, by its name."""
    for prefix, family in (("", np), ("linalg.", np.linalg), ("fft.", np.fft)):
        for name in sorted(set(dir(family))):
            function = None if name.startswith("_") else getattr(family, name)
            if callable(function) and not isinstance(function, type):
                yield prefix + name, function


def kind(operation: Operation) -> str:
    """Which of :data:`KINDS` an operation is."""
    if operation.constant:
        return "constant"
    if operation.refusal is not None:
        return "not supported"
    return "no array" if operation.no_array else "differentiable"


def table() -> str:
    """The four lists, in Markdown."""
    functions = [(name, kind(OPERATIONS[function])) for name, function in public_functions()]
    lists = {
        title: ", ".join(f"`np.{name}`" for name, own in functions if own == key)
        for key, title in KINDS.items()
    }
    return "\n".join(f"{title}\n: {names}\n" for title, names in lists.items())
