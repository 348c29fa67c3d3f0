"""``python -m tinygrad_lab``: the same as the command ``tinygrad-lab``."""

from tinygrad_lab_command import main

if __name__ == "__main__":
    main()
