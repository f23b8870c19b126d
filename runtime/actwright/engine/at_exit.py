"""Exit handlers: what runs when Python has ended the script, and ends what runs and their hooks need."""

from __future__ import annotations

import threading

from actwright.exceptions import RuntimeClosed

__all__ = ["refuse_at_exit"]


def refuse_at_exit(what: str) -> None:
    """Raise RuntimeClosed in an exit handler: of `atexit`, or a finalizer that runs as late.

    What is opened there nobody closes: Python calls no handler that is registered as late. Threads that the script left
    go on before that, and may open what they like.

    Args:
        what: what is not done then, as the beginning of a sentence: "A flow was called".
    """
    me = threading.current_thread()
    if me is threading.main_thread() and not me.is_alive():
        raise RuntimeClosed(
            f"{what} while Python exits, in an atexit handler or a finalizer: nothing is left there to run its hooks. "
            "Do it before that: at the end of the script, in a `finally:` for example."
        )
