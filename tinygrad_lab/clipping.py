"""Clipping of gradients, for ``tl.nn.utils`` and ``tl.optim``, which both have it.

Not for: what moves parameters (``optim/``).
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from numbers import Real
from typing import Any

import numpy as np

from tinygrad_lab.core.atomic import at_once
from tinygrad_lab.core.errors import describe
from tinygrad_lab.core.rules.creation import as_float
from tinygrad_lab.core.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]

Parameters = Tensor | Iterable[Tensor] | Iterable[tuple[str, Tensor]]


def clip_grad_norm_(
    parameters: Parameters,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,  # noqa: ARG001 - how PyTorch computes it
) -> float:
    """Scale all gradients down together, so that their common norm is at most ``max_norm``.

    Parameters
    ----------
    parameters : Tensor, or iterable of Tensor or of (str, Tensor)
        Whose gradients; with ``model.named_parameters()`` an error says names.
    max_norm : float
        The largest norm, above 0.
    norm_type : float
        Its order, above 0; infinity is the largest element.
    error_if_nonfinite : bool
        Raise where the norm is not finite, and leave the gradients as they are.
    foreach : bool, optional
        Has no effect.

    Returns
    -------
    float
        The norm before.

    Raises
    ------
    ValueError
        ``max_norm`` or ``norm_type`` is not above 0.
    RuntimeError
        The norm is not finite, with ``error_if_nonfinite``.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([3.0, 4.0], requires_grad=True)
    >>> (p * p / 2).sum().backward()
    >>> clip_grad_norm_([p], 1.0)
    5.0
    >>> p.grad.round(3)
    array([0.6, 0.8])
    """
    _check_above_zero("max_norm", max_norm)
    _check_above_zero("norm_type", norm_type)
    named = _named(parameters)
    norm = _norm([(label, p.grad) for label, p in named], norm_type, error_if_nonfinite)
    _scale([p for _, p in named], max_norm, norm)
    return norm


def clip_grads_with_norm_(
    parameters: Parameters,
    max_norm: float,
    total_norm: float,
    foreach: bool | None = None,  # noqa: ARG001 - how PyTorch computes it
) -> None:
    """Scale all gradients down as :func:`clip_grad_norm_` does, whose norm is known.

    Parameters
    ----------
    parameters, max_norm, foreach
        See :func:`clip_grad_norm_`.
    total_norm : float
        Their norm: see :func:`get_total_norm`.

    Raises
    ------
    ValueError
        ``max_norm`` is not above 0.
    """
    _check_above_zero("max_norm", max_norm)
    _scale([p for _, p in _named(parameters)], max_norm, total_norm)


def get_total_norm(
    tensors: Any,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,  # noqa: ARG001 - how PyTorch computes it
) -> float:
    """Return the common norm of arrays, such as gradients.

    Parameters
    ----------
    tensors : array, or iterable of arrays
        Arrays or Tensors.
    norm_type, error_if_nonfinite, foreach
        See :func:`clip_grad_norm_`.

    Raises
    ------
    ValueError
        ``norm_type`` is not above 0.
    RuntimeError
        The norm is not finite, with ``error_if_nonfinite``.

    Examples
    --------
    >>> import numpy as np
    >>> get_total_norm([np.array([3.0]), np.array([4.0])])
    5.0
    """
    _check_above_zero("norm_type", norm_type)
    every = [tensors] if hasattr(tensors, "shape") else list(tensors)
    arrays = [t.data if isinstance(t, Tensor) else t for t in every]
    labelled = [(f"tensor {i} (shape {a.shape})", a) for i, a in enumerate(arrays)]
    return _norm(labelled, norm_type, error_if_nonfinite)


def clip_grad_value_(
    parameters: Parameters,
    clip_value: float,
    foreach: bool | None = None,  # noqa: ARG001 - how PyTorch computes it
) -> None:
    """Limit each element of the gradients to plus or minus ``clip_value``.

    Raises
    ------
    ValueError
        ``clip_value`` is not above 0.

    Examples
    --------
    >>> import tinygrad_lab as tl
    >>> p = tl.tensor([3.0, 0.5], requires_grad=True)
    >>> (p * p).sum().backward()
    >>> clip_grad_value_([p], 2.0)
    >>> p.grad
    array([2., 1.])
    """
    _check_above_zero("clip_value", clip_value)
    at_once([
        (setattr, p.node, "grad", np.clip(p.grad, -clip_value, clip_value))
        for _, p in _named(parameters)
    ])  # fmt: skip


def _check_above_zero(name: str, value: Any) -> None:
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if not is_number or not value > 0:
        raise ValueError(f"{name}={value!r}: expected a number above 0")


def _named(parameters: Any) -> list[tuple[str, Tensor]]:
    """Return the parameters that have a gradient, with what one calls them."""
    if hasattr(parameters, "parameters"):
        raise TypeError("gradients are clipped of parameters: say model.parameters()")
    every = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    named = []
    for i, item in enumerate(every):
        is_named = isinstance(item, tuple) and len(item) == 2
        name, parameter = item if is_named else (str(i), item)
        if not isinstance(parameter, Tensor):
            raise TypeError(
                f"parameter {name} is {describe(parameter)}, and no Tensor: say model.parameters()"
            )
        if parameter.grad is not None:
            label = repr(name) if is_named else name
            named.append((f"parameter {label} (shape {parameter.shape})", parameter))
    return named


def _norm(labelled: list[tuple[str, Any]], order: float, must_be_finite: bool) -> float:
    """Return the common norm, in shares of the largest element, so that nothing overflows."""
    largest = [as_float(np.max(np.abs(g), initial=0)) for _, g in labelled]
    norm = as_float(np.max(np.stack([0.0, *largest])))
    if order != inf and 0 < norm < inf:
        powers = ((np.abs(g / norm) ** order).reshape(-1) for _, g in labelled)
        norm = norm * sum(as_float(power.sum()) for power in powers) ** (1 / order)
    if must_be_finite and not norm < inf:
        strange = [x for (x, _), size in zip(labelled, largest, strict=True) if not size < inf]
        more = f", and of {len(strange) - 1} more," if strange[1:] else ""
        raise RuntimeError(
            f"gradients whose norm is {norm} cannot be clipped: the gradient of {strange[0]}{more} "
            "is not finite. Find out where that begins with tl.debug() around loss and backward()"
            if strange
            else f"gradients whose norm is {norm} cannot be clipped: each of them is finite, and "
            "the norm of all is not"
        )
    return norm


def _scale(parameters: list[Tensor], max_norm: float, norm: float) -> None:
    scale = as_float(np.minimum(max_norm / (norm + 1e-6), 1))
    at_once([(setattr, p.node, "grad", p.grad * scale) for p in parameters])
