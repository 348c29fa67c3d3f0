"""What is done to models and to batches beside the layers: PyTorch's ``nn.utils``.

Not for: the layers themselves (``layers/``).
"""

from tinygrad_lab.nn.utils import (
    clip_grad,
    computed,
    parametrizations,
    parametrize,
    rnn,
    vectors,
)
from tinygrad_lab.nn.utils.clip_grad import *
from tinygrad_lab.nn.utils.computed import *
from tinygrad_lab.nn.utils.vectors import *

__all__ = ["clip_grad", "parametrizations", "parametrize", "rnn"]
__all__ += clip_grad.__all__
__all__ += computed.__all__
__all__ += vectors.__all__
