"""`serve`: a service for the life of a process, which signals end."""

from __future__ import annotations

import logging
import os
import signal
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, Unpack

import anyio

from actwright.authoring.context import in_async_code
from actwright.authoring.logging import show_logs_of_a_script
from actwright.serving.service import Service
from actwright.serving.systemd import Systemd
from actwright.settings import get_current_settings
from actwright_actors.backends import backend_options

if TYPE_CHECKING:
    from anyio.abc import TaskStatus

    from actwright.engine.runtime import RuntimeKeywords
    from actwright.serving.service import Servable

__all__ = ["serve"]

logger = logging.getLogger("actwright.serving")


def serve(
    *served: Servable,
    limit: int | None = None,
    health_address: str | int | None = None,
    **options: Unpack[RuntimeKeywords],
) -> Any:
    """Serve until SIGINT or SIGTERM: `await serve(nightly)` in async code, `serve(nightly)` in a script.

    The first signal drains: nothing is claimed any more, what is at work has `drain_seconds`, and is then cancelled;
    every hook runs. A second one ends the process at once, and its understudy does what is left. In the main thread.

    Args:
        *served, limit, health_address, **options: as for `Service`.

    Returns:
        How many runs the drain cut short, an int: those that it had to cancel, and those that it left behind past every
        grace. Kept flows do not count: they are cancelled as a rule.

    Raises:
        ServiceFailed: what is served fell too often.
        TypeError, ValueError: something that cannot be served.
        RuntimeError: in another thread than the main one.
    """
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError(
            "serve hears signals, and so is called in the main thread. Elsewhere: async with Service(...)."
        )
    serving = partial(_serve, Service(*served, limit=limit, health_address=health_address, **options))
    if in_async_code():
        return serving()
    name, backend = backend_options(get_current_settings().background_backend)
    return anyio.run(serving, backend=name, backend_options=backend)


async def _serve(service: Service) -> int:
    failure: Exception | None = None
    systemd = Systemd.of_environment()
    async with anyio.create_task_group() as group:
        until_stopped = anyio.CancelScope()
        await group.start(_hear_signals, until_stopped)
        if systemd.watchdog_seconds is not None:
            group.start_soon(_beat, systemd, systemd.watchdog_seconds / 2)
        show_logs_of_a_script(f"History is kept in {get_current_settings().database}.")
        try:
            async with service:
                logger.info("Serving %s", service)
                if service.health_url is not None:
                    logger.info("Health is told at %s/readyz, /livez, /status and /metrics.", service.health_url)
                logger.info("Takeover: %s.", service.health().takeover)
                systemd.tell("READY=1", f"STATUS=Serving {service}")
                with until_stopped:
                    await service.failed()
                systemd.tell("STOPPING=1")
        except Exception as error:  # raised in here it would come out as a group
            failure = error
        group.cancel_scope.cancel()
    if failure is not None:
        raise failure
    return _told(service.runtime.cut_short)


def _told(cut_short: int) -> int:
    if cut_short:
        logger.warning("Drained. Runs that did not end in time, and were cancelled or left behind: %d", cut_short)
    else:
        logger.info("Drained. All that was at work has ended by itself.")
    return cut_short


async def _beat(systemd: Systemd, pause: float) -> None:
    """As long as this loop goes on, and through a drain."""
    while True:
        systemd.tell("WATCHDOG=1")
        await anyio.sleep(pause)


async def _hear_signals(until_stopped: anyio.CancelScope, *, task_status: TaskStatus[None]) -> None:
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        task_status.started()
        async for number in signals:
            if until_stopped.cancel_called:
                logger.warning("A second signal: this process ends now. Its understudy does what is left.")
                os._exit(128 + number)
            logger.info("%s: draining.", signal.Signals(number).name)
            until_stopped.cancel()
