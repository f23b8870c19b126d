"""Where the health endpoint listens, as people write it."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final, Self

from actwright.settings import get_current_settings

__all__ = ["Address", "address_of"]

_LOOPBACK: Final = "127.0.0.1"
_LAST_PORT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Address:
    """An interface, by its IP address, and a port; 0 is any that is free."""

    host: str
    port: int

    @classmethod
    def of(cls, given: str | int) -> Self:
        """From "8080" or 8080, which is a port of this machine's own, "0.0.0.0:8080", or "[::1]:8080".

        Raises:
            ValueError: it is none of these.
        """
        host, _, port = str(given).strip().rpartition(":")
        host = host.removeprefix("[").removesuffix("]") or _LOOPBACK
        try:
            address = str(ip_address(_LOOPBACK if host == "localhost" else host))
            number = int(port)
        except ValueError:
            number, address = -1, ""
        if not (port.isascii() and port.isdigit() and 0 <= number <= _LAST_PORT):
            raise ValueError(f"expected a port, or an IP address and a port, as 127.0.0.1:8080; got {given!r}")
        return cls(address, number)

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


def address_of(given: str | int | None) -> Address | None:
    """The address that was given, or that the settings have; None where there is none.

    Raises:
        ValueError: it is no address.
    """
    if given is None:
        given = get_current_settings().health_address or None  # a variable that is set to nothing
    try:
        return None if given is None else Address.of(given)
    except ValueError as error:
        raise ValueError(f"health_address: {error}.") from error
