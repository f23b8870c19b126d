"""Dask distributed: a script that makes a local cluster and runs one empty function. Arguments as of `dask_futures`."""

from __future__ import annotations

import sys

from dask_futures import a_local_cluster
from distributed import Client


def empty() -> None: ...


if __name__ == "__main__":  # worker processes import this file
    with a_local_cluster(sys.argv[1], sys.argv[2], asynchronous=False) as cluster, Client(cluster) as client:
        client.submit(empty).result()
