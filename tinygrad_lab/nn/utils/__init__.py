"""What is done to models and to batches beside the layers: PyTorch's ``nn.utils``.

Not for: the layers themselves (``layers/``).
"""

from tinygrad_lab.nn.utils import clip_grad, rnn
from tinygrad_lab.nn.utils.clip_grad import *

__all__ = ["clip_grad", "rnn"]
__all__ += clip_grad.__all__
