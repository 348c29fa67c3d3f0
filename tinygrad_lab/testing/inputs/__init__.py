"""What gradients are tested on: strategies, calls of operations, the search for a failing one."""
