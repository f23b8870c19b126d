"""An actor's place in a system: name, mailbox, watchers. The reference points here.

A cell outlives its actor object: a supervised restart puts the next incarnation into the same cell, which is why name,
mailbox and references stay. Everything here runs in the loop's thread.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Hashable
from contextvars import Context
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final, Protocol

import anyio

from actwright_actors._deadline import Deadline
from actwright_actors._incarnation import Incarnation
from actwright_actors._latch import Latch
from actwright_actors._log import logger
from actwright_actors._mailbox import Mailbox
from actwright_actors._messages import IDLE, Envelope, Notice, StopRequest, content
from actwright_actors.actor import Actor, ActorContext
from actwright_actors.dead_letters import DeadLetterReason
from actwright_actors.errors import ActorDead, LinkBroken, MailboxFull
from actwright_actors.exit import Crashed, ExitReason, Killed, Normal, Shutdown
from actwright_actors.mailbox import MailboxOptions
from actwright_actors.ref import ActorRef, Down, Status

if TYPE_CHECKING:
    from actwright_actors._kernel import Kernel

__all__ = ["Cell", "Keeper", "cell_of"]


FEW_WATCHERS: Final = 16


class Keeper(Protocol):
    """Decides about the incarnations of cells, its children: a supervisor."""

    context: ActorContext

    def child_started(self, cell: Cell) -> None:
        """`on_start` has returned."""
        ...

    def child_ended(self, cell: Cell, reason: ExitReason) -> None:
        """The incarnation is over; the keeper owes the cell a `relaunch` or a `bury`."""
        ...

    async def stop_children(self) -> None:
        """Stop them all in order, and wait for it. Once they are gone, do nothing."""
        ...

    def kill_children(self, when_gone: Callable[[], object]) -> None:
        """Kill them all, and call `when_gone` once the last is buried, which may be now."""
        ...


class Cell:
    """One actor's place in a system."""

    __slots__ = (
        "__weakref__",
        "_dead_life",
        "_dead_ref",
        "_life",
        "_links",
        "_ref",
        "_watchers",
        "_watchers_to_check",
        "exit_reason",
        "handled",
        "is_awaited",
        "keeper",
        "kernel",
        "mailbox",
        "name",
        "restarts",
        "stop_timeout",
        "stopped",
    )

    _dead_ref: weakref.ref[ActorRef[Any]]
    _dead_life: weakref.ref[Incarnation]
    """What others may still have of it. Not set while it lives."""

    def __init__(
        self, kernel: Kernel, actor: Actor[Any], name: str, options: MailboxOptions, stop_timeout: float | None
    ) -> None:
        self.kernel = kernel
        self.name = name
        self.stop_timeout = stop_timeout
        self.mailbox: Mailbox = Mailbox(options, kernel.make_wake)
        self._ref: ActorRef[Any] | None = ActorRef(self)
        self.keeper: Keeper | None = None
        self.is_awaited = False
        """Somebody waits for its start, and is told of a failure."""
        self.handled = 0
        self.restarts = 0
        self.exit_reason: ExitReason | None = None
        self.stopped = Latch(kernel.make_wake)
        """Set when it is dead for good."""
        self._watchers: dict[Hashable, Callable[[Down], object]] | None = None
        self._watchers_to_check = FEW_WATCHERS
        self._links: dict[Cell, None] | None = None
        self._life: Incarnation | None = Incarnation(self, actor)

    @property
    def ref(self) -> ActorRef[Any]:
        """By which others know it."""
        ref: ActorRef[Any] | None = self._ref or self._dead_ref()
        if ref is None:
            ref = ActorRef(self)
            self._dead_ref = weakref.ref(ref)
        return ref

    @property
    def life(self) -> Incarnation:
        """The one that it is in; of the dead the last one, or one that is like it, over."""
        life = self._life or self._dead_life()
        if life is None:
            life = Incarnation.over(self)
            self._dead_life = weakref.ref(life)
        return life

    def _let_go(self) -> None:
        """Keep of the dead what others keep, and no more. Reference and life keep the cell: if it kept them as well,
        each dead actor, with all that its task has seen, would wait for the garbage collector."""
        self._dead_ref, self._dead_life = weakref.ref(self.ref), weakref.ref(self.life)
        self._ref = self._life = None

    @property
    def status(self) -> Status:
        life = self._life  # once: another thread may ask while it dies
        if life is None or self.exit_reason is not None:
            return "dead"
        return "restarting" if life.status == "ended" else life.status

    @property
    def supervisor(self) -> Cell | None:
        """Who starts it again, as long as anybody may."""
        return None if self.keeper is None else cell_of(self.keeper.context.ref)

    # -- life cycle ------------------------------------------------------------------------------------------------

    def launch(self, context: Context | None = None) -> None:
        """Start its first incarnation."""
        try:
            self.life.launch(context)
        except BaseException:  # a Ctrl-C, say: nobody will ever end what never began
            self.kernel.forget(self)
            raise

    def relaunch(self, actor: Actor[Any], reason: ExitReason) -> None:
        """Start the next incarnation, with the mail that is left, since the one before ended for `reason`."""
        before = self.life
        self._life = life = Incarnation(self, actor)
        life.follow(before)
        self.restarts += 1
        if self.kernel.instrument is not None:
            self.kernel.observe(lambda instrument: instrument.actor_restarted(self.ref, reason, self.restarts))
        try:
            life.launch(None)
        except BaseException:
            life.status = "ended"  # it never began
            raise

    def incarnation_started(self) -> None:
        """`on_start` has returned."""
        if self.kernel.instrument is not None:
            self.kernel.observe(lambda instrument: instrument.actor_started(self.ref))
        if self.keeper is not None:
            self.keeper.child_started(self)

    def incarnation_ended(self, life: Incarnation, reason: ExitReason) -> None:
        """`life` is over, and it was this cell's."""
        if self.keeper is None:
            self.bury(reason)
        else:
            self._break_links(reason)
            # A drain or a second stop() was meant for the incarnation that is gone.
            self.mailbox.reopen(lambda item: not isinstance(item, StopRequest))
            self.keeper.child_ended(self, reason)

    def bury(self, reason: ExitReason) -> None:
        """Free the name, return the mail, tell the watchers."""
        self.exit_reason = reason
        self.kernel.forget(self)
        self._break_links(reason)
        self.mailbox.close()
        for item in self.mailbox.clear():
            self.return_to_sender(item, DeadLetterReason.UNHANDLED)
        if self.kernel.instrument is not None:
            self.kernel.observe(lambda instrument: instrument.actor_ended(self.ref, reason))
        watchers, self._watchers = self._watchers, None
        for notify in (watchers or {}).values():
            notify(Down(self.ref, reason))
        self.stopped.set()
        self.life.tell_of_end(reason)
        self.keeper = None
        if self.life not in self.kernel.abandoned:  # which may yet come to its on_stop
            self.life.forget_actor()
            self._let_go()

    def request_stop(self, reason: ExitReason) -> None:
        self.signal(StopRequest(reason))

    def shut_down(self) -> Deadline:
        """Stop it in order; a deadline, for the caller to cancel at its end, kills it when it takes too long."""
        seconds = self.life.seconds_to_stop()
        self.request_stop(Shutdown())
        return self.life.deadlines.start(seconds, partial(self._kill_late, seconds))

    def _kill_late(self, seconds: float) -> None:
        logger.warning("Actor %r did not stop within %s s; it is killed.", self.name, seconds)
        self.abort(Killed())

    def kill(self) -> None:
        """Kill the life that it is in by now, if it is in one."""
        if self._life is not None:
            self._life.kill()

    def drain(self) -> None:
        """Admit no more user messages, and end once the last is handled."""
        if self.exit_reason is None:
            self.mailbox.close()

    def abort(self, reason: ExitReason) -> None:
        """End what it is doing now, with this reason."""
        self.life.abort(reason)

    # -- watching --------------------------------------------------------------------------------------------------

    def watch(self, key: Hashable, notify: Callable[[Down], object]) -> None:
        """Have `notify` called with the Down, at once if it is dead. One per key."""
        if self.exit_reason is not None:
            notify(Down(self.ref, self.exit_reason))
            return
        if self._watchers is None:
            self._watchers = {}
        elif len(self._watchers) >= self._watchers_to_check:
            self._forget_dead_watchers()
        self._watchers[key] = notify

    def _forget_dead_watchers(self) -> None:
        """Now and then, so that one that is watched by many that come and go keeps none of them for long."""
        watchers = self._watchers or {}
        self._watchers = {k: notify for k, notify in watchers.items() if not isinstance(k, ActorRef) or k.is_alive}
        self._watchers_to_check = max(FEW_WATCHERS, 2 * len(self._watchers))

    def unwatch(self, key: Hashable) -> None:
        """Take `watch` back."""
        if self._watchers is not None:
            self._watchers.pop(key, None)

    def link(self, ref: ActorRef[Any]) -> None:
        """End with the incarnation of `ref`, and have it end with this one's."""
        other = cell_of(ref)
        other.kernel.require_loop_thread("ActorContext.link")  # it may be of a system in another thread
        if other.exit_reason is not None:
            self._partner_ended(other, other.exit_reason)
            return
        for one, two in ((self, other), (other, self)):
            if one._links is None:
                one._links = {}
            one._links[two] = None

    def unlink(self, ref: ActorRef[Any]) -> None:
        """Take `link` back, on both sides."""
        other = cell_of(ref)
        other.kernel.require_loop_thread("ActorContext.unlink")  # it may be of a system in another thread
        for one, two in ((self, other), (other, self)):
            if one._links is not None:
                one._links.pop(two, None)

    def links(self) -> list[ActorRef[Any]]:
        """Whom its incarnation is linked to."""
        return [partner.ref for partner in self._links or ()]

    def _break_links(self, reason: ExitReason) -> None:
        for partner in list(self._links or ()):
            self.unlink(partner.ref)
            partner._partner_ended(self, reason)

    def _partner_ended(self, partner: Cell, reason: ExitReason) -> None:
        if isinstance(reason, Shutdown):
            self.request_stop(reason)
        elif not isinstance(reason, Normal) and self.life.status != "stopping":  # which a kill would cut short
            self.abort(Crashed(LinkBroken(partner.ref, reason)))

    # -- mail ------------------------------------------------------------------------------------------------------

    async def send(self, item: Any, turn: anyio.Event) -> None:
        """Put into the user lane, as soon as there is room (`turn` is set then), what it did not take at once."""
        if self.mailbox.options.overflow != "wait" or self.mailbox.is_closed:
            self.overflow(item)
        elif not await self.mailbox.offer_when_room(item, turn):
            self._refuse(item)

    def signal(self, item: Any) -> None:
        """Put it into the system lane."""
        if self.exit_reason is not None:
            self.return_to_sender(item, DeadLetterReason.DEAD)
        else:
            self.mailbox.signal(item)

    def overflow(self, item: Any) -> None:
        """Do with a user message that the mailbox did not take what its policy says."""
        box = self.mailbox
        if box.is_closed:
            self._refuse(item)
        elif box.options.overflow == "drop_newest":
            self.return_to_sender(item, DeadLetterReason.DROPPED_NEWEST)
        elif box.options.overflow == "drop_oldest":
            self.return_to_sender(box.replace_oldest(item), DeadLetterReason.DROPPED_OLDEST)
        else:
            raise MailboxFull(self.ref, box.options.capacity or 0)

    def _refuse(self, item: Any) -> None:
        """Do with a user message what becomes of one when the mailbox was closed."""
        is_dead = self.exit_reason is not None
        self.return_to_sender(item, DeadLetterReason.DEAD if is_dead else DeadLetterReason.DRAINING)

    def return_to_sender(self, item: Any, why: DeadLetterReason) -> None:
        """Make a dead letter of it; whoever asked is told at once."""
        if isinstance(item, Envelope) and item.reply is not None:
            item.reply.fail(self._refusal(why))
        if not isinstance(item, Notice):
            self.kernel.dead_letter(content(item), self.ref, why)

    def _refusal(self, why: DeadLetterReason) -> Exception:
        if why in (DeadLetterReason.DROPPED_NEWEST, DeadLetterReason.DROPPED_OLDEST):
            return MailboxFull(self.ref, self.mailbox.options.capacity or 0)
        return ActorDead(self.ref, self.exit_reason)

    def why_no_answer(self, question: Envelope) -> str:
        """What it is doing instead of answering, as the end of a sentence."""
        life = self.life
        if life.current is question:
            return "; it is still handling it"
        if life.current is IDLE:
            return (
                f"; it is {self.status}, and owes an answer" if self.status == "running" else f"; it is {self.status}"
            )
        seconds = perf_counter() - life.busy_since
        return f"; for {seconds:.3g} s it has been handling {type(content(life.current)).__name__}"

    def message_handled(self, item: Any, seconds: float) -> None:
        """Tell of a message that took long, and of any to who wants to know."""
        message = content(item)
        if seconds >= self.kernel.slow_handler_seconds:
            logger.warning(
                "Actor %r took %.3f s for %s, handled nothing else meanwhile, and %s messages wait. Do long work in "
                "a child task (context.start_soon), or raise slow_handler_seconds.",
                self.name, seconds, type(message).__name__, len(self.mailbox),
            )  # fmt: skip
        if self.kernel.instrument is not None:
            self.kernel.observe(lambda instrument: instrument.message_handled(self.ref, message, seconds))


def cell_of(ref: ActorRef[Any]) -> Cell:
    """What a reference stands for: the library's own way in, where users have the reference's methods."""
    return ref._cell  # pyright: ignore[reportPrivateUsage]  # so that it need not be public
