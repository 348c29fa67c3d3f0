"""All parameters of a model as one vector, and back.

Not for: their values by name (``Module.state_dict``).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

import numpy as np

from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.core.levels import detached
from tinygrad_lab.core.tensor import Tensor

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Any:
    """Put parameters one behind the other, in order.

    Examples
    --------
    >>> from tinygrad_lab import nn
    >>> nn.utils.parameters_to_vector(nn.Linear(2, 3, rng=0).parameters()).shape
    (9,)
    """
    rows = [p.reshape(-1) for p in parameters]
    if not rows:
        raise ValueError("parameters_to_vector of no parameters")
    return np.concatenate(rows)


def vector_to_parameters(vec: Any, parameters: Iterable[Tensor]) -> None:
    """Give parameters the values in a vector, in order: all of them, or none.

    Raises
    ------
    ValueError
        The vector has more or fewer numbers than the parameters.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import nn
    >>> layer = nn.Linear(1, 2)
    >>> nn.utils.vector_to_parameters(np.arange(4.0), layer.parameters())
    >>> layer.bias
    Parameter([2., 3.], requires_grad=True)
    """
    targets, values = list(parameters), detached(vec)
    total = sum(prod(p.shape) for p in targets)
    if values.shape != (total,):
        raise ValueError(
            f"vector_to_parameters: a vector of shape {values.shape} for parameters of {total} "
            f"numbers: expected ({total},)"
        )
    changes, start = [], 0
    for p in targets:
        end = start + prod(p.shape)
        changes.append((setattr, p, "data", values[start:end].reshape(p.shape).astype(p.dtype)))
        start = end
    at_once(changes)
