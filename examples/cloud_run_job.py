"""A flow that crashes, and whose hook deletes the Cloud Run job that it would leave behind.

It needs the command `gcloud` to be on the PATH.
"""

from __future__ import annotations

import anyio

import actwright.runtime
from actwright import Flow, FlowRun, State, Variable, flow, task


async def delete_cloud_run_job(flow: Flow, flow_run: FlowRun, state: State) -> None:
    """Flow run state change hook that deletes a Cloud Run Job if the flow run crashes."""

    # retrieve Cloud Run job name
    cloud_run_job_name = await Variable.get(name="crashing_flow_cloud_run_job")

    # delete Cloud Run job; "y" is the answer to "Do you want to continue?"
    delete_job_command = [
        "gcloud",
        "beta",
        "run",
        "jobs",
        "delete",
        cloud_run_job_name.value,
        "--region",
        "us-central1",
    ]
    await anyio.run_process(delete_job_command, input=b"y\n")


@task
def my_task_that_crashes() -> None:
    raise SystemExit("Crashing on purpose!")


@flow(on_crashed=[delete_cloud_run_job])
def crashing_flow() -> None:
    """Save the flow run name (i.e. Cloud Run job name) as a Variable. It then executes a task that ends up crashing."""
    flow_run_name = actwright.runtime.flow_run.name
    Variable.set(name="crashing_flow_cloud_run_job", value=flow_run_name, overwrite=True)

    my_task_that_crashes()


if __name__ == "__main__":
    crashing_flow()
