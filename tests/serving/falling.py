"""A flow that is kept running and crashes at once, without pauses: with them it is given up after half a minute."""

from __future__ import annotations

from tests.serving.flows import note, tell

from actwright import flow
from actwright.serving import service
from actwright.serving.service import Served
from actwright_actors import Backoff

service.BACKOFF = Backoff()  # type: ignore[misc]


@flow(flow_run_name="mortal", on_crashed=[tell])
async def crashes() -> None:
    note("body")
    raise SystemExit("out of licences")


kept = Served(crashes, keep="permanent")
