"""What Hypothesis calls when it is imported, so that ``st.from_type(tl.Tensor)`` works.

Not for: the strategies themselves (``strategies.py``), which are loaded when first drawn from.
"""

from __future__ import annotations

from typing import Any


def register() -> None:
    """Tell Hypothesis how Tensors are made."""
    from hypothesis import strategies as st

    from tinygrad_lab.core.tensor import Tensor

    def tensors_of(kind: Any) -> st.SearchStrategy[Tensor]:
        from tinygrad_lab.testing.inputs.strategies import tensors

        arrays = tensors().map(lambda drawn: drawn[0])
        return st.builds(kind, arrays, requires_grad=st.booleans())

    st.register_type_strategy(Tensor, tensors_of)
