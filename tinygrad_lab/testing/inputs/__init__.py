"""What gradients are tested on: strategies, the catalogue of calls, and the search for a failing one."""
