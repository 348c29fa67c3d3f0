"""Tensors, the record of calls, the backward pass, the derivative table: NumPy and nothing else."""
