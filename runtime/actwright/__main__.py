"""`python -m actwright`, and `actwright`: the command line."""

from __future__ import annotations

import errno
import os
import sys

__all__ = ["main"]


_OF_WRITING = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EPIPE}


def main() -> None:
    """Run the command that the command line names, and exit with its code; after Ctrl-C 130, also while it is loaded.

    Loading it takes a moment, in which a Ctrl-C would otherwise be shown as a bug.
    """
    try:
        _see_to_streams()
        from actwright.control.cli import main as run

        try:
            run()
        finally:
            sys.stdout.flush()  # an error of it is heard of here; as the interpreter ends, nobody could answer it
    except KeyboardInterrupt:
        sys.exit(130)
    except OSError as error:
        if not _is_of_stdout(error):
            raise
        if error.errno != errno.EPIPE:  # whoever read it has read enough, and says so by that
            _say(f"what was asked for cannot be written: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # or the interpreter, as it ends, tries once more
        sys.exit(1)


def _see_to_streams() -> None:
    """Of standard streams that were closed, Python makes None, and the system gives their numbers to the next file that
    is opened, which may be the journal's: what is then written to the stream goes there."""
    for name, mode in (("stdin", "r"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115  # open until the end
    if sys.stdout is None:  # pyright: ignore[reportUnnecessaryComparison]  # it is, when it was closed
        _say("standard output is closed, and there is nowhere to write to")
        sys.exit(1)


def _is_of_stdout(error: OSError) -> bool:
    """Whether an error came of writing to stdout: those of files name the file, and those of the journal are ours."""
    return error.filename is None and error.errno in _OF_WRITING


def _say(message: str) -> None:
    sys.stderr.write(f"actwright: {message}.\n")


if __name__ == "__main__":
    main()
