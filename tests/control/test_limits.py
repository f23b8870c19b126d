"""`actwright limit`: limits of tags from a shell, and who holds and waits for slots."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.control.shell import act, printed
from tests.engine.gate import Gate
from tests.engine.scripts import started
from tests.engine.slots import is_waiting
from tests.engine.watched import open_runtime, until

from actwright import TagLimit, concurrency, flow
from actwright.engine import background


@pytest.fixture(autouse=True)
def background_loops_are_closed(journal_is_closed: None) -> Iterator[None]:
    yield
    background.close()


def test_without_a_journal_there_is_nothing_to_list_and_none_is_made(actwright_home: Path) -> None:
    assert printed("limit", "ls") == []
    assert act("limit", "ls").exit_code == 0
    ran = act("limit", "delete", "db")
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert "There is no journal" in ran.stderr
    assert not actwright_home.exists()


def test_what_is_set_in_a_shell_a_program_sees_and_the_other_way_round() -> None:
    ran = act("limit", "set", "db", 3)
    assert (ran.exit_code, ran.stdout) == (0, "")
    assert TagLimit.get("db").slots == 3
    TagLimit.set("db", 0)
    assert printed("limit", "ls") == [
        {"kind": "tag", "name": "db", "slots": [0], "taken": 0, "holders": [], "waiting": []}
    ]
    assert printed("limit", "set", "db", 2) == {"tag": "db", "slots": 2}
    assert printed("limit", "delete", "db") == {"tag": "db"}
    assert TagLimit.get("db").slots is None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["set", "", "3"], "at least one character"),
        (["set", "db", "--", "-1"], "Invalid value for"),
        (["set", "db", "many"], "Invalid value for"),
        (["delete", "web"], "Tag 'web' has no limit."),
    ],
)
def test_what_cannot_be_is_refused(arguments: list[str], message: str) -> None:
    TagLimit.set("db", 1)
    ran = act("limit", *arguments)
    assert (ran.exit_code, ran.stdout) == (2, "")
    assert message in ran.stderr
    assert TagLimit.get("db").slots == 1


@pytest.mark.anyio
async def test_ls_shows_who_holds_and_who_waits_by_tag_and_by_name() -> None:
    @flow(tags=["db"], flow_run_name="nightly-{number}")
    async def nightly(number: int, gate: Gate) -> None:
        async with concurrency("api", limit=4, occupy=2), concurrency("api", limit=4):
            await gate.astop_here()

    gate = Gate()
    async with open_runtime() as runtime:
        await TagLimit.set("db", 1)
        runs = [runtime.submit(nightly, 1, gate)]
        await gate.reached()
        runs.append(runtime.submit(nightly, 2, gate))
        await until(is_waiting())
        by_tag, by_name = await anyio.to_thread.run_sync(printed, "limit", "ls")
        shown = (await anyio.to_thread.run_sync(act, "limit", "ls")).stdout
        gate.open()
        for run in runs:
            await run
    first, second = "Flow run 'nightly-1'", "Flow run 'nightly-2'"
    assert _of(by_tag) == {
        "kind": "tag", "name": "db", "slots": [1], "taken": 1, "holders": [first], "waiting": [second],
    }  # fmt: skip
    assert [each["run_id"] for each in by_tag["holders"] + by_tag["waiting"]] == [str(run.id) for run in runs]
    assert _of(by_name) == {
        "kind": "name", "name": "api", "slots": [4], "taken": 2, "holders": [first, first], "waiting": [],
    }  # fmt: skip
    assert [(each["occupy"], each["is_lent"]) for each in by_name["holders"]] == [(2, False), (1, True)]
    lines = [" ".join(line.split()) for line in shown.splitlines()]
    assert [re.sub(r"\([\d.]+ m?s\)", "(TIME)", line) for line in lines] == [
        "limit name slots taken who how",
        f"tag db 1 1 {first} holds (TIME)",
        f"{second} waits (TIME)",
        f"name api 4 2 {first} holds 2 slots (TIME)",
        f"{first} holds, lent by what it is in (TIME)",
    ]


def _of(limit: dict[str, Any]) -> dict[str, Any]:
    titles = {which: [each["title"] for each in limit[which]] for which in ("holders", "waiting")}
    return {**limit, **titles}


@pytest.mark.costly
def test_ls_tells_of_a_holder_that_it_is_dead(tmp_path: Path) -> None:
    source = """
    import sys
    from actwright import concurrency
    with concurrency("db", limit=1):
        print("inside", flush=True)
        sys.stdin.readline()
    """
    with started(tmp_path, source) as program:
        program.says("inside")
        ((living,),) = [each["holders"] for each in printed("limit", "ls")]
        assert not living["is_dead"]
        program.send(signal.SIGKILL)
        program.exit_code()
    ((dead,),) = [each["holders"] for each in printed("limit", "ls")]
    assert dead == {**living, "is_dead": True}
    assert "(dead)" in act("limit", "ls").stdout
