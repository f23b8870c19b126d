"""Runs of other processes, reached through the journal they share: `async with get_client() as client`.

    async with get_client() as client:                 with get_client(sync_client=True) as client:
        run = await client.get_run(run_id)                 run = client.get_run(run_id)
        await run.cancel("no longer needed")               run.cancel("no longer needed")

It needs no server: it reads the journal that the settings name, and writes requests into it, which the process that a
run lives in sees within 50 ms. Where that process is dead, its recovery is started, and carries them out.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from actwright.client.clients import Client, RunFilters, SyncClient, get_client
    from actwright.client.remote import RemoteRun, SyncRemoteRun

__all__ = ["Client", "RemoteRun", "RunFilters", "SyncClient", "SyncRemoteRun", "get_client"]

# Loaded at their first use, as those of `actwright` are: a command needs `client.requests`, and none of these.
_HOMES = {"RemoteRun": "remote", "SyncRemoteRun": "remote"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES.get(name, 'clients')}"), name)
    globals()[name] = value
    return value
