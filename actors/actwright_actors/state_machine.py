"""An actor that is a state machine. After OTP's gen_statem."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, final

from actwright_actors.actor import Actor

__all__ = ["StateMachine"]

M_contra = TypeVar("M_contra", contravariant=True)
S = TypeVar("S", bound=Hashable)

_STATE_TIMEOUT: Final = object()
"""The key of the state timeout among the actor's timers, which no user's key equals."""

_NO_STATE: Final[Any] = object()
"""Stands for a machine that has not entered its first state, since None may be a state."""


@dataclass(slots=True)
class _Decision(Generic[S]):
    """What an event's callback has asked for by now."""

    state: S
    goes: bool = False
    postpones: bool = False
    timeout: tuple[Any, float] | None = None


class StateMachine(Actor[M_contra], Generic[S, M_contra]):
    """An actor whose answer to a message depends on the state that it is in. After OTP's gen_statem.

    States are anything hashable that compares by value, such as the members of an Enum. Each message is an event: one
    callback gets the state and the message, and says what follows by calling methods of the machine:

    class Door(StateMachine[Position, Message]):
        initial_state = Position.LOCKED

        async def on_event(self, state: Position, message: Message) -> object:
            match state, message:
                case Position.LOCKED, Unlock():
                    self.goto(Position.OPEN)
                    self.set_state_timeout(Lock(), 10.0)
                case Position.LOCKED, _:
                    self.postpone()
                case Position.OPEN, Lock():
                    self.goto(Position.LOCKED)
                case Position.OPEN, Enter(who):
                    return f"welcome, {who}"

    What `goto`, `postpone` and `set_state_timeout` ask for is done once `on_event` has returned, in this order, as
    gen_statem does with the actions that a callback returns; if it raises instead, none of it is done:

    1. the message is put aside, if it was postponed;
    2. the state changes: the old one's timeout ends, and what was postponed is put before the waiting user messages,
       in its order;
    3. the state timeout starts, which is the new state's;
    4. `on_enter` is called;
    5. what `on_event` returned answers an `ask`, unless the message was postponed: then what it returns in the end.

    To go to the state that it is in already is no change: the timeout goes on, nothing postponed comes back, `on_enter`
    is not called (in gen_statem, `keep_state`, or `next_state` with the same state).

    gen_statem's generic, named timeouts, which survive a change of state, are `self.context.timers`. The message of a
    timeout is an event like any other. A crash in any callback ends the actor, as in `handle`; after a supervised
    restart a new machine begins in its initial state, and the postponed messages of the old one come first.
    `stash_capacity` bounds how many can be postponed: StashFull crashes the machine.
    """

    initial_state: S
    """The first state. A class attribute, or set before `on_start`."""

    _state: S = _NO_STATE
    _decision: _Decision[S] | None = None

    @property
    def state(self) -> S:
        """The state that it is in; while `on_event` runs, the one that it was called with."""
        if self._state is _NO_STATE:
            raise RuntimeError(
                f"{type(self).__name__} is in no state yet. It enters its first in on_start: one of your own must "
                "await super().on_start()."
            )
        return self._state

    # -- for subclasses to override --------------------------------------------------------------------------------

    async def on_start(self) -> None:
        """Enter the initial state. Who overrides it, to open a connection or to choose `initial_state`, awaits
        `super().on_start()` at its end. An exception here or in `on_enter` is StartFailed."""
        if not hasattr(self, "initial_state"):
            raise TypeError(f"{type(self).__name__} has no initial_state: give it one, as a class attribute, say.")
        self._state = self.initial_state
        await self.on_enter(self._state, None)

    async def on_event(self, state: S, message: M_contra) -> Any:
        """Handle one message in `state`. What it returns answers an `ask`. Failure and cancellation as for `handle`."""
        raise TypeError(
            f"{type(self).__name__} got {message!r} in state {state!r} but has no on_event(). "
            "Override `async def on_event`."
        )

    async def on_enter(self, state: S, previous: S | None) -> None:
        """`state` was entered; `previous` is None for the first one. gen_statem's state enter call.

        It may set a state timeout, which takes the place of one that the event has set. It may neither `goto` nor
        `postpone`: to move on at once, `self.context.ref.signal(...)` an event to itself. An exception crashes the
        actor, and whoever asked gets ActorDead.
        """

    # -- what on_event may call ------------------------------------------------------------------------------------

    def goto(self, state: S) -> None:
        """Change to `state` once `on_event` has returned. Raises RuntimeError outside of it, and the second time."""
        decision = self._deciding("goto")
        if decision.goes:
            raise RuntimeError(
                f"{type(self).__name__} goes to {decision.state!r} already, and cannot go to {state!r} as well. "
                "Call goto() once for an event."
            )
        decision.state, decision.goes = state, True

    def postpone(self) -> None:
        """Have the message at hand handled again when the state has changed; whoever asked goes on waiting.

        Raises RuntimeError outside of `on_event`, and the second time.
        """
        decision = self._deciding("postpone")
        if decision.postpones:
            raise RuntimeError(f"{type(self).__name__} has postponed this message already. Call postpone() once.")
        decision.postpones = True

    def set_state_timeout(self, message: M_contra, seconds: float) -> None:
        """Have an event `message` in `seconds` of the system's clock, unless the state has changed by then.

        In `on_event` it starts once that has returned, for the state that is then current; in `on_enter`, at once. It
        takes the place of one that is running. It never comes in another state, even when it had fired already.
        """
        if self._decision is not None:
            self._decision.timeout = message, seconds
        else:
            self.context.timers.start(_STATE_TIMEOUT, message, seconds)

    def cancel_state_timeout(self) -> bool:
        """See that it does not come, even when it has fired already. False: there was none."""
        was_asked_for = self._decision is not None and self._decision.timeout is not None
        if self._decision is not None:
            self._decision.timeout = None
        return self.context.timers.cancel(_STATE_TIMEOUT) or was_asked_for

    # -- the machine -----------------------------------------------------------------------------------------------

    @final
    async def handle(self, message: M_contra) -> Any:
        """One event, and what follows from it. Override `on_event`."""
        state = self.state
        self._decision = decision = _Decision(state)
        try:
            answer = await self.on_event(state, message)
        finally:
            self._decision = None
        await self._carry_out(decision)
        return answer

    async def _carry_out(self, decision: _Decision[S]) -> None:
        previous = self._state
        if decision.postpones:
            self.context.stash()
        if decision.state != previous:
            self._state = decision.state
            self.cancel_state_timeout()
            self.context.unstash_all()
        if decision.timeout is not None:
            self.set_state_timeout(*decision.timeout)
        if decision.state != previous:
            await self.on_enter(decision.state, previous)

    def _deciding(self, call: str) -> _Decision[S]:
        if self._decision is None:
            raise RuntimeError(
                f"{call}() of {type(self).__name__} was called while it decides about no event. Call it in on_event; "
                "elsewhere (on_enter, a child task), send the machine a message, and decide when that comes."
            )
        return self._decision
