"""What the actor library promises, as decisions without a loop.

`Model.apply` says what the world looks like once all has come to rest after a step of a history. What the library does
at the same time, the model does one after another, in an order that `pick` chooses; each actor runs until it must wait.
`Oracle` asks several models that choose differently: what they agree about is promised.

The file is longer than others, since what can happen to an actor is best seen in one place.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Any, Final

from tests.actors import model_world as do
from tests.actors.model_world import (
    BACKOFF_RESET,
    CHILD_TIMEOUT,
    LONGEST_BACKOFF,
    NO_ANSWER,
    PERIOD,
    SYSTEM_STOP_TIMEOUT,
    WAITS,
    AskTeam,
    Cell,
    Doing,
    Forward,
    Incarnation,
    Mail,
    Message,
    Node,
    Notice,
    Team,
    Timer,
    Worker,
    World,
    is_abnormal,
)

TICK: Final = 2.0**-10
"""Passes before each step, so that no two deadlines of different steps fall together."""


class Refused(Exception):
    """An actor was not started."""


class Model(World):
    """The life of one actor system."""

    def __init__(self, pick: Callable[[int], int]) -> None:
        super().__init__(pick)
        self.is_open, self.is_closed = True, False
        self.gates: dict[str, tuple[Incarnation, Doing]] = {}
        self.abandoned: list[Doing | Incarnation] = []
        self.events: list[str] = []
        """Calls of on_start and on_stop in the latest step."""
        self.instants: list[float] = []
        """When the clock stood still in the latest step."""
        """A fault of the library's, see above, would show."""
        self._names: Counter[str] = Counter()
        self._cancelled: set[int] = set()
        self._leaving: list[Cell] = []
        self._sweep: Timer | None = None

    def apply(self, step: do.Step) -> None:
        """Do the step, and all that follows from it."""
        self.events, self.instants, self.had_choice = [], [], False
        match step:
            case (do.Advance(to),):
                while self.next_due() <= to:
                    self._stand_still(self.next_due())
                self._stand_still(to)
            case _:
                self._stand_still(self.now + TICK, step)

    def callers(self) -> list[int]:
        """Those outside of any actor that wait."""
        return [id for id, outcome in self.outcomes.items() if outcome == WAITS and id not in self.forwards]

    def observe(self) -> dict[str, Any]:
        """What there is to see when all is at rest."""
        cells = self.cells.values()
        return {
            "living": [f"{cell.now} {cell.status}" for cell in self.living.values()],
            "ended": {cell.id: cell.exit for cell in cells if cell.exit is not None},
            "handled": {cell.id: [*cell.handled] for cell in cells if cell.handled},
            "mail": {cell.id: len(cell.system) + len(cell.user) for cell in cells if isinstance(cell.node, Worker)},
            "gates": sorted(self.gates),
            "outcomes": {**self.outcomes},
            "dead letters": sorted(self.letters),
            "abandoned": len(self.abandoned),
            "is closed": self.is_closed,
        }

    def _stand_still(self, when: float, step: do.Step = ()) -> None:
        self.now = when
        self.instants.append(when)
        self.fire_due()
        for operation in step:
            self._do(operation)
        self.come_to_rest()

    def _do(self, operation: do.Operation) -> None:
        cells = self.cells
        match operation:
            case do.Spawn(id, node):
                self._spawn(id, node)
            case do.AskTeam(id, target):
                self.ask(id, Mail(operation, id), cells[target], CHILD_TIMEOUT)
            case do.Ask(target, message, timeout):
                self.ask(message.id, Mail(message, message.id), cells[target], timeout)
            case do.Post("signal", target, message):
                self.signal(cells[target], Mail(message))
            case do.Post(how, target, message):
                self.outcomes[message.id] = WAITS
                self.post(cells[target], Mail(message, None, message.id), may_wait=how == "send")
            case do.Stopped(id, target, timeout):
                self.wait_for_end(id, cells[target], timeout)
            case do.CancelCaller(id):
                self._cancel(id)
            case do.End("stop", target):
                self.signal(cells[target], Notice("stop", "normal"))
            case do.End("drain", target):
                self._drain(cells[target])
            case do.End(_, target):
                cells[target].kills_next = cells[target].status == "restarting"
                self._abort(cells[target], "killed")
            case do.Watch("monitor", target, watcher):
                self.monitor(cells[target], cells[watcher])
            case do.Watch(_, target, watcher):
                cells[target].watchers.pop(cells[watcher], None)
            case do.Release(gate):
                self._release(gate)
            case do.Advance():
                raise AssertionError("Advance is a step of its own.")
            case do.Close():
                self.is_open = False
                self._leaving = [cell for cell in self.living.values() if cell.parent is None]
                self._walk_out()

    # -- its start -----------------------------------------------------------------------------------------------------

    def _spawn(self, id: int, node: Node) -> None:
        self.outcomes[id] = WAITS
        try:
            self._add_new(node).starter = id
        except Refused as why:
            self.settle(id, str(why))

    def _cancel(self, id: int) -> None:
        """A spawn kills its actor, once, and ends when that has given up; any other wait just ends."""
        cell = next((cell for cell in self.living.values() if cell.parent is None and cell.starter == id), None)
        if cell is None:
            self.give_up(id, "cancelled")
        elif id not in self._cancelled:
            self._cancelled.add(id)
            self._abort(cell, "killed")

    def _settle_start(self, cell: Cell) -> None:
        """It has started, or never will."""
        if cell.starter in self._cancelled:
            self.settle(cell.starter, "cancelled")
        elif cell.now.has_started and cell.exit != "killed":
            self.settle(cell.starter, f"answered {cell.id}")
        else:
            self.settle(cell.starter, cell.now.why_not_started)

    def _add_new(self, node: Node, parent: Cell | None = None) -> Cell:
        """As _add, for what is not there from its supervisor's first: not while the system closes."""
        if not self.is_open:
            raise Refused("SystemClosed")
        return self._add(node, parent)

    def _add(self, node: Node, parent: Cell | None = None) -> Cell:
        if node.name in self.living:
            raise Refused(f"NameTaken {node.name}")
        self._names[node.name] += 1
        keeper = None if parent is None else parent.now
        cell = Cell(f"{node.name}{self._names[node.name]}", node, parent, keeper)
        self.cells[cell.id] = self.living[node.name] = cell
        self.wake(cell.now)
        return cell

    def run(self, life: Incarnation) -> None:
        if life.status == "starting":
            self._start(life)
        if life.status == "running":
            self._serve(life)
        if life.status == "stopping" or life in self.abandoned:
            self._wind_up(life)
        self.admit(life.cell)

    def _start(self, life: Incarnation) -> None:
        cell, node = life.cell, life.cell.node
        if life.is_stillborn:
            self._finish(life, "killed")
            return
        if life.doing is None:
            self.events.append(f"start {life}")
            starts = node.starts if isinstance(node, Worker) else ()
            life.doing = self._begin(life, f"start {life}", dict(enumerate(starts, 1)).get(life.number))
        if isinstance(node, Team) and not self._start_children(life, node, life.doing):
            return
        match life.doing.end:
            case "returned":
                life.doing, life.has_started, life.status, cell.started_at = None, True, "running", self.now
                self._tell_started(cell)
            case "raised":
                self._finish(life, f"start failed: {life.doing.error}")
            case "cut":
                self._finish(life, "killed")
            case _:
                pass

    def _tell_started(self, cell: Cell) -> None:
        if cell.parent is None:
            self.later(self._settle_start, cell)
        else:
            self._settle_start(cell)
            self.signal(cell.parent, Notice("look again"))

    # -- its work ------------------------------------------------------------------------------------------------------

    def _serve(self, life: Incarnation) -> None:
        """Handle messages one by one, until something ends the incarnation."""
        while life.status == "running":
            if life.doing is not None:
                if not life.doing.end:
                    return
                self._handler_ended(life, life.doing)
                if self.makes_way():
                    self.wake(life)
                    return
            elif life.doom is not None:
                self._finish(life, life.doom)
            elif (item := self.take(life.cell)) is not None:
                self._handle(life, item)
            elif life.cell.refuses_mail:
                self._finish(life, "normal")
            else:
                return

    def _handle(self, life: Incarnation, item: Mail | Notice) -> None:
        match item:
            case Notice("stop", reason):
                self._finish(life, reason)
            case Notice("down", what):
                life.cell.handled.append(f"down {what}")
            case Notice("child ended", child=Cell() as child):
                self._child_ended(life, child)
            case Notice():
                self._advance_team(life)
            case Mail(asker=int(asker)) if self.outcomes[asker].startswith(NO_ANSWER):
                self.return_to_sender(life.cell, item, "EXPIRED")
            case Mail(AskTeam(child=str() as name), asker):
                self._stop_child(life, name, asker)
            case Mail(AskTeam(child=Worker() | Team() as node), asker):
                self._start_child(life, node, asker)
            case Mail(Message() | Forward() as message, asker):
                life.cell.handled.append(str(message.id))
                life.asker = asker
                self._act(life, message)
            case Mail():
                raise AssertionError(f"{item} is for nobody.")

    def _act(self, life: Incarnation, message: Message | Forward) -> None:
        if isinstance(message, Forward):
            self._forward(life, message)
            return
        if "child" in message.act:
            self._start_task(life, Doing(f"child {message.id}", message.act))
        life.doing = self._begin(life, f"message {message.id}", message.act)

    def _forward(self, asker: Incarnation, message: Forward) -> None:
        """A handler asks, but never in a circle."""
        id, target = message.message.id, self.cells[message.target]
        asker.doing = Doing(f"message {message.id}")
        step: Cell | None = target
        while step is not None and step is not asker.cell:
            step = step.now.waits_for
        if step is not None:
            asker.doing.end, asker.doing.error, self.outcomes[id] = "raised", "deadlock", "deadlock"
            return
        asker.waits_for, self.forwards[id] = target, (asker, asker.doing)
        self.ask(id, Mail(message.message, id), target, message.timeout, asker.asker)

    def _handler_ended(self, life: Incarnation, doing: Doing) -> None:
        life.doing = None
        if doing.end == "returned":
            self.settle(life.asker, f"answered {doing.label.removeprefix('message ')}")
            life.asker = None
        elif doing.end == "raised" and life.doom in (None, "killed"):
            self._finish(life, f"crashed: {doing.error}")
        else:
            self._finish(life, life.doom or "killed")

    # -- its end -------------------------------------------------------------------------------------------------------

    def _finish(self, life: Incarnation, reason: str) -> None:
        """Its work is over. Its child tasks are cancelled and waited for, but not for ever."""
        self.forget(*life.timers)
        life.timers, life.patience = [], None
        life.doing, life.reason, life.status = None, reason, "stopping"
        self._cancel_tasks(life)
        if life.tasks:
            life.timers.append(self.call_in(life.cell.stop_timeout, partial(self._abandon_tasks, life)))

    def _wind_up(self, life: Incarnation) -> None:
        """Once its child tasks have ended, on_stop is called, if on_start succeeded. A team stops its children."""
        node = life.cell.node
        if not life.is_in_on_stop:
            if life.tasks or (life.doing is not None and not life.doing.end):
                return
            life.is_in_on_stop = True
            if not is_abnormal(life.reason):
                life.reason = life.doom or life.reason
            if isinstance(node, Worker) and (node.stop is None or not life.has_started):
                self._end(life)
                return
            self._begin_on_stop(life)
        assert life.doing is not None
        if isinstance(node, Team) and not self._stop_children(life, life.doing):
            return
        if life.doing.end:
            self.forget(life.deadline)
            if life.doing.end != "returned" and not is_abnormal(life.reason):
                life.reason = "killed" if life.doing.end == "cut" else f"crashed: {life.doing.error}"
            self._end(life)

    def _begin_on_stop(self, life: Incarnation) -> None:
        node = life.cell.node
        if life.has_started:
            self.events.append(f"stop {life}: {life.reason}")
        life.doing = self._begin(life, f"stop {life}", node.stop if isinstance(node, Worker) else None)
        life.deadline = self.call_in(life.cell.stop_timeout, partial(self._cut, life))

    def _end(self, life: Incarnation) -> None:
        if life.status == "ended":  # it was given up before
            self._gone_after_all(life)
            return
        cell, life.status = life.cell, "ended"
        self.forget(*life.timers)
        for id in (life.asker, *(child.starter for child in life.children)):
            self.settle(id, f"dead {cell.id}: {life.reason}")
        if life.has_started and self.now - cell.started_at >= BACKOFF_RESET:
            cell.restarts_in_a_row = 0
        if cell.parent is None or cell.keeper is None:
            self.later(self._settle_start, cell)
            self._bury(cell)
            return
        # A drain or a second stop was meant for the incarnation that is gone.
        cell.refuses_mail = False
        cell.system = [item for item in cell.system if not (isinstance(item, Notice) and item.kind == "stop")]
        if cell.keeper.is_closing:
            self._bury(cell)
        else:
            self.signal(cell.parent, Notice("child ended", child=cell))

    def _bury(self, cell: Cell) -> None:
        """It is dead for good: its name is free, its mail returned, its watchers are told."""
        cell.exit, cell.refuses_mail = cell.now.reason, True
        del self.living[cell.node.name]
        self.forget(cell.being_stopped)
        for item in [*cell.system, *cell.user]:
            if isinstance(item, Mail):
                self.return_to_sender(cell, item, "UNHANDLED")
        cell.system, cell.user = [], []
        self.admit(cell)
        for watcher in cell.watchers:
            self.signal(watcher, Notice("down", f"{cell.id}: {cell.exit}"))
        for id in cell.waiting_for_end:
            self.settle(id, f"ended {cell.exit}")
        if cell.keeper is not None:
            self.wake(cell.keeper)
        self._walk_out()

    def _drain(self, cell: Cell) -> None:
        """Who waits for room is refused, even if by the time that he looks a next incarnation takes mail again."""
        cell.refuses_mail = True
        for mail in [*cell.admitted, *cell.senders]:
            self.later(self.refuse, cell, mail)
        cell.admitted, cell.senders = [], []
        self.wake(cell.now)

    # -- what is under way, and how it is cut short --------------------------------------------------------------------

    def _begin(self, life: Incarnation, label: str, act: str | None) -> Doing:
        """Call a callback: it returns, raises, or waits at its gate. A supervisor's ends when its children let it."""
        doing = Doing(label, act or "return", "", label)
        if doing.act in ("hold", "hold_then_raise", "deaf", "child_raises"):
            self.gates[label] = life, doing
        elif doing.act == "cancel_self":  # delivered when it waits for something
            self.later(self._cancelled_itself, life, doing)
        elif isinstance(life.cell.node, Worker):
            doing.end = "raised" if doing.act in ("raise", "exit", "forge") else "returned"
        return doing

    def _cancelled_itself(self, life: Incarnation, doing: Doing) -> None:
        doing.end = doing.end or "raised"
        self.wake(life)

    def _release(self, gate: str) -> None:
        life, doing = self.gates.pop(gate, (None, None))
        if life is None or doing is None:  # cut by an earlier operation of the same step
            return
        doing.end = "raised" if doing.act.endswith("then_raise") else "returned"
        if doing is life.doing:
            self.wake(life)
        else:
            self.later(self._task_ended, life, doing)

    def _start_task(self, life: Incarnation, task: Doing) -> None:
        life.tasks.append(task)
        if task.act == "child_raises":
            task.end = "raised"
            self.later(self._task_ended, life, task)
        else:
            self.gates[task.label] = life, task

    def _task_ended(self, life: Incarnation, task: Doing) -> None:
        """What escapes from a child task crashes its actor; from an abandoned one, nobody."""
        if task in self.abandoned:
            self._gone_after_all(task)
        elif task in life.tasks:
            if task.end == "raised":
                self._abort(life.cell, f"crashed: {task.label}")
            life.tasks.remove(task)
            self.wake(life)

    def _cancel_tasks(self, life: Incarnation) -> None:
        for task in life.tasks:
            if not task.end and task.act != "deaf_child":
                task.end = "cut"
                del self.gates[task.label]
                self.later(self._task_ended, life, task)

    def _abandon_tasks(self, life: Incarnation) -> None:
        self.abandoned += life.tasks
        life.tasks = []
        self.wake(life)

    def _abort(self, cell: Cell, reason: str) -> None:
        """End it now; between two incarnations there is nothing to end."""
        if cell.now.status != "ended":
            cell.now.doom = cell.now.doom or reason
            self._cut(cell.now)

    def _cut(self, life: Incarnation) -> None:
        """Cancel what it is doing. A handler that swallows that is given up, but not at once."""
        self.wake(life)
        doing = life.doing
        if doing is None or doing.end:
            return
        if doing.act == "deaf":
            if life.patience is None:
                life.patience = self.call_in(life.cell.stop_timeout, partial(self._abandon, life))
                life.timers.append(life.patience)
            return
        doing.end = "cut"
        self.gates.pop(doing.label, None)
        for id in [id for id, (_, forward) in self.forwards.items() if forward is doing]:
            self.give_up(id, "cancelled")

    def _abandon(self, life: Incarnation) -> None:
        """It counts as ended. on_stop is called when its handler has returned after all."""
        self._cancel_tasks(life)
        self.abandoned += [*life.tasks, life]
        life.tasks, life.reason = [], life.doom or "killed"
        self._end(life)

    def _gone_after_all(self, one: Doing | Incarnation) -> None:
        self.abandoned.remove(one)
        self._walk_out()

    # -- the end of the system -----------------------------------------------------------------------------------------

    def _shut_down(self, cell: Cell) -> None:
        """Stop it in order, unless it has just ended; kill it if that takes longer than its stop timeout."""
        if cell.being_stopped is None and cell.now.status != "ended":
            self.signal(cell, Notice("stop", "shutdown"))
            cell.being_stopped = self.call_in(cell.stop_timeout, partial(self._kill_late, cell))

    def _kill_late(self, cell: Cell) -> None:
        """A supervisor's time stands still while it waits for its children."""
        if cell.stop_timeout < math.inf:
            self._abort(cell, "killed")

    def _walk_out(self) -> None:
        """Once told to close: stop what has no supervisor, the last started first; then cancel what was abandoned,
        and wait for it, but not for ever."""
        if self.is_open or self.is_closed:
            return
        while self._leaving:
            if self._leaving[-1].exit is None:
                self._shut_down(self._leaving[-1])
                return
            self._leaving.pop()
        if self._sweep is None:
            self._sweep = self.call_in(SYSTEM_STOP_TIMEOUT, self._close)
            for one in self.abandoned:
                if isinstance(one, Incarnation) and one.doing is not None and one.doing.act != "deaf":
                    one.doing.end = one.doing.end or "cut"
                    self.gates.pop(one.doing.label, None)
                    self.wake(one)
        if not self.abandoned:
            self._close()

    def _close(self) -> None:
        self.is_closed = True
        self.forget(self._sweep)

    # -- supervision ---------------------------------------------------------------------------------------------------

    def _start_children(self, team: Incarnation, node: Team, doing: Doing) -> bool:
        """One after another, each once the one before has started. False: wait."""
        children = team.children
        while not doing.end:
            last = children[-1].now if children else None
            if last is not None and not last.has_started and last.status != "ended":
                return False
            if last is not None and not last.has_started:
                doing.end, doing.error = "raised", last.why_not_started
            elif len(children) == len(node.children):
                doing.end = "returned"
            else:
                try:
                    children.append(self._add(node.children[len(children)], team.cell))
                except Refused as why:
                    doing.end, doing.error = "raised", str(why)
        return True

    def _stop_children(self, team: Incarnation, doing: Doing) -> bool:
        """One after another, the last started first; cut short, kill them all. False: wait for them."""
        if doing.end == "cut" and doing.act != "kill":
            doing.act = "kill"
            for child in team.children:
                self._abort(child, "killed")
        if doing.end == "cut":
            return all(child.exit is not None for child in team.children)
        if self._all_stopped(team):
            doing.end = "returned"
        return bool(doing.end)

    def _all_stopped(self, team: Incarnation) -> bool:
        team.is_closing = True
        for child in reversed(team.children):
            if child.status == "restarting":
                self._bury(child)
        for child in reversed(team.children):
            if child.exit is None:
                self._shut_down(child)
                return False
        return True

    def _start_child(self, team: Incarnation, node: Node, asker: int | None) -> None:
        try:
            child = self._add_new(node, team.cell)
        except Refused as why:
            self.settle(asker, str(why))
        else:
            team.children.append(child)
            child.starter = asker

    def _stop_child(self, team: Incarnation, name: str, asker: int | None) -> None:
        child = next((child for child in team.children if child.node.name == name), None)
        if child is None:
            self.settle(asker, f"NoSuchChild {name}")
            return
        self.settle(asker, f"answered {child.id}")
        child.is_leaving = True
        if child.is_down:
            self._leave(team, child)
        else:
            child.must_stop = True
            self._shut_down(child)

    def _leave(self, team: Incarnation, child: Cell) -> None:
        team.children.remove(child)
        child.is_down = False
        self._bury(child)

    def _child_ended(self, team: Incarnation, child: Cell) -> None:
        if child not in team.children:  # it was a child of the incarnation before
            return
        was_stopped, child.must_stop, child.is_down = child.must_stop, False, True
        self.forget(child.being_stopped)
        child.being_stopped = None
        if (
            child.now.number == 1 and not child.now.has_started and not child.now.is_stillborn
        ):  # as if it had never been
            self._leave(team, child)
            self._settle_start(child)
        elif child.is_leaving:
            self._leave(team, child)
        elif not was_stopped:
            self._decide(team, child)
        if team.status == "running":
            self._advance_team(team)

    def _decide(self, team: Incarnation, dead: Cell) -> None:
        """What the end of a child calls for, by OTP's rules."""
        node, restart = team.cell.node, dead.node.restart
        assert isinstance(node, Team)
        if restart == "temporary" or (restart == "transient" and not is_abnormal(dead.now.reason)):
            self._leave(team, dead)
        elif sum(self.now - when <= PERIOD for when in team.restarts) >= node.intensity:
            self._finish(team, f"crashed: gave up {dead.node.name}")
        else:
            team.restarts.append(self.now)
            delay = min(node.backoff * 2**dead.restarts_in_a_row, LONGEST_BACKOFF)
            dead.restarts_in_a_row += 1
            self._plan_restart(team, node, dead, delay)

    def _plan_restart(self, team: Incarnation, node: Team, dead: Cell, delay: float) -> None:
        """Who goes with the dead is stopped, and returns with it unless it is temporary."""
        later = team.children[team.children.index(dead) :]
        for child in {"one_for_one": [dead], "one_for_all": team.children, "rest_for_one": later}[node.strategy]:
            child.is_leaving = child.is_leaving or child.node.restart == "temporary"
            child.must_stop = not child.is_down
            child.ready_at = max(child.ready_at, self.now + delay)
        if delay:
            team.timers.append(self.call_in(delay, partial(self.signal, team.cell, Notice("look again"))))
        team.to_stop = [child for child in team.children if child.must_stop]
        team.to_start = [
            child
            for child in team.children
            if (child.must_stop or child.is_down or child.status == "starting") and not child.is_leaving
        ]

    def _advance_team(self, team: Incarnation) -> None:
        """Take the next step of a restart: stop the last that must go, then start the first that is down. Only one for
        one do children not wait for each other."""
        node = team.cell.node
        if isinstance(node, Team) and node.strategy == "one_for_one":
            for child in team.children:
                self._restart(child)
            return
        while team.to_stop:
            if team.to_stop[-1].must_stop:
                self._shut_down(team.to_stop[-1])
                return
            team.to_stop.pop()
        while team.to_start:
            self._restart(team.to_start[0])
            if team.to_start[0].is_down or team.to_start[0].status == "starting":
                return
            team.to_start.pop(0)

    def _restart(self, child: Cell) -> None:
        if child.is_down and child.ready_at <= self.now:
            child.is_down, number = False, child.now.number + (not child.kills_next)
            child.now = Incarnation(child, number, is_stillborn=child.kills_next)
            child.kills_next = False
            self.wake(child.now)


ORDERS: Final = 8
"""How many random orders are tried, beside first come first served and its reverse."""


@dataclass(frozen=True)
class Moment:
    """A step, and what is promised of the world after it."""

    step: do.Step
    instants: list[float]
    """When the clock stands still on the way."""
    world: dict[str, Any]
    events: list[str]
    is_ordered: bool
    """Whether that is the order of the events; of actors that have nothing to do with each other none is promised."""

    def __repr__(self) -> str:
        return repr(self.step)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))

    def expects(self, events: list[str]) -> bool:
        return events == self.events if self.is_ordered else by_actor(events) == by_actor(self.events)


class Oracle:
    """Foretells a history. What several models that differ in their choices agree about is promised."""

    def __init__(self, *steps: do.Step) -> None:
        self.history: list[Moment] = []
        self._begin()
        for step in steps:
            assert self.foretells(step), f"The outcome of {step} is not promised."

    def _begin(self) -> None:
        picks: list[Callable[[int], int]] = [lambda count: 0, lambda count: count - 1]
        self._models = [Model(pick) for pick in [*picks, *(Random(seed).randrange for seed in range(ORDERS))]]
        self.model = self._models[0]

    def foretells(self, step: do.Step) -> bool:
        """Add the step to the history, if its outcome is promised. If not, it has not happened."""
        for model in self._models:
            model.apply(step)
        if self._agree():
            events = self.model.events
            is_ordered = all(model.events == events for model in self._models)
            self.history.append(Moment(step, self.model.instants, self.model.observe(), events, is_ordered))
            return True
        self._begin()
        for moment in self.history:
            for model in self._models:
                model.apply(moment.step)
        return False

    def _agree(self) -> bool:
        if not any(model.had_choice for model in self._models):
            return True
        worlds = [(model.observe(), by_actor(model.events)) for model in self._models]
        return all(world == worlds[0] for world in worlds)


def by_actor(events: list[str]) -> list[str]:
    """In the same order for each actor."""
    return sorted(events, key=lambda event: event.split()[1].partition("#")[0])
