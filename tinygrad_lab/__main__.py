"""``python -m tinygrad_lab``: the same as the command ``tinygrad-lab``."""

from tinygrad_lab.lab.cli import main

if __name__ == "__main__":
    main()
