"""What the checker says where it fails, for the tests that look at it."""

from __future__ import annotations

from typing import Any

import pytest

from tinygrad_lab import testing as tgt


def failure(fn: Any, *inputs: Any, **kwargs: Any) -> tgt.GradientError:
    """The error that a check raises."""
    with pytest.raises(tgt.GradientError) as caught:
        tgt.gradcheck(fn, *inputs, **kwargs)
    return caught.value


def finding(fn: Any, *inputs: Any, **kwargs: Any) -> Any:
    """What the error is about."""
    return failure(fn, *inputs, **kwargs).finding
