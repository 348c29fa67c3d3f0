"""Does an update rule go downhill?  A right gradient can still be used with the wrong sign.

Not for: whether the gradient is right (``check.py``), or how fast an optimizer converges.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.errors import name_of
from tinygrad_lab.testing.judging.arrays import Array
from tinygrad_lab.testing.judging.judgement import Kind, Reason, failed, passed
from tinygrad_lab.testing.telling.explain import enter
from tinygrad_lab.testing.telling.finding import GradReport, raise_for
from tinygrad_lab.testing.telling.pasted import shown
from tinygrad_lab.transforms.derivatives import value_and_grad

Update = Callable[[Sequence[Array], Sequence[Array], float], Sequence[Array]]
RATES = tuple(2.0**-k for k in range(8, 25, 4))


def check_descent(
    loss: Callable[..., Any],
    begin: Callable[[], Update],
    *parameters: Any,
    steps: int = 4,
    raises: bool = True,
) -> GradReport:
    """Check that the first steps of an update rule each lower the loss, if small enough.

    Parameters
    ----------
    loss : callable
        A function of Tensors that gives one number.
    begin : callable
        Makes an update rule with no memory yet (no momentum): a function
        ``update(parameters, gradients, rate)`` that gives the new parameters.
    *parameters
        Arrays of floats, not at a minimum.
    steps : int
        How many steps in a row are looked at.
    raises : bool
        Raise the finding; if not, it is in the report.

    Raises
    ------
    GradientError
        However small the rate, the loss goes up.

    Examples
    --------
    >>> import numpy as np
    >>> from tinygrad_lab import testing as tgt
    >>> def with_momentum(sign):
    ...     velocity = [0.0]
    ...     def update(parameters, gradients, rate):
    ...         velocity[0] = 0.9 * velocity[0] + rate * gradients[0]
    ...         return [parameters[0] + sign * velocity[0]]
    ...     return update
    >>> loss = lambda w: (w * w).sum()
    >>> tgt.check_descent(loss, lambda: with_momentum(-1), np.array([1.0, 2.0])).verdict
    'pass'
    >>> tgt.check_descent(loss, lambda: with_momentum(+1), np.array([1.0, 2.0]))
    Traceback (most recent call last):
      ...
    tinygrad_lab.testing.GradientError: with_momentum...update, step 1 goes uphill...
    """
    start = [np.array(x, dtype=np.float64) for x in parameters]
    report = GradReport(name_of(begin), inputs=f"from: {', '.join(shown(x) for x in start)}")
    report.name = getattr(begin(), "__qualname__", report.name).replace(".<locals>.", "...")
    derived = value_and_grad(loss, argnums=tuple(range(len(start))))
    uphill: list[int] = []
    for rate in RATES:
        update, moved = begin(), [x.copy() for x in start]
        values = []
        for _ in range(steps + 1):
            value, gradients = derived(*moved)
            values.append(float(value))
            before = [x.copy() for x in moved]
            moved = [np.asarray(x) for x in update(before, [np.array(g) for g in gradients], rate)]
        changes = np.diff(values)
        noise = 8 * np.finfo(np.float64).eps * max(map(abs, values))
        uphill = [k for k, change in enumerate(changes) if not change < -noise]
        if not uphill:
            enter(report, "descent", passed(reason=Reason.AT_RATE, rate=rate))
            return report
        if np.all(np.abs(changes) < 1e3 * noise):
            break
    k = uphill[0]
    facts: dict[str, Any] = {"rises": True} if changes[k] > 0 else {}
    facts |= {"step": k + 1, "rate": rate, "loss": values[k], "change": float(changes[k])}
    enter(report, "descent", failed(Kind.UPHILL, **facts))
    if raises:
        raise_for(report)
    return report
