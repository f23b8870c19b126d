"""Actors for asyncio, uvloop and trio, with the semantics of OTP and the idiom of structured concurrency.

class Counter(Actor[int]):
    total = 0

    async def handle(self, message: int) -> int:
        self.total += message
        return self.total

async with ActorSystem() as system:
    counter = await system.spawn(Counter())
    counter.tell(1)
    assert await counter.ask(2) == 3
"""

from __future__ import annotations

from actwright_actors.actor import Actor, ActorContext, Ask, ChildTask
from actwright_actors.clock import Clock, SteppedClock, SystemClock
from actwright_actors.dead_letters import DeadLetter, DeadLetterHandler, DeadLetterReason
from actwright_actors.dynamic_supervisor import DynamicSupervisor
from actwright_actors.errors import (
    ActorDead,
    ActorError,
    AlreadySpawned,
    AskTimeout,
    DeadlockDetected,
    LinkBroken,
    MailboxFull,
    NameTaken,
    NoSuchChild,
    RestartIntensityExceeded,
    StashFull,
    SystemClosed,
    WrongThread,
)
from actwright_actors.exit import Crashed, ExitReason, Killed, Normal, Shutdown, StartFailed
from actwright_actors.groups import Groups, MemberJoined, MemberLeft
from actwright_actors.instrument import Instrument
from actwright_actors.keyed_timers import KeyedTimers
from actwright_actors.mailbox import MailboxOptions, Overflow
from actwright_actors.port import Port
from actwright_actors.ref import ActorRef, Down, Status
from actwright_actors.replies import DeferredReply, Refusal
from actwright_actors.restart import AutoShutdown, Backoff, ChildSpec, RestartType, Strategy
from actwright_actors.state_machine import StateMachine
from actwright_actors.supervisor import StartChild, StopChild, Supervisor, SupervisorMessage
from actwright_actors.system import ActorSystem
from actwright_actors.timers import Timer, Timers
from actwright_actors.tree import ActorInfo, SystemInfo, dump_on_signal
from actwright_actors.waiting import wait_through

__all__ = [
    "Actor",
    "ActorContext",
    "ActorDead",
    "ActorError",
    "ActorInfo",
    "ActorRef",
    "ActorSystem",
    "AlreadySpawned",
    "Ask",
    "AskTimeout",
    "AutoShutdown",
    "Backoff",
    "ChildSpec",
    "ChildTask",
    "Clock",
    "Crashed",
    "DeadLetter",
    "DeadLetterHandler",
    "DeadLetterReason",
    "DeadlockDetected",
    "DeferredReply",
    "Down",
    "DynamicSupervisor",
    "ExitReason",
    "Groups",
    "Instrument",
    "KeyedTimers",
    "Killed",
    "LinkBroken",
    "MailboxFull",
    "MailboxOptions",
    "MemberJoined",
    "MemberLeft",
    "NameTaken",
    "NoSuchChild",
    "Normal",
    "Overflow",
    "Port",
    "Refusal",
    "RestartIntensityExceeded",
    "RestartType",
    "Shutdown",
    "StartChild",
    "StartFailed",
    "StashFull",
    "StateMachine",
    "Status",
    "SteppedClock",
    "StopChild",
    "Strategy",
    "Supervisor",
    "SupervisorMessage",
    "SystemClock",
    "SystemClosed",
    "SystemInfo",
    "Timer",
    "Timers",
    "WrongThread",
    "dump_on_signal",
    "wait_through",
]
