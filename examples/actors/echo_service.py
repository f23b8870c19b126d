"""A TCP echo service under supervision. `python echo_service.py 8007` serves; without a port it talks to itself.

service (rest_for_one)
├── connections (dynamic)      one actor for each connection; its crash harms no other
└── listener                   accepts, and asks for a child of `connections`

They stop in reverse order: first nobody is let in, then all connections are closed at once, each with a goodbye.
"""

from __future__ import annotations

import signal
import sys
from dataclasses import dataclass

import anyio
from anyio.abc import SocketAttribute, SocketStream

from actwright_actors import (
    Actor,
    ActorSystem,
    Ask,
    ChildSpec,
    DynamicSupervisor,
    ExitReason,
    MailboxOptions,
    Shutdown,
    StartChild,
    Supervisor,
)


@dataclass(frozen=True)
class WhichPort(Ask[int]):
    pass


class Connection(Actor[bytes]):
    """Echoes. Its mailbox is short: a client that sends and never reads is soon not read any more either."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = stream

    async def on_start(self) -> None:
        self.context.start_soon(self._read)

    async def _read(self) -> None:
        try:
            async for data in self._stream:
                await self.context.ref.send(data)
        except anyio.BrokenResourceError:
            pass  # it hung up without a word
        self.context.ref.drain()

    async def handle(self, message: bytes) -> None:
        if message == b"crash\n":
            raise RuntimeError("the client wanted it so")
        await self._stream.send(message)

    async def on_stop(self, reason: ExitReason) -> None:
        async with self._stream:
            if isinstance(reason, Shutdown):
                await self._stream.send(b"goodbye\n")


class Listener(Actor[WhichPort]):
    def __init__(self, port: int) -> None:
        self._port = port

    async def on_start(self) -> None:
        self._sockets = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=self._port)
        self.context.start_soon(self._sockets.serve, self._accept)

    async def _accept(self, stream: SocketStream) -> None:
        connections = self.context.system.lookup("connections")
        assert connections is not None  # it is started before the listener, and stopped after it
        room = MailboxOptions(capacity=8)
        await connections.ask(StartChild(ChildSpec(None, lambda: Connection(stream), "temporary", mailbox=room)))

    async def handle(self, message: WhichPort) -> int:
        return self._sockets.extra(SocketAttribute.local_port)

    async def on_stop(self, reason: ExitReason) -> None:
        await self._sockets.aclose()
        print("the listener is closed")


def service(port: int) -> Supervisor:
    children = [ChildSpec("connections", DynamicSupervisor), ChildSpec("listener", lambda: Listener(port))]
    return Supervisor(children, strategy="rest_for_one")


async def serve(port: int) -> None:
    async with ActorSystem() as system:
        await system.spawn(service(port), name="service")
        with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
            print(f"echo service on 127.0.0.1:{port}", flush=True)
            async for _ in signals:
                return


async def main() -> None:
    async with ActorSystem() as system:
        supervisor = await system.spawn(service(port=0))
        listener = system.lookup("listener")
        assert listener is not None
        port = await listener.ask(WhichPort())
        async with await anyio.connect_tcp("127.0.0.1", port) as ann, await anyio.connect_tcp("127.0.0.1", port) as eve:
            await ann.send(b"hello\n")
            print(f"ann hears {await ann.receive()!r}")
            await eve.send(b"crash\n")
            async for data in eve:
                print(f"eve hears {data!r}")
            print("eve's connection is closed")
            await ann.send(b"still there?\n")
            print(f"ann hears {await ann.receive()!r}")
            supervisor.stop()
            print(f"ann hears {await ann.receive()!r}")


if __name__ == "__main__":
    anyio.run(serve, int(sys.argv[1])) if sys.argv[1:] else anyio.run(main)
