"""The pytest plugin, and what it leaves of a traceback."""
