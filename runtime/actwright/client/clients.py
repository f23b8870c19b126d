"""The client of a journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload
from uuid import UUID

from anyio.to_thread import run_sync

from actwright.authoring.loading import flow_at
from actwright.client.remote import RemoteRun, SyncRemoteRun
from actwright.client.requests import known_run
from actwright.client.submitting import submit
from actwright.exceptions import RunError
from actwright.journal.database import Database
from actwright.journal.queries import RunFilters, find_runs
from actwright.settings import get_current_settings

if TYPE_CHECKING:
    from collections.abc import Mapping

    from actwright.authoring.flows import Flow
    from actwright.client.submitting import SubmitOptions
    from actwright.models.runs import FlowRun, TaskRun

__all__ = ["Client", "RunFilters", "SyncClient", "get_client"]


class _Journal:
    """The journal of a client, open within its block. All that it does blocks.

    Args:
        block: how that block is written.
    """

    def __init__(self, block: str) -> None:
        self._block = block
        self._database: Database | None = None

    @property
    def database(self) -> Database:
        if self._database is None:
            raise RuntimeError(f"A client is used in its block: `{self._block} as client:`.")
        return self._database

    def open(self) -> None:
        if self._database is not None:
            raise RuntimeError(f"This client is in use already. Make another one: `{self._block} as client:`.")
        settings = get_current_settings()
        self._database = Database.open(settings.database, synchronous=settings.synchronous, create=False)

    def close(self) -> None:
        self.database.close()
        self._database = None

    def run(self, run_id: UUID | str) -> FlowRun | TaskRun:
        return known_run(self.database, _id(run_id))

    def submit_flow(self, flow: Flow[..., Any] | str, parameters: Mapping[str, Any], options: SubmitOptions) -> FlowRun:
        return submit(self.database, flow_at(flow) if isinstance(flow, str) else flow, parameters, options)

    def runs(self, filters: RunFilters) -> list[FlowRun | TaskRun]:
        with self.database.reading() as connection:
            return [found.run for found in find_runs(connection, **filters)]


class SyncClient:
    """For sync code, used as `with get_client(sync_client=True) as client`. Each call blocks."""

    def __init__(self) -> None:
        self._journal = _Journal("with get_client(sync_client=True)")

    def __enter__(self) -> Self:
        self._journal.open()
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def get_run(self, run_id: UUID | str) -> SyncRemoteRun:
        """A run of any process, by its id.

        Raises:
            RunError: there is none.
        """
        return SyncRemoteRun(self._journal.database, self._journal.run(run_id))

    def submit_flow(
        self,
        flow: Flow[..., Any] | str,
        parameters: Mapping[str, Any] | None = None,
        **options: Unpack[SubmitOptions],
    ) -> SyncRemoteRun:
        """Have a flow run by a process that serves it: now, or when there is one. Its arguments are checked here.

        Args:
            flow: a flow, or where one is found: "module:flow", "path/to/file.py:flow".
            parameters: name -> value, as keyword arguments.
            **options: when, in which queue, under which idempotency key: see `SubmitOptions`.

        Raises:
            FlowNotFound: there is no such flow, or no other process could find it.
            ParameterBindError, ParameterTypeError: the arguments do not fit, or cannot go to another process.
        """
        submitted = self._journal.submit_flow(flow, parameters or {}, options)
        return SyncRemoteRun(self._journal.database, submitted)

    def runs(self, **filters: Unpack[RunFilters]) -> list[FlowRun | TaskRun]:
        """Runs, newest first; all top-level ones if nothing is said."""
        return self._journal.runs(filters)


class Client:
    """For async code, used as `async with get_client() as client`. What blocks is done in threads."""

    def __init__(self) -> None:
        self._journal = _Journal("async with get_client()")

    async def __aenter__(self) -> Self:
        await run_sync(self._journal.open)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._journal.close()

    async def get_run(self, run_id: UUID | str) -> RemoteRun:
        """A run of any process, by its id.

        Raises:
            RunError: there is none.
        """
        return RemoteRun(self._journal.database, await run_sync(self._journal.run, run_id))

    async def submit_flow(
        self,
        flow: Flow[..., Any] | str,
        parameters: Mapping[str, Any] | None = None,
        **options: Unpack[SubmitOptions],
    ) -> RemoteRun:
        """Have a flow run by a process that serves it, as `SyncClient.submit_flow` does. Cancelled, it is submitted all
        the same, or not at all."""
        submitted = await run_sync(self._journal.submit_flow, flow, parameters or {}, options)
        return RemoteRun(self._journal.database, submitted)

    async def runs(self, **filters: Unpack[RunFilters]) -> list[FlowRun | TaskRun]:
        """Runs, newest first; all top-level ones if nothing is said."""
        return await run_sync(self._journal.runs, filters)


@overload
def get_client(sync_client: Literal[False] = False) -> Client: ...
@overload
def get_client(sync_client: Literal[True]) -> SyncClient: ...
def get_client(sync_client: bool = False) -> Client | SyncClient:
    """A client of the journal that the settings name. Opening one without a journal there raises JournalLocation."""
    return SyncClient() if sync_client else Client()


def _id(given: UUID | str) -> UUID:
    try:
        return given if isinstance(given, UUID) else UUID(given)
    except (ValueError, AttributeError, TypeError) as error:
        raise RunError(f"Expected the id of a run, as {UUID(int=0)}; got {given!r}.") from error
