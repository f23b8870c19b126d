"""The health endpoint: a few pages over HTTP, for probes and for whoever scrapes metrics.

h11 knows HTTP; here are the sockets. Each connection gets one answer. It runs on the service's own event loop, so that
no answer is an answer: that loop is stuck.
"""

from __future__ import annotations

import errno
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, TypeAlias
from urllib.parse import urlsplit

import anyio
import h11
from anyio.abc import SocketAttribute

from actwright.exceptions import ServiceFailed
from actwright.serving.addresses import Address
from actwright_actors import Actor

if TYPE_CHECKING:
    from collections.abc import Callable

    from anyio.abc import ByteStream, SocketStream
    from anyio.streams.stapled import MultiListener

    from actwright.serving.pages import Page

__all__ = ["Answer", "Endpoint", "Listener", "listen", "talk"]

logger = logging.getLogger("actwright.serving")

Answer: TypeAlias = "Callable[[str], Page]"
"""From a path to its page."""

Listener: TypeAlias = "MultiListener[SocketStream]"

_REQUEST_SECONDS: Final = 5.0
_MOST_CONNECTIONS: Final = 64
_LONGEST_REQUEST_BYTES: Final = 16_384
_LONGEST_REST_BYTES: Final = 1_000_000


async def listen(address: Address) -> tuple[Listener, Address]:
    """Listen; and where, if any port would do. Requests wait until an `Endpoint` serves them.

    Raises:
        ServiceFailed: it cannot be listened there.
    """
    try:
        listener = await anyio.create_tcp_listener(local_host=address.host, local_port=address.port)
    except OSError as error:
        busy = "Another program listens there. " if error.errno == errno.EADDRINUSE else ""
        where = f"{address.host}, port {address.port}"
        raise ServiceFailed(
            f"The health endpoint cannot listen at {where}: {error}. {busy}Choose another health_address."
        ) from error
    return listener, Address(address.host, listener.extra(SocketAttribute.local_port))


class Endpoint(Actor[None]):
    """Answers requests, for as long as it lives; what listens outlives it."""

    def __init__(self, listener: Listener, answer: Answer) -> None:
        self._listener = listener
        self._answer = answer
        self._open: list[anyio.CancelScope] = []

    async def on_start(self) -> None:
        self.context.start_soon(self._listener.serve, self._talk)

    async def _talk(self, stream: SocketStream) -> None:
        scope = anyio.move_on_after(_REQUEST_SECONDS)
        self._open.append(scope)
        if len(self._open) > _MOST_CONNECTIONS:  # who says nothing must not keep a probe from its answer
            self._open[0].cancel()
        try:
            async with stream:
                with scope:
                    await talk(stream, self._answer)
                    await _hear_the_rest(stream)
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError):
            pass  # whoever asked has gone
        except Exception:  # one request's, and no other's
            logger.exception("A request to the health endpoint could not be answered.")
        finally:
            self._open.remove(scope)


async def talk(stream: ByteStream, answer: Answer) -> None:
    """Read one request and answer it. A path that has no page, what is no GET, and what is no HTTP are answered too."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_LONGEST_REQUEST_BYTES)
    try:
        request = await _request(stream, connection)
    except h11.RemoteProtocolError as error:
        await _send(stream, connection, error.error_status_hint, "text/plain", f"{error}\n", with_body=True)
        return
    if request is None:
        return
    method, path = request.method.decode("ascii"), _path(request.target.decode("ascii", "replace"))
    if method not in ("GET", "HEAD"):
        await _send(stream, connection, 405, "text/plain", "Only GET and HEAD are answered.\n", with_body=True)
        return
    page = answer(path)
    await _send(stream, connection, page.status, page.content_type, page.body, with_body=method == "GET")


def _path(target: str) -> str:
    """Of a target in origin form, "/livez?x", or in absolute form, as proxies may send it."""
    try:
        return urlsplit(target).path
    except ValueError:  # a host in brackets that is none
        return target


async def _hear_the_rest(stream: SocketStream) -> None:
    """Of what was not read, as a body: if it were closed before, the other side might lose its answer."""
    await stream.send_eof()
    heard = 0
    async for part in stream:
        heard += len(part)
        if heard > _LONGEST_REST_BYTES:
            return


async def _request(stream: ByteStream, connection: h11.Connection) -> h11.Request | None:
    """The head of a request; None where none comes."""
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Request):
            return event
        if event is not h11.NEED_DATA:
            return None
        try:
            connection.receive_data(await stream.receive())
        except anyio.EndOfStream:
            connection.receive_data(b"")


async def _send(
    stream: ByteStream, connection: h11.Connection, status: int, content_type: str, body: str, *, with_body: bool
) -> None:
    content = body.encode()
    headers = [
        ("Content-Type", content_type),
        ("Content-Length", str(len(content))),
        ("Cache-Control", "no-store"),
        ("Connection", "close"),
    ]
    if status == 405:
        headers.append(("Allow", "GET, HEAD"))
    reason = HTTPStatus(status).phrase.encode()
    said = connection.send(h11.Response(status_code=status, headers=headers, reason=reason)) or b""
    await stream.send(said + content if with_body else said)
