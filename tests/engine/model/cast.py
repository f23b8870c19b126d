"""The flows and tasks of a program: bodies and hooks that do what their scripts say, and say what they did.

A script is one generator for sync and async bodies alike. It yields what it wants to wait for, and one of two drivers
waits for that, the async one on the loop and the sync one in its thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeAlias, cast
from uuid import UUID

import anyio
from tests.engine.model import program as do
from tests.engine.model.gates import Gates
from tests.engine.model.log import Awaited, BodyBegan, BodyEnded, HookBegan, HookEnded, Log, Received, Told

from actwright import (
    Flow,
    FlowRun,
    Handle,
    Runtime,
    State,
    StateType,
    Task,
    TaskRun,
    flow,
    hook,
    receive,
    run_flow,
    task,
    wait,
)
from actwright import runtime as where
from actwright.authoring.context import RunContext, current

__all__ = ["Cast", "Planned"]

Subject: TypeAlias = "Flow[[], Any] | Task[[], Any]"


class Planned(Exception):
    """What a script wants raised."""


# What a script waits for


@dataclass(frozen=True)
class AtGate:
    name: str
    is_shielded: bool = False


@dataclass(frozen=True)
class ForTime:
    seconds: float


@dataclass(frozen=True)
class ForRuns:
    handles: list[Handle[Any]]


@dataclass(frozen=True)
class ForMessage:
    seconds: float
    run_id: UUID


@dataclass(frozen=True)
class ForCall:
    node: do.Node


Wish: TypeAlias = AtGate | ForTime | ForRuns | ForMessage | ForCall
Script: TypeAlias = Generator[Wish, Any, Any]
WaitFor: TypeAlias = Callable[[Wish], Awaitable[Any]]


@dataclass
class Part:
    """One attempt of a body."""

    node: do.Node
    run_id: UUID
    label: str
    attempt: int
    submitted: list[Handle[Any]] = field(default_factory=list[Handle[Any]])


class Cast:
    """Makes the flows and tasks of a program, and has them play.

    Args:
        sleep: waits on the runtime's clock.
    """

    def __init__(
        self,
        program: do.Program,
        log: Log,
        gates: Gates,
        runtime: Callable[[], Runtime],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._log = log
        self._gates = gates
        self._runtime = runtime
        self._sleep = sleep
        self.nodes = {node.name: node for node in program.root.family()}
        # What hooks call. Those that a hook of the Runtime's has called have none of its hooks.
        for name in ("h", "H"):
            for is_async in (False, True):
                node = do.Node(is_async=is_async, name=f"{name}{'async' if is_async else 'sync'}")
                self.nodes[node.name] = node
        self.subjects = {name: self._subject(node) for name, node in self.nodes.items()}
        self.everywhere = self._hooks("runtime", program.everywhere)

    # Flows and tasks

    def _subject(self, node: do.Node) -> Subject:
        async def async_body() -> Any:
            return await self._play(node, self._wait_async)

        def sync_body() -> Any:
            return _without_a_loop(self._play(node, self._wait_sync))

        options: dict[str, Any] = {
            "name": node.name,
            "retries": node.retries,
            "crash_retries": node.crash_retries,
            "retry_delay_seconds": node.retry_delay_seconds,
            "timeout_seconds": node.timeout_seconds,
            "retry_condition_fn": _CONDITIONS[node.condition],
            **self._hooks(node.name, node.hooks),
        }
        decorate: Any = flow if node.kind == "flow" else task
        made: Subject = decorate(async_body if node.is_async else sync_body, **options)
        return made

    def _begin(self, node: do.Node) -> Part:
        run = where.flow_run if node.kind == "flow" else where.task_run
        assert run.id is not None
        part = Part(node, run.id, self._log.labels[run.id], run.run_count)
        self._log.add(BodyBegan(part.run_id, part.attempt, self._log.now()))
        return part

    def _end(self, part: Part, how: str, returned: tuple[UUID, ...] = ()) -> None:
        self._log.add(BodyEnded(part.run_id, part.attempt, how, self._log.now(), returned))

    async def _play(self, node: do.Node, wait_for: WaitFor) -> Any:
        part = self._begin(node)
        try:
            returned: object = await _drive(self._script(part), wait_for)
        except BaseException as error:
            self._end(part, "raised" if isinstance(error, Exception) else "cut")
            raise
        how = _how_it_ended(returned)
        children = part.submitted if node.returns == "children" and how == "returned" else []
        self._end(part, how, tuple(handle.id for handle in children))
        return returned

    # A body's script

    def _script(self, part: Part) -> Script:
        for number, step in enumerate(part.node.script):
            match step:
                case do.Stand():
                    yield from _stand(f"{part.label}.{part.attempt} step {number}", step)
                case do.Sleep(seconds):
                    yield ForTime(seconds)
                case do.Start():
                    yield from self._start(part, step)
                case do.WaitForAll():
                    yield ForRuns(part.submitted)
                case do.Receive(seconds):
                    yield ForMessage(seconds, part.run_id)
                case do.Fail(how, times):
                    if part.attempt <= times and (state := _fail(how)):
                        return state
        returned: Any = part.submitted if part.node.returns == "children" else "value"
        return returned

    def _start(self, part: Part, step: do.Start) -> Script:
        if step.how == "call" and (part.node.is_async or not step.node.is_async):
            state = yield ForCall(step.node)
            self._log.add(Told(state.id))
        else:
            handle = self._submit(step.node, part.submitted if step.how == "after" else [])
            part.submitted.append(handle)
            if step.how in ("submit", "after"):
                return
            yield ForRuns([handle])
            state = handle.state
            self._log.add(Told(state.id))
        if step.minds:
            state.result()

    def _submit(self, node: do.Node, after: list[Handle[Any]]) -> Handle[Any]:
        subject = self.subjects[node.name]
        if isinstance(subject, Flow):
            return self._runtime().submit(subject)
        return subject.submit(wait_for=after)

    # Waiting

    async def _wait_async(self, wish: Wish) -> Any:
        match wish:
            case AtGate(name, is_shielded):
                with self._gates.at(name) as gate, anyio.CancelScope(shield=is_shielded):
                    await gate.astop_here()
            case ForTime(seconds):
                await self._sleep(seconds)
            case ForRuns(handles):
                await wait(handles)
            case ForMessage(seconds, run_id):
                with self._receiving(run_id) as got:
                    got.append(await receive(int, timeout=seconds))
            case ForCall(node):
                subject: Any = self.subjects[node.name]
                if node.is_async:
                    return await subject(return_state=True)
                if node.kind == "flow":
                    return await run_flow(subject, return_state=True)
                handle = subject.submit()
                await wait([handle])
                return handle.state
        return None

    async def _wait_sync(self, wish: Wish) -> Any:
        """In a thread, where nothing is awaited."""
        match wish:
            case AtGate(name):
                with self._gates.at(name) as gate:
                    gate.stop_here()
            case ForTime():
                pass
            case ForMessage(_, run_id):
                with self._receiving(run_id) as got:
                    got.append(receive(int, timeout=0))
            case ForRuns(handles):
                with self._gates.blocked(partial(_is_woken, handles, current())):
                    wait(handles)
            case ForCall(node):
                subject: Any = self.subjects[node.name]
                with self._gates.calling():
                    return subject(return_state=True)
        return None

    @contextmanager
    def _receiving(self, run_id: UUID) -> Generator[list[int]]:
        got: list[int] = []
        self._log.add(Awaited(run_id))
        try:
            with suppress(TimeoutError):
                yield got
        finally:
            self._log.add(Received(run_id, got[0] if got else None))

    # Hooks

    def _hooks(self, owner: str, scripts: tuple[do.HookScript, ...]) -> dict[str, list[Callable[..., Any]]]:
        """The lists of hooks, each named so that it is told from all others."""
        made: dict[str, list[Callable[..., Any]]] = {}
        for number, script in enumerate(scripts):
            made.setdefault(script.event, []).append(self._hook(f"{owner} {script.event} {number}", script))
        return made

    def _hook(self, name: str, script: do.HookScript) -> Callable[..., Any]:
        callee = f"{'H' if name.startswith('runtime') else 'h'}{'async' if script.is_async else 'sync'}"

        async def call(run: FlowRun | TaskRun, state: State[Any], wait_for: WaitFor) -> None:
            gate = f"{name} of {self._log.labels[run.id]}.{run.run_count}, try {where.hook.attempt}"
            with self._called(state):
                await _drive(_hook_script(gate, script, self.nodes[callee]), wait_for)

        async def async_hook(_subject: object, run: FlowRun | TaskRun, state: State[Any]) -> None:
            await call(run, state, self._wait_async)

        def sync_hook(_subject: object, run: FlowRun | TaskRun, state: State[Any]) -> None:
            _without_a_loop(call(run, state, self._wait_sync))

        made = async_hook if script.is_async else sync_hook
        made.__name__ = name
        return hook(
            made,
            wait=script.wait,
            at_once=script.at_once,
            retries=script.retries,
            retry_delay_seconds=script.retry_delay_seconds,
            timeout_seconds=script.timeout_seconds,
        )

    @contextmanager
    def _called(self, state: State[Any]) -> Generator[None]:
        delivery_id, attempt = where.hook.delivery_id, where.hook.attempt
        assert delivery_id is not None
        self._log.add(HookBegan(delivery_id, attempt, state, self._log.now()))
        try:
            yield
        except BaseException as error:
            self._log.add(HookEnded(delivery_id, attempt, type(error).__name__, self._log.now()))
            raise
        self._log.add(HookEnded(delivery_id, attempt, "returned", self._log.now()))


async def _drive(script: Script, wait_for: WaitFor) -> Any:
    """Have a script play, waiting for what it wants in the way of the place that it plays in."""
    go_on: Callable[[], Wish] = partial(next, script)
    while True:
        try:
            wish = go_on()
        except StopIteration as stop:
            return stop.value
        try:
            got = await wait_for(wish)
        except BaseException as error:
            go_on = partial(script.throw, error)
        else:
            go_on = partial(script.send, got)


def _without_a_loop(play: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine that awaits nothing returns."""
    try:
        play.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("A script in a thread awaited something.")


def _how_it_ended(returned: object) -> str:
    return cast("State[Any]", returned).name if isinstance(returned, State) else "returned"


def _is_woken(handles: list[Handle[Any]], context: RunContext | None) -> bool:
    """Whether a thread that waits for these is about to go on."""
    is_stopped = context is not None and context.run.is_stopped(context)
    return is_stopped or all(handle.done() for handle in handles)


def _stand(name: str, step: do.Stand) -> Script:
    try:
        yield AtGate(name)
    except BaseException:
        if step.when_cancelled == "obeys":
            raise
        yield AtGate(f"{name}, told to stop", is_shielded=True)
        if step.when_cancelled == "finally":
            raise
        if step.when_cancelled == "raises":
            raise Planned("while it unwound") from None


def _fail(how: str) -> State[Any] | None:
    match how:
        case "raise":
            raise Planned("as planned")
        case "exit":
            raise SystemExit("as planned")
        case "interrupt":
            raise KeyboardInterrupt("as planned")
        case "forge":
            raise asyncio.CancelledError("as planned")
        case _:
            return State(type=StateType[how.upper()])


def _hook_script(gate: str, script: do.HookScript, callee: do.Node) -> Script:
    match script.does:
        case "raises":
            raise Planned("as planned")
        case "exits":
            raise SystemExit("as planned")
        case "once" if where.hook.attempt == 1:
            raise Planned("as planned, once")
        case "stands":
            yield AtGate(gate)
        case "hangs":
            yield AtGate(gate, is_shielded=True)
        case "stands then raises":
            yield AtGate(gate)
            raise Planned("as planned")
        case "runs":
            state = yield ForCall(callee)
            assert state.is_completed()
        case _:
            pass


def _yes(*_: object) -> bool:
    return True


async def _no(*_: object) -> bool:
    return False


def _raises(*_: object) -> bool:
    raise Planned("a condition that raises")


_CONDITIONS: dict[str, Callable[..., Any] | None] = {"none": None, "yes": _yes, "no": _no, "raises": _raises}
