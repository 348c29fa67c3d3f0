"""The engine: tensors, the record of calls, the backward pass, and the derivative table.

It knows NumPy and nothing else.
"""
