"""Services in processes of their own: killed, told to stop, and many at once."""

from __future__ import annotations

import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest
from tests.control.following import command
from tests.control.shell import act, printed
from tests.engine.scripts import EACH_BACKEND
from tests.serving import flows as f
from tests.serving.processes import a_service, journal, soon, state_of, states_of, submitted

from actwright.client.submitting import submit
from actwright.journal.checking import check
from actwright.settings import get_current_settings

pytestmark = [pytest.mark.slow, pytest.mark.costly]

Told = Callable[[], list[str]]


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_when_the_service_is_killed_another_one_tries_its_runs_again_as_often_as_they_may(
    backend: str, told: Told
) -> None:
    run_id = submitted(f.dies, {"times": 2}, name="mortal")
    settings = {"ACTWRIGHT_UNDERSTUDY": "true", "ACTWRIGHT_BACKGROUND_BACKEND": backend}
    for _ in range(2):
        with a_service("dies", **settings) as service:
            assert service.exit_code() == -signal.SIGKILL
    with a_service("dies", **settings):
        soon(lambda: state_of(run_id) == "Completed")
    retries = ["AwaitingRetry", "Retrying"]
    assert states_of(run_id) == ["Scheduled", "Running", *retries, *retries, "Completed"]
    assert Counter(told()) == Counter({"body": 3, "hook mortal AwaitingRetry": 2, "hook mortal Completed": 1})


def test_one_whose_retries_are_used_up_ends_crashed_and_its_hooks_run(told: Told) -> None:
    run_id = submitted(f.dies, {"times": 9}, name="mortal")
    for _ in range(3):
        with a_service("dies", ACTWRIGHT_UNDERSTUDY="true") as service:
            assert service.exit_code() == -signal.SIGKILL
    soon(lambda: told().count("hook mortal Crashed") == 1)
    assert state_of(run_id) == "Crashed"
    assert told().count("body") == 3


def test_what_waited_behind_a_killed_service_is_run_by_another_one_that_is_there(told: Told) -> None:
    with a_service("waits", "quick", ACTWRIGHT_UNDERSTUDY="true") as first:
        waiting = submitted(f.waits, {"number": 1})
        soon(lambda: told() == ["body 1"])
        with a_service("waits", "quick"):
            first.send(signal.SIGKILL)
            soon(lambda: state_of(waiting) == "Crashed")
            later = submitted(f.quick, {"number": 2})
            soon(lambda: state_of(later) == "Completed")


def test_a_service_that_goes_on_has_those_settled_that_died_with_nobody_standing_by(told: Told) -> None:
    with a_service("waits", ACTWRIGHT_UNDERSTUDY="false") as first:
        run_id = submitted(f.waits)
        soon(lambda: told() == ["body 0"])
        with a_service("quick", ACTWRIGHT_UNDERSTUDY="false"):
            first.send(signal.SIGKILL)
            first.exit_code()
            soon(lambda: state_of(run_id) == "Crashed")


@pytest.mark.parametrize("backend", EACH_BACKEND)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_what_does_not_end_in_time_is_cancelled_with_its_hooks_which_the_exit_code_tells(
    number: signal.Signals, backend: str, told: Told
) -> None:
    settings = {"ACTWRIGHT_DRAIN_SECONDS": "0.2", "ACTWRIGHT_BACKGROUND_BACKEND": backend}
    with a_service("waits", "hooked", **settings) as service:
        run_ids = [submitted(f.waits, {"number": number}) for number in range(2)]
        soon(lambda: len(told()) == 2)
        late = submitted(f.hooked, queue="another")
        service.send(number)
        assert service.exit_code() == 3
        assert service.has_said("Runs that did not end in time, and were cancelled or left behind: 2")
    assert [state_of(run_id) for run_id in run_ids] == ["Cancelled"] * 2
    assert state_of(late) == "Scheduled"


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_a_drain_in_which_all_ends_by_itself_and_only_kept_flows_are_cancelled_ends_with_0(
    backend: str, told: Told
) -> None:
    with a_service("ends_when_told", "kept_waiting", ACTWRIGHT_BACKGROUND_BACKEND=backend) as service:
        run_id = submitted(f.ends_when_told)
        soon(lambda: sorted(told()) == ["body", "body 0"])
        service.send(signal.SIGTERM)
        soon(lambda: service.has_said("draining"))
        f.note("end")
        assert service.exit_code() == 0
        assert service.has_said("All that was at work has ended by itself.")
    assert state_of(run_id) == "Completed"


def test_a_service_shows_its_log_as_json_where_that_is_asked_for(told: Told) -> None:
    with a_service("quick", ACTWRIGHT_LOG_FORMAT="json") as service:
        run_id = submitted(f.quick, {"number": 1}, name="brave")
        soon(lambda: state_of(run_id) == "Completed")
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
        lines = [json.loads(line) for line in service.said.splitlines()]
    words = [line["message"] for line in lines]
    assert words[:2] == [f"History is kept in {get_current_settings().database}.", "Serving flow 'quick'"]
    assert words[-2:] == ["SIGTERM: draining.", "Drained. All that was at work has ended by itself."]
    (ended,) = (line for line in lines if line["message"] == "Finished in state Completed()")
    assert (ended["run_id"], ended["run_name"], ended["level"]) == (run_id, "brave", "INFO")


def test_lines_on_actors_are_objects_too(told: Told) -> None:
    with a_service("tests.serving.falling:falls", ACTWRIGHT_LOG_FORMAT="json") as service:
        assert service.exit_code() == 1
        *lines, last = service.said.splitlines()
    assert last.startswith("actwright: What is served fell too often")
    of_actors = [line for line in map(json.loads, lines) if line["logger"] == "actwright_actors"]
    assert any("out of licences" in line["exc_info"] for line in of_actors if "exc_info" in line)


def test_a_hook_that_outlasts_every_grace_of_a_drain_is_run_again_by_another_process(told: Told) -> None:
    graces = dict.fromkeys(
        ("ACTWRIGHT_DRAIN_SECONDS", "ACTWRIGHT_CANCEL_GRACE_SECONDS", "ACTWRIGHT_HOOK_GRACE_SECONDS"), "0.1"
    )
    with a_service("hung", ACTWRIGHT_UNDERSTUDY="true", **graces) as service:
        run_id = submitted(f.hung)
        soon(lambda: told() == ["body"])
        service.send(signal.SIGTERM)
        assert service.exit_code() == 3
        assert "finished running successfully" not in service.said
    soon(lambda: told() == ["body", "try 1 in another process: False", "try 2 in another process: True"])
    assert state_of(run_id) == "Cancelled"


def test_a_second_signal_ends_it_at_once_and_its_understudy_settles_what_is_left(told: Told) -> None:
    with a_service("waits", ACTWRIGHT_DRAIN_SECONDS="1000", ACTWRIGHT_UNDERSTUDY="true") as service:
        run_id = submitted(f.waits)
        soon(lambda: told() == ["body 0"])
        service.send(signal.SIGTERM)
        soon(lambda: service.has_said("draining"))
        service.send(signal.SIGTERM)
        assert service.exit_code() == 128 + signal.SIGTERM
    soon(lambda: state_of(run_id) == "Crashed")


def test_eight_services_run_two_thousand_submissions_each_once(told: Told, capfd: pytest.CaptureFixture[str]) -> None:
    count = 2_000
    with ExitStack() as stack, journal() as database:
        began = time.monotonic()
        for number in range(count):
            submit(database, f.quick, {"number": number}, {"at": datetime.now(UTC) + timedelta(seconds=6)})
        submitting = time.monotonic() - began
        for _ in range(8):
            stack.enter_context(a_service("quick"))
        began = time.monotonic()
        soon(lambda: len(told()) >= count)
        running = time.monotonic() - began
        assert sorted(told()) == sorted(f"body {number}" for number in range(count))
        assert check(database) == []
    with capfd.disabled():
        print(
            f"\n{count / submitting:,.0f} submissions/s by one process; at least {count / running:,.0f} runs/s by eight"
        )


def test_submit_prints_the_id_waits_and_tells_by_its_exit_code(told: Told) -> None:
    with a_service("quick", "fails"):
        with command("submit", "tests.serving.flows:quick", "-p", "number=7", "--wait") as ran:
            out, err = ran.communicate()
        assert (ran.returncode, state_of(out.strip())) == (0, "Completed")
        assert "ended Completed()" in err
        with command("submit", "tests.serving.flows:fails", "--wait", "-o", "json") as ran:
            out, err = ran.communicate()
        assert ran.returncode == 1
        assert '"state_name": "Failed"' in out


def test_of_a_run_that_nobody_has_claimed_json_names_no_node() -> None:
    assert printed("runs", "inspect", submitted(f.quick))["node_id"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere:flow"], "nowhere cannot be loaded: ModuleNotFoundError"),
        (["tests.serving.flows:nothing"], "There is no 'nothing' in tests.serving.flows."),
        (["tests.serving.flows:note"], "is no flow; got function"),
        (["nightly"], "Expected module:flow or path/to/file.py:flow; got 'nightly'."),
        (["tests.serving.flows:quick", "-p", "number=many"], "number='many'"),
        (["tests.serving.flows:quick", "-p", "nummer=1"], "nummer"),
        (["tests.serving.flows:quick", "--at", "soon"], "'soon' is no time"),
        (["tests.serving.flows:quick", "--priority", "99999999999999999999"], "--priority"),
        (["tests.serving.flows:quick", "--queue", ""], "queue must be text that is not empty"),
        (["tests.serving.flows:quick", "--key", "\udcff"], "idempotency_key must be text"),
    ],
)
def test_what_cannot_be_submitted_is_refused_with_one_line_and_exit_code_2(arguments: list[str], said: str) -> None:
    ran = act("submit", *arguments)
    assert ran.exit_code == 2
    assert said in " ".join(ran.output.replace("│", " ").split())


def test_what_cannot_be_served_is_refused_with_one_line_and_exit_code_2() -> None:
    ran = act("serve", "tests.serving.flows:note")
    assert ran.exit_code == 2
    assert "nothing that can be served; got function" in ran.output
