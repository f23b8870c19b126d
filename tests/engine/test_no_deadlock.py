"""With one worker thread and one hook thread, sync code that waits for sync code comes to its end."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.engine import nesting
from tests.engine.scripts import run_file
from tests.engine.watched import open_runtime

from actwright import run_flow

pytestmark = pytest.mark.costly

each_case = pytest.mark.parametrize("case", nesting.CASES)


@pytest.mark.anyio
@each_case
async def test_one_thread_of_each_kind_is_enough_in_a_runtime(case: str) -> None:
    subject, expected = nesting.CASES[case]
    async with open_runtime(worker_threads=1, hook_threads=1):
        assert await run_flow(subject) == expected


@pytest.mark.parametrize("backend", ["asyncio", "asyncio+uvloop", "trio"])
@each_case
def test_one_thread_of_each_kind_is_enough_in_a_script(case: str, backend: str) -> None:
    ran = run_file(Path(nesting.__file__), case, worker_threads="1", hook_threads="1", background_backend=backend)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "it ended\n"
