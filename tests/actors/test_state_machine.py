"""A state machine does as gen_statem does: what follows from an event, and in which order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.actors.helpers import Worker, open_system

from actwright_actors import (
    Actor,
    ActorDead,
    ActorRef,
    ActorSystem,
    Ask,
    ChildSpec,
    Crashed,
    DeadLetter,
    StashFull,
    StateMachine,
    Supervisor,
)
from actwright_actors.testing import ManualClock, Probe

pytestmark = pytest.mark.anyio


class State(Enum):
    A = "a"
    B = "b"
    C = "c"


A, B, C = State.A, State.B, State.C


class Machine(StateMachine[State, Any]):
    """Keeps what it sees. A message that is a function is called with the machine; what it returns is the answer."""

    initial_state = A

    def __init__(self, on_enter: Callable[[Machine], object] | None = None) -> None:
        self.log: list[Any] = []
        self._on_enter = on_enter

    async def on_enter(self, state: State, previous: State | None) -> None:
        self.log.append((previous, state))
        if self._on_enter is not None:
            self._on_enter(self)

    async def on_event(self, state: State, message: Any) -> Any:
        self.log.append(message)
        if callable(message):
            return cast("Callable[[Machine], Any]", message)(self)
        return state


def go(state: State) -> Callable[[Machine], None]:
    return lambda machine: machine.goto(state)


def postpone_in(state: State) -> Callable[[Machine], State]:
    """A message that is postponed in `state`, and answered with the state elsewhere."""

    def message(machine: Machine) -> State:
        if machine.state is state:
            machine.postpone()
        return machine.state

    return message


def time_out(message: str, seconds: float) -> Callable[[Machine], None]:
    return lambda machine: machine.set_state_timeout(message, seconds)


async def start(system: ActorSystem, machine: Machine) -> ActorRef[Any]:
    ref = await system.spawn(machine)
    machine.log.clear()
    return ref


async def crash_of(ref: ActorRef[Any]) -> BaseException:
    reason = await ref.stopped()
    assert isinstance(reason, Crashed)
    return reason.error


# -- states ------------------------------------------------------------------------------------------------------------


async def test_the_first_state_is_entered_before_spawn_returns_and_has_no_previous_one() -> None:
    async with open_system() as system:
        machine = Machine()
        await system.spawn(machine)
        assert machine.log == [(None, A)]
        assert machine.state is A


async def test_the_state_changes_after_the_callback_has_returned_and_enter_follows() -> None:
    async with open_system() as system:
        machine = Machine()
        ref = await start(system, machine)

        def event(machine: Machine) -> State:
            machine.goto(B)
            return machine.state

        assert await ref.ask(event) is A
        assert machine.log == [event, (A, B)]
        assert machine.state is B


async def test_whoever_asked_is_answered_when_the_new_state_has_been_entered() -> None:
    async with open_system() as system:
        seen: list[State] = []
        ref = await system.spawn(Machine(on_enter=lambda machine: seen.append(machine.state)))
        await ref.ask(go(B))
        assert seen == [A, B]


async def test_a_machine_may_choose_its_initial_state_in_on_start() -> None:
    class Late(Machine):
        async def on_start(self) -> None:
            self.initial_state = C
            await super().on_start()

    async with open_system() as system:
        ref = await system.spawn(Late())
        assert await ref.ask("state") is C


async def test_to_go_to_the_same_state_is_no_change() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        machine = Machine(on_enter=time_out("timeout", 1.0))
        ref = await start(system, machine)
        postponed = postpone_in(A)
        ref.tell(postponed)
        event = go(A)
        await ref.ask(event)
        clock.advance(1.0)
        await anyio.wait_all_tasks_blocked()
        assert machine.log == [postponed, event, "timeout"]


# -- postponing --------------------------------------------------------------------------------------------------------


async def test_a_postponed_ask_is_answered_by_what_its_callback_returns_in_the_end() -> None:
    async with open_system() as system:
        answers: list[State] = []
        ref = await system.spawn(Machine())

        async def ask() -> None:
            answers.append(await ref.ask(postpone_in(A)))

        async with anyio.create_task_group() as tg:
            tg.start_soon(ask)
            await anyio.wait_all_tasks_blocked()
            assert answers == []
            ref.tell(go(B))
        assert answers == [B]


async def test_a_message_postponed_as_the_state_changes_comes_back_at_once_and_is_not_answered_twice() -> None:
    async with open_system() as system:
        machine = Machine()
        ref = await start(system, machine)

        def move_on(machine: Machine) -> str:
            if machine.state is C:
                return "arrived"
            machine.postpone()
            machine.goto(B if machine.state is A else C)
            return "too early"

        assert await ref.ask(move_on) == "arrived"
        assert machine.log == [move_on, (A, B), move_on, (B, C), move_on]
        assert system.late_replies == 0


async def test_one_object_sent_twice_can_be_postponed_twice() -> None:
    async with open_system() as system:
        machine = Machine()
        ref = await start(system, machine)
        message, leave = postpone_in(A), go(B)
        ref.tell(message)
        ref.tell(message)
        ref.tell(leave)
        await ref.ask("done")
        assert machine.log == [message, message, leave, (A, B), message, message, "done"]


async def test_the_message_of_a_timer_can_be_postponed() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        machine = Machine()
        ref = await start(system, machine)
        once, beat = postpone_in(A), postpone_in(A)
        machine.context.timers.start("once", once, 1.0)
        machine.context.timers.start("beat", beat, 1.0, repeat=True)
        clock.advance(1.0)
        await anyio.wait_all_tasks_blocked()
        machine.log.clear()
        machine.context.timers.clear()
        await ref.ask(go(B))
        await ref.ask("done")
        assert machine.log[-3:] == [once, beat, "done"]
        assert len(system.timers) == 0


async def test_what_was_postponed_comes_first_in_the_next_incarnation() -> None:
    async with open_system() as system:
        machines: list[Machine] = []

        def make() -> Machine:
            machines.append(Machine())
            return machines[-1]

        await system.spawn(Supervisor([ChildSpec("machine", make)]))
        ref = system.lookup("machine")
        assert ref is not None
        postponed = postpone_in(A)

        def fail(machine: Machine) -> None:
            machine.postpone()  # which is undone by the crash, or it would crash for ever
            raise ValueError("boom")

        ref.tell(postponed)
        ref.tell(fail)
        ref.tell("next")
        await ref.ask("done")
        assert machines[1].log == [(None, A), postponed, "next", "done"]


async def test_more_postponed_messages_than_the_stash_holds_crash_the_machine() -> None:
    class Small(Machine):
        stash_capacity = 1

    async with open_system() as system:
        ref = await system.spawn(Small())
        ref.tell(postpone_in(A))
        ref.tell(postpone_in(A))
        assert isinstance(await crash_of(ref), StashFull)


Turns = tuple[tuple[bool, State | None], ...]


@dataclass(frozen=True)
class Event:
    """What a machine does with it: at the first time that it handles it, at the second, and so on; then nothing."""

    number: int
    turns: Turns


class Scripted(StateMachine[State, Event]):
    initial_state = A

    def __init__(self) -> None:
        self.log: list[Any] = []
        self._turns: dict[Event, int] = {}

    async def on_enter(self, state: State, previous: State | None) -> None:
        self.log.append((previous, state))

    async def on_event(self, state: State, message: Event) -> None:
        self.log.append((state, message.number))
        turn = self._turns[message] = self._turns.get(message, -1) + 1
        postpones, goal = message.turns[turn] if turn < len(message.turns) else (False, None)
        if goal is not None:
            self.goto(goal)
        if postpones:
            self.postpone()


def model(events: list[Event]) -> tuple[list[Any], list[Event]]:
    """What a machine sees of `events`, and which of them it has postponed at the end."""
    state, log = A, list[Any]([(None, A)])
    queue = deque((event, event.turns) for event in events)
    postponed: deque[tuple[Event, Turns]] = deque()
    while queue:
        event, turns = queue.popleft()
        log.append((state, event.number))
        postpones, goal = turns[0] if turns else (False, None)
        if postpones:
            postponed.append((event, turns[1:]))
        if goal is not None and goal is not state:
            log.append((state, goal))
            state, queue, postponed = goal, postponed + queue, deque[tuple[Event, Turns]]()
    return log, [event for event, _ in postponed]


TURNS = st.lists(st.tuples(st.booleans(), st.sampled_from([None, A, B, C])), max_size=4).map(tuple)
EVENTS = st.lists(TURNS, max_size=12).map(lambda scripts: [Event(n, turns) for n, turns in enumerate(scripts)])


@given(EVENTS)
async def test_postponed_messages_come_back_as_in_the_model(events: list[Event]) -> None:
    letters: list[DeadLetter] = []
    async with open_system(on_dead_letter=letters.append) as system:
        machine = Scripted()
        ref = system.spawn_soon(machine)
        for event in events:
            ref.tell(event)
        await ref.drain_and_wait()
    log, left = model(events)
    assert machine.log == log
    assert [letter.message for letter in letters] == left


# -- timeouts ----------------------------------------------------------------------------------------------------------


async def test_a_state_timeout_ends_with_the_state_and_a_named_one_does_not() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        machine = Machine()
        ref = await start(system, machine)

        def set_both(machine: Machine) -> None:
            machine.set_state_timeout("state timeout", 1.0)
            machine.context.timers.start("name", "named timeout", 1.0)

        await ref.ask(set_both)
        await ref.ask(go(B))
        machine.log.clear()
        clock.advance(1.0)
        await anyio.wait_all_tasks_blocked()
        assert machine.log == ["named timeout"]


async def test_a_state_timeout_that_has_fired_does_not_come_in_another_state() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        machine = Machine()
        ref = await start(system, machine)

        def fire_and_leave(machine: Machine) -> None:
            clock.advance(1.0)
            machine.goto(B)

        await ref.ask(time_out("state timeout", 1.0))
        await ref.ask(fire_and_leave)
        await ref.ask("done")
        assert "state timeout" not in machine.log


async def test_a_state_timeout_set_together_with_goto_is_the_new_states() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        machine = Machine()
        ref = await start(system, machine)

        def leave(machine: Machine) -> None:
            machine.set_state_timeout("timeout", 1.0)
            machine.goto(B)

        await ref.ask(leave)
        clock.advance(1.0)
        await anyio.wait_all_tasks_blocked()
        assert machine.log == [leave, (A, B), "timeout"]


async def test_a_state_timeout_can_be_taken_back_in_the_same_event_and_later() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        machine = Machine()
        ref = await start(system, machine)

        def set_and_cancel(machine: Machine) -> bool:
            machine.set_state_timeout("first", 1.0)
            return machine.cancel_state_timeout()

        assert await ref.ask(set_and_cancel)
        assert len(machine.context.timers) == 0
        await ref.ask(time_out("second", 1.0))
        assert await ref.ask(Machine.cancel_state_timeout)
        assert not await ref.ask(Machine.cancel_state_timeout)
        machine.log.clear()
        clock.advance(1.0)
        await anyio.wait_all_tasks_blocked()
        assert machine.log == []


async def test_a_new_state_timeout_takes_the_place_of_the_old_one() -> None:
    clock = ManualClock()
    async with open_system(clock=clock) as system:
        machine = Machine()
        ref = await start(system, machine)
        await ref.ask(time_out("first", 1.0))
        await ref.ask(time_out("second", 2.0))
        machine.log.clear()
        clock.advance(2.0)
        await anyio.wait_all_tasks_blocked()
        assert machine.log == ["second"]


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", [Machine.postpone, go(B)], ids=["postpone", "goto"])
async def test_entering_a_state_decides_about_no_event(call: Callable[[Machine], object]) -> None:
    def enter(machine: Machine) -> None:
        if machine.state is B:
            call(machine)

    async with open_system() as system:
        ref = await system.spawn(Machine(on_enter=enter))
        with pytest.raises(ActorDead):
            await ref.ask(go(B))
        assert "Call it in on_event" in str(await crash_of(ref))


@pytest.mark.parametrize("call", [Machine.postpone, go(B)], ids=["postpone", "goto"])
async def test_outside_of_an_event_there_is_nothing_to_decide(call: Callable[[Machine], object]) -> None:
    async with open_system() as system:
        machine = Machine()
        await system.spawn(machine)
        with pytest.raises(RuntimeError, match="Call it in on_event"):
            call(machine)


@pytest.mark.parametrize("call", [Machine.postpone, go(B)], ids=["postpone", "goto"])
async def test_to_decide_twice_is_an_error(call: Callable[[Machine], object]) -> None:
    async with open_system() as system:
        ref = await system.spawn(Machine())

        def twice(machine: Machine) -> None:
            call(machine)
            call(machine)

        ref.tell(twice)
        assert "once" in str(await crash_of(ref))


async def test_a_machine_that_was_not_started_as_one_says_what_to_do() -> None:
    class Forgetful(Machine):
        async def on_start(self) -> None:
            pass

    async with open_system() as system:
        ref = await system.spawn(Forgetful())
        ref.tell("hello")
        assert "super().on_start()" in str(await crash_of(ref))


async def test_a_machine_without_on_event_says_what_to_do() -> None:
    class Empty(StateMachine[State, str]):
        initial_state = A

    async with open_system() as system:
        ref = await system.spawn(Empty())
        ref.tell("hello")
        assert "Override `async def on_event`" in str(await crash_of(ref))


async def test_a_crash_on_entering_the_first_state_fails_the_start() -> None:
    def fail(_: Machine) -> None:
        raise ValueError("boom")

    async with open_system() as system:
        with pytest.raises(ValueError, match="boom"):
            await system.spawn(Machine(on_enter=fail))


# -- types, and the stash below ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class HowMany(Ask[int]):
    pass


@dataclass(frozen=True)
class Push:
    pass


class Turnstile(StateMachine[State, HowMany | Push]):
    initial_state = State.A
    pushes = 0

    async def on_event(self, state: State, message: HowMany | Push) -> int | None:
        match state, message:
            case State.A, Push():
                self.pushes += 1
                self.goto(State.B)
            case State.B, Push():
                self.postpone()
            case _, HowMany():
                return self.pushes
            case _:
                pass
        return None


async def test_a_machine_is_an_actor_with_typed_messages_and_answers() -> None:
    async with open_system() as system:
        ref: ActorRef[HowMany | Push] = await system.spawn(Turnstile())
        ref.tell(Push())
        count: int = await ref.ask(HowMany())
        assert count == 1


async def test_an_actor_may_stash_and_unstash_in_one_handler() -> None:
    class Twice(Actor[str]):
        times = 0

        async def handle(self, message: str) -> str:
            self.times += 1
            if self.times == 1:
                self.context.stash()
                self.context.unstash_all()
                return "too early"
            return message

    async with open_system() as system:
        ref = await system.spawn(Twice())
        assert await ref.ask("again") == "again"
        assert system.late_replies == 0


async def test_one_message_is_stashed_once() -> None:
    async with open_system() as system:
        worker, probe = Worker(), await Probe.start(system)
        ref = await system.spawn(worker)

        async def stash_twice() -> None:
            worker.context.stash()
            try:
                worker.context.stash()
            except RuntimeError as error:
                probe.ref.tell(str(error))

        ref.tell(stash_twice)
        assert "this one is in the stash" in await probe.expect(str)


async def test_a_machine_without_an_initial_state_says_so() -> None:
    class Stateless(StateMachine[str, str]):
        pass

    async with open_system() as system:
        with pytest.raises(TypeError, match="Stateless has no initial_state"):
            await system.spawn(Stateless())
