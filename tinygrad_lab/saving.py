"""Models and training states as files."""
