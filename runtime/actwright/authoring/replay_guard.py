"""While code is loaded to replay a hook, nothing of it may run: a script without a main guard would work again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from actwright.exceptions import ReplayImportError

__all__ = ["loading_for_replay", "refuse_while_loading"]

_depth = 0


@contextmanager
def loading_for_replay() -> Generator[None]:
    """While inside, `refuse_while_loading` refuses: in every thread, since what is loaded may start some."""
    global _depth
    _depth += 1
    try:
        yield
    finally:
        _depth -= 1


def refuse_while_loading(what: str) -> None:
    """Raise ReplayImportError while code is loaded for replay.

    Args:
        what: what is not done then, as the beginning of a sentence: "A flow was called".
    """
    if _depth:
        raise ReplayImportError(
            f"{what} while this code was loaded to replay a hook of a process that died. It is not done again. "
            'Put it under `if __name__ == "__main__":`.'
        )
