"""Whatever escapes from whichever callback: one Down with a reason, and a system that closes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from types import CoroutineType
from typing import Any, cast

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.actors.helpers import open_system

from actwright_actors import (
    Actor,
    ActorDead,
    ActorRef,
    ActorSystem,
    ChildSpec,
    Crashed,
    DeadLetter,
    ExitReason,
    Instrument,
    MailboxOptions,
    Normal,
    StartFailed,
    Supervisor,
    SystemClosed,
)
from actwright_actors.testing import Probe

pytestmark = pytest.mark.anyio


def ctrl_c_in_a_group() -> BaseException:
    """What a task group in a handler makes of a Ctrl-C, on trio."""
    return BaseExceptionGroup("one", [KeyboardInterrupt()])


ERRORS: dict[str, Callable[[], BaseException]] = {
    "ValueError": lambda: ValueError("boom"),
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "forged CancelledError": asyncio.CancelledError,
    "ExceptionGroup": lambda: ExceptionGroup("several", [ValueError("boom"), OSError("bang")]),
    "BaseExceptionGroup": lambda: BaseExceptionGroup("several", [SystemExit(3), ValueError("boom")]),
    "KeyboardInterrupt in a group": lambda: BaseExceptionGroup("several", [ValueError("boom"), ctrl_c_in_a_group()]),
    "GeneratorExit": GeneratorExit,
    "StopAsyncIteration": StopAsyncIteration,
}

CALLBACKS = ["on_start", "handle", "handle an ask", "on_stop", "child task"]


class Failing(Actor[str]):
    """Raises `error` in the callback that it is told to."""

    def __init__(self, where: str, error: BaseException) -> None:
        self.where = where
        self.error = error

    async def on_start(self) -> None:
        self.fail_in("on_start")

    async def handle(self, message: str) -> None:
        if message == "child task":
            self.context.start_soon(self.child)
        self.fail_in(message)

    async def on_stop(self, reason: ExitReason) -> None:
        self.fail_in("on_stop")

    async def child(self) -> None:
        raise self.error

    def fail_in(self, place: str) -> None:
        if place == self.where != "child task":
            raise self.error


async def provoke(system: ActorSystem, where: str, ref: ActorRef[str]) -> None:
    match where:
        case "on_start":
            pass
        case "on_stop":
            ref.stop()
        case "handle an ask":
            with contextlib.suppress(ActorDead):
                await ref.ask(where)
        case _:
            ref.tell(where)


async def raised_by_spawn(system: ActorSystem, actor: Actor[Any]) -> BaseException | None:
    try:
        await system.spawn(actor)
    except BaseException as error:
        return error
    return None


def expects_interrupt(error: BaseException) -> contextlib.AbstractContextManager[object]:
    """A KeyboardInterrupt is the system's to raise, wherever it struck."""
    return pytest.raises(KeyboardInterrupt) if is_interrupt(error) else contextlib.nullcontext()


def is_interrupt(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return cast("BaseExceptionGroup[BaseException]", error).subgroup(KeyboardInterrupt) is not None
    return isinstance(error, KeyboardInterrupt)


@pytest.mark.parametrize("make_error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("where", CALLBACKS)
async def test_whatever_escapes_from_a_callback_is_one_down_with_it_as_the_reason(
    where: str, make_error: Callable[[], BaseException]
) -> None:
    error = make_error()
    downs: list[ExitReason] = []

    class Watcher(Actor[Any]):
        async def handle(self, message: Any) -> None:
            downs.append(message.reason)

    with expects_interrupt(error):
        async with open_system() as system:
            watcher = await system.spawn(Watcher())
            bystander = await system.spawn(Failing("nowhere", error))
            ref = system.spawn_soon(Failing(where, error), name="failing")
            ref.monitor(watcher)
            with anyio.CancelScope(shield=True):  # an interrupt cancels the block
                await provoke(system, where, ref)
                await ref.stopped()
                await anyio.wait_all_tasks_blocked()
                assert system.lookup("failing") is None
                if not is_interrupt(error):
                    await bystander.ask("still here")
    assert downs == [StartFailed(error) if where == "on_start" else Crashed(error)]


@pytest.mark.parametrize("make_error", ERRORS.values(), ids=ERRORS)
async def test_whatever_on_start_raises_is_raised_by_spawn(make_error: Callable[[], BaseException]) -> None:
    error = make_error()
    with expects_interrupt(error):
        async with open_system() as system:
            with anyio.CancelScope(shield=True):
                assert await raised_by_spawn(system, Failing("on_start", error)) is error


@pytest.mark.parametrize("make_error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("where", ["timer", "posted function"])
async def test_whatever_escapes_from_a_timer_or_a_posted_function_is_logged_and_the_next_one_runs(
    where: str, make_error: Callable[[], BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise error

    error = make_error()
    next_ran = anyio.Event()
    with expects_interrupt(error):
        async with open_system() as system:
            for fn in (fail, next_ran.set):
                if where == "timer":
                    system.timers.call_later(0, fn)
                else:
                    system.post(fn)
            with anyio.CancelScope(shield=True):
                await next_ran.wait()
    assert [record.exc_info[1] for record in caplog.records if record.exc_info] == [error]


@pytest.mark.parametrize("make_error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("when", ["first start", "restart"])
async def test_whatever_a_factory_raises_is_a_failed_start(when: str, make_error: Callable[[], BaseException]) -> None:
    def make() -> Failing:
        made.append(None)
        if when == "first start" or len(made) == 2:
            raise error
        return Failing("nowhere", error)

    error = make_error()
    made: list[None] = []
    with expects_interrupt(error):
        async with open_system() as system:
            supervisor = Supervisor([ChildSpec("child", make)], intensity=5)
            with anyio.CancelScope(shield=True):
                if when == "first start":
                    assert await raised_by_spawn(system, supervisor) is error
                    assert system.lookup("child") is None
                else:
                    await system.spawn(supervisor)
                    child = system.lookup("child")
                    assert child is not None
                    child.kill()
                    await anyio.wait_all_tasks_blocked()
                    assert len(made) == (2 if is_interrupt(error) else 3)


class Hanging(Failing):
    """Hangs where it is told to, and notes that its on_stop was called."""

    def __init__(self, where: str) -> None:
        super().__init__(where, ValueError("not raised"))
        self.stops: list[ExitReason] = []

    async def handle(self, message: str) -> None:
        self.context.start_soon(anyio.sleep_forever)
        await self.hang_in(message)

    async def on_stop(self, reason: ExitReason) -> None:
        self.stops.append(reason)
        await self.hang_in("on_stop")

    async def hang_in(self, place: str) -> None:
        if place == self.where:
            await anyio.sleep_forever()


def test_a_loop_that_is_torn_down_under_its_actors_ends_them_without_another_await(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What an interpreter does at its end to a loop that was closed and not run to its end."""
    actors = {where: Hanging(where) for where in ("handle", "on_stop", "child task")}
    systems: list[ActorSystem] = []

    async def leave_running() -> None:
        system = ActorSystem()
        systems.append(system)
        await system.__aenter__()
        for where, actor in actors.items():
            ref = await system.spawn(actor)
            await ref.ask("child task" if where == "on_stop" else "nowhere")
            ref.stop() if where == "on_stop" else ref.tell(where)
        await anyio.wait_all_tasks_blocked()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(leave_running())
    tasks = asyncio.all_tasks(loop)
    loop.close()
    with pytest.raises(SystemClosed):
        systems[0].post(print)
    for task in tasks:
        coroutine = task.get_coro()
        assert isinstance(coroutine, CoroutineType)
        with contextlib.suppress(RuntimeError):  # anyio's: its scopes want the loop
            coroutine.close()
        assert coroutine.cr_frame is None
    assert [len(actor.stops) for actor in actors.values()] == [0, 1, 0]
    assert caplog.records == []


# -- no message is lost ------------------------------------------------------------------------------------------------


class Diligent(Actor[int]):
    """Notes each message before and after a checkpoint."""

    begun: list[int]
    done: list[int]

    def __init__(self, begun: list[int], done: list[int]) -> None:
        self.begun, self.done = begun, done

    async def handle(self, message: int) -> None:
        self.begun.append(message)
        await anyio.lowlevel.checkpoint()
        self.done.append(message)


STEPS = st.lists(st.sampled_from(["tell", "signal", "kill", "yield"]), max_size=30)


@given(steps=STEPS, is_supervised=st.booleans())
@settings(max_examples=60)
async def test_a_message_is_handled_once_or_a_dead_letter_whenever_its_receiver_is_cancelled(
    steps: list[str], is_supervised: bool
) -> None:
    begun, done, letters = list[int](), list[int](), list[int]()

    def keep(letter: DeadLetter) -> None:
        letters.append(letter.message)

    async with open_system(on_dead_letter=keep) as system:
        if is_supervised:
            spec = ChildSpec("child", lambda: Diligent(begun, done))
            await system.spawn(Supervisor([spec], intensity=1_000))
        else:
            await system.spawn(Diligent(begun, done), name="child")
        ref = system.lookup("child")
        assert ref is not None
        sent: list[int] = []
        for number, step in enumerate(steps):
            match step:
                case "yield":
                    await anyio.lowlevel.checkpoint()
                case "kill":
                    ref.kill()
                case _:
                    sent.append(number)
                    (ref.tell if step == "tell" else ref.signal)(number)
        await anyio.wait_all_tasks_blocked()
    assert Counter(begun) + Counter(letters) == Counter(sent)
    assert set(done) <= set(begun)
    if is_supervised:
        assert letters == []  # the next incarnation takes what is left


# -- code of the user's that runs in the middle of an actor's end ------------------------------------------------------


@pytest.mark.parametrize("make_error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("where", ["on_dead_letter", "instrument", "a subscriber's priority"])
async def test_what_is_called_while_an_actor_is_buried_cannot_cut_that_short(
    where: str, make_error: Callable[[], BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    error = make_error()

    def fail(*_: object) -> Any:
        raise error

    instrument, on_dead_letter = Instrument(), fail if where == "on_dead_letter" else None
    if where == "instrument":
        vars(instrument).update(actor_ended=fail, dead_letter=fail)
    with expects_interrupt(error):
        async with open_system(instrument=instrument, on_dead_letter=on_dead_letter) as system:
            with anyio.CancelScope(shield=True):
                probe = await Probe.start(system)
                entered, release = anyio.Event(), anyio.Event()
                dying = await system.spawn(Busy(entered, release), name="dying")
                if where == "a subscriber's priority":
                    options = MailboxOptions(priority=fail)
                    subscriber: ActorRef[Any] = await system.spawn(Failing("nowhere", error), mailbox=options)
                    system.dead_letter_stream.subscribe(subscriber)
                dying.monitor(probe.ref)
                dying.tell("busy")
                await entered.wait()
                dying.tell("left behind")
                dying.stop()
                release.set()
                assert await probe.expect_down(dying) == Normal()
                assert system.lookup("dying") is None
    assert error in [record.exc_info[1] for record in caplog.records if record.exc_info]


class Busy(Actor[str]):
    def __init__(self, entered: anyio.Event, release: anyio.Event) -> None:
        self.entered, self.release = entered, release

    async def handle(self, message: str) -> None:
        self.entered.set()
        await self.release.wait()


class Unspeakable(Exception):
    def __init__(self, why: BaseException) -> None:
        self.why = why

    def __repr__(self) -> str:
        raise self.why

    __str__ = __repr__


@pytest.mark.parametrize("why", [ValueError("no words"), SystemExit(3)], ids=["an exception", "a process exit"])
async def test_an_error_that_cannot_be_shown_still_reaches_askers_partners_and_watchers(why: BaseException) -> None:
    class Raising(Actor[str]):
        async def handle(self, message: str) -> None:
            raise Unspeakable(why)

    async with open_system() as system:
        probe, partner = await Probe.start(system), Failing("nowhere", ValueError())
        ref, partner_ref = await system.spawn(Raising()), await system.spawn(partner)
        partner.context.link(ref)
        ref.monitor(probe.ref)
        with pytest.raises(ActorDead, match="whose repr raises"):
            await ref.ask("crash")
        reason = await probe.expect_down(ref)
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, Unspeakable)
        assert isinstance(await partner_ref.stopped(), Crashed)


@pytest.mark.parametrize("raised", [LookupError, SystemExit])
async def test_a_log_that_raises_keeps_no_actor_from_ending(
    raised: type[BaseException], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(record: logging.LogRecord) -> bool:
        raise raised("a broken filter")

    log = logging.getLogger("actwright_actors")
    monkeypatch.setattr(log, "filters", [refuse])
    async with open_system() as system:
        probe = await Probe.start(system)
        error = ValueError("boom")
        ref = await system.spawn(Failing("handle", error))
        ref.monitor(probe.ref)
        ref.tell("handle")
        assert await probe.expect_down(ref) == Crashed(error)
    assert "a broken filter" in capsys.readouterr().err
