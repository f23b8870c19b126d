"""Prefect 3: a script with one empty flow, which starts the local server and stops it at exit."""

from __future__ import annotations

import prefect_settings  # noqa: F401 - before Prefect, which reads them when it is imported
from prefect import flow


@flow
def empty() -> None: ...


if __name__ == "__main__":
    empty()
