"""Clipping of gradients, under PyTorch's name.

Not for: how it is done (``tinygrad_lab/clipping.py``, which ``optim`` has too).
"""

from tinygrad_lab.clipping import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]
