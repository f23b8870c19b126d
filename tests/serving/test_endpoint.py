"""The health endpoint's side of HTTP: real sockets, good requests and bad ones."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import httpx
import pytest
from anyio.abc import SocketStream
from tests.engine.watched import WATCHDOG_SECONDS, until

from actwright.exceptions import ServiceFailed
from actwright.serving import endpoint
from actwright.serving.addresses import Address
from actwright.serving.endpoint import Endpoint, listen
from actwright.serving.pages import Page
from actwright_actors import ActorSystem, ChildSpec, Supervisor

pytestmark = pytest.mark.anyio


def echo(path: str) -> Page:
    return Page(418, "text/plain", f"you said {path}\n")


@asynccontextmanager
async def answering(answer: Callable[[str], Page] = echo) -> AsyncGenerator[Address]:
    with anyio.fail_after(WATCHDOG_SECONDS):
        listener, address = await listen(Address.of(0))
        async with listener, ActorSystem() as system:
            children = [ChildSpec("endpoint", lambda: Endpoint(listener, answer))]
            await system.spawn(Supervisor(children))
            yield address


@asynccontextmanager
async def connected(address: Address) -> AsyncGenerator[SocketStream]:
    async with await anyio.connect_tcp(address.host, address.port) as stream:
        yield stream


async def said(stream: SocketStream) -> bytes:
    """All that it says, until it closes the connection."""
    return b"".join([part async for part in stream])


async def test_a_get_gets_the_page_and_a_head_its_head() -> None:
    async with answering() as address, httpx.AsyncClient() as client:
        for path, shown in (("/livez", "/livez"), ("/a?b=c", "/a"), ("/%C3%A9", "/%C3%A9")):
            found = await client.get(address.url + path)
            assert (found.status_code, found.text) == (418, f"you said {shown}\n")
        head = await client.head(f"{address.url}/livez")
        assert (head.status_code, head.text) == (418, "")
        assert head.headers["content-length"] == str(len("you said /livez\n"))


async def test_another_method_is_not_allowed() -> None:
    async with answering() as address, httpx.AsyncClient() as client:
        found = await client.post(f"{address.url}/livez", content=b"x" * 100_000)
        assert (found.status_code, found.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "request_",
    [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET /" + b"a" * 70_000, b"\x16\x03\x01\x00\xff\r\n\r\n"],
)
async def test_what_is_no_http_is_told_so_and_costs_nobody_else_anything(request_: bytes) -> None:
    async with answering() as address:
        async with connected(address) as stream:
            await stream.send(request_)
            assert (await said(stream)).split()[1] in (b"400", b"431")
        async with connected(address) as stream:
            await stream.send(b"GET /well HTTP/1.0\r\n\r\n")
            assert b"you said /well" in await said(stream)


@pytest.mark.parametrize("target", [b"http://x/livez", b"http://x:80/livez?a=b", b"/livez?http://x"])
async def test_a_target_may_be_absolute(target: bytes) -> None:
    async with answering() as address, connected(address) as stream:
        await stream.send(b"GET " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"you said /livez\n" in await said(stream)


async def test_a_request_that_comes_in_pieces_is_answered() -> None:
    async with answering() as address, connected(address) as stream:
        for piece in (b"GET /pie", b"ces HTTP/1.1\r\nHo", b"st: x\r\n\r\n"):
            await stream.send(piece)
            await anyio.wait_all_tasks_blocked()
        assert b"you said /pieces" in await said(stream)


async def test_who_says_nothing_or_goes_away_is_let_go(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(endpoint, "_REQUEST_SECONDS", 0.05)
    async with answering() as address:
        async with connected(address) as stream:
            assert await said(stream) == b""
        for request in (b"", b"GET / HT", b"GET / HTTP/1.0\r\n\r\n"):
            async with connected(address) as stream:
                if request:
                    await stream.send(request)
        async with connected(address) as stream:
            await stream.send(b"GET /well HTTP/1.0\r\n\r\n")
            assert b"you said /well" in await said(stream)
    assert caplog.text == ""


async def test_beyond_the_most_connections_the_oldest_is_closed_and_the_newest_is_answered(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(endpoint, "_MOST_CONNECTIONS", 1)
    async with answering() as address, connected(address) as first, connected(address) as second:
        await second.send(b"GET /well HTTP/1.0\r\n\r\n")
        assert b"you said /well" in await said(second)
        assert await said(first) == b""


async def test_an_answer_that_cannot_be_made_is_logged_and_the_next_one_is_given(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def answer(path: str) -> Page:
        if path == "/fails":
            raise ValueError("no answer")
        return echo(path)

    async with answering(answer) as address:
        async with connected(address) as stream:
            await stream.send(b"GET /fails HTTP/1.0\r\n\r\n")
            assert await said(stream) == b""
        async with connected(address) as stream:
            await stream.send(b"GET /well HTTP/1.0\r\n\r\n")
            assert b"you said /well" in await said(stream)
    await until(lambda: "could not be answered" in caplog.text)
    assert "ValueError: no answer" in caplog.text


async def test_an_address_that_is_in_use_is_refused_with_what_to_do() -> None:
    async with answering() as address:
        with pytest.raises(ServiceFailed, match=r"Another program listens there\. Choose another health_address"):
            await listen(address)
    with pytest.raises(ServiceFailed, match=r"cannot listen at 192\.0\.2\.1, port 1"):
        await listen(Address.of("192.0.2.1:1"))
