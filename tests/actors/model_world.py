"""The world of the model, as plain data: what a history tells, what is known of each actor, and what passes between
them, which is mail, answers and time.

A history is a list of steps. A step is one operation, or several with no rest in between. An actor is called by its
name and a number, `a2` being the second that was ever called `a`: a restart keeps the actor, and what takes its name
after its death is another one. A gate is called by what waits there: `message 7`, `child 7` (a child task that message
7 started), `start a1#2` and `stop a1#2` (callbacks of a second incarnation).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Final, Literal, cast

from actwright_actors import Overflow, RestartType, Strategy

PERIOD: Final = 5.0
"""Of every supervisor's intensity, in seconds."""
LONGEST_BACKOFF: Final = 3.0
BACKOFF_RESET: Final = 2.0
"""A child that stays up for so many seconds has its back-off start anew."""
CHILD_TIMEOUT: Final = 4.0
"""For how many seconds StartChild and StopChild wait for their answer."""
SYSTEM_STOP_TIMEOUT: Final = 1000.0
"""For how many seconds a closing system waits for what was abandoned. So long because meanwhile a system with a clock
that stands still moves it on by itself, by the loop's own time."""


class Told:
    """Shows what is not left to its default, since a history is read by people."""

    def __repr__(self) -> str:
        values = ((field, getattr(self, field.name)) for field in fields(cast("Any", self)))
        told = (f"{field.name}={value!r}" for field, value in values if value != field.default)
        return f"{type(self).__name__}({', '.join(told)})"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis asks for."""
        printer.text(repr(self))


# -- actors and messages, as a history tells of them -------------------------------------------------------------------

Callback = Literal["return", "raise", "hold", "hold_then_raise"]
"""What on_start and on_stop do; `hold` waits at a gate until it is released, or cancelled."""

Act = Literal[
    "return", "hold", "raise", "hold_then_raise", "exit", "forge", "cancel_self", "deaf",
    "child", "deaf_child", "child_then_raise", "child_raises",
]  # fmt: skip
"""What a handler does. `exit` raises SystemExit, `forge` a CancelledError; `cancel_self` cancels its own task. `deaf`
holds under a shield, so that no kill reaches it. With `child`, and the like, a child task is what holds, while the
handler returns; with `child_raises` the child raises at once, and the handler holds."""


@dataclass(frozen=True, repr=False)
class Worker(Told):
    """A leaf. `starts` is what on_start does in the first incarnation, the second, …; after that it returns. `stop`
    None: on_stop is not overridden."""

    name: str
    starts: tuple[Callback, ...] = ()
    stop: Callback | None = "return"
    stop_timeout: float = 1.0
    capacity: int | None = None
    overflow: Overflow = "wait"
    restart: RestartType = "permanent"


@dataclass(frozen=True, repr=False)
class Team(Told):
    """A supervisor. A child's back-off starts with `backoff` seconds and doubles, without jitter."""

    name: str
    children: tuple[Node, ...] = ()
    strategy: Strategy = "one_for_one"
    intensity: int = 1
    backoff: float = 0.0
    restart: RestartType = "permanent"


Node = Worker | Team


@dataclass(frozen=True, repr=False)
class Message(Told):
    """`id` is also the answer to an ask."""

    id: int
    act: Act = "return"


@dataclass(frozen=True, repr=False)
class Forward(Told):
    """Its handler asks another actor and waits for the answer; an error that it gets escapes from it."""

    id: int
    target: str
    message: Message
    timeout: float = 1.0


# -- operations. An `id` is that of somebody who begins to wait --------------------------------------------------------


@dataclass(frozen=True, repr=False)
class Spawn(Told):
    id: int
    node: Node


@dataclass(frozen=True, repr=False)
class AskTeam(Told):
    """StartChild, or StopChild by name."""

    id: int
    target: str
    child: Node | str


@dataclass(frozen=True, repr=False)
class Post(Told):
    how: Literal["tell", "send", "signal"]
    target: str
    message: Message | Forward


@dataclass(frozen=True, repr=False)
class Ask(Told):
    target: str
    message: Message | Forward
    timeout: float = 1.0


@dataclass(frozen=True, repr=False)
class Stopped(Told):
    """Wait for the end of `target`."""

    id: int
    target: str
    timeout: float = 1.0


@dataclass(frozen=True, repr=False)
class CancelCaller(Told):
    """Cancel whoever waits as `id`: by its scope, or natively where there is such a thing."""

    id: int
    natively: bool = False


@dataclass(frozen=True, repr=False)
class End(Told):
    how: Literal["stop", "drain", "kill"]
    target: str


@dataclass(frozen=True, repr=False)
class Watch(Told):
    how: Literal["monitor", "demonitor"]
    target: str
    watcher: str


@dataclass(frozen=True, repr=False)
class Release(Told):
    gate: str


@dataclass(frozen=True, repr=False)
class Advance(Told):
    """Move the clock on, and come to rest at each deadline on the way. A step of its own."""

    to: float


@dataclass(frozen=True, repr=False)
class Close(Told):
    """Leave the block of the system."""


Operation = Spawn | AskTeam | Post | Ask | Stopped | CancelCaller | End | Watch | Release | Advance | Close
Step = tuple[Operation, ...]

# -- what is known of an actor. A reason is `normal`, `shutdown`, `killed`, `crashed: …` or `start failed: …` ----------


def is_abnormal(reason: str) -> bool:
    return reason not in ("normal", "shutdown")


@dataclass(eq=False)
class Mail:
    """What a user sent. `asker` waits for the answer, `sender` until it is on its way."""

    content: Message | Forward | AskTeam
    asker: int | None = None
    sender: int | None = None

    def __str__(self) -> str:
        return f"message {self.content.id}"


@dataclass(frozen=True)
class Notice:
    """What the library itself sends."""

    kind: Literal["stop", "down", "child ended", "look again"]
    text: str = ""
    child: Cell | None = None


@dataclass(eq=False)
class Doing:
    """A callback, or a child task, under way. `label` is its gate, and names what it raises."""

    label: str
    act: str = "return"
    end: Literal["", "returned", "raised", "cut"] = ""
    error: str = ""


@dataclass(eq=False)
class Timer:
    when: float
    fire: Callable[[], None]


@dataclass(eq=False)
class Incarnation:
    """One life of an actor."""

    cell: Cell
    number: int
    status: Literal["starting", "running", "stopping", "ended"] = "starting"
    has_started: bool = False
    is_in_on_stop: bool = False
    doing: Doing | None = None
    asker: int | None = None
    """Who waits for the message that is being handled."""
    waits_for: Cell | None = None
    """Whom its handler has asked."""
    tasks: list[Doing] = field(default_factory=list[Doing])
    timers: list[Timer] = field(default_factory=list[Timer])
    patience: Timer | None = None
    """Gives it up, if it swallows its cancellation."""
    deadline: Timer | None = None
    """Of its on_stop."""
    is_stillborn: bool = False
    """Killed before it began: no callback is called, and it has no number of its own."""
    doom: str | None = None
    """The first kill, or crash of a child task: what came first stands."""
    reason: str = "normal"
    # Of a supervisor:
    children: list[Cell] = field(default_factory=lambda: [])
    restarts: list[float] = field(default_factory=list[float])
    to_stop: list[Cell] = field(default_factory=lambda: [])
    to_start: list[Cell] = field(default_factory=lambda: [])
    is_closing: bool = False

    def __str__(self) -> str:
        return f"{self.cell.id}#{self.number}"

    @property
    def why_not_started(self) -> str:
        kind, _, error = self.reason.partition(": ")
        return error if kind == "start failed" else f"dead {self.cell.id}: {self.reason}"


@dataclass(eq=False)
class Cell:
    """An actor's place in the system: what a reference leads to, across its restarts."""

    id: str
    node: Node
    parent: Cell | None = None
    keeper: Incarnation | None = None
    """The parent's incarnation that started it."""
    starter: int | None = None
    """Who waits for its start."""
    exit: str | None = None
    watchers: dict[Cell, None] = field(default_factory=lambda: {})
    waiting_for_end: list[int] = field(default_factory=list[int])
    handled: list[str] = field(default_factory=list[str])
    system: list[Mail | Notice] = field(default_factory=lambda: [])
    user: list[Mail] = field(default_factory=list[Mail])
    senders: list[Mail] = field(default_factory=list[Mail])
    """Mail that waits for room."""
    admitted: list[Mail] = field(default_factory=list[Mail])
    """Mail whose sender was told that there is room, and is on its way."""
    refuses_mail: bool = False
    kills_next: bool = False
    """Killed between two incarnations."""
    being_stopped: Timer | None = None
    """Kills it, if it does not stop in time."""
    # To its supervisor:
    is_down: bool = False
    is_leaving: bool = False
    must_stop: bool = False
    started_at: float = 0.0
    restarts_in_a_row: int = 0
    ready_at: float = 0.0

    def __post_init__(self) -> None:
        self.now = Incarnation(self, 1)

    @property
    def status(self) -> str:
        if self.exit is not None:
            return "dead"
        return "restarting" if self.now.status == "ended" else self.now.status

    @property
    def stop_timeout(self) -> float:
        """A supervisor waits for its children as long as they may take, but not for a start that may never come."""
        if isinstance(self.node, Worker):
            return self.node.stop_timeout
        return SYSTEM_STOP_TIMEOUT if self.now.status == "starting" else math.inf


# -- what passes between actors ----------------------------------------------------------------------------------------

WAITS: Final = "waits"
NO_ANSWER: Final = "no answer"


class World:
    """Time, mail, and those who wait. What an actor does when it is woken is for `run` to say."""

    def __init__(self, pick: Callable[[int], int]) -> None:
        self.now = 0.0
        self.cells: dict[str, Cell] = {}
        """All that ever were, by id."""
        self.living: dict[str, Cell] = {}
        """By name, in the order of their start."""
        self.timers: list[Timer] = []
        self.outcomes: dict[int, str] = {}
        """What became of those who wait."""
        self.forwards: dict[int, tuple[Incarnation, Doing]] = {}
        """Those of them that are handlers."""
        self.letters: list[str] = []
        self.had_choice = False
        """Some things could have happened in another order."""
        self._deadlines: dict[int, Timer] = {}
        self._ready: list[tuple[Callable[..., None], tuple[object, ...]]] = []
        self._pick = pick

    def run(self, life: Incarnation) -> None:
        """All that it does until it must wait."""
        raise NotImplementedError

    def wake(self, life: Incarnation) -> None:
        self.later(self.run, life)

    # -- time ----------------------------------------------------------------------------------------------------------

    def later(self, do: Callable[..., None], *args: object) -> None:
        """Have `do(*args)` called in its turn, once."""
        if (do, args) not in self._ready:
            self._ready.append((do, args))

    def come_to_rest(self) -> None:
        while self._ready:
            do, args = self._ready.pop(self.choose(len(self._ready)))
            do(*args)

    def choose(self, count: int) -> int:
        """Which of so many things that may happen now does."""
        if count == 1:
            return 0
        self.had_choice = True
        return self._pick(count)

    def makes_way(self) -> bool:
        """An actor lets others have a turn between two messages, now and then."""
        return bool(self._ready) and bool(self.choose(2))

    def next_due(self) -> float:
        return min((timer.when for timer in self.timers), default=math.inf)

    def call_in(self, seconds: float, fire: Callable[[], None]) -> Timer:
        timer = Timer(self.now + seconds, fire)
        self.timers.append(timer)
        return timer

    def forget(self, *timers: Timer | None) -> None:
        self.timers = [timer for timer in self.timers if timer not in timers]

    def fire_due(self) -> None:
        """In the order of asking, and nobody wakes meanwhile."""
        for timer in [timer for timer in self.timers if timer.when <= self.now]:
            if timer in self.timers:
                self.forget(timer)
                timer.fire()

    # -- those who wait ------------------------------------------------------------------------------------------------

    def settle(self, id: int | None, outcome: str) -> None:
        """End somebody's wait, unless it is over."""
        if id is None or self.outcomes[id] != WAITS:
            return
        self.outcomes[id] = outcome
        self.forget(self._deadlines.get(id))
        if id in self.forwards:
            asker, doing = self.forwards.pop(id)
            asker.waits_for = None
            doing.end = doing.end or ("returned" if outcome.startswith("answered") else "raised")
            doing.error = outcome
            self.wake(asker)

    def give_up(self, id: int, outcome: str) -> None:
        """Somebody waits no longer. What is in a mailbox stays there; what waits for room was not sent."""
        self.settle(id, outcome)
        for cell in self.living.values():
            cell.senders = [mail for mail in cell.senders if id not in (mail.asker, mail.sender)]

    def ask(self, id: int, mail: Mail, target: Cell, timeout: float, asker: int | None = None) -> None:
        """Wait for an answer; for no longer than `asker` waits, if that is whom it is for."""
        deadline = self.now + timeout
        if asker is not None:
            deadline = min(deadline, self._deadlines[asker].when)
        give_up = partial(self.give_up, id, f"{NO_ANSWER} from {target.id}")
        self.outcomes[id] = WAITS
        self._deadlines[id] = self.call_in(deadline - self.now, give_up)
        if deadline <= self.now:
            self.later(give_up)
        self.post(target, mail, may_wait=True)

    def wait_for_end(self, id: int, target: Cell, timeout: float) -> None:
        self.outcomes[id] = WAITS
        self._deadlines[id] = self.call_in(timeout, partial(self.give_up, id, "not stopped"))
        target.waiting_for_end.append(id)
        if target.exit is not None:
            self.settle(id, f"ended {target.exit}")

    def monitor(self, target: Cell, watcher: Cell) -> None:
        if target.exit is None:
            target.watchers[watcher] = None
        else:
            self.signal(watcher, Notice("down", f"{target.id}: {target.exit}"))

    # -- mail ----------------------------------------------------------------------------------------------------------

    def post(self, cell: Cell, mail: Mail, *, may_wait: bool) -> None:
        """Into the user lane if there is room; otherwise its policy decides."""
        capacity = cell.node.capacity if isinstance(cell.node, Worker) else None
        overflow = cell.node.overflow if isinstance(cell.node, Worker) else "wait"
        if cell.refuses_mail:
            self.refuse(cell, mail)
        elif capacity is None or (not cell.senders and len(cell.user) + len(cell.admitted) < capacity):
            self.put(cell, mail)
        elif overflow == "wait" and may_wait:
            cell.senders.append(mail)
        elif overflow == "drop_newest":
            self.return_to_sender(cell, mail, "DROPPED_NEWEST")
        elif overflow == "drop_oldest":
            self.return_to_sender(cell, cell.user.pop(0), "DROPPED_OLDEST")
            self.put(cell, mail)
        else:
            self.settle(mail.asker or mail.sender, f"full {cell.id}")

    def put(self, cell: Cell, mail: Mail) -> None:
        cell.user.append(mail)
        self.settle(mail.sender, "sent")
        self.wake(cell.now)

    def signal(self, cell: Cell, item: Mail | Notice) -> None:
        """Into the system lane, which is never full. The dead need no notices."""
        if cell.exit is None:
            cell.system.append(item)
            self.wake(cell.now)
        elif isinstance(item, Mail):
            self.refuse(cell, item)

    def refuse(self, cell: Cell, mail: Mail) -> None:
        self.return_to_sender(cell, mail, "DRAINING" if cell.exit is None else "DEAD")

    def return_to_sender(self, cell: Cell, mail: Mail, why: str) -> None:
        """Make a dead letter of it; whoever asked is told at once."""
        self.letters.append(f"{mail} to {cell.id}: {why}")
        self.settle(mail.sender, "sent")
        self.settle(mail.asker, f"full {cell.id}" if why.startswith("DROPPED") else f"dead {cell.id}: {cell.exit}")

    def take(self, cell: Cell) -> Mail | Notice | None:
        """The next message: the system lane overtakes the user lane."""
        if cell.system:
            return cell.system.pop(0)
        if cell.user and cell.senders:
            cell.admitted.append(cell.senders.pop(0))
        return cell.user.pop(0) if cell.user else None

    def admit(self, cell: Cell) -> None:
        """Those who waited for room come, in any order if several may: it is theirs, unless mail is refused by now."""
        if cell.refuses_mail:
            cell.admitted, cell.senders = cell.admitted + cell.senders, []
        while cell.admitted:
            mail = cell.admitted.pop(self.choose(len(cell.admitted)))
            if cell.refuses_mail:
                self.refuse(cell, mail)
            else:
                self.put(cell, mail)
