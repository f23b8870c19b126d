"""Blocks that tell somebody by HTTP: any webhook, and Slack's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

from pydantic import AfterValidator, Field, PositiveFloat, SecretStr

from actwright.authoring.context import in_async_code
from actwright.blocks.block import Block
from actwright.blocks.sending import DONE, Message, send, send_async

if TYPE_CHECKING:
    from collections.abc import Awaitable

    import httpx

__all__ = ["Method", "SlackWebhook", "Webhook"]

Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


def _is_http(url: SecretStr) -> SecretStr:
    if not url.get_secret_value().startswith(("https://", "http://")):
        raise ValueError("expected a URL that begins with https:// (or http://)")
    return url


_Url: TypeAlias = Annotated[SecretStr, AfterValidator(_is_http)]


class Webhook(Block):
    """A URL that something is sent to. Its URL and headers are secrets: whoever knows them may use them.

    Attributes:
        url: https://... or http://...
        method: "POST" if none is given.
        headers: name -> value; what they say goes before what is said by default.
        timeout_seconds: how long connecting, sending, and waiting for more of the answer may take, each.
    """

    url: _Url
    method: Method = "POST"
    headers: dict[str, SecretStr] = Field(default_factory=dict[str, SecretStr])
    timeout_seconds: PositiveFloat = 30.0

    if TYPE_CHECKING:  # pydantic takes plain text for secrets

        def __init__(
            self,
            *,
            url: str | SecretStr,
            method: Method = "POST",
            headers: Mapping[str, str | SecretStr] = ...,
            timeout_seconds: float = 30.0,
        ) -> None: ...

    def call(self, payload: Any = None) -> Any:
        """Send the payload; the answer, an `httpx.Response`.

        In sync code it blocks. In async code nothing happens before what it returns is awaited, and the event loop goes
        on meanwhile; `acall` is the same with its type.

        Args:
            payload: JSON values, or a str, which is sent as it is. None sends no body.

        Raises:
            WebhookError: it could not be sent, there was no answer, or its status is no 2xx.
        """
        return self.acall(payload) if in_async_code() else send(self._message(payload))

    async def acall(self, payload: Any = None) -> httpx.Response:
        """`call` in async code; cancelled, it gives up."""
        return await send_async(self._message(payload))

    def _message(self, payload: Any) -> Message:
        headers = {name: value.get_secret_value() for name, value in self.headers.items()}
        return Message(self.method, self.url.get_secret_value(), payload, headers, self.timeout_seconds)


class SlackWebhook(Block):
    """A channel of Slack's, by the URL of an incoming webhook (or of whatever takes the same messages).

        SlackWebhook(url="https://hooks.slack.com/services/...").save("my-slack-webhook")

    Attributes:
        url: a secret, since whoever knows it may write to the channel.
        timeout_seconds: how long connecting, sending, and waiting for more of the answer may take, each.
    """

    url: _Url
    timeout_seconds: PositiveFloat = 30.0

    if TYPE_CHECKING:  # pydantic takes plain text for a secret

        def __init__(self, *, url: str | SecretStr, timeout_seconds: float = 30.0) -> None: ...

    def notify(self, body: str, subject: str | None = None) -> Awaitable[None]:
        """Write to the channel.

        In sync code it blocks until Slack has it. In async code nothing happens before what it returns is awaited, and
        the event loop goes on meanwhile; `anotify` is the same.

        Args:
            body: text in Slack's own markup: `*bold*`, `<https://example.com|a link>`.
            subject: a first line, in bold.

        Raises:
            WebhookError: it could not be sent, there was no answer, or its status is no 2xx.
        """
        if in_async_code():
            return self.anotify(body, subject)
        send(self._message(body, subject))
        return DONE

    async def anotify(self, body: str, subject: str | None = None) -> None:
        """`notify` in async code; cancelled, it gives up."""
        await send_async(self._message(body, subject))

    def _message(self, body: str, subject: str | None) -> Message:
        text = body if subject is None else f"*{subject}*\n{body}"
        return Message("POST", self.url.get_secret_value(), {"text": text}, {}, self.timeout_seconds)
