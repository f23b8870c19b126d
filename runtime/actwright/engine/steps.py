"""How long a coroutine holds the loop between two awaits."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Generator
from typing import Any, Final

__all__ = ["SLOW_STEP_SECONDS", "timed_steps"]

SLOW_STEP_SECONDS: Final = 0.1


class timed_steps:
    """Await `awaitable`, and call `on_slow(seconds)`, once, after a step that held the loop for 0.1 s or more.

    It passes on to the event loop whatever the awaitable asks of it, so it works on any. What it awaits sees the same
    cancellation as without it.
    """

    def __init__(self, awaitable: Awaitable[Any], on_slow: Callable[[float], object]) -> None:
        self._awaitable = awaitable
        self._on_slow = on_slow
        self._warned = False

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self._awaitable.__await__()
        resume: Callable[[], Any] = lambda: next(steps)  # noqa: E731
        while True:
            started = time.perf_counter()
            try:
                asked = resume()
            except StopIteration as stop:
                return stop.value
            finally:
                self._note(time.perf_counter() - started)
            try:
                sent = yield asked
                resume = _sending(steps, sent)
            except GeneratorExit:
                _close(steps)
                raise
            except BaseException as error:
                resume = _throwing(steps, error)

    def _note(self, seconds: float) -> None:
        if seconds >= SLOW_STEP_SECONDS and not self._warned:
            self._warned = True
            self._on_slow(seconds)


def _sending(steps: Any, value: Any) -> Callable[[], Any]:
    return (lambda: next(steps)) if value is None else (lambda: steps.send(value))


def _throwing(steps: Any, error: BaseException) -> Callable[[], Any]:
    throw = getattr(steps, "throw", None)  # an iterator that is no generator has none
    if throw is None:
        raise error
    return lambda: throw(error)


def _close(steps: Any) -> None:
    close = getattr(steps, "close", None)
    if close is not None:
        close()
