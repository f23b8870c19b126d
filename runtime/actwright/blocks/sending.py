"""Sending by HTTP, in sync and in async code, and saying what went wrong without the URL, which is a secret."""

from __future__ import annotations

import logging
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import cache
from http import HTTPStatus
from threading import TIMEOUT_MAX
from typing import TYPE_CHECKING, Any, Final

import anyio

from actwright.exceptions import WebhookError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from ssl import SSLContext

    import httpx

__all__ = ["DONE", "Message", "Sent", "send", "send_async", "unlogged"]


class Sent:
    """What was sent already. It may be awaited, and that does not wait."""

    def __await__(self) -> Generator[Any, Any, None]:
        return None
        yield  # what makes this a generator


DONE: Final = Sent()

_LOGGING: Final = "httpx", "httpcore"  # the latter is loaded by the first client
_ADVICE: Final = "See whether the block's URL and headers are still right."


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent, and where to.

    Attributes:
        payload: text is sent as it is, None is no body, anything else is JSON.
        timeout_seconds: of connecting, of sending, and of waiting for more of the answer, each.
    """

    method: str
    url: str = field(repr=False)
    payload: Any = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    timeout_seconds: float

    @property
    def limit(self) -> float | None:
        """The same for httpx. No socket takes more than a clock has room for."""
        return self.timeout_seconds if self.timeout_seconds < TIMEOUT_MAX else None


def send(message: Message) -> httpx.Response:
    """Send it, and block until the answer is there. Raises WebhookError: no answer, or one whose status is no 2xx."""
    tls = _tls()
    import httpx

    outcome: httpx.Response | WebhookError
    try:
        with httpx.Client(timeout=message.limit, verify=tls) as client, unlogged(*_LOGGING):
            outcome = client.send(_request(message))
    except _faults() as error:
        outcome = _failure(message, error)
    return _answer(message, outcome)


async def send_async(message: Message) -> httpx.Response:
    """The same in async code: it waits, and a cancellation gives up."""
    tls = await anyio.to_thread.run_sync(_tls)
    import httpx

    outcome: httpx.Response | WebhookError
    try:
        async with httpx.AsyncClient(timeout=message.limit, verify=tls) as client:
            with unlogged(*_LOGGING):
                outcome = await client.send(_request(message))
    except _faults() as error:
        outcome = _failure(message, error)
    return _answer(message, outcome)


@cache
def _tls() -> SSLContext:
    """What each client needs, and takes long to make: httpx itself, 150 ms, and reading who is trusted, 30 ms. Whoever
    sends nothing pays for neither, and no event loop waits for it."""
    import httpx

    return httpx.create_ssl_context()


def _request(message: Message) -> httpx.Request:
    import httpx

    text = message.payload if isinstance(message.payload, str) else None
    json = None if text is not None else message.payload
    timeout = httpx.Timeout(message.limit).as_dict()
    return httpx.Request(
        message.method, message.url, headers=message.headers, content=text, json=json, extensions={"timeout": timeout}
    )


def _faults() -> tuple[type[Exception], ...]:
    """What httpx raises when something cannot be sent: of the network, of the URL, of a header that is no ASCII."""
    import httpx

    return httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError


def _answer(message: Message, outcome: httpx.Response | WebhookError) -> httpx.Response:
    """Raises here, outside of any `except`: an error of httpx's has the request, and with it the URL."""
    if isinstance(outcome, WebhookError):
        raise outcome
    if outcome.is_success:
        return outcome
    host, status = _host(message), outcome.status_code
    advice = "It redirects: give the block the URL that leads on." if outcome.is_redirect else _ADVICE
    raise WebhookError(f"{host} did not take what was sent: {_status(status)}. {advice}", host, status)


def _status(status: int) -> str:
    """In the standard's words; the server's own may be anything."""
    try:
        return f"status {status} ({HTTPStatus(status).phrase})"
    except ValueError:
        return f"status {status}"


def _failure(message: Message, error: Exception) -> WebhookError:
    import httpx

    host = _host(message)
    if isinstance(error, httpx.TimeoutException):
        why = f"nothing came of it within {message.timeout_seconds:g} s ({type(error).__name__})"
    elif isinstance(error, httpx.NetworkError):
        why = str(error) or type(error).__name__  # of a socket, which knows no URL
    else:
        why = f"{type(error).__name__}; see its URL and headers"  # what it says may quote them
    return WebhookError(f"{host or 'A webhook'} could not be told: {why}.", host)


def _host(message: Message) -> str:
    import httpx

    try:
        return httpx.URL(message.url).host
    except (httpx.InvalidURL, UnicodeError):
        return ""


_sending: ContextVar[bool] = ContextVar("actwright_sending", default=False)


@contextmanager
def unlogged(*libraries: str) -> Generator[None]:
    """While inside, what these libraries have loaded logs nothing here: lines of their lower levels have whole URLs,
    and headers. A logger's filter is not that of those below it, so each has it."""
    for name in (*libraries, *list(logging.root.manager.loggerDict)):
        if name.partition(".")[0] in libraries:
            logging.getLogger(name).addFilter(_may_log)
    before = _sending.set(True)
    try:
        yield
    finally:
        _sending.reset(before)


def _may_log(_: logging.LogRecord) -> bool:
    return not _sending.get()
