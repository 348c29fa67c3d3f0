"""What is done to models and to batches beside the layers: PyTorch's ``nn.utils``.

Not for: the layers themselves (``layers/``).
"""

from tinygrad_lab.nn.utils import rnn

__all__ = ["rnn"]
