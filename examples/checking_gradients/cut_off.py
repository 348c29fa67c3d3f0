"""A PyTorch function whose gradient is right, and has none itself.

python examples/checking_gradients/cut_off.py
"""

import torch

from tinygrad_lab import testing as tgt


class Swish(torch.autograd.Function):
    """x times its sigmoid."""

    @staticmethod
    def forward(ctx, x):
        s = torch.sigmoid(x)
        ctx.slope = s + x * s * (1 - s)
        return x * s

    @staticmethod
    def backward(ctx, g):
        return g * ctx.slope


x = torch.tensor([0.5, -1.0, 2.0])
print(tgt.gradcheck(tgt.adapters.torch(Swish.apply), x, order=2))
