"""The arithmetic of images: primitives, with kernels that know where the data lies in memory."""
