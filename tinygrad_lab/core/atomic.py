"""Change several things at once: an interrupt comes before all of the changes or after them.

Python looks for Ctrl-C between the instructions of Python code, and nowhere else.  So changes are
listed first, each a call of a function written in C (``setattr``, a NumPy function with a place for
its result, ``dict.update``), and then made by one loop that is written in C too.

Not for: changes that may fail; whatever can go wrong is found out before.
"""

from collections import deque
from collections.abc import Iterable
from itertools import starmap
from operator import call
from typing import Any


def at_once(changes: Iterable[tuple[Any, ...]]) -> None:
    """Make the ``changes``, in order: each a function of C and its arguments.

    If there is arithmetic in them, it must be silent, ``np.errstate(all="ignore")``: a warning is
    Python code, and may be made an error.
    """
    changes = tuple(changes)  # if making one of them is Python code, it is run here
    deque(starmap(call, changes), maxlen=0)
