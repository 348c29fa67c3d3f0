"""Layers: functions with parameters or settings of their own, and ways to stack them.

Arguments, defaults and memory layouts are PyTorch's, plus ``dtype``, ``init`` and ``rng``.
Everything is checked when a layer is built.

A family is a file, which lists its names in ``__all__``.

Not for: the arithmetic (``functional/``) or what all layers can do (``module.py``).
"""
