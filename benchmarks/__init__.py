"""How fast we are beside hand-written NumPy and the peers installed here: `python -m benchmarks`.

Ratios measured in one process, in turn. Never timed tests: nothing here passes or fails on speed.
How good the gradient checker is, beside others, is measured by `python -m benchmarks.checkers`.
"""
