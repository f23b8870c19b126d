"""What is left of an actor once it is dead: what others keep of it, and nothing else."""

from __future__ import annotations

import weakref

import anyio.lowlevel
import pytest
from tests.actors.helpers import Worker, open_system

from actwright_actors import ActorSystem, Normal
from actwright_actors._cell import cell_of

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_garbage_collection")]


async def live_and_die(system: ActorSystem) -> Worker:
    """An actor that is dead, and whose task is gone."""
    worker = Worker()
    ref = await system.spawn(worker)
    worker.context.start_soon(anyio.sleep_forever)
    await ref.ask("echo")
    await ref.stop_and_wait()
    for _ in range(5):
        await anyio.lowlevel.checkpoint()
    return worker


async def test_a_dead_actor_of_which_nobody_keeps_anything_is_gone_at_once() -> None:
    async with open_system() as system:
        worker = await live_and_die(system)
        ref = worker.context.ref
        gone = [weakref.ref(each) for each in (worker, ref, cell_of(ref), cell_of(ref).life)]
        del ref, worker
        assert [each() for each in gone] == [None] * 4


async def test_who_keeps_the_context_of_a_dead_actor_still_gets_its_reference_and_always_the_same() -> None:
    async with open_system() as system:
        worker = await live_and_die(system)
        ref = worker.context.ref
        assert worker.context.ref is ref
        assert not ref.is_alive
        assert ref.exit_reason == Normal()
        assert ref.name == worker.context.name


async def test_who_keeps_the_reference_of_a_dead_actor_can_go_on_using_it() -> None:
    async with open_system() as system:
        worker = await live_and_die(system)
        ref = worker.context.ref
        del worker
        ref.kill()
        ref.tell("too late")
        assert cell_of(ref).life.settled.is_set()
        assert await ref.stopped() == Normal()
        assert await ref.kill_and_wait() == Normal()
        assert (ref.status, system.dead_letters) == ("dead", 1)
