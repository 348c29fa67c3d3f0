"""Training loops: ``tl.fit``, its metrics and what it tells while it runs."""
