"""Padding, in all modes."""

from __future__ import annotations

from tests.nn.cases import Case, apart, grid

X1, X2, X3 = apart(2, 4), apart(1, 2, 3, 4), apart(1, 1, 3, 2, 4)
CASES = [
    *grid("pad", X2, pad=[(1, 2), (0, 1, 2, 0), (-1, 2, 1, -2), (1, 0, 0, 0, 2, 1)],
          mode=["constant"], value=[None, 2.5]),
    *grid("pad", X2, pad=[(3, 1, 0, 2), (-1, 2, 1, -1), (-1, -1, 0, 0)],
          mode=["reflect", "replicate", "circular"]),
    *grid("pad", X3, pad=[(3, 2, 1, 0, 2, 1)], mode=["reflect", "replicate", "circular"]),
    *grid("pad", X1, pad=[(2, 3)], mode=["reflect", "replicate", "circular"]),
    Case("ConstantPad1d", (X1,), (1, -2.0)),
    Case("ConstantPad2d", (X2,), ((1, -1, 0, 2), 3.5)),
    Case("ConstantPad3d", (X3,), (1, 3.5)),
    *(Case(f"{kind}Pad{n}d", (x,), (width,))
      for kind in ("Zero", "Reflection", "Replication", "Circular")
      for n, x, width in ((1, X1, 2), (2, X2, (2, 1, 0, 1)), (3, X3, 1))),
]  # fmt: skip
