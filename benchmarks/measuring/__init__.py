"""What the programs of this folder share, and what `actors.py` measures. A program is a file beside this package."""
