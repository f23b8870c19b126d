"""How a service is: what is measured of it, and who tells.

It begins before the Runtime and ends after it, so that probes are answered while that opens, and while it drains.
"""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any, Final, Self
from uuid import uuid4

from actwright.exceptions import JournalError
from actwright.models.health import Health, OfferedFlow, Phase
from actwright.nodes.upkeep import takeover_of_this_process
from actwright.serving.heartbeat import Beat, Heartbeat, Queue
from actwright.serving.lags import Lags, Measure
from actwright_actors import ActorSystem, Backoff, ChildSpec, Instrument, Supervisor

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import TracebackType

    from actwright.engine.runtime import Runtime
    from actwright.journal.sql_journal import SqlJournal
    from actwright.serving.addresses import Address
    from actwright.serving.claims import Work
    from actwright.serving.endpoint import Listener
    from actwright_actors import Actor, ActorRef, Clock, ExitReason

__all__ = ["Checkup", "Restarts"]

_INTENSITY: Final = 5
_BACKOFF: Final = Backoff(initial=1.0, maximum=30.0)
"""Never five restarts in a second."""


class Checkup:
    """Measures, tells, and writes down, from `async with` to its end.

    Args:
        serves: what is served, for people.
        address: where probes are answered; None: nowhere.

    Attributes:
        phase: where the service is in its life; it is told by `enters`.
        restarts: counts those of the system that it is the instrument of.
        url: of the endpoint; None where there is none.
    """

    def __init__(
        self, runtime: Runtime, work: Work, serves: Sequence[str], address: Address | None, clock: Clock | None
    ) -> None:
        self._runtime = runtime
        self._work = work
        self._serves = tuple(serves)
        self._address = address
        self._system = ActorSystem("actwright-health", clock=clock)
        self._stack = AsyncExitStack()
        self._lags = Lags()
        self._queue = Queue()
        self._journal: SqlJournal | None = None
        self._trouble: str | None = None
        self.phase = Phase.STARTING
        self.restarts = Restarts()
        self.url: str | None = None

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            listener = None if self._address is None else await self._listen(self._address, stack)
            await stack.enter_async_context(self._system)
            self._since = self._system.clock.wall()
            if listener is not None:
                await self._answer_probes(listener)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(exc_type, exc, tb)

    async def _listen(self, address: Address, stack: AsyncExitStack) -> Listener:
        from actwright.serving.endpoint import listen  # only who asks for it needs HTTP

        listener, bound = await listen(address)
        stack.push_async_callback(listener.aclose)
        self.url = bound.url
        return listener

    async def _answer_probes(self, listener: Listener) -> None:
        from actwright.serving.endpoint import Endpoint
        from actwright.serving.pages import page

        await self._keep("endpoint", lambda: Endpoint(listener, lambda path: page(path, self.health())))

    def enters(self, phase: Phase, trouble: str | None = None) -> None:
        """The service is in another phase, which is written down at once. `trouble` keeps it from its work for good."""
        self.phase, self._trouble = phase, trouble or self._trouble
        heartbeat = self._system.lookup("heartbeat")
        if heartbeat is not None:
            heartbeat.tell(Beat())

    async def watch(self, journal: SqlJournal) -> None:
        """Begin to measure, and to write down: the journal is open."""
        self._journal = journal
        await self._keep("lags", lambda: Measure(journal, self._lags))
        service_id = str(uuid4())
        await self._keep(
            "heartbeat", lambda: Heartbeat(journal, service_id, self._work.offers, self._queue, self.health)
        )

    async def _keep(self, name: str, start: Callable[[], Actor[Any]]) -> None:
        """Each under a supervisor of its own, which never gives up: it is no reason to end what is served."""
        supervisor = Supervisor([ChildSpec(name, start)], intensity=_INTENSITY, period=1.0, backoff=_BACKOFF)
        await self._system.spawn(supervisor, name=f"{name} supervisor")

    def health(self) -> Health:
        """How the service is now. In the loop's thread."""
        clock = self._system.clock
        at, now, load, work = clock.wall(), clock.now(), self._runtime.load(), self._work
        since = self._queue.since
        return Health(
            phase=self.phase,
            trouble=tuple(self._troubles()),
            at=at,
            since=self._since,
            serves=self._serves,
            offers=tuple(OfferedFlow(entry=each.entry, queues=tuple(sorted(each.queues))) for each in work.offers),
            claimed=sum(not handle.done() for handle in work.begun.values()) + len(work.claimed),
            limit=work.limit,
            waiting=self._queue.due,
            waiting_seconds=0.0 if since is None else max((at - since).total_seconds(), 0.0),
            open_runs=load.open_runs,
            due_hooks=load.due_hooks,
            ended_runs={" ".join(key): count for key, count in load.ended_runs.items()},
            ended_hooks={" ".join(key): count for key, count in load.ended_hooks.items()},
            restarts=self.restarts.count,
            loop_lag_seconds=self._lags.loop_seconds(now),
            journal_lag_seconds=self._lags.journal_seconds(now),
            takeover=takeover_of_this_process(),
        )

    def _troubles(self) -> Iterator[str]:
        if self._trouble is not None:
            yield self._trouble
        if self._journal is None:
            yield "Its journal is not open yet."
        else:
            try:
                self._journal.check(0.0)
            except JournalError as error:
                yield str(error)


class Restarts(Instrument):
    """How often actors of a system were restarted. It outlives them."""

    def __init__(self) -> None:
        self.count = 0

    def actor_restarted(self, ref: ActorRef[Any], reason: ExitReason, restarts: int) -> None:
        self.count += 1
