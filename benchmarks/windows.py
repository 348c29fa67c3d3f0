"""The windows over images that convolution and pooling are timed on; not for the timing itself."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Windows:
    """A batch (n, c, size, size), and windows (k, k) over it."""

    n: int
    c: int
    size: int
    k: int
    stride: int
    padding: int

    @property
    def out(self) -> int:
        """Return the side of the result."""
        return (self.size + 2 * self.padding - self.k) // self.stride + 1
