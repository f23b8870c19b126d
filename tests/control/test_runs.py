"""`actwright runs`: journals that programs wrote, also such as died."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.control.shell import a_killed_program, a_living_program, act, history_of_a_killed_program, printed, short

from actwright import flow, run_flow, task
from actwright.journal.database import Database
from actwright.nodes.journal import close_journals
from actwright.settings import get_current_settings

pytestmark = pytest.mark.slow

RUN_KEYS = {
    "id", "kind", "subject", "name", "state_type", "state_name", "state_message", "state_at", "process_is_dead", "tags",
    "run_count", "parent_flow_run_id", "parent_task_run_id", "expected_start_at", "started_at", "ended_at", "node_id",
    "retry_of", "entry",
}  # fmt: skip


def names(*arguments: object) -> list[str]:
    return [run["name"] for run in printed("runs", "ls", *arguments)]


@flow(flow_run_name="one")
async def one() -> None: ...


def test_without_a_journal_there_is_nothing_to_list_and_none_is_made(actwright_home: Path) -> None:
    ran = act("runs", "ls")
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert (
        ran.stderr
        == f"There is no journal at {actwright_home}/actwright.db: no flow has run with this ACTWRIGHT_HOME.\n"
    )
    assert printed("runs", "ls") == []
    assert not actwright_home.exists()


@pytest.mark.parametrize("command", [["inspect", "x"], ["logs", "x"]])
def test_without_a_journal_there_is_no_run_to_show(command: list[str], actwright_home: Path) -> None:
    ran = act("runs", *command)
    assert ran.exit_code == 2
    assert "There is no journal" in ran.stderr
    assert not actwright_home.exists()


def test_the_list_has_top_level_runs_newest_first_and_with_all_those_that_they_called() -> None:
    history_of_a_killed_program()
    assert names() == ["nightly-Paris", "nightly-Rome", "nightly-Oslo"]
    everything = names("--all")
    assert [name for name in everything if not name.startswith("fetch")] == [
        "inner-2", "nightly-Paris", "inner-7", "nightly-Rome", "inner-1", "nightly-Oslo"
    ]  # fmt: skip
    assert len([name for name in everything if name.startswith("fetch")]) == 3


def test_an_open_run_of_a_dead_process_is_shown_as_dead_before_anybody_settles_it() -> None:
    history_of_a_killed_program()
    ran = act("runs", "ls")
    assert ran.exit_code == 0
    assert ran.stderr == ""
    line = next(line for line in ran.stdout.splitlines() if "Paris" in line)
    assert "Running, its process is dead" in line
    assert {run["name"]: run["process_is_dead"] for run in printed("runs", "ls")} == {
        "nightly-Oslo": False, "nightly-Rome": False, "nightly-Paris": True
    }  # fmt: skip


def test_an_open_run_of_a_living_process_is_not_dead(tmp_path: Path) -> None:
    with a_living_program(tmp_path):
        assert "Running, its process is dead" not in act("runs", "ls").stdout
        assert not any(run["process_is_dead"] for run in printed("runs", "ls", "--all"))


@pytest.mark.anyio
async def test_looking_does_not_free_the_lock_of_this_very_process() -> None:
    await run_flow(one)
    act("runs", "ls")
    act("nodes")
    assert [node["status"] for node in printed("nodes")] == ["alive"]
    close_journals()
    assert printed("nodes") == []


def test_each_filter_leaves_what_it_says() -> None:
    history_of_a_killed_program()
    assert names("--state", "failed") == ["nightly-Rome"]
    assert names("--state", "COMPLETED", "--state", "Running") == ["nightly-Paris", "nightly-Oslo"]
    assert names("--flow", "inner") == []
    assert [name for name in names("--flow", "inner", "--all") if name.startswith("inner")] == [
        "inner-2", "inner-7", "inner-1"
    ]  # fmt: skip
    assert len(names("--flow", "inner", "--all")) == 6
    assert len(names("--all", "--tag", "web")) == 3
    assert names("--all", "--tag", "web", "--tag", "other") == []
    assert names("--limit", "1") == ["nightly-Paris"]
    assert len(names("--since", "1h")) == 3
    assert names("--since", (datetime.now(UTC) + timedelta(hours=1)).isoformat()) == []


def test_more_runs_than_the_limit_are_told_of_on_stderr() -> None:
    history_of_a_killed_program()
    ran = act("runs", "ls", "--limit", "2")
    assert len(ran.stdout.splitlines()) == 3
    assert ran.stderr == "There are more than 2; --limit shows more of them.\n"
    assert act("runs", "ls", "--limit", "3").stderr == ""


def test_nothing_that_fits_is_said_so_and_is_no_error() -> None:
    history_of_a_killed_program()
    ran = act("runs", "ls", "--flow", "other")
    assert (ran.exit_code, ran.stdout, ran.stderr) == (0, "", "No run is like that.\n")
    assert act("runs", "ls", "--flow", "").stderr == "No run is like that.\n"


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--state", "foo", "is no state"),
        ("--since", "foo", "is no time"),
        ("--since", "99999999999w", "is longer than any calendar"),
        ("--since", "", "is no time"),
        ("--limit", "0", "Invalid value for '--limit'"),
        ("--limit", "many", "Invalid value for '--limit'"),
        ("--limit", str(2**63), "Invalid value for '--limit'"),
        ("--output", "xml", "'xml' is not one of"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_what_can(option: str, value: str, said: str) -> None:
    anyio.run(run_flow, one)
    ran = act("runs", "ls", option, value)
    assert ran.exit_code == 2
    assert said in " ".join(ran.stderr.split())


def test_the_keys_of_a_run_as_json_are_these() -> None:
    history_of_a_killed_program()
    for run in printed("runs", "ls", "--all"):
        assert set(run) == RUN_KEYS
    inspected = printed("runs", "inspect", "nightly-Rome")
    assert set(inspected) == RUN_KEYS | {"parameters", "result", "cause", "transitions", "deliveries", "children"}


def test_a_run_is_inspected_with_its_states_children_hooks_and_the_cause() -> None:
    history_of_a_killed_program()
    run = printed("runs", "inspect", "nightly-Rome")
    assert run["parameters"] == {"city": "Rome", "row": 7}
    assert [step["name"] for step in run["transitions"]] == ["Pending", "Running", "Failed"]
    assert [(hook["hook_name"], hook["status"]) for hook in run["deliveries"]] == [
        ("works_later", "FAILED"), ("tell", "SUCCEEDED")
    ]  # fmt: skip
    assert run["deliveries"][0]["error"] == "ValueError: the channel is gone"
    (inner,) = run["children"]
    assert (inner["name"], [child["subject"] for child in inner["children"]]) == ("inner-7", ["fetch"])
    assert run["cause"]["type"] == "ConnectionError"
    assert "raise ConnectionError" in run["cause"]["traceback"]


def test_what_is_inspected_is_drawn_for_people_with_the_same_in_it() -> None:
    history_of_a_killed_program()
    drawn = act("runs", "inspect", "nightly-Rome").stdout
    for part in ("Flow run 'nightly-Rome'  Failed", 'city="Rome", row=7', "└── inner-7  Failed", "    └── fetch-",
                 "The body raised ConnectionError: no answer", "ValueError: the channel is gone",
                 "ConnectionError: no answer\n"):  # fmt: skip
        assert part in drawn
    assert "`actwright recover` sees to it" in act("runs", "inspect", "nightly-Paris").stdout


def test_a_run_is_found_by_its_id_the_beginning_of_it_or_its_name() -> None:
    history_of_a_killed_program()
    id = printed("runs", "inspect", "nightly-Oslo")["id"]
    for given in (id, id.upper(), short(id)):
        assert printed("runs", "inspect", given)["id"] == id


def test_a_run_that_is_not_there_and_one_that_may_be_several_are_refused(tmp_path: Path) -> None:
    a_killed_program(tmp_path)
    a_killed_program(tmp_path)
    for given in ("nobody", "", "%"):
        ran = act("runs", "inspect", given)
        assert ran.exit_code == 2
        assert f"There is no run {given!r}" in ran.stderr
    ran = act("runs", "inspect", "nightly-Oslo")
    assert ran.exit_code == 2
    assert ran.stdout == ""
    assert "'nightly-Oslo' may be any of 2 runs. Give more of its id: " in ran.stderr


def test_a_run_without_log_lines_is_said_to_have_none() -> None:
    history_of_a_killed_program()
    lines = printed("runs", "logs", "nightly-Paris")
    assert isinstance(lines, list)
    ran = act("runs", "logs", "nobody")
    assert ran.exit_code == 2


@task(task_run_name="\x1b[31mred\x1b[0m [bold]x[/bold]")
async def coloured() -> None: ...


@flow(flow_run_name="\x1b]0;title\x07 [red]")
async def loud() -> None:
    await coloured()


@pytest.mark.anyio
async def test_names_that_a_terminal_would_obey_are_shown_and_not_obeyed() -> None:
    await run_flow(loud)
    (run,) = printed("runs", "ls")
    for command in (["runs", "ls", "--all"], ["runs", "inspect", run["id"]], ["hooks", "ls"], ["nodes"]):
        drawn = act(*command)
        assert "\x1b" not in drawn.output
        assert "\x07" not in drawn.output
    assert "\\x1b[31mred\\x1b[0m [bold]x[/bold]" in act("runs", "ls", "--all").stdout


def strictly(text: str) -> Any:
    """JSON as its standard has it: Python's own reader takes NaN and Infinity."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


def test_numbers_that_json_has_no_word_for_are_objects_among_results_as_among_parameters() -> None:
    @flow(flow_run_name="odd", persist_result=True)
    async def odd(given: float) -> Any:
        return [given, float("-inf"), {"deep": float("nan"), "$actwright": "mine"}, 1.5]

    async def main() -> None:
        await odd(float("inf"))

    anyio.run(main)
    document = strictly(act("runs", "inspect", "odd", "-o", "json").stdout)
    assert document["parameters"] == {"given": {"$actwright": "float", "is": "inf"}}
    assert document["result"] == {
        "value": [
            {"$actwright": "float", "is": "inf"},
            {"$actwright": "float", "is": "-inf"},
            {"$actwright": "dict", "is": {"deep": {"$actwright": "float", "is": "nan"}, "$actwright": "mine"}},
            1.5,
        ]
    }


def test_a_result_that_was_not_kept_says_why_and_one_that_nobody_asked_for_is_null() -> None:
    @flow(flow_run_name="unkept", persist_result=True)
    async def unkept() -> Any:
        return iter([1])

    @flow(flow_run_name="unasked")
    async def unasked() -> int:
        return 1

    for each in (unkept, unasked, one):
        anyio.run(run_flow, each)
    assert printed("runs", "inspect", "unkept")["result"] == {
        "missing": "it is an iterator, which reading would use up"
    }
    assert printed("runs", "inspect", "unasked")["result"] is None
    assert printed("runs", "inspect", "one")["result"] == {"value": None}


def test_why_a_parameter_was_not_kept_is_told_as_history_has_it() -> None:
    @flow(flow_run_name="parted")
    async def parted(rows: Any, lock: Any) -> None: ...

    async def main() -> None:
        await parted(iter([1]), {"mine": threading.Lock()})

    anyio.run(main)
    parameters = printed("runs", "inspect", "parted")["parameters"]
    assert parameters["rows"] == {"$actwright": "missing", "why": "it is an iterator, which reading would use up"}
    assert parameters["lock"]["mine"] == {"$actwright": "missing", "why": "lock cannot be written as JSON"}
    drawn = act("runs", "inspect", "parted").stdout
    assert "it is an iterator, which reading would use up" in drawn
    assert "MissingResult" not in drawn


@pytest.mark.parametrize(
    "command",
    ["runs inspect _", "runs cancel _", "runs delete _", "runs retry _", "hooks ls --run _", "hooks inspect _",
     "hooks retry _", "variable get _", "variable unset _", "block inspect _/_", "block delete _/_"],
)  # fmt: skip
def test_a_name_that_is_no_utf8_is_one_that_is_not_there(command: str) -> None:
    Database.open(get_current_settings().database).close()
    ran = act(*command.replace("_", "\udcff").split())
    assert ran.exit_code == 2
    assert ran.stderr.startswith("actwright: There is no ")


def test_calls_that_nest_too_deep_for_one_document_are_told_of_and_drawn_all_the_same() -> None:
    @flow(flow_run_name="{left} left")
    async def deep(left: int) -> None:
        if left:
            await deep(left - 1)

    async def main() -> None:
        await deep(1_000)

    anyio.run(main)
    close_journals()
    ran = act("runs", "inspect", "1000 left", "-o", "json")
    assert (ran.exit_code, ran.stdout) == (1, "")
    assert ran.stderr.startswith("actwright: Its calls nest too deep for one document.")
    assert "0 left" in act("runs", "inspect", "1000 left").stdout
    assert len(printed("runs", "ls", "--all", "--limit", 2_000)) == 1_001
