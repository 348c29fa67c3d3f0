"""Derivatives as functions: nothing here touches any tensor's ``.grad``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_lab.core.engine import propagate
from tinygrad_lab.core.tensor import Tensor, from_node, start

__all__ = ["gradients"]


def gradients(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    upstream: Any = None,
    *,
    create_graph: bool = False,
    retain_graph: bool | None = None,
) -> Any:
    """Compute the gradients of ``outputs`` with respect to ``inputs``, leaves or intermediates.

    Parameters
    ----------
    outputs, inputs : Tensor or sequence of Tensor
        Where to start and where to stop.
    upstream : array_like or sequence of array_like, optional
        One for each output, of its shape; may be left out where the output has one element.
    create_graph : bool
        Return Tensors that can be differentiated again, in place of arrays.
    retain_graph : bool, optional
        Keep the graph for another pass.  By default as ``create_graph``.

    Returns
    -------
    array or Tensor, or a list of them
        As ``inputs`` is one tensor or a sequence.  An input that no output depends on has zeros.

    Raises
    ------
    RuntimeError
        An output has no history, or an input requires no gradient.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> x = tl.tensor([1.0, 2.0], requires_grad=True)
    >>> slope = tl.gradients((x ** 3).sum(), x, create_graph=True)
    >>> tl.gradients(slope.sum(), x)
    array([ 6., 12.])
    """
    ys = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    xs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    upstreams = [upstream] if isinstance(outputs, Tensor) or upstream is None else list(upstream)
    if upstream is None:
        upstreams *= len(ys)
    if len(upstreams) != len(ys):
        raise ValueError(f"gradients(): {len(upstreams)} upstreams for {len(ys)} outputs")
    wanted: dict[int, Any] = {}
    for position, x in enumerate(xs):
        if x.node is None:
            raise RuntimeError(f"gradients(): input {position} requires no gradient")
        wanted[x.node.order] = None
    begin = [start(y, u, create_graph, "gradients()") for y, u in zip(ys, upstreams, strict=True)]
    propagate(
        [node for node, _ in begin],
        [cotangent for _, cotangent in begin],
        retain_graph=create_graph if retain_graph is None else retain_graph,
        lift=from_node if create_graph else None,
        collect=wanted,
    )
    results = [_or_zeros(wanted[x.node.order], x, create_graph) for x in xs]  # type: ignore[union-attr]
    return results[0] if isinstance(inputs, Tensor) else results


def _or_zeros(gradient: Any, x: Tensor, create_graph: bool) -> Any:
    if gradient is None:
        zeros = np.zeros_like(x.data)
        return Tensor(zeros) if create_graph else zeros
    if create_graph and not isinstance(gradient, Tensor):
        return Tensor(gradient)
    return gradient
