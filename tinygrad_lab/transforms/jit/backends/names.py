"""Names in the text of a function that runs a program: of values, of constants; and its guards.

Not for: names that people read (``source.py``).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_lab.transforms.jit.program import (
    GuardFailed,
    Instruction,
    Ref,
    expect,
    expect_shape,
)

__all__ = ["Named"]


class Named:
    """Writes text in which a value is ``v`` and its number, and a constant has a name in a space.

    Parameters
    ----------
    space : dict
        What the text may call, by name.
    """

    def __init__(self, space: dict[str, Any]) -> None:
        self.space: dict[str, Any] = {
            "np": np, "GuardFailed": GuardFailed, "errstate": np.errstate, "shape": np.shape,
            **space,
        }  # fmt: skip

    def refer(self, ref: Ref) -> str:
        """Name a value."""
        return f"v{ref.number}"

    def constant(self, value: Any) -> str:
        """Name a constant."""
        if value is None or type(value) in (bool, int, str):
            return repr(value)
        if isinstance(value, slice):
            return f"slice({', '.join(map(self.constant, (value.start, value.stop, value.step)))})"
        for name, other in self.space.items():
            if other is value:
                return name
        name = f"k{len(self.space)}"
        self.space[name] = value
        return name

    def guard(self, line: Instruction) -> str | None:
        """Write a line that only looks at a value; None for others."""
        if line.op is expect:
            return f"if {'not ' * bool(line.args[1])}{self.refer(line.args[0])}: raise GuardFailed"
        if line.op is expect_shape:
            return f"if shape({self.refer(line.args[0])}) != {line.args[1]!r}: raise GuardFailed"
        return None
