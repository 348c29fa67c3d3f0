"""The functions that layers are made of: PyTorch's names, signatures and memory layouts.

Each works on Tensors, and on plain arrays, where it gives plain arrays.  The common ones are
methods of :class:`~tinygrad_lab.Tensor` too (``words.py``): ``x.relu()``, ``x.conv2d(w)``.

A family is a file, which lists its names in ``__all__``.

Not for: anything with parameters (``layers/``); nor the arithmetic of images (``kernels/``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tinygrad_lab.habits import missing
from tinygrad_lab.nn.functional import (
    activations,
    adaptive_pooling,
    affine,
    attention,
    classification,
    convolution,
    distances,
    dropouts,
    embeddings,
    losses,
    margins,
    normalization,
    padding,
    patches,
    pooling,
    resizing,
    sampling,
    softmaxes,
)
from tinygrad_lab.nn.functional.activations import *
from tinygrad_lab.nn.functional.adaptive_pooling import *
from tinygrad_lab.nn.functional.affine import *
from tinygrad_lab.nn.functional.attention import *
from tinygrad_lab.nn.functional.classification import *
from tinygrad_lab.nn.functional.convolution import *
from tinygrad_lab.nn.functional.distances import *
from tinygrad_lab.nn.functional.dropouts import *
from tinygrad_lab.nn.functional.embeddings import *
from tinygrad_lab.nn.functional.losses import *
from tinygrad_lab.nn.functional.margins import *
from tinygrad_lab.nn.functional.normalization import *
from tinygrad_lab.nn.functional.padding import *
from tinygrad_lab.nn.functional.patches import *
from tinygrad_lab.nn.functional.pooling import *
from tinygrad_lab.nn.functional.resizing import *
from tinygrad_lab.nn.functional.sampling import *
from tinygrad_lab.nn.functional.softmaxes import *

__all__: list[str] = []
__all__ += activations.__all__
__all__ += adaptive_pooling.__all__
__all__ += affine.__all__
__all__ += classification.__all__
__all__ += attention.__all__
__all__ += convolution.__all__
__all__ += distances.__all__
__all__ += dropouts.__all__
__all__ += embeddings.__all__
__all__ += losses.__all__
__all__ += margins.__all__
__all__ += normalization.__all__
__all__ += padding.__all__
__all__ += patches.__all__
__all__ += pooling.__all__
__all__ += resizing.__all__
__all__ += sampling.__all__
__all__ += softmaxes.__all__


if not TYPE_CHECKING:  # a type checker knows by itself what is missing

    def __getattr__(name: str) -> NoReturn:
        raise missing(__name__, name, __all__)
