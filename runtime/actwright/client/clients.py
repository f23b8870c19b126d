"""The client of a journal."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Self, Unpack, overload
from uuid import UUID

from anyio.to_thread import run_sync

from actwright.client.remote import RemoteRun, SyncRemoteRun
from actwright.client.requests import known_run
from actwright.exceptions import RunError
from actwright.journal.database import Database
from actwright.journal.queries import RunFilters, find_runs
from actwright.settings import get_current_settings

if TYPE_CHECKING:
    from actwright.models.runs import FlowRun, TaskRun

__all__ = ["Client", "RunFilters", "SyncClient", "get_client"]


class SyncClient:
    """For sync code, used as `with get_client(sync_client=True) as client`. Each call blocks."""

    def __init__(self) -> None:
        self._database: Database | None = None

    def __enter__(self) -> Self:
        settings = get_current_settings()
        self._database = Database.open(settings.database, synchronous=settings.synchronous, create=False)
        return self

    def __exit__(self, *_: object) -> None:
        self._opened().close()

    def get_run(self, run_id: UUID | str) -> SyncRemoteRun:
        """A run of any process, by its id.

        Raises:
            RunError: there is none.
        """
        return SyncRemoteRun(self._opened(), known_run(self._opened(), _id(run_id)))

    def runs(self, **filters: Unpack[RunFilters]) -> list[FlowRun | TaskRun]:
        """Runs, newest first; all top-level ones if nothing is said."""
        with self._opened().reading() as connection:
            return [found.run for found in find_runs(connection, **filters)]

    def _opened(self) -> Database:
        if self._database is None:
            raise RuntimeError("A client is used in a `with` block: `with get_client(sync_client=True) as client:`.")
        return self._database


class Client:
    """For async code, used as `async with get_client() as client`. What blocks is done in threads."""

    def __init__(self) -> None:
        self._sync = SyncClient()

    async def __aenter__(self) -> Self:
        await run_sync(self._sync.__enter__)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._sync.__exit__()

    async def get_run(self, run_id: UUID | str) -> RemoteRun:
        """A run of any process, by its id.

        Raises:
            RunError: there is none.
        """
        found = await run_sync(self._sync.get_run, run_id)
        return RemoteRun(self._sync._opened(), found.run)  # pyright: ignore[reportPrivateUsage]

    async def runs(self, **filters: Unpack[RunFilters]) -> list[FlowRun | TaskRun]:
        """Runs, newest first; all top-level ones if nothing is said."""
        return await run_sync(lambda: self._sync.runs(**filters))


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
