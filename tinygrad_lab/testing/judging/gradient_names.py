"""What people call gradients: ``dW``, ``grad_W``, ``W_grad``, ``dL_dW`` are all the one by ``W``.

Not for: finding the arrays that have such names (``adapters/holders.py``, ``telling/audit.py``).
"""

from __future__ import annotations

import re
from collections.abc import Collection

PREFIXES = (
    "dl_d_", "dl_d", "dj_d", "dloss_d", "d_loss_d_", "dldx_", "dld", "djd", "dc_d", "dcd", "de_d",
    "gradient_of_", "gradient_", "gradients_", "grad_", "grads_", "grad", "gradient",
    "delta_", "delta", "nabla_", "nabla", "bar_", "d_", "g_", "d", "g", "∂",
)  # fmt: skip
SUFFIXES = (
    "_gradients", "_gradient", "_grads", "_grad", "_delta", "_deriv", "_derivative", "_bar", "_d",
    "gradient", "grads", "grad", "delta",
)  # fmt: skip

#: Words for one thing: a class may have ``weights`` and ``dW``.
SYNONYMS = (
    ("w", "weight", "weights", "kernel", "kernels"),
    ("b", "bias", "biases"),
    ("x", "input", "inputs", "layer_input", "x_in", "inp"),
    ("y", "output", "outputs", "out", "layer_output"),
)

#: What holds gradients of many variables by name, or by number.
_HOLDER = re.compile(r"(?i:grad|deriv|delta|nabla)|^dparam|^d[A-Z_]|^d[wb]s?$")


def variable_of(name: str, variables: Collection[str]) -> str | None:
    """Find which of some variables a gradient is the gradient by, from its name.

    Examples
    --------
    >>> variable_of("dW1", ["W1", "W2"]), variable_of("grad_bias", ["bias"])
    ('W1', 'bias')
    >>> variable_of("dW", ["weights"]), variable_of("delta", ["weights"])
    ('weights', None)
    """
    lowered = {variable.lower(): variable for variable in variables}
    rests = _rests(name.lower())
    for rest in rests:
        if rest in lowered:
            return lowered[rest]
    for rest in rests:
        for words in SYNONYMS:
            if rest in words:
                same = [lowered[word] for word in words if word in lowered]
                if len(same) == 1:
                    return same[0]
    return None


def _rests(name: str) -> list[str]:
    """List what a name may be the gradient by, the longest prefix taken off first."""
    rests = [name[len(p) :] for p in PREFIXES if name.startswith(p)]
    rests += [name[: -len(s)] for s in SUFFIXES if name.endswith(s)]
    return [rest.strip("_") for rest in rests if rest.strip("_")]


def is_weight(path: str) -> bool:
    """Whether a path has the name of what is learned: W, b2, weights, kernel, bias."""
    holder, name = split(path)
    name = last_name(holder) if name.isdigit() else name  # one of a list of them
    plain = name.lower().rstrip("0123456789").strip("_")
    return any(plain in words for words in SYNONYMS[:2])


def key_of(name: str, gradients: Collection[str]) -> str | None:
    """Find which of some gradients is the one by a variable: by the same name, or one made of it.

    Examples
    --------
    >>> key_of("params['W1']", ["dW1", "db1"]), key_of("b", ["W", "b"])
    ('dW1', 'b')
    """
    last = last_name(name)
    exact = [key for key in gradients if key in (name, last)]
    derived = [key for key in gradients if variable_of(str(key), [last])]
    return next(iter(exact + derived), None)


def last_name(path: str) -> str:
    """Give the last attribute or key of a path: ``params['W1']`` ends with W1."""
    return split(path)[1]


def split(path: str) -> tuple[str, str]:
    """Divide a path into that of the holder, and the last name or key."""
    if path.endswith("]"):
        start = path.rindex("[")
        return path[:start], path[start + 1 : -1].strip("'\"")
    holder, _, name = path.rpartition(".")
    return holder, name


def holds_gradients(name: str) -> bool:
    """Whether a dict or list of this name holds gradients.

    Examples
    --------
    >>> [holds_gradients(name) for name in ("grads", "derivatives", "dparams", "params", "data")]
    [True, True, True, False, False]
    """
    return _HOLDER.search(name) is not None
