"""Who else holds this array?  Asked in the two places where writing in place is tempting.

The engine hands a gradient to a leaf without copying it, and an optimizer writes a parameter in
place, only when nobody else can see the array.  Python counts references anyway, so asking costs
nothing on the forward pass and needs no version counters: whoever recorded an array in a graph
holds a reference to it, and keeps the values it saw.
"""

from sys import getrefcount
from types import SimpleNamespace
from typing import Any

import numpy as np


def _references(array: Any) -> int:
    return getrefcount(array)


_variable, _owner = np.empty(0), SimpleNamespace(data=np.empty(0))
#: What one owner looks like on this interpreter: a variable, or an attribute.
_UNSHARED = min(_references(_variable), _references(_owner.data))


def is_shared(array: Any) -> bool:
    """Tell whether anybody but its one owner (a variable or an attribute) can see ``array``.

    Views count as shared, because their memory belongs to another array, and so does whatever is
    not a NumPy array.  Call it on the owner's own expression: ``is_shared(parameter.data)``.
    """
    return type(array) is not np.ndarray or getrefcount(array) > _UNSHARED or array.base is not None
