"""What is kept running and falls at once, without pauses: with them it is given up after half a minute."""

from __future__ import annotations

from tests.serving.flows import note, tell

from actwright import flow
from actwright.serving import service
from actwright.serving.service import Served
from actwright_actors import Actor, Backoff, ChildSpec

service.BACKOFF = Backoff()  # type: ignore[misc]


@flow(flow_run_name="mortal", on_crashed=[tell])
async def crashes() -> None:
    note("body")
    raise SystemExit("out of licences")


kept = Served(crashes, keep="permanent")


class Falls(Actor[None]):
    """An actor that does so."""

    async def on_start(self) -> None:
        self.context.ref.tell(None)

    async def handle(self, message: None) -> None:
        raise ValueError("out of licences")


falls = ChildSpec("faller", Falls)
