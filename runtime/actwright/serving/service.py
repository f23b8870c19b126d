"""A service: a Runtime that stays, and a supervisor over what it serves."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Literal, Self, TypeAlias, Unpack, cast

import anyio
from anyio.to_thread import run_sync

from actwright.authoring.checks import whole_number
from actwright.authoring.flows import Flow
from actwright.client.submitting import entry_of_flow, prepare
from actwright.engine.runtime import Runtime, RuntimeKeywords
from actwright.exceptions import Fenced, JournalError, RuntimeClosed, ServiceFailed
from actwright.journal.sql_journal import SqlJournal
from actwright.models.health import Phase
from actwright.models.outcomes import described
from actwright.models.submissions import DEFAULT_QUEUE, Offer
from actwright.serving.addresses import address_of
from actwright.serving.checkup import Checkup
from actwright.serving.claims import Claims, Work
from actwright.serving.kept import KeptFlow
from actwright.serving.others import Others
from actwright.serving.rules import Rule
from actwright.serving.scheduler import Scheduler
from actwright.serving.schedules import Schedule, as_schedule
from actwright_actors import Actor, ActorSystem, Backoff, ChildSpec, Crashed, Down, StartFailed, Supervisor

if TYPE_CHECKING:
    from types import TracebackType

    from actwright.exceptions import ActwrightError
    from actwright.journal.protocol import Journal
    from actwright.models.health import Health

__all__ = ["BACKOFF", "INTENSITY", "PERIOD_SECONDS", "Servable", "Served", "Service"]

logger = logging.getLogger("actwright.serving")

INTENSITY: Final = 5
PERIOD_SECONDS: Final = 60.0
BACKOFF: Final = Backoff(initial=1.0, maximum=30.0)
"""What is served may fall five times in a minute: a database that is away for ten seconds takes no service down."""


@dataclass(frozen=True, slots=True)
class Served:
    """A flow, and how it is served.

    Attributes:
        flow: it takes submissions, and with `keep` it also runs all the time.
        limit: how many submitted runs of it may be at work at once, in all processes on the journal; None: no limit.
        queues: whose submissions are taken.
        schedules: when it is submitted, each a `Schedule` or a rule alone, as `Cron("0 6 * * *")`.
        keep: "permanent": it is run again whenever it ends; "transient": when it failed or crashed. Such a flow needs
            no arguments.
    """

    flow: Flow[..., Any]
    limit: int | None = None
    queues: Iterable[str] = (DEFAULT_QUEUE,)
    schedules: Iterable[Schedule | Rule] = ()
    keep: Literal["permanent", "transient"] | None = None

    def __post_init__(self) -> None:
        if not isinstance(cast("object", self.flow), Flow):
            raise TypeError(f"Served takes a flow; got {self.flow!r}. Put @flow above the function.")
        if self.limit is not None:
            whole_number("limit", self.limit, least=0)
        if isinstance(self.queues, str):
            raise TypeError(f"queues must be a list of names; got {self.queues!r}. Write queues=[{self.queues!r}].")
        object.__setattr__(self, "queues", tuple(self.queues))  # an iterator is read once
        if not self.queues or not all(isinstance(each, str) and each for each in cast("tuple[object]", self.queues)):
            raise ValueError(f"queues must be names, and one at least; got {self.queues!r}.")
        if self.keep not in (None, "permanent", "transient"):
            raise ValueError(f"keep must be 'permanent' or 'transient'; got {self.keep!r}.")
        if isinstance(self.schedules, Schedule | Rule):
            raise TypeError(f"schedules must be a list; got {self.schedules!r}. Write schedules=[...].")
        object.__setattr__(self, "schedules", tuple(map(as_schedule, self.schedules)))
        for each in self.own_schedules:
            prepare(self.flow, each.parameters, {})  # else each of its runs would fail
        if self.keep is not None:
            self.flow.prepare((), {})  # else each of its runs would fail

    @property
    def own_schedules(self) -> list[Schedule]:
        """Its schedules, by names that no other flow's have."""
        return [as_schedule(each).within(self.flow.name) for each in self.schedules]

    @property
    def offer(self) -> Offer:
        return Offer(entry_of_flow(self.flow), frozenset(self.queues), self.limit)


Servable: TypeAlias = "Flow[..., Any] | Served | ChildSpec"
"""A flow; one with options; or a plain actor, as a supervisor's child."""


class Service:
    """What a process serves, for as long as its block goes on: `async with Service(nightly, limit=10):`.

    Flows that others submit are claimed, each run by one process, and begun; flows that are kept are run again when
    they end; actors are restarted when they fall. What falls more than 5 times in 60 s, after pauses of 1 s to 30 s, is
    given up, and the service with it: `failed` raises. Leaving the block drains: nothing is claimed any more, kept
    flows are cancelled, and the Runtime is left, which waits for the rest as `Runtime` says.

    Attributes:
        runtime: where its runs live.
        system: where its actors live; there once it is open.
        served: the flows that take submissions, by their entry.

    Args:
        *served: flows, `Served(flow, ...)`, and `ChildSpec` of plain actors.
        limit: how many submitted runs may be at work here at once; None: no limit.
        health_address: where probes are answered over HTTP, "127.0.0.1:8080"; a port alone is this machine's own, and 0
            any that is free. None: where the setting says, and else nowhere.
        **options: of the Runtime.

    Raises:
        TypeError, ValueError: something that cannot be served; FlowNotFound: a flow without a name.
        ServiceFailed: it cannot be listened at the address, from `async with`.
    """

    def __init__(
        self,
        *served: Servable,
        limit: int | None = None,
        health_address: str | int | None = None,
        **options: Unpack[RuntimeKeywords],
    ) -> None:
        if limit is not None:
            whole_number("limit", limit, least=1)
        self._flows = [flow for each in served if (flow := _served_flow(each)) is not None]
        self._actors = [each for each in served if isinstance(each, ChildSpec)]
        offers = tuple(each.offer for each in self._flows)
        _refuse_twice(offer.entry for offer in offers)
        self.served = {offer.entry: each.flow for offer, each in zip(offers, self._flows, strict=True)}
        self._work = Work(self.served, offers, limit)
        self._clock = options.get("clock")
        self.runtime = Runtime(**options)
        self.system: ActorSystem
        self._checkup = Checkup(self.runtime, self._work, self._names(), address_of(health_address), self._clock)
        self._stack = AsyncExitStack()
        self._is_over = anyio.Event()
        self._error: ServiceFailed | None = None
        self._was_opened = False

    async def __aenter__(self) -> Self:
        if self._was_opened:
            raise RuntimeClosed("This Service was opened before, and a Service is used once. Make another.")
        self._was_opened = True
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._checkup)
            await stack.enter_async_context(self.runtime)
            journal = _durable(self.runtime.journal)
            stack.push_async_callback(self._put_back, journal)
            system = ActorSystem("actwright-service", clock=self._clock, instrument=self._checkup.restarts)
            self.system = await stack.enter_async_context(system)
            stack.callback(self._stop_claiming)
            stack.callback(journal.on_fenced(lambda error: self.system.post(partial(self._fenced, error))))
            supervisor = await self.system.spawn(
                Supervisor(self._specs(journal), intensity=INTENSITY, period=PERIOD_SECONDS, backoff=BACKOFF),
                name="served",
            )
            supervisor.monitor(await self.system.spawn(_Watch(self), name="watch"))
            await self._checkup.watch(journal)
            self._checkup.enters(Phase.SERVING)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, tb: TracebackType | None
    ) -> None:
        if self._checkup.phase is Phase.SERVING:
            self._checkup.enters(Phase.DRAINING)
        await self._stack.__aexit__(exc_type, exc, tb)

    def health(self) -> Health:
        """How it is now: what `actwright status` and the endpoint tell of it. In its loop.

        Raises:
            RuntimeClosed: it was not opened.
        """
        if not self._was_opened:
            raise RuntimeClosed("This Service is not open: its health is told inside of `async with Service(...):`.")
        return self._checkup.health()

    @property
    def health_url(self) -> str | None:
        """Where probes are answered: /livez, /readyz, /status, /metrics below that. None: nowhere."""
        return self._checkup.url

    async def failed(self) -> None:
        """Wait until the service has to end, which it may never.

        Raises:
            ServiceFailed: what it serves fell too often, or another process has taken this one over.
        """
        await self._is_over.wait()
        if self._error is not None:
            raise self._error

    def __str__(self) -> str:
        return ", ".join(self._names())

    def _names(self) -> list[str]:
        flows = [f"flow {flow.name!r}" for flow in self.served.values()]
        return flows + [f"actor {each.name!r}" for each in self._actors]

    def _fenced(self, error: ActwrightError) -> None:
        failure = ServiceFailed(f"This service is another process's now. {error}")
        failure.__cause__ = error
        self.give_up(failure)

    def give_up(self, error: ServiceFailed) -> None:
        """What is served is not restarted any more."""
        self._error = self._error or error
        self._checkup.enters(Phase.FAILED, str(self._error))
        self._is_over.set()

    def _specs(self, journal: SqlJournal) -> list[ChildSpec]:
        specs = [ChildSpec("claims", partial(Claims, self.runtime, journal, self._work))] if self._flows else []
        for each in self._flows:
            for schedule in each.own_schedules:
                see_to = partial(Scheduler, journal.database, each.flow, schedule)
                specs.append(ChildSpec(f"schedule {schedule.name}", see_to))
            if each.keep is not None:
                start = partial(KeptFlow, self.runtime, each.flow)
                specs.append(ChildSpec(f"flow {each.flow.name}", start, restart=each.keep))
        return [*specs, ChildSpec("others", partial(Others, journal)), *self._actors]

    def _stop_claiming(self) -> None:
        self._work.is_over = True

    async def _put_back(self, journal: SqlJournal) -> None:
        """What was claimed and never begun: others may."""
        left = [each.run.id for each in self._work.claimed]
        if not left:
            return
        self._work.claimed.clear()
        with anyio.CancelScope(shield=True):
            try:
                await run_sync(journal.put_back, left)
            except Fenced:
                pass  # whoever has taken this process over has put them back
            except JournalError as error:
                logger.error(
                    "%d submissions that were claimed stay so until this process has ended: %s", len(left), error
                )


class _Watch(Actor[Down]):
    """Hears of the supervisor's end, which comes when it gives up."""

    def __init__(self, service: Service) -> None:
        self._service = service

    async def handle(self, message: Down) -> None:
        if isinstance(message.reason, Crashed | StartFailed):
            gave_up = message.reason.error
            why = described(gave_up.__cause__ or gave_up)
            error = ServiceFailed(f"What is served fell too often, and is given up. It fell with {why}")
            error.__cause__ = gave_up
            self._service.give_up(error)


def _served_flow(each: object) -> Served | None:
    """None: it is an actor."""
    if isinstance(each, Served):
        return each
    if isinstance(each, Flow):
        return Served(cast("Flow[..., Any]", each))
    if isinstance(each, ChildSpec):
        return None
    raise TypeError(f"A service serves flows, Served(flow, ...), and ChildSpec of actors; got {each!r}.")


def _refuse_twice(entries: Iterable[str]) -> None:
    twice = [entry for entry, count in Counter(entries).items() if count > 1]
    if twice:
        raise ValueError(f"{twice[0]} is served twice. Serve it once, with the queues of both.")


def _durable(journal: Journal) -> SqlJournal:
    if not isinstance(journal, SqlJournal):
        raise ValueError("A service takes what other processes submit, so its journal is a file; leave journal= out.")
    return journal
