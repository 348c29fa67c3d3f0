"""Pictures of programs: the lines of a recorded call, in the loops and the memory that run them."""
