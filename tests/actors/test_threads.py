"""Calls from foreign threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, cast

import anyio
import anyio.to_thread
import pytest
import uvloop
from tests.actors.helpers import Hold, Worker, open_system

from actwright_actors import (
    Actor,
    ActorRef,
    ActorSystem,
    DeadLetter,
    DeadLetterReason,
    Down,
    Killed,
    MailboxOptions,
    Normal,
    WrongThread,
)
from actwright_actors._cell import cell_of

pytestmark = pytest.mark.anyio


async def test_messages_of_a_thread_arrive_in_its_order() -> None:
    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker)

        def send() -> None:
            for number in range(1000):
                ref.tell(number)

        await anyio.to_thread.run_sync(send)
        await ref.ask("last")
        await ref.ask("the thread's posts are handled by now")
        assert [message for message in worker.seen if isinstance(message, int)] == list(range(1000))


async def test_a_signal_of_a_thread_still_overtakes_user_messages() -> None:
    async with open_system() as system:
        worker, hold = Worker(), Hold()
        ref = await system.spawn(worker)
        ref.tell(hold)
        await hold.entered.wait()
        ref.tell("user")
        await anyio.to_thread.run_sync(ref.signal, "system")
        await anyio.wait_all_tasks_blocked()
        hold.release.set()
        await ref.ask("last")
        assert worker.seen == [hold, "system", "user", "last"]


async def test_a_thread_may_stop_drain_and_kill() -> None:
    async with open_system() as system:
        for how, reason in (("stop", Normal()), ("drain", Normal()), ("kill", Killed())):
            ref = await system.spawn(Worker())
            await anyio.to_thread.run_sync(getattr(ref, how))
            assert await ref.stopped() == reason


async def test_what_only_the_loop_may_do_is_refused_in_a_thread_with_advice() -> None:
    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker)
        watcher = await system.spawn(Worker())
        refused: list[Callable[[], object]] = [
            lambda: ref.monitor(watcher),
            lambda: ref.demonitor(watcher),
            lambda: system.spawn_soon(Worker()),
            lambda: worker.context.start_soon(anyio.sleep_forever),
            lambda: system.timers.call_later(1, dict),
            lambda: ref.ask("x").send(None),
            lambda: ref.send("x").send(None),
            lambda: ref.stopped().send(None),
        ]

        def try_all() -> list[str]:
            messages: list[str] = []
            for call in refused:
                with pytest.raises(WrongThread) as caught:
                    call()
                messages.append(str(caught.value))
            return messages

        for message in await anyio.to_thread.run_sync(try_all):
            assert "thread of the system's event loop" in message
            assert any(word in message for word in ("Use ", "Hand it over", "hand it over"))


async def test_the_system_knows_its_own_thread() -> None:
    async with open_system() as system:
        assert system.in_loop_thread()
        assert not await anyio.to_thread.run_sync(system.in_loop_thread)


async def test_a_posted_function_runs_in_the_loops_thread() -> None:
    async with open_system() as system:
        seen: list[bool] = []
        done = anyio.Event()

        def note() -> None:
            seen.append(system.in_loop_thread())
            done.set()

        await anyio.to_thread.run_sync(system.post, note)
        await done.wait()
        assert seen == [True]


async def test_a_full_mailbox_turns_a_threads_message_into_a_dead_letter() -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        hold = Hold()
        ref = await system.spawn(Worker(), mailbox=MailboxOptions(1, "reject"))
        ref.tell(hold)
        await hold.entered.wait()
        ref.tell("fills it")
        await anyio.to_thread.run_sync(ref.tell, "one too many")
        await anyio.wait_all_tasks_blocked()
        assert letters == [DeadLetter("one too many", ref, DeadLetterReason.REJECTED)]
        hold.release.set()


async def test_a_threads_message_after_the_end_is_a_dead_letter_and_no_error() -> None:
    letters: list[DeadLetter] = []
    with anyio.fail_after(5):
        async with ActorSystem(on_dead_letter=letters.append) as system:
            ref = await system.spawn(Worker())
        for call in (lambda: ref.tell("told"), lambda: ref.signal("signalled"), ref.stop, ref.kill, ref.drain):
            await anyio.to_thread.run_sync(call)
    assert [letter.message for letter in letters] == ["told", "signalled"]


def test_a_message_after_the_loop_is_gone_is_a_dead_letter() -> None:
    async def main() -> ActorRef[Any]:
        async with system:
            return await system.spawn(Worker())

    system = ActorSystem()
    ref = anyio.run(main)
    ref.tell("too late")
    assert system.dead_letters == 1


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def test_a_plain_thread_may_start_actors_on_a_loop_that_anyio_did_not_start(
    loop_factory: Callable[[], asyncio.AbstractEventLoop],
) -> None:
    async def main() -> None:
        async with open_system() as system:
            started = anyio.Event()
            refs: list[ActorRef[object]] = []

            def start() -> None:
                refs.append(system.spawn_soon(Worker()))
                started.set()

            thread = threading.Thread(target=system.post, args=(start,))  # its context tells of no event loop
            thread.start()
            await started.wait()
            thread.join()
            assert await refs[0].ask("are you there?") == "are you there?"

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(main())


async def test_a_watcher_in_another_threads_system_gets_its_down_at_once_though_its_loop_is_idle() -> None:
    downs: SimpleQueue[tuple[Down, bool]] = SimpleQueue()
    opened: SimpleQueue[tuple[ActorSystem, ActorRef[Down], anyio.Event]] = SimpleQueue()

    class Watcher(Actor[Down]):
        async def handle(self, message: Down) -> None:
            downs.put((message, self.context.system.in_loop_thread()))

    async def run_other() -> None:
        finish = anyio.Event()
        async with ActorSystem("other") as other:
            opened.put((other, await other.spawn(Watcher()), finish))
            await finish.wait()

    thread = threading.Thread(target=anyio.run, args=(run_other,))
    thread.start()
    other, watcher, finish = await anyio.to_thread.run_sync(opened.get)
    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker)
        ref.monitor(watcher)
        with pytest.raises(WrongThread):
            worker.context.link(watcher)
        with pytest.raises(WrongThread):
            worker.context.unlink(watcher)
        await ref.stop_and_wait()
        down, was_in_its_thread = await anyio.to_thread.run_sync(partial(downs.get, timeout=10))
        assert (down, was_in_its_thread) == (Down(ref, Normal()), True)
    other.post(finish.set)
    await anyio.to_thread.run_sync(thread.join)


async def test_what_only_the_loop_may_do_raises_wrong_thread_elsewhere() -> None:
    async with open_system() as system:
        worker = Worker()
        ref = await system.spawn(worker)
        other = Worker()
        await system.spawn(other)
        context = worker.context
        context.timers.start("key", "message", 1000)
        timer = system.timers.call_later(1000, dict)
        child = context.start_soon(anyio.sleep_forever)
        calls: list[Callable[[], object]] = [
            context.stash, context.unstash_all, context.defer_reply, child.cancel, child.abandon,
            partial(context.link, ref), partial(context.unlink, ref), partial(context.start_soon, anyio.sleep_forever),
            partial(context.timers.start, "key", "message", 1), partial(context.timers.cancel, "key"),
            partial(context.timers.cancel, "no key"), context.timers.clear, lambda: other.context.timers,
            timer.cancel, lambda: child.wait().send(None), partial(system.spawn_soon, Worker()),
            partial(ref.monitor, ref), partial(ref.demonitor, ref),
        ]  # fmt: skip
        for call in calls:
            with pytest.raises(WrongThread):
                await anyio.to_thread.run_sync(call)
        assert ref.is_alive
        assert not child.done
        assert timer.is_pending
        assert context.timers.is_active("key")
        assert len(system.timers) == 2


async def test_what_only_looks_may_be_called_in_any_thread_while_actors_come_and_go() -> None:
    async with open_system() as system:
        ref = await system.spawn(Worker(), name="found")
        cells = cell_of(ref).kernel.cells

        class Coming:
            """At this moment the loop, in its own thread, starts another."""

            @property
            def ref(self) -> ActorRef[Any]:
                cells["another"] = cell_of(ref)
                return ref

        cells["coming"] = cast("Any", Coming())
        assert await anyio.to_thread.run_sync(system.actors) == [ref, ref]
        del cells["coming"], cells["another"]
        assert await anyio.to_thread.run_sync(system.lookup, "found") is ref
        assert [one.name for one in (await anyio.to_thread.run_sync(system.tree)).actors] == ["found"]
