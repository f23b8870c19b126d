"""Faults, and services in processes of their own: each one is outlived, or ends the service, which says why."""

from __future__ import annotations

import re
import signal
from collections import Counter
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from tests.control.following import command
from tests.control.shell import printed
from tests.engine.scripts import EACH_BACKEND
from tests.serving import flows as f
from tests.serving.processes import a_service, journal, soon, state_of, states_of, submitted
from tests.serving.serving import Told

from actwright import FlowRun
from actwright.journal import reading
from actwright.journal.checking import check
from actwright.journal.database import Database
from actwright.settings import get_current_settings

pytestmark = [pytest.mark.slow, pytest.mark.costly]


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_a_kept_flow_that_crashes_at_once_for_ever_is_given_up_and_the_service_ends_with_1_saying_why(
    backend: str, told: Told
) -> None:
    with a_service("tests.serving.falling:kept", ACTWRIGHT_BACKGROUND_BACKEND=backend) as service:
        assert service.exit_code() == 1
        assert "actwright: What is served fell too often" in service.said
        assert "out of licences" in service.said.splitlines()[-1]
    assert Counter(told()) == {"body": 6, "hook mortal Crashed": 6}


def test_a_schedule_that_cannot_be_read_is_named_and_nothing_is_served(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs.py"
    jobs.write_text(
        """
from actwright import flow
from actwright.serving.schedules import Cron
from actwright.serving.service import Served

@flow
def nightly(): ...

served = Served(nightly, schedules=[Cron("0 25 * * *")])
"""
    )
    with command("serve", f"{jobs}:served") as ran:
        out, err = ran.communicate()
    assert (ran.returncode, out) == (2, "")
    assert "jobs.py cannot be loaded: ValueError: Cron('0 25 * * *'): bad hour; expected minute, hour" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_a_journal_that_is_away_for_ten_seconds_costs_no_run_and_no_hook_and_nothing_is_done_twice(
    backend: str, told: Told
) -> None:
    with a_service("each_second", "ends_when_told", "hooked", ACTWRIGHT_BACKGROUND_BACKEND=backend) as service:
        at_work = submitted(f.ends_when_told)
        soon(lambda: "body" in told() and "body 0" in told())
        meanwhile = submitted(f.hooked, {"number": 7}, name="due", at=datetime.now(UTC) + timedelta(seconds=2))
        path = get_current_settings().database
        away = path.rename(path.with_suffix(".away"))
        f.note("end")  # so that there is something to write
        soon(lambda: re.search(r"cannot write, for 1\d s now", service.said) is not None)
        told_once = [
            "cannot be claimed now",
            "cannot be seen to now",
            "What dead processes left",
            "ask something of this one",
        ]
        assert [service.said.count(words) for words in told_once] == [1] * 4
        began = told().count("body 0")
        away.rename(path)
        soon(lambda: state_of(at_work) == state_of(meanwhile) == "Completed")
        soon(lambda: told().count("body 0") > began + 1)
        service.send(signal.SIGTERM)
        assert service.exit_code() == 0
    assert [told().count(line) for line in ("body", "body 7", "hook due Running", "hook due Completed")] == [1] * 4
    assert states_of(at_work) == ["Scheduled", "Running", "Completed"]
    with journal() as database:
        its_times_are_submitted_once_and_done_once(database, told().count("body 0"))
        assert check(database) == []


def its_times_are_submitted_once_and_done_once(database: Database, bodies: int) -> list[datetime]:
    """Those of the schedule that submits each second, in order. What it submits as services end waits for others."""
    with database.reading() as connection:
        found = reading.runs(connection)
    runs = [run for run in found if isinstance(run, FlowRun) and run.flow_name == "quick"]
    times = sorted(run.expected_start_time for run in runs)
    assert len(set(times)) == len(times)
    done = {run.expected_start_time for run in runs if run.state.name == "Completed"}
    left = {run.expected_start_time for run in runs if run.state.name == "Scheduled"}
    assert (len(done), len(done) + len(left)) == (bodies, len(runs))
    assert not left or min(left) > max(done)
    return times


def test_of_two_services_with_one_schedule_on_a_journal_one_submits_each_time(told: Told) -> None:
    with a_service("each_second") as first, a_service("each_second") as second:
        soon(lambda: len(told()) >= 6)
        for service in (first, second):
            service.send(signal.SIGTERM)
        assert [service.exit_code() for service in (first, second)] == [0, 0]
        both = first.said + second.said
    with journal() as database:
        times = its_times_are_submitted_once_and_done_once(database, len(told()))
        assert check(database) == []
    assert "were missed" in both or times == [times[0] + timedelta(seconds=n) for n in range(len(times))]


@pytest.mark.parametrize("understudy", ["true", "false"])
def test_of_fifty_runs_at_work_when_a_service_is_killed_each_is_tried_again_or_ends_crashed_with_its_hooks(
    understudy: str, told: Told
) -> None:
    numbers = range(25)
    with a_service("tried_again", "tried_once", ACTWRIGHT_UNDERSTUDY=understudy) as service:
        again = [submitted(f.tried_again, {"number": number}) for number in numbers]
        once = [submitted(f.tried_once, {"number": number}) for number in numbers]
        soon(lambda: len(told()) == 50)
        service.send(signal.SIGKILL)
        assert service.exit_code() == -signal.SIGKILL
    with a_service("tried_again", "tried_once", ACTWRIGHT_UNDERSTUDY=understudy):
        soon(lambda: len(told()) == 50 + 4 * 25)
    expected = Counter({f"body {number}": 3 for number in numbers})
    for number in numbers:
        expected |= {f"hook tried {number} {state}": 1 for state in ("AwaitingRetry", "Completed")}
        expected[f"hook once {number} Crashed"] = 1
    assert Counter(told()) == expected
    assert {tuple(states_of(run_id)) for run_id in once} == {("Scheduled", "Running", "Crashed")}
    assert {tuple(states_of(run_id)) for run_id in again} == {
        ("Scheduled", "Running", "AwaitingRetry", "Retrying", "Completed")
    }
    with journal() as database:
        assert check(database) == []


def test_ten_megabytes_reach_the_body_whole_and_the_next_attempt_in_another_process_too(told: Told) -> None:
    text = "".join(f"{number}," for number in range(1_500_000))
    assert len(text) > 10_000_000
    run_id = submitted(f.measured, {"text": text})
    whole = f"{len(text)} {sha256(text.encode()).hexdigest()}"
    with a_service("measured", ACTWRIGHT_UNDERSTUDY="true") as service:
        assert service.exit_code() == -signal.SIGKILL
    with a_service("measured", "quick"):
        soon(lambda: state_of(run_id) == "Completed")
        next_one = submitted(f.quick, {"number": 3})
        soon(lambda: state_of(next_one) == "Completed")
    assert told() == [f"1 {whole}", f"2 {whole}", "body 3"]
    assert "too large" in str(printed("runs", "inspect", run_id)["parameters"]["text"])
