"""Random histories of a random tree of actors: after each step the library has done what the model says.

The file is longer than others: how a history is drawn, and how it is played, belong to no other test.
How many of them are played, `tests.histories` says.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from typing import Any, Final, Literal, TypeVar

import anyio
import trio
from anyio.abc import TaskGroup, TaskStatus
from hypothesis import assume, example, given
from hypothesis import strategies as st
from tests.actors import model_world as do
from tests.actors.helpers import open_system
from tests.actors.model import Model, Moment, Oracle
from tests.histories import Budget, as_many_as_asked, play_many

from actwright_actors import (
    Actor,
    ActorDead,
    ActorError,
    ActorRef,
    ActorSystem,
    AskTimeout,
    Backoff,
    ChildSpec,
    Crashed,
    DeadLetter,
    DeadlockDetected,
    Down,
    ExitReason,
    Killed,
    MailboxFull,
    MailboxOptions,
    NameTaken,
    Normal,
    NoSuchChild,
    RestartIntensityExceeded,
    RestartType,
    Shutdown,
    StartChild,
    StartFailed,
    StopChild,
    Supervisor,
)
from actwright_actors.testing import ManualClock

T = TypeVar("T")

# -- how a history is drawn --------------------------------------------------------------------------------------------

ACTS: Final[tuple[do.Act, ...]] = (
    "return", "return", "return", "return", "return", "return", "hold", "hold", "hold", "hold", "hold",
    "raise", "raise", "raise", "hold_then_raise", "exit", "forge", "cancel_self", "deaf",
    "child", "deaf_child", "child_then_raise", "child_raises",
)  # fmt: skip
STARTS: Final[tuple[tuple[do.Callback, ...], ...]] = (
    (), (), (), (), (), (), (), (), ("hold",), ("raise",), ("return", "hold"), ("return", "raise"),
    ("return", "raise", "raise"), ("return", "hold_then_raise", "raise"),
)  # fmt: skip
STOPS: Final[tuple[do.Callback | None, ...]] = (
    "return", "return", "return", "return", None, "raise", "hold", "hold", "hold_then_raise",
)  # fmt: skip
RESTARTS: Final[tuple[RestartType, ...]] = (
    "permanent", "permanent", "permanent", "transient", "transient", "temporary",
)  # fmt: skip
HOWS: Final[tuple[Literal["stop", "drain", "kill"], ...]] = ("stop", "drain", "kill")
SECONDS_TO_WAIT: Final = (1.0, 0.5, 2.0)
SECONDS_TO_PASS: Final = (0.25, 0.5, 1.0, 2.5, 6.0)

Kinds = dict[str, tuple[int, object, Callable[[], do.Operation]]]
"""Kinds of operations: how often, what must be there, and how one is drawn."""


class Author:
    """Draws what comes next, from what the model says there is."""

    def __init__(self, draw: Callable[[st.SearchStrategy[Any]], Any], model: Model, ids: Iterator[int]) -> None:
        self.draw, self.model, self.ids = draw, model, ids
        living = list(model.living.values())
        self.workers = [cell.id for cell in living if isinstance(cell.node, do.Worker)]
        self.teams = [cell.id for cell in living if isinstance(cell.node, do.Team)]
        self.busy = [cell.id for cell in living if isinstance(cell.node, do.Worker) and cell.now.doing is not None]
        self.all_workers = [cell.id for cell in model.cells.values() if isinstance(cell.node, do.Worker)]

    def one_of(self, things: list[T] | tuple[T, ...]) -> T:
        thing: T = self.draw(st.sampled_from(things))
        return thing

    def seldom(self) -> bool:
        return self.once_in(10)

    def once_in(self, times: int) -> bool:
        """Once in so many times."""
        number: int = self.draw(st.integers(1, times))
        return number == times

    # -- whom ----------------------------------------------------------------------------------------------------------

    def worker_id(self) -> str:
        """Busy ones above all, since their mail waits; the dead seldom."""
        if not self.workers or self.seldom():
            return self.one_of(self.all_workers)
        return self.one_of(self.busy if self.busy and self.draw(st.booleans()) else self.workers)

    def anybody(self) -> str:
        if self.teams and self.once_in(4):
            return self.one_of(self.teams)
        return self.worker_id() if self.all_workers else self.one_of(list(self.model.cells))

    # -- what is told --------------------------------------------------------------------------------------------------

    def message(self) -> do.Message:
        return do.Message(next(self.ids), self.one_of(ACTS))

    def question(self) -> do.Message | do.Forward:
        if len(self.workers) > 1 and self.once_in(5):
            return do.Forward(next(self.ids), self.one_of(self.workers), self.message(), self.one_of(SECONDS_TO_WAIT))
        return self.message()

    def name(self, pool: str, taken: list[str]) -> str:
        free = [name for name in pool if name not in taken and name not in self.model.living]
        name = self.one_of([name for name in pool if name not in taken] if not free or self.seldom() else free)
        taken.append(name)
        return name

    def worker(self, taken: list[str]) -> do.Worker:
        is_bounded = self.once_in(3)
        return do.Worker(
            self.name("abcdefghij", taken),
            starts=self.one_of(STARTS),
            stop=self.one_of(STOPS),
            stop_timeout=self.one_of(SECONDS_TO_WAIT),
            capacity=self.one_of([1, 2]) if is_bounded else None,
            overflow=self.one_of(["wait", "reject", "drop_oldest", "drop_newest"]) if is_bounded else "wait",
            restart=self.one_of(RESTARTS),
        )

    def team(self, taken: list[str], depth: int) -> do.Team:
        return do.Team(
            self.name("STUV", taken),
            tuple(self.node(taken, depth - 1) for _ in range(self.one_of([2, 1, 3, 0]))),
            strategy=self.one_of(["one_for_one", "one_for_all", "rest_for_one"]),
            intensity=self.one_of([1, 2, 3, 0]),
            backoff=self.one_of([0.0, 0.0, 0.5, 2.0]),
            restart=self.one_of(RESTARTS),
        )

    def node(self, taken: list[str], depth: int) -> do.Node:
        return self.team(taken, depth) if depth and self.once_in(4 - depth) else self.worker(taken)

    def watch(self) -> do.Operation:
        watched = [cell for cell in self.model.cells.values() if cell.watchers]
        if watched and self.once_in(4):
            target = self.one_of(watched)
            return do.Watch("demonitor", target.id, self.one_of([watcher.id for watcher in target.watchers]))
        return do.Watch("demonitor" if self.seldom() else "monitor", self.anybody(), self.worker_id())

    def stop_child(self) -> do.Operation:
        team = self.one_of(self.teams)
        children = [child.node.name for child in self.model.cells[team].now.children]
        return do.AskTeam(next(self.ids), team, self.one_of(children if children and not self.seldom() else ["a", "b"]))

    # -- what next -----------------------------------------------------------------------------------------------------

    def together(self) -> Kinds:
        """What can be done with no rest in between, since nobody waits for it."""
        model, one_of = self.model, self.one_of
        return {
            "tell": (8, self.all_workers, lambda: do.Post("tell", self.worker_id(), self.question())),
            "release": (6, model.gates, lambda: do.Release(one_of(list(model.gates)))),
            "signal": (3, self.all_workers, lambda: do.Post("signal", self.worker_id(), self.message())),
            "end": (6, model.cells, lambda: do.End(one_of(HOWS), self.anybody())),
            "watch": (4, self.all_workers, self.watch),
        }

    def alone(self) -> Kinds:
        model, ids, one_of = self.model, self.ids, self.one_of
        return {
            "ask": (6, self.all_workers, lambda: do.Ask(self.worker_id(), self.question(), one_of(SECONDS_TO_WAIT))),
            "send": (3, self.all_workers, lambda: do.Post("send", self.worker_id(), self.message())),
            "advance": (4, True, lambda: do.Advance(model.now + one_of(SECONDS_TO_PASS))),
            "stopped": (1, model.cells, lambda: do.Stopped(next(ids), self.anybody(), one_of(SECONDS_TO_WAIT))),
            "cancel": (2, model.callers(), lambda: do.CancelCaller(one_of(model.callers()), self.draw(st.booleans()))),
            "spawn": (2, True, lambda: do.Spawn(next(ids), self.node([], 2))),
            "start child": (3, self.teams, lambda: do.AskTeam(next(ids), one_of(self.teams), self.node([], 1))),
            "stop child": (2, self.teams, self.stop_child),
        }

    def operation(self, kinds: Kinds) -> do.Operation:
        possible = [draw for weight, need, draw in kinds.values() if need for _ in range(weight)]
        return self.one_of(possible)()

    def step(self) -> do.Step:
        if self.model.is_open and self.once_in(100):
            return (do.Close(),)
        if len(self.workers) < 3 and self.model.is_open and self.draw(st.booleans()):
            return (do.Spawn(next(self.ids), self.node([], 2)),)
        if self.all_workers and self.once_in(16):
            return tuple(self.operation(self.together()) for _ in range(self.one_of([2, 3])))
        return (self.operation(self.together() | self.alone()),)


@st.composite
def histories(draw: Callable[[st.SearchStrategy[Any]], Any]) -> list[Moment]:
    """Of steps whose outcome is promised; to the end of the system, and of all that outlives it."""
    oracle, ids = Oracle(), count(1)
    while len(oracle.history) < 60 and draw(st.integers(0, 49)):
        oracle.foretells(Author(draw, oracle.model, ids).step())
    while last := closing_step(oracle.model):
        assume(oracle.foretells(last))
    return oracle.history


def closing_step(model: Model) -> do.Step:
    if model.is_open:
        return (do.Close(),)
    if model.next_due() < math.inf:
        return (do.Advance(model.next_due()),)
    return (do.Release(next(iter(model.gates))),) if model.gates else ()


# -- the real thing ----------------------------------------------------------------------------------------------------


class Planned(Exception):
    """What a history wants raised."""


class Stage:
    """An actor system that does what a history says, and says what there is to see in the words of the model."""

    def __init__(self, group: TaskGroup) -> None:
        self.system: ActorSystem
        self.refs: dict[str, ActorRef[Any]] = {}
        self.ids: dict[ActorRef[Any], str] = {}
        self.incarnations: Counter[str] = Counter()
        self.workers: set[str] = set()
        self.gates: dict[str, anyio.Event] = {}
        self.events: list[str] = []
        self.handled: dict[str, list[str]] = {}
        self.outcomes: dict[int, str] = {}
        self.letters: list[str] = []
        self.is_closed = False
        self._clock = ManualClock()
        self._group = group
        self._leave = anyio.Event()
        self._callers: dict[int, Callable[[bool], object]] = {}
        self._requests: list[tuple[object, int]] = []
        self._names: Counter[str] = Counter()
        self._holds = True

    async def run(self, *, task_status: TaskStatus[None]) -> None:
        """Hold the system open until the history closes it."""
        async with open_system(
            clock=self._clock, on_dead_letter=self._dead_letter, stop_timeout=do.SYSTEM_STOP_TIMEOUT
        ) as self.system:
            task_status.started()
            await self._leave.wait()
        self.is_closed = True

    async def tear_down(self) -> None:
        """Let all end, whatever state a failure has left it in."""
        self._holds = False
        self._leave.set()
        rounds = 0
        while rounds < 20 and (self.gates or not self.is_closed):
            rounds += 1
            for gate in list(self.gates.values()):
                gate.set()
            self._clock.advance(do.SYSTEM_STOP_TIMEOUT)
            await rest()

    def observe(self) -> dict[str, Any]:
        refs = self.refs.items()
        living = [(self.ids[ref], ref.status) for ref in self.system.actors()]
        return {
            "living": [f"{id}#{self.incarnations[id]} {status}" for id, status in living],
            "ended": {id: self.reason(ref.exit_reason) for id, ref in refs if ref.exit_reason is not None},
            "handled": self.handled,
            "mail": {id: self.refs[id].mailbox_length for id in self.workers},
            "gates": sorted(self.gates),
            "outcomes": self.outcomes,
            "dead letters": sorted(self.letters),
            "abandoned": self.system.abandoned,
            "is closed": self.is_closed,
        }

    async def apply(self, step: do.Step, instants: list[float]) -> None:
        """Do the step, and come to rest at each of these times, at the last with the step done."""
        self.events = []
        for instant in instants:
            self._clock.advance(instant - self._clock.now())
            if instant == instants[-1]:
                for operation in step:
                    self._do(operation)
            await rest()

    def _do(self, operation: do.Operation) -> None:
        match operation:
            case do.Spawn(id, node):
                self._call(id, partial(self._spawn, node))
            case do.AskTeam(id, target, child):
                request = StopChild(child) if isinstance(child, str) else StartChild(self.spec(child))
                self._requests.append((request, id))
                self._call(id, partial(self.refs[target].ask, request, do.CHILD_TIMEOUT))
            case do.Ask(target, message, timeout):
                self._call(message.id, partial(self.refs[target].ask, message, timeout))
            case do.Post("tell", target, message):
                self._tell(self.refs[target], message)
            case do.Post("send", target, message):
                self._call(message.id, partial(self.refs[target].send, message))
            case do.Post(_, target, message):
                self.refs[target].signal(message)
            case do.Stopped(id, target, timeout):
                self._call(id, partial(self.refs[target].stopped, timeout))
            case do.CancelCaller(id, natively):
                self._callers[id](natively)
            case do.End(how, target):
                getattr(self.refs[target], how)()
            case do.Watch(how, target, watcher):
                getattr(self.refs[target], how)(self.refs[watcher])
            case do.Release(gate):
                if gate in self.gates:
                    self.gates.pop(gate).set()
            case do.Advance():
                pass  # the clock has been moved
            case do.Close():
                self._leave.set()

    async def _spawn(self, node: do.Node) -> ActorRef[Any]:
        spec = self.spec(node)
        return await self.system.spawn(
            spec.factory(), name=node.name, mailbox=spec.mailbox, stop_timeout=spec.stop_timeout
        )

    def spec(self, node: do.Node) -> ChildSpec:
        if isinstance(node, do.Team):
            return ChildSpec(node.name, partial(ScriptedTeam, self, node), node.restart)
        kind = SilentWorker if node.stop is None else ScriptedWorker
        mailbox = MailboxOptions(node.capacity, node.overflow)
        return ChildSpec(node.name, partial(kind, self, node), node.restart, node.stop_timeout, mailbox)

    # -- those who wait ------------------------------------------------------------------------------------------------

    def _tell(self, ref: ActorRef[Any], message: object) -> None:
        assert isinstance(message, do.Message | do.Forward)
        self.outcomes[message.id] = "sent"
        try:
            ref.tell(message)
        except MailboxFull as error:
            self.outcomes[message.id] = self.text(error)

    def _call(self, id: int, wait: Callable[[], Awaitable[Any]]) -> None:
        self._group.start_soon(self._be_caller, id, wait)

    async def _be_caller(self, id: int, wait: Callable[[], Awaitable[Any]]) -> None:
        task = current_asyncio_task()
        with anyio.CancelScope() as scope:
            self._callers[id] = lambda natively: task.cancel() if natively and task else scope.cancel()
            try:
                await self.record(id, wait)
            except (Planned, ActorError, TimeoutError):
                pass  # recorded
            except anyio.get_cancelled_exc_class():
                if scope.cancel_called:
                    raise

    async def record(self, id: int, wait: Callable[[], Awaitable[Any]]) -> None:
        """Write down what becomes of a wait."""
        self.outcomes[id] = do.WAITS
        try:
            answer = await wait()
        except anyio.get_cancelled_exc_class():
            self.outcomes[id] = "cancelled"
            raise
        except BaseException as error:
            self.outcomes[id] = self.text(error)
            raise
        match answer:
            case None:
                self.outcomes[id] = "sent"
            case int():
                self.outcomes[id] = f"answered {answer}"
            case ActorRef():
                self.outcomes[id] = f"answered {self.ids[answer]}"
            case _:
                self.outcomes[id] = f"ended {self.reason(answer)}"

    # -- what actors do ------------------------------------------------------------------------------------------------

    def enter(self, ref: ActorRef[Any], node: do.Node) -> str:
        """Somebody's on_start is called; returns the name of this incarnation."""
        if ref not in self.ids:
            self._names[node.name] += 1
            self.ids[ref] = id = f"{node.name}{self._names[node.name]}"
            self.refs[id] = ref
            if isinstance(node, do.Worker):
                self.workers.add(id)
        id = self.ids[ref]
        self.incarnations[id] += 1
        self.events.append(f"start {id}#{self.incarnations[id]}")
        return f"{id}#{self.incarnations[id]}"

    async def act(self, label: str, act: str) -> None:
        if act not in ("return", "raise", "exit", "forge", "cancel_self", "child_raises"):
            with anyio.CancelScope(shield=act.startswith("deaf")):
                await self._wait_at(label)
        match act:
            case "exit":
                raise SystemExit(label)
            case "forge":
                raise asyncio.CancelledError(label)
            case "cancel_self":
                await cancel_self(label)
            case "raise" | "hold_then_raise" | "child_raises" | "child_then_raise":
                raise Planned(label)
            case _:
                pass

    async def _wait_at(self, gate: str) -> None:
        if self._holds:
            self.gates[gate] = event = anyio.Event()
            try:
                await event.wait()
            finally:
                self.gates.pop(gate, None)

    # -- in the words of the model -------------------------------------------------------------------------------------

    def reason(self, reason: ExitReason) -> str:
        match reason:
            case Normal() | Shutdown() | Killed():
                return type(reason).__name__.lower()
            case Crashed(error):
                return f"crashed: {self.text(error)}"
            case StartFailed(error):
                return f"start failed: {self.text(error)}"

    def text(self, error: BaseException) -> str:
        match error:
            case Planned() | SystemExit() | asyncio.CancelledError() if error.args:
                return str(error.args[0])
            case AskTimeout():
                return f"no answer from {self.ids[error.ref]}"
            case ActorDead():
                return f"dead {self.ids[error.ref]}: {error.reason and self.reason(error.reason)}"
            case MailboxFull():
                return f"full {self.ids[error.ref]}"
            case NameTaken() | NoSuchChild():
                return f"{type(error).__name__} {error.name}"
            case RestartIntensityExceeded():
                return f"gave up {error.child}"
            case DeadlockDetected():
                return "deadlock"
            case TimeoutError():
                return "not stopped"
            case _:
                return type(error).__name__

    def _dead_letter(self, letter: DeadLetter) -> None:
        id = next((id for request, id in self._requests if request is letter.message), None) or letter.message.id
        self.letters.append(f"message {id} to {self.ids[letter.target]}: {letter.reason.name}")


class SilentWorker(Actor[Any]):
    """Does what it is told, and ends without a word."""

    def __init__(self, stage: Stage, node: do.Worker) -> None:
        self.stage, self.node = stage, node

    async def on_start(self) -> None:
        self.me = self.stage.enter(self.context.ref, self.node)
        acts = dict(enumerate(self.node.starts, 1))
        await self.stage.act(f"start {self.me}", acts.get(int(self.me.partition("#")[2]), "return"))

    async def handle(self, message: Down | do.Message | do.Forward) -> int | None:
        stage = self.stage
        handled = stage.handled.setdefault(self.me.partition("#")[0], [])
        match message:
            case Down(ref, reason):
                handled.append(f"down {stage.ids[ref]}: {stage.reason(reason)}")
                return None
            case do.Forward(id, target, question, timeout):
                handled.append(str(id))
                await stage.record(question.id, partial(stage.refs[target].ask, question, timeout))
            case do.Message(id, act):
                handled.append(str(id))
                await self._act(id, act)
        return message.id

    async def _act(self, id: int, act: do.Act) -> None:
        if "child" in act:
            self.context.start_soon(self.stage.act, f"child {id}", act)
            if act == "child_raises":
                await anyio.sleep_forever()
        else:
            await self.stage.act(f"message {id}", act)


class ScriptedWorker(SilentWorker):
    """Has an on_stop."""

    async def on_stop(self, reason: ExitReason) -> None:
        self.stage.events.append(f"stop {self.me}: {self.stage.reason(reason)}")
        await self.stage.act(f"stop {self.me}", self.node.stop or "return")


class ScriptedTeam(Supervisor):
    """A supervisor that says when it starts and stops."""

    def __init__(self, stage: Stage, node: do.Team) -> None:
        super().__init__(
            [stage.spec(child) for child in node.children],
            strategy=node.strategy,
            intensity=node.intensity,
            period=do.PERIOD,
            backoff=Backoff(node.backoff, maximum=do.LONGEST_BACKOFF, jitter=0.0, reset_after=do.BACKOFF_RESET),
        )
        self.stage, self.node = stage, node

    async def on_start(self) -> None:
        self.me = self.stage.enter(self.context.ref, self.node)
        await super().on_start()

    async def on_stop(self, reason: ExitReason) -> None:
        self.stage.events.append(f"stop {self.me}: {self.stage.reason(reason)}")
        await super().on_stop(reason)


# -- the loop ----------------------------------------------------------------------------------------------------------


def current_asyncio_task() -> asyncio.Task[Any] | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


async def cancel_self(label: str) -> None:
    task = current_asyncio_task()
    if task is None:
        raise asyncio.CancelledError(label)  # trio's tasks cannot be cancelled so
    task.cancel(label)
    await anyio.lowlevel.checkpoint()


def all_tasks() -> set[object]:
    if current_asyncio_task() is not None:
        return set[object](asyncio.all_tasks())
    found, left = set[object](), [trio.lowlevel.current_root_task()]
    while left:
        task = left.pop()
        if task is not None:
            found.add(task)
            left += [child for nursery in task.child_nurseries for child in nursery.child_tasks]
    return found


async def rest() -> None:
    """Let all that is going on come to rest. On asyncio anyio looks each 0.1 s only, so it is asked late."""
    for _ in range(25):
        await anyio.lowlevel.checkpoint()
    await anyio.wait_all_tasks_blocked()


@contextmanager
def only_expected_errors_are_logged() -> Generator[None]:
    """What the library logs is the history's doing; an error of another kind is a fault in the library."""
    surprises: list[str] = []

    def look(record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if not isinstance(error, Planned | SystemExit | asyncio.CancelledError | ActorError | None):
            surprises.append(f"{record.getMessage()} {error!r}")
        return False

    loggers = [logging.getLogger("actwright_actors"), logging.getLogger("asyncio")]
    for logger in loggers:
        logger.addFilter(look)
    try:
        yield
    finally:
        for logger in loggers:
            logger.removeFilter(look)
    assert surprises == []


# -- the test ----------------------------------------------------------------------------------------------------------


async def play(history: list[Moment]) -> None:
    """Do each step, and see that the world is as foretold. In the end no task is left."""
    before = all_tasks()
    with only_expected_errors_are_logged():
        async with anyio.create_task_group() as group:
            stage = Stage(group)
            await group.start(stage.run)
            try:
                for number, moment in enumerate(history):
                    await stage.apply(moment.step, moment.instants)
                    compare(stage, moment, f"after step {number}, {moment}")
                assert stage.is_closed, "The history does not end."
            except BaseException:
                with anyio.CancelScope(shield=True):
                    await stage.tear_down()
                raise
    await rest()
    assert all_tasks() == before


def compare(stage: Stage, moment: Moment, after: str) -> None:
    seen = stage.observe()
    for aspect, expected in moment.world.items():
        assert seen[aspect] == expected, f"{aspect} {after}"
    assert moment.expects(stage.events), f"{stage.events} for {moment.events} {after}"


# Two siblings die at once, and the second end is known when a restart is about to stop it.
DEATHS_AT_ONCE: Final = Oracle(
    (do.Spawn(1, do.Team("S", (do.Worker("a"), do.Worker("b")), strategy="one_for_all")),),
    (do.End("kill", "a1"), do.End("kill", "b1")),
    (do.Close(),),
)
# Killed between two incarnations, it has none of its on_start's for the next one, and is started once more.
KILLED_WHILE_DOWN: Final = Oracle(
    (do.Spawn(1, do.Team("S", (do.Worker("a"), do.Worker("b")), strategy="rest_for_one", intensity=2, backoff=2.0)),),
    (do.End("kill", "a1"),),
    (do.End("kill", "a1"),),
    (do.Advance(3.0),),
    (do.Advance(9.0),),
    (do.Close(),),
)
# A second kill of a supervisor finds one child busy and another between two incarnations.
KILLED_IN_BACK_OFF: Final = Oracle(
    (do.Spawn(1, do.Team("S", (do.Worker("a"), do.Worker("b")), backoff=2.0)),),
    (do.Post("tell", "b1", do.Message(2, "hold")),),
    (do.Watch("monitor", "a1", "b1"),),
    (do.End("kill", "a1"),),
    (do.End("kill", "S1"),),
    (do.End("kill", "S1"),),
    (do.Close(),),
)


@as_many_as_asked
@example(history=DEATHS_AT_ONCE.history)
@example(history=KILLED_IN_BACK_OFF.history)
@example(history=KILLED_WHILE_DOWN.history)
@given(history=histories())
def play_any(backend: str, options: dict[str, Any], budget: Budget, history: list[Moment]) -> None:
    with budget.one_more():
        anyio.run(play, history, backend=backend, backend_options=options)


def test_after_each_step_of_any_history_the_world_is_as_the_model_says(
    anyio_backend: tuple[str, dict[str, Any]], record_property: Callable[[str, object], None]
) -> None:
    assert play_many(partial(play_any, *anyio_backend), record_property) >= 3  # the examples


def test_what_depends_on_the_order_of_wake_ups_is_not_promised() -> None:
    oracle = Oracle((do.Spawn(1, do.Team("S", (do.Worker("a"), do.Worker("b")))),))
    assert not oracle.foretells((do.End("kill", "a1"), do.End("kill", "b1")))  # one death too many: whose?
    assert oracle.model.observe()["living"] == ["S1#1 running", "a1#1 running", "b1#1 running"]
    assert oracle.foretells((do.End("kill", "a1"),))
    assert oracle.model.observe()["living"] == ["S1#1 running", "a1#2 running", "b1#1 running"]
