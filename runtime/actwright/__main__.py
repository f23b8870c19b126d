"""`python -m actwright`, and `actwright`: the command line."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command that the command line names, and exit with its code; after Ctrl-C 130, also while it is loaded.

    Loading it takes a moment, in which a Ctrl-C would otherwise be shown as a bug.
    """
    try:
        from actwright.control.cli import main as run

        run()
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
