"""Waiting that no cancellation can cut short."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio

__all__ = ["wait_through"]


async def wait_through(
    done: anyio.Event | Callable[[], Awaitable[object]], *, on_cancel: Callable[[], object] | None = None
) -> None:
    """Wait for `done`, whatever cancels the caller meanwhile; then re-raise the first such cancellation.

    Scoped and native cancellations (`task.cancel()`, any number of them) and a KeyboardInterrupt are all waited
    through. `on_cancel()` is called once, at the first, and is the place to tell the awaited work to hurry; it must
    not raise. Without a cancellation this simply returns once `done` is.

    `done` is an event, or an async function that waits for something and does nothing else: it is called again after
    each cancellation. An Exception from it ends the wait and is raised.
    """
    wait = done.wait if isinstance(done, anyio.Event) else done
    first: BaseException | None = None
    try:
        while True:
            try:
                if first is None:
                    await wait()
                else:
                    # A native cancel breaks even a shield, hence the loop.
                    with anyio.CancelScope(shield=True):
                        await wait()
                break
            except (Exception, GeneratorExit):
                raise
            except BaseException as error:
                if first is None:
                    first = error
                    if on_cancel is not None:
                        on_cancel()
        if first is not None:
            raise first
    finally:
        del first  # it holds this frame through its traceback
