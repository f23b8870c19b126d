"""A flow whose cleanup must not be skipped: its process exit is caught, its hook runs, its state says so."""

from __future__ import annotations

import anyio

from actwright import Flow, FlowRun, State, flow, run_flow, task


async def delete_job(flow: Flow, flow_run: FlowRun, state: State) -> None:
    print(f"{state.name}: deleting the cloud job {flow_run.parameters['job']!r}")


@task(task_run_name="train on {job}")
async def train(job: str) -> None:
    raise SystemExit(f"{job} ran out of memory")  # passes every `except Exception`


@flow(flow_run_name="nightly", on_failure=[delete_job], on_cancellation=[delete_job], on_crashed=[delete_job])
async def nightly(job: str) -> None:
    await train(job)


async def main() -> None:
    state = await run_flow(nightly, "gpu-7", return_state=True)
    print(f"nightly ended {state.name}")


if __name__ == "__main__":
    anyio.run(main)
