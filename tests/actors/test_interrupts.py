"""A Ctrl-C: wherever it strikes, and whatever it is wrapped in, the system ends and raises it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import anyio
import pytest
from tests.actors.helpers import Worker, open_system, raising

from actwright_actors import ActorRef, ActorSystem, Crashed, Shutdown
from actwright_actors._interrupt import interrupt_in

pytestmark = pytest.mark.anyio


async def test_a_keyboard_interrupt_in_an_actor_ends_the_system_and_is_raised_by_it() -> None:
    interrupt = KeyboardInterrupt()
    system, refs = ActorSystem(), list[ActorRef[Any]]()

    async def run() -> None:
        async with system:
            refs.extend([await system.spawn(Worker()), await system.spawn(Worker())])
            refs[1].tell(raising(interrupt))
            await anyio.sleep_forever()

    with anyio.fail_after(5), pytest.raises(KeyboardInterrupt) as caught:
        await run()
    assert caught.value is interrupt
    assert [ref.exit_reason for ref in refs] == [Shutdown(), Crashed(interrupt)]


async def test_a_keyboard_interrupt_in_a_child_task_ends_the_system_as_well() -> None:
    interrupt = KeyboardInterrupt()

    async def run() -> None:
        async with ActorSystem() as system:
            worker = Worker()
            await system.spawn(worker)
            worker.context.start_soon(raising(interrupt))
            await anyio.sleep_forever()

    with anyio.fail_after(5), pytest.raises(KeyboardInterrupt):
        await run()


async def strike_in_on_stop(system: ActorSystem, interrupt: BaseException) -> None:
    """It strikes in an on_stop that follows a crash."""
    ref = await system.spawn(Worker(on_stop=raising(interrupt)))
    ref.tell(raising(ValueError("boom")))


def raising_once_cancelled(error: BaseException) -> Callable[[], Coroutine[Any, Any, None]]:
    async def wait() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            raise error

    return wait


async def strike_in_a_child_that_ends(system: ActorSystem, interrupt: BaseException) -> None:
    """It strikes in a child task that is cancelled since its actor was killed."""

    worker = Worker()
    ref = await system.spawn(worker)
    worker.context.start_soon(raising_once_cancelled(interrupt))
    await anyio.wait_all_tasks_blocked()
    ref.kill()


async def strike_in_a_handler_that_a_crash_cancels(system: ActorSystem, interrupt: BaseException) -> None:
    worker = Worker()
    ref = await system.spawn(worker)
    ref.tell(raising_once_cancelled(interrupt))
    await anyio.wait_all_tasks_blocked()
    worker.context.start_soon(raising(ValueError("boom")))


@pytest.mark.parametrize(
    "strike", [strike_in_on_stop, strike_in_a_child_that_ends, strike_in_a_handler_that_a_crash_cancels]
)
async def test_a_keyboard_interrupt_in_what_ends_already_ends_the_system_too(
    strike: Callable[[ActorSystem, BaseException], Awaitable[None]],
) -> None:
    interrupt = KeyboardInterrupt()

    async def run() -> None:
        async with open_system() as system:
            await strike(system, interrupt)
            await anyio.sleep_forever()

    with pytest.raises(KeyboardInterrupt) as caught:
        await run()
    assert caught.value is interrupt


@pytest.mark.parametrize(
    "error",
    [
        ValueError("boom"),
        ExceptionGroup("several", [ValueError("boom"), ExceptionGroup("more", [OSError("bang")])]),
        BaseExceptionGroup("several", [SystemExit(3)]),
    ],
)
def test_an_error_that_holds_no_keyboard_interrupt_is_none(error: BaseException) -> None:
    assert interrupt_in(error) is None


def test_a_keyboard_interrupt_is_found_however_deep_in_groups_it_is() -> None:
    interrupt = KeyboardInterrupt()
    nested: list[BaseException] = [interrupt]
    for _ in range(5_000):  # deeper than Python calls itself
        nested.append(BaseExceptionGroup("group", [nested[-1]]))
    assert interrupt_in(nested[-1]) is interrupt
    while nested:  # freed one by one, or the interpreter would recurse
        nested.pop()


async def test_of_two_keyboard_interrupts_the_first_is_raised() -> None:
    async def crash_two() -> None:
        async with open_system() as system:
            refs = [await system.spawn(Worker()) for _ in range(2)]
            with anyio.CancelScope(shield=True):
                for ref, error in zip(refs, (first, second), strict=True):
                    ref.tell(raising(error))
                    await ref.stopped()

    first, second = KeyboardInterrupt("first"), KeyboardInterrupt("second")
    with pytest.raises(KeyboardInterrupt) as caught:
        await crash_two()
    assert caught.value is first


CTRL_C = textwrap.dedent(
    """
    import os, signal, sys, threading, time
    import anyio
    from actwright_actors import Actor, ActorSystem
    from actwright_actors.backends import backend_options

    class Busy(Actor[str]):
        async def handle(self, message):
            os.kill(os.getpid(), signal.SIGINT)
            deadline = time.monotonic() + 0.2
            while time.monotonic() < deadline:
                pass  # the signal lands here, in the actor's own code
            print("handled")

        async def on_stop(self, reason):
            print(reason)

    async def main():
        async with ActorSystem() as system:
            (await system.spawn(Busy())).tell("go")
            try:
                await anyio.sleep_forever()
            except BaseException as error:
                print("main got it")
                raise

    backend, options = backend_options(sys.argv[1])
    try:
        anyio.run(main, backend=backend, backend_options=options)
    except KeyboardInterrupt:
        print("KeyboardInterrupt")
    """
)


@pytest.mark.parametrize("name", ["asyncio", "asyncio+uvloop", "trio"])
def test_ctrl_c_in_the_middle_of_an_actor_reaches_the_main_task(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C, name],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.splitlines() == ["handled", "main got it", "Shutdown()", "KeyboardInterrupt"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


CTRL_C_IN_A_GROUP = textwrap.dedent(
    """
    import os, signal, sys, time
    import anyio
    from actwright_actors import Actor, ActorSystem
    from actwright_actors.backends import backend_options

    class Busy(Actor[str]):
        async def handle(self, place):
            if place == "handler":
                await self.work_in_a_group()
            else:
                self.context.start_soon(self.work_in_a_group)

        async def work_in_a_group(self):
            async with anyio.create_task_group() as group:
                group.start_soon(self.work)

        async def work(self):
            os.kill(os.getpid(), signal.SIGINT)
            deadline = time.monotonic() + 0.2
            while time.monotonic() < deadline:
                pass

    async def main():
        async with ActorSystem() as system:
            (await system.spawn(Busy())).tell(sys.argv[2])
            try:
                await anyio.sleep(20)
            except BaseException:
                print("main got it")
                raise

    backend, options = backend_options(sys.argv[1])
    try:
        anyio.run(main, backend=backend, backend_options=options)
    except KeyboardInterrupt:
        print("KeyboardInterrupt")
    """
)


@pytest.mark.parametrize("place", ["handler", "child task"])
@pytest.mark.parametrize("name", ["asyncio", "asyncio+uvloop", "trio"])
def test_ctrl_c_in_a_task_group_of_an_actor_reaches_the_main_task(name: str, place: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CTRL_C_IN_A_GROUP, name, place],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert done.stdout.splitlines() == ["main got it", "KeyboardInterrupt"]
