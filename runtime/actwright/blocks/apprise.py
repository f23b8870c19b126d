"""A block that tells somebody by Apprise, which knows over a hundred services: mail, Telegram, Discord, ntfy, ..."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import anyio
from pydantic import Field, SecretStr

from actwright.authoring.context import in_async_code
from actwright.blocks.block import Block
from actwright.blocks.sending import DONE, unlogged
from actwright.exceptions import AuthoringError, WebhookError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Sequence

__all__ = ["AppriseNotification"]

_LOGGING: Final = "apprise", "oauthlib", "requests", "requests_oauthlib", "urllib3"
"""Apprise, and what it sends by."""


class AppriseNotification(Block):
    """Whom to tell, by Apprise's URLs (https://github.com/caronc/apprise/wiki). Needs `actwright[apprise]`.

        AppriseNotification(urls=["tgram://bottoken/ChatID"]).save("operators")

    Attributes:
        urls: secrets, since they have tokens and passwords in them.
    """

    urls: list[SecretStr] = Field(min_length=1)

    if TYPE_CHECKING:  # pydantic takes plain text for a secret

        def __init__(self, *, urls: Sequence[str | SecretStr]) -> None: ...

    def notify(self, body: str, subject: str | None = None) -> Awaitable[None]:
        """Tell all of them.

        In sync code it blocks until each has answered. In async code nothing happens before what it returns is awaited,
        and the event loop goes on meanwhile; `anotify` is the same.

        Raises:
            AuthoringError: Apprise is not installed, or knows no service by one of the URLs.
            WebhookError: one of them could not be told; the others were.
        """
        if in_async_code():
            return self.anotify(body, subject)
        self._send(body, subject)
        return DONE

    async def anotify(self, body: str, subject: str | None = None) -> None:
        """`notify` in async code. Cancelled, it waits for the thread that tells them."""
        await anyio.to_thread.run_sync(self._send, body, subject)

    def _send(self, body: str, subject: str | None) -> None:
        with unlogged(*_LOGGING):
            services = self._services()  # which loads what they need
        with unlogged(*_LOGGING):
            # One after another: Apprise itself would start threads for them, and never end these.
            told = [bool(service.notify(body=body, title=subject or "")) for service in services]
        if not all(told):
            failed = ", ".join(str(number) for number, one in enumerate(told, 1) if not one)
            raise WebhookError(f"Apprise could not tell number {failed} of the {len(told)} services of this block.", "")

    def _services(self) -> Any:
        services = _apprise().Apprise()
        for number, url in enumerate(self.urls, 1):
            if not services.add(url.get_secret_value()):
                raise AuthoringError(f"Apprise knows no service by URL {number} of {len(self.urls)} of this block.")
        return services


def _apprise() -> Any:
    try:
        return import_module("apprise")
    except ImportError as error:
        raise AuthoringError("Apprise is not installed. Install it with: pip install 'actwright[apprise]'") from error
