"""Ray: remote tasks on a local node, all in memory. The argument is a folder for its sockets and logs.

Ray's tasks are sync functions; `ray.get` from sync code is its shortest way to a result.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

os.environ |= {
    "RAY_USAGE_STATS_ENABLED": "0",  # reports nothing: https://docs.ray.io/en/latest/cluster/usage-stats.html
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # a node by itself, which listens on the loopback address alone
}

import ray
from answering import answer, timed


@ray.remote
def nothing() -> None: ...


async def awaited(count: int) -> None:
    for _ in range(count):
        ray.get(nothing.remote())


async def submitted(count: int) -> None:
    # One `get` of all: https://docs.ray.io/en/latest/ray-core/patterns/ray-get-loop.html
    ray.get([nothing.remote() for _ in range(count)])


@contextmanager
def a_local_node(folder: str) -> Iterator[None]:
    """Ray, while the block runs."""
    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        _temp_dir=folder,
    )
    try:
        yield
    finally:
        ray.shutdown()


def main(folder: str) -> None:
    with a_local_node(folder):
        asyncio.run(answer({"called": timed(awaited), "submitted sync": timed(submitted)}))


if __name__ == "__main__":
    main(sys.argv[1])
