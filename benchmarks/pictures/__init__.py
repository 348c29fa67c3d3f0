"""Pictures of the same two networks by us and by others: `python -m benchmarks.pictures`."""
