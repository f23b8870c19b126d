"""Dask distributed: futures on a local cluster, all in memory.

Arguments: a folder, and `threads` (scheduler, worker and client in this process and its loop, `processes=False`: what
https://docs.dask.org/en/stable/deploying-python.html has for who wants no communication between processes) or
`processes` (the default: a worker process for each of two cores).
"""

from __future__ import annotations

import asyncio
import sys

import dask
from answering import Repeat, answer, timed
from distributed import Client, LocalCluster


async def nothing() -> None: ...


async def nothing_of(number: int) -> None: ...


def works(client: Client) -> dict[str, Repeat]:
    # Not pure: else all calls would have one key, and be one task.
    async def awaited(count: int) -> None:
        for _ in range(count):
            await client.submit(nothing, pure=False)

    async def submitted(count: int) -> None:
        await client.gather([client.submit(nothing, pure=False) for _ in range(count)])

    async def mapped(count: int) -> None:
        await client.gather(client.map(nothing_of, range(count), pure=False))

    return {"awaited": awaited, "submitted": submitted, "mapped": mapped}


def a_local_cluster(folder: str, mode: str, *, asynchronous: bool) -> LocalCluster:
    dask.config.set({"temporary-directory": folder, "logging.distributed": "error"})
    # The addresses, because some would be of all the machine's networks; there is no dashboard without bokeh.
    here = "127.0.0.1:0"
    return LocalCluster(
        processes=mode == "processes", asynchronous=asynchronous, dashboard_address=here, worker_dashboard_address=here
    )


async def main(folder: str, mode: str) -> None:
    # The asynchronous client spares a thread, and a hop for each call.
    async with (
        a_local_cluster(folder, mode, asynchronous=True) as cluster,
        Client(cluster, asynchronous=True) as client,
    ):
        await answer({name: timed(work) for name, work in works(client).items()})


if __name__ == "__main__":  # worker processes import this file
    asyncio.run(main(sys.argv[1], sys.argv[2]))
