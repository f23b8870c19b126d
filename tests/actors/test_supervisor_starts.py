"""How a supervisor's children start, at first and again, and who is told when one does not."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

import anyio
import pytest
from tests.actors.helpers import ASYNCIO_BACKENDS, ASYNCIO_IDS, Hold, Worker, open_system, raising
from tests.actors.team import Member, Team, child, crash

from actwright_actors import (
    Actor,
    ActorDead,
    ActorRef,
    ActorSystem,
    AlreadySpawned,
    AskTimeout,
    ChildSpec,
    Crashed,
    DeadlockDetected,
    RestartIntensityExceeded,
    Shutdown,
    StartChild,
    StartFailed,
    StopChild,
    Supervisor,
)
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio

FAILURES = [ValueError("boom"), SystemExit(3)]
on_asyncio = pytest.mark.parametrize("anyio_backend", ASYNCIO_BACKENDS, ids=ASYNCIO_IDS)


class Factory:
    """Makes an actor each time that it is called; but once `then` is set, calls that."""

    def __init__(self) -> None:
        self.calls = 0
        self.then: Callable[[], Any] | None = None

    def __call__(self) -> Actor[Any]:
        self.calls += 1
        return Worker() if self.then is None else self.then()


def raises(error: BaseException) -> Callable[[], Any]:
    def fail() -> None:
        raise error

    return fail


# -- StartChild --------------------------------------------------------------------------------------------------------


async def test_start_child_is_answered_once_on_start_has_returned_and_the_supervisor_goes_on_meanwhile() -> None:
    team = Team()
    answers: list[ActorRef[Any]] = []
    hold = team.hold_start("slow")
    async with open_system() as system, anyio.create_task_group() as group:
        supervisor = await system.spawn(Supervisor(team.specs("a")))

        async def ask() -> None:
            answers.append(await supervisor.ask(StartChild(team.spec("slow"))))

        group.start_soon(ask)
        await hold.entered.wait()
        assert (await supervisor.ask(StartChild(team.spec("b")))).status == "running"
        assert answers == []
        hold.release.set()
        await anyio.wait_all_tasks_blocked()
        assert answers == [child(system, "slow")]


@pytest.mark.parametrize("error", FAILURES, ids=repr)
async def test_start_child_raises_what_on_start_raised_and_the_child_is_gone(error: BaseException) -> None:
    team = Team()
    team.fail_start("b", 1, error)
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("a"), strategy="one_for_all", intensity=0))
        with pytest.raises(type(error)) as caught:
            await supervisor.ask(StartChild(team.spec("b")))
        assert caught.value is error
        assert [ref.name for ref in system.actors()] == [supervisor.name, "a"]
        assert team.events == ["+a"]
        assert await (await supervisor.ask(StartChild(team.spec("b")))).ask("now") == ["now"]


@pytest.mark.parametrize("error", FAILURES, ids=repr)
async def test_start_child_raises_what_the_factory_raised(error: BaseException) -> None:
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(intensity=0))
        with pytest.raises(type(error)) as caught:
            await supervisor.ask(StartChild(ChildSpec("a", raises(error))))
        assert caught.value is error
        assert system.actors() == [supervisor]


async def test_start_child_refuses_a_factory_that_makes_no_actor_or_the_same_one_again() -> None:
    same = Worker()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor())
        with pytest.raises(TypeError, match="factory of child 'a' returned 'an actor'"):
            await supervisor.ask(StartChild(ChildSpec("a", cast("Any", lambda: "an actor"))))
        with pytest.raises(TypeError, match="must return an Actor object"):
            await supervisor.ask(StartChild(ChildSpec("a", cast("Any", lambda: Worker))))
        await supervisor.ask(StartChild(ChildSpec("a", lambda: same)))
        with pytest.raises(AlreadySpawned, match="have a child spec's factory make a new one"):
            await supervisor.ask(StartChild(ChildSpec("b", lambda: same)))
        assert [ref.name for ref in system.actors()] == [supervisor.name, "a"]


async def test_start_child_of_a_child_that_is_killed_before_it_has_started_raises_actor_dead() -> None:
    team = Team()
    hold = team.hold_start("a")
    async with open_system() as system, anyio.create_task_group() as group:
        supervisor = await system.spawn(Supervisor(intensity=0))

        async def ask() -> None:
            with pytest.raises(ActorDead, match="'a' cannot answer: it ended with Killed"):
                await supervisor.ask(StartChild(team.spec("a")))

        group.start_soon(ask)
        await hold.entered.wait()
        child(system, "a").kill()
        await anyio.wait_all_tasks_blocked()
        assert system.lookup("a") is None
        assert supervisor.is_alive


async def test_a_child_stays_when_its_asker_is_cancelled_or_out_of_time() -> None:
    team, clock = Team(), ManualClock()
    async with open_system(clock=clock) as system:
        supervisor = await system.spawn(Supervisor())
        hold = team.hold_start("a")
        async with anyio.create_task_group() as group:
            group.start_soon(supervisor.ask, StartChild(team.spec("a")))
            await hold.entered.wait()
            group.cancel_scope.cancel()
        late = team.hold_start("b")

        async def ask_in_vain() -> None:
            with pytest.raises(AskTimeout):
                await supervisor.ask(StartChild(team.spec("b")), timeout=1.0)

        async with anyio.create_task_group() as group:
            group.start_soon(ask_in_vain)
            await late.entered.wait()
            clock.advance(1.0)
        hold.release.set()
        late.release.set()
        assert await child(system, "a").ask("a") == ["a"]
        assert await child(system, "b").ask("b") == ["b"]


async def test_whoever_asked_for_a_child_hears_that_the_supervisor_ended_first() -> None:
    team = Team()
    hold = team.hold_start("a")
    async with open_system() as system, anyio.create_task_group() as group:
        supervisor = await system.spawn(Supervisor())

        async def ask() -> None:
            with pytest.raises(ActorDead):
                await supervisor.ask(StartChild(team.spec("a", stop_timeout=0.0)))

        group.start_soon(ask)
        await hold.entered.wait()
        supervisor.kill()
        await supervisor.stopped()
        assert system.actors() == []


async def test_the_on_start_of_an_added_child_may_ask_its_supervisor() -> None:
    team = Team()
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor())

        async def ask_for_another(name: str, _: int) -> None:
            if name == "a":
                await supervisor.ask(StartChild(team.spec("b")))

        team.before_start = ask_for_another
        await supervisor.ask(StartChild(team.spec("a")))
        assert team.events == ["+b", "+a"]


@pytest.mark.parametrize("start", [None, ValueError("not today")], ids=["factory", "on_start"])
async def test_a_child_that_was_told_to_start_and_did_not_is_in_the_log(
    start: ValueError | None, caplog: pytest.LogCaptureFixture
) -> None:
    team = Team()
    spec = ChildSpec("a", raises(ValueError("not today")))
    if start is not None:
        spec = team.spec("a")
        team.fail_start("a", 1, start)
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor())
        with caplog.at_level(logging.ERROR, "actwright_actors"):
            supervisor.tell(StartChild(spec))
            await anyio.wait_all_tasks_blocked()
        assert [record.getMessage() for record in caplog.records] == ["Child 'a' did not start."]
        assert caplog.records[0].exc_info is not None
        assert str(caplog.records[0].exc_info[1]) == "not today"


async def test_a_child_without_a_name_is_given_one_which_a_restart_keeps() -> None:
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor([ChildSpec(None, Worker)]))
        ref = await supervisor.ask(StartChild(ChildSpec(None, Worker)))
        first = system.actors()[1]
        assert first.name != ref.name
        await crash(ref)
        assert system.lookup(ref.name) is ref
        await supervisor.ask(StopChild(ref.name))
        await ref.stopped()
        assert system.actors() == [supervisor, first]


# -- the children that there are from the first ------------------------------------------------------------------------


async def test_a_child_that_fails_at_first_fails_the_supervisors_start_and_leaves_none_behind() -> None:
    team = Team()
    team.fail_start("c", 1, ValueError("cannot start"))
    async with open_system() as system:
        with pytest.raises(ValueError, match="cannot start"):
            await system.spawn(Supervisor(team.specs("abcd")))
        assert team.events == ["+a", "+b", "-b", "-a"]
        assert system.actors() == []


async def test_a_child_that_is_killed_before_it_has_started_fails_the_supervisors_start() -> None:
    team = Team()
    hold = team.hold_start("b")
    async with open_system() as system, anyio.create_task_group() as group:

        async def spawn() -> None:
            with pytest.raises(ActorDead, match="'b' cannot answer: it ended with Killed"):
                await system.spawn(Supervisor(team.specs("abc")))

        group.start_soon(spawn)
        await hold.entered.wait()
        child(system, "b").kill()
        await anyio.wait_all_tasks_blocked()
        assert team.events == ["+a", "-a"]
        assert system.actors() == []


async def test_a_child_whose_on_start_asks_the_supervisor_that_waits_for_it_is_a_deadlock_told_at_once() -> None:
    team = Team()

    async def ask_it(name: str, _: int) -> None:
        if name == "b":
            await child(system, "supervisor").ask(StopChild("a"))

    team.before_start = ask_it
    async with open_system(clock=ManualClock()) as system:  # on which no ask ever times out
        with pytest.raises(DeadlockDetected, match="'b' -> 'supervisor' -> 'b'"):
            await system.spawn(Supervisor(team.specs("ab")), name="supervisor")
        assert team.events == ["+a", "-a"]


async def test_a_restarted_child_may_ask_its_supervisor_in_on_start() -> None:
    team = Team()

    async def ask_it(name: str, nth: int) -> None:
        if (name, nth) == ("b", 2):
            await child(system, "supervisor").ask(StopChild("a"))

    team.before_start = ask_it
    async with open_system() as system:
        await system.spawn(Supervisor(team.specs("ab")), name="supervisor")
        await crash(child(system, "b"))
        assert await child(system, "b").ask("b") == ["b"]
        assert system.lookup("a") is None


async def test_a_supervisor_that_is_killed_while_it_starts_gives_its_children_the_time_they_have() -> None:
    team, clock = Team(), ManualClock()
    starting, stopping = team.hold_start("b"), team.hold_stop("a")
    async with open_system(clock=clock, stop_timeout=5.0) as system:
        supervisor = system.spawn_soon(
            Supervisor([team.spec("a", stop_timeout=60.0), team.spec("b", stop_timeout=0.0)])
        )
        await starting.entered.wait()
        supervisor.kill()
        await anyio.wait_all_tasks_blocked()
        clock.advance(0.0)  # `b` has had its time
        await stopping.entered.wait()
        clock.advance(59.0)
        await anyio.wait_all_tasks_blocked()
        assert (supervisor.is_alive, system.abandoned) == (True, 0)
        assert not stopping.was_cancelled
        stopping.release.set()
        await supervisor.stopped()
        assert system.actors() == []


# -- starting again ----------------------------------------------------------------------------------------------------


async def restart_once(system: ActorSystem, factory: Factory, then: Callable[[], Any]) -> ActorRef[Any]:
    """A supervisor that is allowed one restart, which `then` is called for."""
    supervisor = await system.spawn(Supervisor([ChildSpec("a", factory)], intensity=1))
    factory.then = then
    await crash(child(system, "a"))
    return supervisor


@pytest.mark.parametrize("error", FAILURES, ids=repr)
async def test_a_factory_that_raises_counts_as_one_more_death(error: BaseException) -> None:
    factory = Factory()
    async with open_system() as system:
        reason = await (await restart_once(system, factory, raises(error))).stopped()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error, RestartIntensityExceeded)
        assert reason.error.__cause__ is error
        assert factory.calls == 2


@on_asyncio
async def test_a_factory_that_forges_a_cancellation_counts_as_one_more_death() -> None:
    factory = Factory()
    async with open_system() as system:
        reason = await (await restart_once(system, factory, raises(asyncio.CancelledError()))).stopped()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error.__cause__, asyncio.CancelledError)


@pytest.mark.parametrize(
    ("made", "error", "complaint"),
    [
        (None, TypeError, "returned None. It must return an Actor"),
        (Worker(), AlreadySpawned, "has been started before"),
    ],
    ids=["none", "the same"],
)
async def test_a_factory_that_makes_no_fresh_actor_counts_as_one_more_death(
    made: Any, error: type[Exception], complaint: str
) -> None:
    async with open_system() as system:
        if made is not None:
            made = Worker()
            await system.spawn(made)
        reason = await (await restart_once(system, Factory(), lambda: made)).stopped()
        assert isinstance(reason, Crashed)
        assert isinstance(reason.error.__cause__, error)
        assert complaint in str(reason.error.__cause__)


async def test_a_child_whose_factory_fails_once_returns_with_its_mail() -> None:
    factory = Factory()

    def fail_once() -> None:
        factory.then = None
        raise ValueError("not yet")

    async with open_system() as system:
        supervisor = await system.spawn(Supervisor([ChildSpec("a", factory)], intensity=2))
        factory.then = fail_once
        ref = child(system, "a")
        ref.tell(raises(ValueError("crash")))
        assert await ref.ask("kept") == "kept"
        assert factory.calls == 3
        assert supervisor.is_alive


async def test_a_child_that_fails_to_start_again_counts_as_one_more_death_and_is_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    team = Team()
    team.fail_start("a", 2, ValueError("not yet"))
    async with open_system() as system:
        supervisor = await system.spawn(Supervisor(team.specs("a"), intensity=2))
        await crash(child(system, "a"))
        assert team.starts["a"] == 3
        assert supervisor.is_alive
        assert [record.getMessage() for record in caplog.records] == [
            "Actor 'a' ended: Crashed",
            "Actor 'a' ended: StartFailed",
        ]
        await crash(child(system, "a"))
        assert not supervisor.is_alive


@pytest.mark.parametrize("when", ["first", "again", "told", "asked"])
async def test_a_ctrl_c_that_strikes_in_a_factory_ends_the_system(when: str) -> None:
    factory, struck = Factory(), KeyboardInterrupt()
    if when != "again":
        factory.then = raises(struck)

    async def strike() -> None:
        async with open_system() as system:
            if when == "again":
                await restart_once(system, factory, raises(struck))
            elif when == "first":
                system.spawn_soon(Supervisor([ChildSpec("a", factory)]))
            else:
                supervisor = await system.spawn(Supervisor())
                if when == "told":
                    supervisor.tell(StartChild(ChildSpec("a", factory)))
                else:
                    with pytest.raises(KeyboardInterrupt):  # whatever the asker makes of it
                        await supervisor.ask(StartChild(ChildSpec("a", factory)))
            await anyio.sleep_forever()

    with pytest.raises(KeyboardInterrupt) as caught:
        await strike()
    assert caught.value is struck


async def test_a_stray_message_does_not_end_a_supervisor(caplog: pytest.LogCaptureFixture) -> None:
    async with open_system() as system:
        supervisor: ActorRef[Any] = await system.spawn(Supervisor([ChildSpec("a", lambda: Member(Team(), "a"))]))
        supervisor.tell("hello")
        with pytest.raises(TypeError, match="takes StartChild and StopChild; got 'is anybody there'"):
            await supervisor.ask("is anybody there")
        assert supervisor.is_alive
        assert "got 'hello'. It is ignored." in caplog.text


async def test_a_subclass_starts_and_stops_children_of_its_own_accord_and_goes_on_meanwhile() -> None:
    class Crew(Supervisor):
        async def handle(self, message: Any) -> Any:
            match message:
                case ("start", spec):
                    return self.start_child(spec)
                case ("stop", name):
                    return self.stop_child(name)
                case _:
                    return await super().handle(message)

    hold = Hold()
    async with open_system() as system:
        crew: ActorRef[Any] = await system.spawn(Crew())
        ref = await crew.ask(("start", ChildSpec("slow", lambda: Worker(on_start=hold))))
        await hold.entered.wait()
        assert ref.status == "starting"
        hold.release.set()
        assert await ref.ask("started") == "started"
        assert await crew.ask(("stop", "slow")) is ref
        assert await ref.stopped() == Shutdown()
        error = ValueError("boom")
        failing = await crew.ask(("start", ChildSpec("fails", lambda: Worker(on_start=raising(error)))))
        assert await failing.stopped() == StartFailed(error)
        assert crew.is_alive


async def test_what_is_no_child_spec_is_refused_with_an_example() -> None:
    make: Any = Supervisor
    start: Any = StartChild
    with pytest.raises(TypeError, match=r"ChildSpec\('name', Worker\)"):
        make([Worker])
    with pytest.raises(TypeError, match=r"ChildSpec\('name', Worker\)"):
        start(Worker)
