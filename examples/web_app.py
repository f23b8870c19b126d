"""A FastAPI application with runs of its own, and what becomes of these when a client hangs up or the server stops.

pip install fastapi uvicorn
python examples/web_app.py          then: curl http://127.0.0.1:8000/reports/ann

                        the client hangs up                 the server stops (SIGTERM)
/reports                FastAPI does not tell: it goes on   as long as requests may take, then cancelled
/reports?watch=true     cancelled, its hooks run            the same
/mails (submitted)      goes on                             as long as the Runtime drains, then cancelled
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

import anyio

try:
    import uvicorn
    from fastapi import FastAPI, HTTPException, Request
except ImportError:
    raise SystemExit("This example needs FastAPI and uvicorn: pip install fastapi uvicorn") from None

from actwright import Flow, FlowRun, Runtime, State, flow, run_flow


def tell(flow: Flow, flow_run: FlowRun, state: State) -> None:
    print(f"{flow_run.name}: {state.name}", flush=True)


@flow(flow_run_name="report for {who}", on_running=[tell], on_cancellation=[tell], on_end=[tell])
async def report(who: str, seconds: float = 0.0) -> str:
    await anyio.sleep(seconds)
    return f"dear {who}"


@flow(flow_run_name="mail to {who}", on_running=[tell], on_cancellation=[tell], on_end=[tell])
async def mail(who: str, seconds: float = 0.0) -> None:
    await anyio.sleep(seconds)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
    # Leaving this block drains: whoever submitted a run may rely on its end, hooks included.
    async with Runtime(drain_seconds=float(os.environ.get("DRAIN_SECONDS", "30"))) as app.state.runtime:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/reports/{who}")
async def get_report(request: Request, who: str, seconds: float = 0.0, watch: bool = False) -> str:
    """A run inside the request: it is cancelled when the request is."""
    if not watch:
        return await run_flow(report, who, seconds)
    async with cancelled_with_client(request):
        return await run_flow(report, who, seconds)
    raise HTTPException(499, "The client has hung up.")  # nobody reads it; the server's log does


@app.post("/mails/{who}", status_code=202)
async def post_mail(who: str, seconds: float = 0.0) -> UUID:
    """A run that outlives the request. Its id is the answer."""
    return runtime().submit(mail, who, seconds).id


@app.get("/runs/{run_id}")
async def get_run(run_id: UUID) -> str:
    """The name of the state that a run is in."""
    run = runtime().journal.run(run_id)
    if run is None:
        raise HTTPException(404, f"There is no run {run_id}.")
    return run.state.name


def runtime() -> Runtime:
    """The application's Runtime."""
    opened: Runtime = app.state.runtime
    return opened


@asynccontextmanager
async def cancelled_with_client(request: Request) -> AsyncGenerator[None]:
    """Cancel what stands inside when the client hangs up. Neither FastAPI nor uvicorn does that by itself."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        yield
        group.cancel_scope.cancel()


if __name__ == "__main__":
    port, grace = int(os.environ.get("PORT", "8000")), int(os.environ.get("REQUEST_SECONDS", "30"))
    uvicorn.run(app, port=port, timeout_graceful_shutdown=grace)
