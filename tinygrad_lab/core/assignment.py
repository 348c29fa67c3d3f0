"""Assignment to elements: ``t[i] = v`` makes a new value, and a row of them makes only one.

A tensor is a value: a call that recorded it keeps what it saw.  Where nobody has recorded or looked
at a tensor since its last assignment, nobody can notice that the next one is written into the same
array and joins the same node.  So a loop that fills a tensor costs what it writes.

Not for: the derivative of an assignment (``rules/indexing.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tinygrad_lab.core.arguments import ORDERLY
from tinygrad_lab.core.engine import Node, extend
from tinygrad_lab.core.modes import IGNORE, WATCH, current_mode
from tinygrad_lab.core.ownership import copied, is_held_elsewhere, is_shared
from tinygrad_lab.core.rules.indexing import setitem

if TYPE_CHECKING:
    from tinygrad_lab.core.tensor import Tensor


def join(tensor: Tensor, value: Any, parent: Node | None, index: Any) -> bool:
    """Assign a plain value in place if nobody else sees the array; tell whether that was so."""
    mode = current_mode()
    if mode is WATCH or type(value) not in ORDERLY:
        return False
    if tensor.node is None or mode is IGNORE:
        is_new = parent is not None and mode is not IGNORE  # history, to be recorded
        return not is_new and not is_shared(tensor.data) and _written(tensor.data, value, index)
    if (
        tensor.node.op is not setitem
        or tensor.node.parents is None
        or tensor.node.hooks is not None
        or is_held_elsewhere(tensor.node)
        or is_shared(tensor.data, owners=2)  # the tensor and its node
        or not _written(tensor.data, value, index)
    ):
        return False
    extend(tensor.node, copied(value), parent)
    tensor.node.kwargs["places"].append(copied(index))
    return True


def _written(array: Any, value: Any, index: Any) -> bool:
    try:
        array[index] = value
    except Exception:  # noqa: BLE001 - the recorded call meets it again, and explains it
        return False
    return True
