"""DBOS: a script with one empty workflow, on SQLite as it comes. The argument is a folder for that."""

from __future__ import annotations

import sys
from pathlib import Path

from dbos import DBOS, DBOSConfig


@DBOS.workflow()
def empty() -> None: ...


if __name__ == "__main__":
    url = f"sqlite:///{Path(sys.argv[1], 'dbos.sqlite')}"
    config: DBOSConfig = {"name": "benchmark", "system_database_url": url, "log_level": "ERROR"}
    DBOS(config=config)
    DBOS.launch()
    empty()
    DBOS.destroy()
