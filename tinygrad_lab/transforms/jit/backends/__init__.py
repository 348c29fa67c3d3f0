"""What runs a program: one file each."""
