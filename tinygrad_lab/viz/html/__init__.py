"""Pictures to act on: pages of HTML that need no kernel, no network, and nothing beside them.

``stepping.py`` is the walk through a backward pass, ``exploring.py`` the picture whose parts fold.
Both are a ``page.py`` around an SVG from ``vector.py``.
"""
