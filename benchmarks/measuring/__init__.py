"""What the sections share, and what `actors` measures. A section is a module beside this package."""
