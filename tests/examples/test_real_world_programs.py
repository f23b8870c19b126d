"""The two programs that the reference page ends with, as examples and as it has them, against what is really there.

A server on this machine stands for Slack, and a folder for the cloud: a job is a folder in it, `gcloud` deletes one.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.blocks.receiver import Receiver, receiving
from tests.recovery.trial import within

from actwright.blocks import SlackWebhook
from actwright.engine import background
from actwright_actors.backends import BackendName

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
DEADLINE = 30.0

pytestmark = pytest.mark.slow

each_backend = pytest.mark.parametrize("backend", get_args(BackendName))


def run(*command: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *command], cwd=EXAMPLES, env=os.environ | environment,
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


@pytest.fixture(autouse=True)
def background_loops_are_closed(journal_is_closed: None) -> Iterator[None]:
    yield
    background.close()


# Send a notification when a flow run fails


@pytest.fixture
def channel() -> Iterator[Receiver]:
    """A channel that the block of the page's name leads to."""
    with receiving() as receiver:
        SlackWebhook(url=f"{receiver.url}/services/T000/hunter2").save("my-slack-webhook")
        yield receiver


AS_ON_THE_PAGE = """
from actwright import flow
from actwright.blocks import Block
from actwright.settings import ACTWRIGHT_UI_URL

def notify_slack(flow, flow_run, state):
    slack_webhook_block = Block.load(
        "slack-webhook/my-slack-webhook"
    )
            
    slack_webhook_block.notify(
        (
            f"Your job {flow_run.name} entered {state.name} "
            f"with message:\\n\\n"
            f"See <{ACTWRIGHT_UI_URL.value()}/flow-runs/"
            f"flow-run/{flow_run.id}|the flow run in the UI>\\n\\n"
            f"Tags: {flow_run.tags}\\n\\n"
            f"Scheduled start: {flow_run.expected_start_time}"
        )
    )

@flow(on_failure=[notify_slack], retries=1)
def failing_flow():
    raise ValueError("oops!")

if __name__ == "__main__":
    failing_flow()
"""  # noqa: W293 - word for word

WITH_TAGS = 'import notify_slack as it; it.failing_flow.with_options(tags=["nightly", "etl"])()'


def the_run() -> dict[str, Any]:
    ran = run("-m", "actwright", "runs", "ls", "-o", "json")
    (found,) = json.loads(ran.stdout)
    return dict(found)


EXAMPLE = ["notify_slack.py"]


@pytest.mark.parametrize(
    ("program", "tags", "backend"),
    [
        *(pytest.param(EXAMPLE, [], backend, id=f"the example on {backend}") for backend in get_args(BackendName)),
        pytest.param(["-c", AS_ON_THE_PAGE], [], "asyncio+uvloop", id="as on the page"),
        pytest.param(["-c", WITH_TAGS], ["etl", "nightly"], "asyncio+uvloop", id="with tags"),
    ],
)
def test_the_channel_is_told_once_of_a_flow_that_failed_word_by_word(
    program: list[str], tags: list[str], backend: BackendName, channel: Receiver
) -> None:
    ran = run(*program, ACTWRIGHT_UI_URL="https://flows.example", ACTWRIGHT_BACKGROUND_BACKEND=backend)
    assert ran.returncode == 1
    assert ran.stderr.endswith("ValueError: oops!\n")
    assert "hunter2" not in ran.stderr
    request = channel.take()
    assert channel.is_empty()  # once, after the last retry
    assert (request.method, request.path) == ("POST", "/services/T000/hunter2")
    failed = the_run()
    assert (failed["state_name"], failed["run_count"]) == ("Failed", 2)
    (message, start) = re.fullmatch(r"(.*\nScheduled start: )(.*)", request.json()["text"], re.DOTALL).groups()  # type: ignore[union-attr]  # pyright: ignore[reportOptionalMemberAccess]
    assert message == (
        f"Your job {failed['name']} entered Failed with message:\n\n"
        f"See <https://flows.example/flow-runs/flow-run/{failed['id']}|the flow run in the UI>\n\n"
        f"Tags: {tags}\n\n"
        "Scheduled start: "
    )
    assert datetime.fromisoformat(start) == datetime.fromisoformat(failed["expected_start_at"])


# Delete a Cloud Run job when a flow run crashes


@pytest.fixture
def cloud(tmp_path: Path) -> Path:
    """A cloud of one folder, where each job is a folder, and a `gcloud` that deletes one, once it is told "y"."""
    gcloud = tmp_path / "gcloud"
    gcloud.write_text(
        "#!/bin/sh -e\n"
        '[ "$1 $2 $3 $4 $6 $7" = "beta run jobs delete --region us-central1" ]\n'
        'read answer; [ "$answer" = y ]\n'
        f'rmdir "{tmp_path}/jobs/$5"\n'
    )
    gcloud.chmod(0o755)
    (tmp_path / "jobs" / "job-7").mkdir(parents=True)
    (tmp_path / "jobs" / "of-somebody-else").mkdir()
    return tmp_path


def jobs(cloud: Path) -> list[str]:
    return [job.name for job in (cloud / "jobs").iterdir()]


def crash(cloud: Path, program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("-c", program, PATH=f"{cloud}:{os.environ['PATH']}", **environment)


BY_EXIT = 'import cloud_run_job as it; it.crashing_flow.with_options(flow_run_name="job-7")()'

BY_KILL = f"""
import os, signal
import cloud_run_job
from actwright import task

@task
def killed():
    os.kill(os.getpid(), signal.SIGKILL)

cloud_run_job.my_task_that_crashes = killed
{BY_EXIT}
"""

CLOUD_AS_ON_THE_PAGE = """
import os
from actwright import flow, task
from actwright import Variable
import actwright.runtime

async def delete_cloud_run_job(flow, flow_run, state):
    \"\"\"Flow run state change hook that deletes a Cloud Run Job if
    the flow run crashes.\"\"\"

    # retrieve Cloud Run job name
    cloud_run_job_name = await Variable.get(
        name="crashing_flow_cloud_run_job"
    )

    # delete Cloud Run job
    delete_job_command = f"yes | gcloud beta run jobs delete \\\\\\n{cloud_run_job_name.value} --region us-central1"
    os.system(delete_job_command)


@task
def my_task_that_crashes():
    raise SystemExit("Crashing on purpose!")

@flow(on_crashed=[delete_cloud_run_job])
def crashing_flow():
    \"\"\"Save the flow run name (i.e. Cloud Run job name) as a 
    Variable. It then executes a task that ends up crashing.\"\"\"
    flow_run_name = actwright.runtime.flow_run.name
    cloud_run_job_name = Variable.set(name="crashing_flow_cloud_run_job", value=flow_run_name, overwrite=True)

    my_task_that_crashes()

if __name__ == "__main__":
    crashing_flow.with_options(flow_run_name="job-7")()
"""  # noqa: W291 - word for word


@pytest.mark.parametrize(
    ("program", "backend"),
    [
        *(pytest.param(BY_EXIT, backend, id=f"the example on {backend}") for backend in get_args(BackendName)),
        pytest.param(CLOUD_AS_ON_THE_PAGE, "asyncio+uvloop", id="as on the page"),
    ],
)
def test_the_hook_of_a_crashed_flow_deletes_its_cloud_run_job(cloud: Path, program: str, backend: BackendName) -> None:
    ran = crash(cloud, program, ACTWRIGHT_BACKGROUND_BACKEND=backend)
    assert jobs(cloud) == ["of-somebody-else"], ran.stderr
    assert "Exception ignored" not in ran.stderr
    # The process ends as the task wanted it to: hooks do not swallow its exit.
    assert ran.returncode == 1
    assert ran.stderr.endswith("Crashing on purpose!\n")


@pytest.mark.costly
@each_backend
def test_its_understudy_deletes_the_job_of_a_program_that_was_killed(
    cloud: Path, backend: BackendName, actwright_home: Path
) -> None:
    ran = crash(cloud, BY_KILL, ACTWRIGHT_BACKGROUND_BACKEND=backend, ACTWRIGHT_UNDERSTUDY="true")
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert within(DEADLINE, lambda: not list(actwright_home.glob("nodes/*.lock")))  # it has done all that was due
    assert jobs(cloud) == ["of-somebody-else"]


@pytest.mark.costly
@each_backend
def test_where_that_died_too_recovery_deletes_it(cloud: Path, backend: BackendName) -> None:
    ran = crash(cloud, BY_KILL, ACTWRIGHT_BACKGROUND_BACKEND=backend)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    assert "job-7" in jobs(cloud)
    recovered = run("-m", "actwright", "recover", PATH=f"{cloud}:{os.environ['PATH']}")
    assert recovered.returncode == 0, recovered.stderr
    assert jobs(cloud) == ["of-somebody-else"]
