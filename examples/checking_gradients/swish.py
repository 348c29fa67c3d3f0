"""A PyTorch function with a backward pass of its own, and one mistake.

python examples/checking_gradients/swish.py
"""

import torch

from tinygrad_lab import testing as tgt


class Swish(torch.autograd.Function):
    """x times its sigmoid."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * torch.sigmoid(x)

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        s = torch.sigmoid(x)
        return g * (s + x * (1 - s))


class Gated(torch.nn.Module):
    """A linear layer, and Swish."""

    def __init__(self):
        super().__init__()
        self.linear = torch.nn.Linear(3, 2)

    def forward(self, x):
        return Swish.apply(self.linear(x))


torch.manual_seed(0)
print(tgt.check_module(Gated(), torch.randn(4, 3)))
