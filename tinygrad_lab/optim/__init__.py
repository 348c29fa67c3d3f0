"""Optimizers with PyTorch's arguments, defaults and trajectories; schedules; clipping.

>>> import tinygrad_lab as tl
>>> p = tl.tensor([1.0, 2.0], requires_grad=True)
>>> optimizer = tl.optim.SGD([p], lr=0.5)
>>> loss = (p * p).sum()
>>> optimizer.zero_grad()
>>> loss.backward()
>>> optimizer.step()
>>> p.data
array([0., 0.])
"""

from __future__ import annotations

from typing import NoReturn

from tinygrad_lab.clipping import clip_grad_norm_, clip_grad_value_, get_total_norm
from tinygrad_lab.habits import missing
from tinygrad_lab.optim import lr_scheduler, swa_utils
from tinygrad_lab.optim.adam import Adam, Adamax, AdamW, NAdam, RAdam
from tinygrad_lab.optim.adaptive import Adadelta, Adagrad, RMSprop, Rprop
from tinygrad_lab.optim.descent import ASGD, SGD, Muon
from tinygrad_lab.optim.lbfgs import LBFGS
from tinygrad_lab.optim.lr_scheduler import CosineAnnealingLR, StepLR
from tinygrad_lab.optim.optimizer import Optimizer

__all__ = [
    "ASGD", "LBFGS", "SGD", "Adadelta", "Adagrad", "Adam", "AdamW", "Adamax", "CosineAnnealingLR",
    "Muon", "NAdam", "Optimizer", "RAdam", "RMSprop", "Rprop", "StepLR", "clip_grad_norm_",
    "clip_grad_value_", "get_total_norm", "lr_scheduler", "swa_utils",
]  # fmt: skip


def __getattr__(name: str) -> NoReturn:
    raise missing(__name__, name, __all__)
