"""Ray: a script that starts a local node and runs one empty function. The argument is a folder, as for `ray_tasks`."""

from __future__ import annotations

import sys

from ray_tasks import a_local_node  # before Ray, which reads when it is imported where to listen

# isort: split
import ray


@ray.remote
def empty() -> None: ...


if __name__ == "__main__":
    with a_local_node(sys.argv[1]):
        ray.get(empty.remote())
