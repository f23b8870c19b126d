"""A web application that is a service, too: it makes reports on request, every minute, and tells a mail room of each.

Start it with one command, and see README.md beside this file:

    uvicorn app:app
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import anyio
import anyio.to_thread
from fastapi import FastAPI, HTTPException, Request, Response
from pydantic import BaseModel

from actwright import Flow, FlowRun, State, flow, get_run_logger, task
from actwright.client import Client, get_client
from actwright.exceptions import RunError
from actwright.serving import Health, Served, Service
from actwright.serving.schedules import Interval, Schedule
from actwright_actors import Actor, ActorRef, ChildSpec

OUTBOX = Path(os.environ.get("OUTBOX", "outbox.txt"))
EVERY_SECONDS = float(os.environ.get("EVERY_SECONDS", "60"))


class Order(BaseModel):
    """What a report is to be about. Submitted again with the same key, it is the same report."""

    city: str
    key: str | None = None


class MailRoom(Actor[str]):
    """Takes messages one by one, and is started again if it falls. It stands for what sends e-mail."""

    async def handle(self, message: str) -> None:
        await anyio.to_thread.run_sync(write, message)


def write(line: str) -> None:
    with OUTBOX.open("a", encoding="utf-8") as outbox:
        outbox.write(f"{line}\n")


def clean_up(flow: Flow, run: FlowRun, state: State) -> None:
    """A hook: it runs even if the process was killed while the report was made."""
    write(f"{run.name}: {state.name}, draft thrown away")


@task(retries=2, retry_delay_seconds=0.1)
async def measure(city: str) -> int:
    await anyio.sleep(0.05)
    return len(city)


@flow(crash_retries=1, on_crashed=[clean_up], on_cancellation=[clean_up])
async def report(order: Order) -> None:
    rows = await measure(order.city)
    get_run_logger().info("%d rows", rows)
    mail_room().tell(f"{order.city}: {rows} rows")


served_report = Served(
    report,
    limit=4,
    schedules=[Schedule(Interval(EVERY_SECONDS), parameters={"order": {"city": "Oslo"}})],
)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    async with Service(served_report, ChildSpec("mail room", MailRoom)) as service, get_client() as client:
        app.state.service, app.state.client = service, client
        yield  # leaving it drains: uvicorn comes here on SIGTERM


app = FastAPI(lifespan=lifespan)


def mail_room() -> ActorRef[str]:
    found: ActorRef[str] | None = app.state.service.system.lookup("mail room")
    if found is None:
        raise ConnectionError("the mail room is being started again")
    return found


@app.post("/reports", status_code=202)
async def order_report(order: Order, request: Request) -> dict[str, str]:
    client: Client = request.app.state.client
    run = await client.submit_flow(report, {"order": order}, idempotency_key=order.key)
    return {"id": str(run.id)}


@app.get("/reports/{run_id}")
async def look_at(run_id: UUID, request: Request) -> dict[str, str]:
    try:
        run = await request.app.state.client.get_run(run_id)
    except RunError as error:
        raise HTTPException(404) from error
    return {"state": run.state.name}


@app.get("/health")
async def health(request: Request, response: Response) -> Health:
    """For a load balancer, and for whoever wonders how the service is."""
    service: Service = request.app.state.service
    found = service.health()
    response.status_code = 200 if found.is_ready else 503
    return found


@app.delete("/reports/{run_id}", status_code=202)
async def cancel(run_id: UUID, request: Request) -> None:
    run = await request.app.state.client.get_run(run_id)
    await run.cancel("nobody needs it any more")
