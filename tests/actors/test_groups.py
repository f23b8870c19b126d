"""Groups: who is in one, in which order, and who is told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import anyio.to_thread
import pytest
from tests.actors.helpers import Hold, Worker, open_system, raising

from actwright_actors import (
    Actor,
    ActorRef,
    ActorSystem,
    ChildSpec,
    DeadLetter,
    Down,
    MemberJoined,
    MemberLeft,
    Supervisor,
    SystemClosed,
    WrongThread,
)
from actwright_actors._cell import cell_of
from actwright_actors.testing import Probe

pytestmark = pytest.mark.anyio


async def workers(system: ActorSystem, count: int) -> list[ActorRef[Any]]:
    return [await system.spawn(Worker()) for _ in range(count)]


def no_entries(system: ActorSystem) -> bool:
    tables = (system.groups._members, system.groups._watchers)  # pyright: ignore[reportPrivateUsage]
    return all(vars(table) == {"_refs": {}, "_groups": {}} for table in tables)


async def test_members_are_listed_in_the_order_of_joining_and_join_once() -> None:
    async with open_system() as system:
        one, two, three = await workers(system, 3)
        assert system.groups.members("g") == []
        assert [system.groups.join("g", ref) for ref in (two, one, three, two)] == [True] * 4
        assert system.groups.members("g") == [two, one, three]
        assert system.groups.leave("g", one)
        assert not system.groups.leave("g", one)
        assert system.groups.members("g") == [two, three]


async def test_an_actor_that_joins_anew_comes_last() -> None:
    async with open_system() as system:
        one, two = await workers(system, 2)
        for ref in (one, two):
            system.groups.join("g", ref)
        system.groups.leave("g", one)
        system.groups.join("g", one)
        assert system.groups.members("g") == [two, one]


async def test_a_group_is_there_while_it_has_members_and_a_name_is_anything_hashable() -> None:
    async with open_system() as system:
        one, two = await workers(system, 2)
        system.groups.join(("room", 1), one)
        system.groups.join("g", one)
        system.groups.join("g", two)
        assert system.groups.names() == [("room", 1), "g"]
        system.groups.leave(("room", 1), one)
        system.groups.leave("g", one)
        assert system.groups.names() == ["g"]
        await two.stop_and_wait()
        assert system.groups.names() == []


async def test_a_dead_member_has_left_all_its_groups_before_its_down_is_handled() -> None:
    seen: list[tuple[bool, list[Any]]] = []

    class Watcher(Actor[Down]):
        async def handle(self, message: Down) -> None:
            groups = self.context.system.groups
            seen.append((message.ref in groups.members("g"), groups.names()))

    async with open_system() as system:
        member, other = await workers(system, 2)
        watcher = await system.spawn(Watcher())
        member.monitor(watcher)  # before it joins: its Down is on its way first
        for name, ref in (("g", member), ("h", member), ("g", other)):
            system.groups.join(name, ref)
        await member.kill_and_wait()
        await anyio.wait_all_tasks_blocked()
        assert seen == [(False, ["g"])]


async def test_a_dead_actor_joins_nothing() -> None:
    async with open_system() as system:
        (ref,) = await workers(system, 1)
        await ref.stop_and_wait()
        assert not system.groups.join("g", ref)
        assert system.groups.names() == []


async def test_a_member_that_is_restarted_stays_a_member() -> None:
    async with open_system() as system:
        probe, restarted = await Probe.start(system), Hold()

        def make() -> Worker:
            return Worker(on_start=restarted)

        restarted.release.set()
        await system.spawn(Supervisor([ChildSpec("member", make)]))
        ref = system.lookup("member")
        assert ref is not None
        system.groups.join("g", ref)
        assert system.groups.monitor("g", probe.ref) == [ref]
        restarted.entered = anyio.Event()
        ref.tell(raising(ValueError("boom")))
        await restarted.entered.wait()
        await probe.expect_none()
        assert system.groups.members("g") == [ref]


async def test_a_watcher_hears_of_each_change_from_then_on_and_of_no_other_group() -> None:
    async with open_system() as system:
        probe = await Probe.start(system)
        one, two = await workers(system, 2)
        system.groups.join("g", one)
        assert system.groups.monitor("g", probe.ref) == [one]
        assert system.groups.monitor("g", probe.ref) == [one]
        system.groups.join("g", one)
        system.groups.join("g", two)
        system.groups.join("other", two)
        system.groups.leave("g", one)
        await two.stop_and_wait()
        await anyio.wait_all_tasks_blocked()
        for change in (MemberJoined("g", two), MemberLeft("g", one), MemberLeft("g", two)):
            assert await probe.expect(type(change)) == change
        await probe.expect_none()


async def test_a_change_overtakes_the_watchers_user_messages() -> None:
    async with open_system() as system:
        worker, hold = Worker(), Hold()
        watcher = await system.spawn(worker)
        (member,) = await workers(system, 1)
        system.groups.monitor("g", watcher)
        watcher.tell(hold)
        await hold.entered.wait()
        watcher.tell("user")
        system.groups.join("g", member)
        hold.release.set()
        await watcher.ask("done")
        assert worker.seen == [hold, MemberJoined("g", member), "user", "done"]


async def test_a_change_that_its_watcher_did_not_live_to_see_is_no_dead_letter() -> None:
    async with open_system() as system:
        hold = Hold()
        watcher, member = await workers(system, 2)
        system.groups.monitor("g", watcher)
        watcher.tell(hold)
        await hold.entered.wait()
        system.groups.join("g", member)
        system.groups.leave("g", member)
        await watcher.kill_and_wait()
        assert system.dead_letters == 0


async def test_who_no_longer_watches_hears_nothing() -> None:
    async with open_system() as system:
        probe = await Probe.start(system)
        (member,) = await workers(system, 1)
        system.groups.monitor("g", probe.ref)
        system.groups.demonitor("g", probe.ref)
        system.groups.demonitor("g", probe.ref)
        system.groups.join("g", member)
        await probe.expect_none()


async def test_a_dead_watcher_is_dropped_and_one_that_is_a_member_hears_nothing_of_itself() -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        groups, probe, both = system.groups, await Probe.start(system), Worker()
        ref = await system.spawn(both)
        groups.monitor("g", ref)
        groups.monitor("g", probe.ref)
        groups.join("g", ref)
        await ref.ask("done")
        await ref.stop_and_wait()
        assert groups.monitor("g", ref) == []
        assert await probe.expect(MemberJoined) == MemberJoined("g", ref)
        assert await probe.expect(MemberLeft) == MemberLeft("g", ref)
        await probe.ref.stop_and_wait()
        assert no_entries(system)
        assert both.seen == [MemberJoined("g", ref), "done"]
    assert letters == []


async def test_an_actor_costs_one_entry_however_often_it_joins_and_leaves() -> None:
    async with open_system() as system:
        (ref,) = await workers(system, 1)
        for number in range(100):
            system.groups.join(number, ref)
            system.groups.monitor(number, ref)
            system.groups.leave(number, ref)
            system.groups.demonitor(number, ref)
        assert len(cell_of(ref)._watchers or ()) == 1  # pyright: ignore[reportPrivateUsage]
        assert no_entries(system)


CALLS: dict[str, Callable[[ActorSystem, ActorRef[Any]], object]] = {
    "join": lambda system, ref: system.groups.join("g", ref),
    "leave": lambda system, ref: system.groups.leave("g", ref),
    "members": lambda system, ref: system.groups.members("g"),
    "names": lambda system, ref: system.groups.names(),
    "monitor": lambda system, ref: system.groups.monitor("g", ref),
    "demonitor": lambda system, ref: system.groups.demonitor("g", ref),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=list(CALLS))
async def test_a_foreign_thread_is_refused(call: Callable[[ActorSystem, ActorRef[Any]], object]) -> None:
    async with open_system() as system:
        (ref,) = await workers(system, 1)
        with pytest.raises(WrongThread):
            await anyio.to_thread.run_sync(call, system, ref)


async def test_a_system_that_is_not_open_has_no_groups() -> None:
    with pytest.raises(SystemClosed):
        _ = ActorSystem().groups


async def test_all_have_left_when_the_system_is_closed() -> None:
    async with open_system() as system:
        for ref in await workers(system, 3):
            system.groups.join("g", ref)
    assert system.groups.names() == []
