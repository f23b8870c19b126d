"""What a system shows of itself."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import textwrap
import threading
import time
from queue import SimpleQueue
from types import FrameType
from typing import Any

import anyio
import pytest
from tests.actors.helpers import Hold, Worker, open_system

from actwright_actors import Actor, ActorInfo, ActorRef, ActorSystem, ChildSpec, Supervisor, dump_on_signal
from actwright_actors._cell import cell_of
from actwright_actors.testing import ManualClock

pytestmark = pytest.mark.anyio


async def test_the_tree_has_each_supervisors_children_under_it_in_the_order_of_their_start() -> None:
    async with open_system(name="shop") as system:
        inner = ChildSpec("inner", lambda: Supervisor([ChildSpec("leaf", Worker)]))
        await system.spawn(Supervisor([ChildSpec("first", Worker), inner, ChildSpec("last", Worker)]), name="outer")
        await system.spawn(Worker(), name="free")

        def names(actors: tuple[ActorInfo, ...]) -> list[Any]:
            return [(actor.name, names(actor.children)) for actor in actors]

        tree = system.tree()
        assert tree.name == "shop"
        assert names(tree.actors) == [
            ("outer", [("first", []), ("inner", [("leaf", [])]), ("last", [])]),
            ("free", []),
        ]
        assert [actor.kind for actor in tree.actors] == ["Supervisor", "Worker"]


async def test_an_actors_figures_tell_what_it_did_and_what_it_does() -> None:
    async with open_system() as system:
        await system.spawn(Supervisor([ChildSpec("child", Worker)], intensity=5))
        ref = system.lookup("child")
        assert ref is not None
        ref.kill()  # a restart
        for number in range(40):
            ref.tell(number)
        await ref.ask("done")
        hold = Hold()
        ref.tell(hold)
        ref.tell("waits")
        ref.signal("waits too")
        before = time.perf_counter()
        await hold.entered.wait()
        after = time.perf_counter()
        (supervisor,) = system.tree().actors
        (child,) = supervisor.children
        assert (child.status, child.restarts, child.handled) == ("running", 1, 42)  # the signal came first
        assert (child.mailbox_length, child.mailbox_peak) == (1, 41)
        assert child.current is not None
        assert "Hold" in child.current
        assert child.current_seconds is not None
        assert 0 <= child.current_seconds <= time.perf_counter() - before
        assert after >= before
        for number in range(50):
            ref.tell(number)
        now = system.tree().actors[0].children[0]
        assert (now.mailbox_length, now.mailbox_peak) == (51, 51)  # a peak is one while it lasts, too
        hold.release.set()
        await ref.ask("done")
        idle = system.tree().actors[0].children[0]
        assert (idle.current, idle.current_seconds, idle.mailbox_length) == (None, None, 0)


async def test_it_says_who_waits_for_whom_and_how_many_child_tasks_there_are() -> None:
    class Asking(Actor[ActorRef[Any]]):
        async def on_start(self) -> None:
            self.context.start_soon(anyio.sleep_forever)

        async def handle(self, message: ActorRef[Any]) -> None:
            await message.ask(hold)

    hold = Hold()
    async with open_system() as system:
        target = await system.spawn(Worker(), name="target")
        asking = await system.spawn(Asking())
        asking.tell(target)
        await hold.entered.wait()
        info = system.tree().actors[1]
        assert (info.waits_for, info.child_tasks) == ("target", 1)
        hold.release.set()


async def test_the_counts_of_the_system_are_those_of_its_properties() -> None:
    async with open_system(clock=ManualClock()) as system:
        ref = await system.spawn(Worker())
        await ref.stop_and_wait()
        ref.tell("nobody")
        system.timers.call_later(1, print)
        tree = system.tree()
        assert (tree.dead_letters, tree.late_replies, tree.abandoned, tree.timers) == (1, 0, 0, 1)


async def test_the_tree_is_data_that_json_takes() -> None:
    async with open_system() as system:
        await system.spawn(Supervisor([ChildSpec("child", Worker)]), name="top")
        data = json.loads(json.dumps(dataclasses.asdict(system.tree())))
        assert data["actors"][0]["children"][0]["name"] == "child"


async def test_a_message_whose_repr_raises_or_is_long_does_no_harm() -> None:
    class Unspeakable(Hold):
        def __repr__(self) -> str:
            raise ValueError("no words")

    class Wordy(Hold):
        def __repr__(self) -> str:
            return "word " * 1000

    async with open_system() as system:
        for hold in (Unspeakable(), Wordy()):
            ref = await system.spawn(Worker())
            ref.tell(hold)
            await hold.entered.wait()
            current = system.tree().actors[-1].current
            assert current is not None
            assert len(current) < 100
            hold.release.set()


async def test_a_message_whose_repr_exits_or_whose_class_has_a_known_name_does_no_harm() -> None:
    class Exits:
        def __repr__(self) -> str:
            raise SystemExit

    for message in (Exits(), type("array", (), {})()):
        async with open_system() as system:
            ref = await system.spawn(Worker())
            await ref.ask(1)
            cell_of(ref).life.current = message
            assert system.tree().actors[0].current == f"<{type(message).__name__}>"


async def test_a_ctrl_c_in_a_repr_is_nobody_elses() -> None:
    class Interrupted:
        def __repr__(self) -> str:
            raise KeyboardInterrupt

    async with open_system() as system:
        ref = await system.spawn(Worker())
        await ref.ask(1)
        cell_of(ref).life.current = Interrupted()
        with pytest.raises(KeyboardInterrupt):
            system.tree()


@pytest.mark.parametrize("breaks", ["the system is not open", "what is written cannot be"])
async def test_a_dump_that_fails_is_logged_and_raises_in_nobody(breaks: str, caplog: pytest.LogCaptureFixture) -> None:
    def full(_: str) -> None:
        raise BlockingIOError("full")

    system = ActorSystem()
    if "written" in breaks:
        async with system:
            with dump_on_signal(system, write=full):
                signal.raise_signal(signal.SIGUSR1)
    else:
        with dump_on_signal(system):
            signal.raise_signal(signal.SIGUSR1)
    assert "could not be dumped" in caplog.text


async def test_an_actor_that_stops_is_at_no_message() -> None:
    seen: list[Any] = []

    class Looks(Actor[int]):
        async def on_stop(self, reason: object) -> None:
            (info,) = self.context.system.tree().actors
            seen.append(info.current)
            with pytest.raises(RuntimeError, match="no message to stash"):
                self.context.stash()

    async with open_system() as system:
        ref = await system.spawn(Looks())
        await ref.stop_and_wait()
    assert seen == [None]


async def test_the_drawing_shows_the_shape_and_leaves_out_what_is_nought() -> None:
    async with open_system(name="shop") as system:
        inner = ChildSpec("inner", lambda: Supervisor([ChildSpec("leaf", Worker)]))
        await system.spawn(Supervisor([inner, ChildSpec("last", Worker)]), name="outer")
        await system.spawn(Worker(), name="free")
        await anyio.wait_all_tasks_blocked()
        assert str(system.tree()) == textwrap.dedent("""\
            shop: 5 actors, 0 dead letters, 0 late replies, 0 abandoned tasks, 0 timers
            ├── outer (Supervisor)  running  mailbox 0, peak 0  handled 0
            │   ├── inner (Supervisor)  running  mailbox 0, peak 0  handled 0
            │   │   └── leaf (Worker)  running  mailbox 0, peak 0  handled 0
            │   └── last (Worker)  running  mailbox 0, peak 0  handled 0
            └── free (Worker)  running  mailbox 0, peak 0  handled 0""")


async def test_the_drawing_of_a_busy_actor_says_with_what_and_for_how_long() -> None:
    info = ActorInfo(
        name="a", kind="K", status="running", mailbox_length=3, mailbox_peak=9, handled=7, restarts=2, child_tasks=1,
        current="Job(1)", current_seconds=0.25, waits_for="b", children=(),
    )  # fmt: skip
    assert str(info) == (
        "a (K)  running  mailbox 3, peak 9  handled 7  restarts 2  child tasks 1"
        "  handling Job(1) for 0.25 s  waits for b"
    )


async def test_another_thread_may_look() -> None:
    async with open_system() as system:
        await system.spawn(Worker(), name="one")
        tree = await anyio.to_thread.run_sync(system.tree)
        assert [actor.name for actor in tree.actors] == ["one"]


# -- the signal --------------------------------------------------------------------------------------------------------


async def test_a_signal_dumps_the_tree_while_a_handler_holds_the_loop() -> None:
    dumps: list[str] = []

    class Blocking(Actor[str]):
        async def handle(self, message: str) -> None:
            os.kill(os.getpid(), signal.SIGUSR1)
            deadline = time.monotonic() + 10
            while not dumps and time.monotonic() < deadline:
                pass  # never yields

    async with open_system() as system:
        with dump_on_signal(system, write=dumps.append):
            ref = await system.spawn(Blocking(), name="blocking")
            await ref.ask("go")
    assert len(dumps) == 1
    assert "blocking (Blocking)  running" in dumps[0]
    assert "handling 'go' for" in dumps[0]
    assert "in handle\n" in dumps[0]  # where the thread is


async def test_the_handler_of_before_is_called_too_and_put_back() -> None:
    calls: list[str] = []

    def before(number: int, frame: FrameType | None) -> None:
        calls.append("before")

    signal.signal(signal.SIGUSR2, before)
    try:
        async with open_system(name="one") as one, open_system(name="two") as two:
            first = dump_on_signal(one, signal.SIGUSR2, write=calls.append)
            with first, dump_on_signal(two, signal.SIGUSR2, write=calls.append):
                signal.raise_signal(signal.SIGUSR2)
        assert [call.partition(":")[0] for call in calls] == ["two", "one", "before"]
        assert signal.getsignal(signal.SIGUSR2) is before
    finally:
        signal.signal(signal.SIGUSR2, signal.SIG_DFL)


async def test_without_sigusr1_it_asks_for_a_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(signal, "SIGUSR1")
    async with open_system() as system:
        with pytest.raises(ValueError, match="pass the signal"), dump_on_signal(system):
            pass


PROGRAM = """
import os, signal, sys, threading
import anyio
from actwright_actors import Actor, ActorSystem, dump_on_signal
from actwright_actors.backends import backend_options

class Idle(Actor[str]): ...

name, where = sys.argv[1:]
backend, options = backend_options(name)
systems, ready = [], threading.Event()

async def in_main():
    async with ActorSystem("served") as system:
        await system.spawn(Idle(), name="idle")
        with dump_on_signal(system):
            os.kill(os.getpid(), signal.SIGUSR1)
            await anyio.sleep(0)

async def in_thread():
    global closed
    closed = anyio.Event()
    async with ActorSystem("served") as system:
        await system.spawn(Idle(), name="idle")
        systems.append((system, closed))
        ready.set()
        await closed.wait()

if where == "main":
    anyio.run(in_main, backend=backend, backend_options=options)
else:
    thread = threading.Thread(target=lambda: anyio.run(in_thread, backend=backend, backend_options=options))
    thread.start()
    ready.wait()
    (system, closed), = systems
    with dump_on_signal(system):
        signal.raise_signal(signal.SIGUSR1)
    system.post(closed.set)
    thread.join()
"""


@pytest.mark.parametrize("where", ["main", "thread"])
async def test_the_dump_goes_to_standard_error_from_whichever_thread_the_loop_is_in(
    where: str, anyio_backend_name: str, anyio_backend_options: dict[str, Any]
) -> None:
    name = "asyncio+uvloop" if anyio_backend_options.get("use_uvloop") else anyio_backend_name
    with anyio.fail_after(30):
        done = await anyio.run_process([sys.executable, "-c", PROGRAM, name, where])
    written = done.stderr.decode()
    assert "served: 1 actors" in written
    assert "└── idle (Idle)  running" in written
    assert "The thread of its loop is at:" in written
    assert ("in in_main" if where == "main" else "threading.py") in written


def test_the_stack_of_a_loop_in_another_thread_is_that_threads(capfd: pytest.CaptureFixture[str]) -> None:
    async def run() -> None:
        finish = anyio.Event()
        async with ActorSystem() as system:
            opened.put((system, finish))
            await finish.wait()

    opened: SimpleQueue[tuple[ActorSystem, anyio.Event]] = SimpleQueue()
    thread = threading.Thread(target=anyio.run, args=(run,))
    thread.start()
    system, finish = opened.get(timeout=10)
    with dump_on_signal(system):
        signal.raise_signal(signal.SIGUSR1)
        system.post(finish.set)
        thread.join()
        signal.raise_signal(signal.SIGUSR1)
    alive, gone = capfd.readouterr().err.split("system: 0 actors")[1:]
    assert "run_forever" in alive
    assert "nowhere: it has ended" in gone
