"""Programs: a function's NumPy calls as readable code, and as code that runs fast."""

from tinygrad_lab.transforms.jit import definitions as _definitions  # noqa: F401 - declares them
from tinygrad_lab.transforms.jit.function import Jitted, jit, program
from tinygrad_lab.transforms.jit.program import Program
from tinygrad_lab.transforms.jit.repetition import repeat
from tinygrad_lab.transforms.jit.trace import TracingError

__all__ = ["Jitted", "Program", "TracingError", "jit", "program", "repeat"]
