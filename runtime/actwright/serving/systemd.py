"""Telling systemd how a service is, by its protocol (sd_notify(3)): datagrams to the socket that it names."""

from __future__ import annotations

import logging
import os
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from actwright.exceptions import ServiceFailed

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

__all__ = ["Systemd"]

logger = logging.getLogger("actwright.serving")


@dataclass(frozen=True, slots=True)
class Systemd:
    """Who started this process, and wants to hear.

    Attributes:
        address: of its socket; None: nobody wants to hear.
        watchdog_seconds: it ends a service that it has not heard of for so long; None: it does not.
    """

    address: str | None = None
    watchdog_seconds: float | None = None

    @classmethod
    def of_environment(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """As systemd says it: in NOTIFY_SOCKET, WATCHDOG_USEC, and WATCHDOG_PID where that is for one process alone.

        Raises:
            ServiceFailed: a variable has a value that systemd does not set.
        """
        try:
            seconds = int(environment.get("WATCHDOG_USEC", "0")) / 1_000_000
            is_for_us = int(environment.get("WATCHDOG_PID", os.getpid())) == os.getpid()
        except ValueError as error:
            raise ServiceFailed(
                f"WATCHDOG_USEC and WATCHDOG_PID must be numbers, as systemd sets them: {error}."
            ) from error
        return cls(environment.get("NOTIFY_SOCKET") or None, seconds if seconds > 0 and is_for_us else None)

    def tell(self, *said: str) -> None:
        """Say something: "READY=1", "STOPPING=1", "WATCHDOG=1", "STATUS=...". Never waits. Where that fails, it is
        logged: a service serves also when nobody listens."""
        if self.address is None:
            return
        # In Linux's abstract namespace a name begins with a zero byte, which a variable cannot hold.
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as here:
                here.setblocking(False)
                here.sendto("\n".join(said).encode(), address)
        except OSError as error:
            logger.warning("systemd, at NOTIFY_SOCKET=%s, does not hear %s: %s", self.address, said[0], error)
