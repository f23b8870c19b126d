"""While code is loaded for another process's hook or body, nothing of it may run: a script without a main guard would
work again."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from actwright.exceptions import ReplayImportError

__all__ = ["loading_for_body", "loading_for_replay", "refuse_while_loading"]

_REPLAY = "to replay a hook of a process that died"
_BODY = "in the process of an isolated body"

_purposes: list[str] = []


@contextmanager
def loading_for_replay() -> Generator[None]:
    """While inside, `refuse_while_loading` refuses: in every thread, since what is loaded may start some."""
    with _loading(_REPLAY):
        yield


@contextmanager
def loading_for_body() -> Generator[None]:
    """The same in a process that is there for one body."""
    with _loading(_BODY):
        yield


@contextmanager
def _loading(purpose: str) -> Generator[None]:
    _purposes.append(purpose)
    try:
        yield
    finally:
        _purposes.remove(purpose)


def refuse_while_loading(what: str) -> None:
    """Raise ReplayImportError while code is loaded for another process's hook or body.

    Args:
        what: what is not done then, as the beginning of a sentence: "A flow was called".
    """
    if _purposes:
        raise ReplayImportError(
            f"{what} while this code was loaded {_purposes[-1]}. It is not done again. "
            'Put it under `if __name__ == "__main__":`.'
        )
