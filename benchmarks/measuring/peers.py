"""The round trip of other actor libraries, when they are installed. Each function returns seconds.

They are imported when their turn comes: what they bring along (xoscar brings pandas) would make each collection of
garbage dearer for whatever is measured later in this process.
"""

from __future__ import annotations

from importlib.util import find_spec
from time import perf_counter
from typing import Any, Final

from measuring.loops import seconds_each

__all__ = ["advice_to_install", "pykka_asks", "xoscar_direct_calls", "xoscar_messages"]

MESSAGE: Final = "a message"


def advice_to_install(peer: str) -> str | None:
    """What to do to have that library here; None when it is."""
    return None if find_spec(peer) else f"{peer} is not installed: pip install -e '.[bench-peers]'"


def pykka_asks(count: int) -> float:
    """`ask` of a ThreadingActor, from a thread without an event loop."""
    import pykka

    class NoOp(pykka.ThreadingActor):
        def on_receive(self, message: Any) -> None: ...

    ref = NoOp.start()
    try:
        for _ in range(count // 10 or 1):
            ref.ask(MESSAGE)
        began = perf_counter()
        for _ in range(count):
            ref.ask(MESSAGE)
        return (perf_counter() - began) / count
    finally:
        ref.stop()


async def xoscar_messages(count: int) -> float:
    """asyncio: call through the reference that `create_actor` returns, in a pool of this process alone.

    The pool makes a message of the call, and another task of the same loop answers it.
    """
    return await _xoscar_calls(count, by_message=True)


async def xoscar_direct_calls(count: int) -> float:
    """asyncio: call through the reference that `actor_ref` returns for an actor of the same process.

    That is no message at all: the method runs in the caller's task, under the actor's lock.
    """
    return await _xoscar_calls(count, by_message=False)


async def _xoscar_calls(count: int, *, by_message: bool) -> float:
    import xoscar

    class NoOp(xoscar.Actor):
        async def handle(self, message: object) -> None: ...

    async with await xoscar.create_actor_pool("127.0.0.1", n_process=0) as pool:
        ref = await xoscar.create_actor(NoOp, address=pool.external_address, uid="no-op")
        if not by_message:
            ref = await xoscar.actor_ref(address=pool.external_address, uid="no-op")
        _check_kind(ref, by_message=by_message)

        async def call(times: int) -> None:
            for _ in range(times):
                await ref.handle(MESSAGE)

        return await seconds_each(call, count)


def _check_kind(ref: object, *, by_message: bool) -> None:
    # Which of the two a call yields is nowhere promised; a release that changes it must not change what is shown.
    if (type(ref).__name__ == "LocalActorRef") is by_message:
        raise RuntimeError(f"xoscar gave a {type(ref).__name__}; expected the reference that calls by other means.")
