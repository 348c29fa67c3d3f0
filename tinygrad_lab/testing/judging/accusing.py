"""What a function is accused of when it raises an error, and the line in which it did.

Not for: what else may be wrong with it (``properties``).
"""

from __future__ import annotations

import os
import traceback
from typing import Any

from tinygrad_lab.testing.judging.judgement import NOWHERE, Kind, Misbehaved, Site, line_at

_LIBRARIES = ("torch", "jax", "jaxlib", "autograd")
_NOT_THE_READERS = (
    os.sep + "tinygrad_lab" + os.sep, os.sep + "numpy" + os.sep,
    *(f"{os.sep}site-packages{os.sep}{library}{os.sep}" for library in _LIBRARIES),
)  # fmt: skip


class accusing:  # noqa: N801 - used as a function is
    """Take an error that is raised for a fault of the function: for ``writes`` if by writing."""

    def __init__(self, writes: Kind, **facts: Any) -> None:
        self.writes, self.facts = writes, facts

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: Any, error: BaseException | None, __: Any) -> None:
        if isinstance(error, Misbehaved) or not isinstance(error, Exception):
            return
        kind = self.writes if is_a_write(error) else Kind.RAISES
        raise Misbehaved(kind, line_of(error), error=error, **self.facts) from error


def is_a_write(error: BaseException) -> bool:
    """Whether an error is NumPy's about a line that writes into a read-only array."""
    return isinstance(error, ValueError) and "read-only" in str(error)


def line_of(error: BaseException) -> Site:
    """Find the innermost line that is not ours nor a library's, if there is one."""
    chain: BaseException | None = error
    last, visited = None, set()
    while chain is not None and id(chain) not in visited:  # a cause may be an error's own
        visited.add(id(chain))
        for frame in traceback.extract_tb(chain.__traceback__):
            is_made = frame.filename == "<string>"  # such as the __init__ of a dataclass
            if not is_made and not any(folder in frame.filename for folder in _NOT_THE_READERS):
                last = frame
        chain = chain.__cause__
    if last is None:
        return NOWHERE
    return Site(line=line_at(last.filename, last.lineno or 0), source=last.line or "")
