"""What a hook finds in a replay process, and what one that misbehaves there does to others: nothing."""

from __future__ import annotations

import signal

import pytest
from tests.engine.scripts import EACH_BACKEND
from tests.recovery.scene import DEADLINE, Scene
from tests.recovery.trial import within

pytestmark = pytest.mark.slow

MAIN = """
if __name__ == "__main__":
    anyio.run(main)
"""


def ends(scene: Scene, source: str, body: str) -> None:
    """Run a program that kills itself, until all that it left is settled."""
    scene.start(f"{source}\nasync def main():\n    {body}\n{MAIN}").wait(DEADLINE)
    assert scene.settles(), scene.log()


def test_the_hook_of_a_parent_gets_its_flow_though_that_of_its_child_came_first(scene: Scene) -> None:
    ends(
        scene,
        """
def says(flow, flow_run, state):
    tell(f"{flow.name}: {type(flow).__name__} {flow.fn.__name__}")

@flow(on_crashed=[says])
async def inner():
    os.kill(os.getpid(), signal.SIGKILL)

@flow(on_crashed=[says])
async def outer():
    await inner()
""",
        "await outer()",
    )
    assert scene.told() == ["inner: Flow inner", "outer: Flow outer"]


def test_runs_that_called_each_other_hundreds_deep_have_their_hooks_the_innermost_first(scene: Scene) -> None:
    depth = 400
    ends(
        scene,
        f"""
def says(flow, flow_run, state):
    tell(flow_run.parameters["depth"])

@flow(on_crashed=[says])
async def nested(depth: int):
    if depth == {depth}:
        os.kill(os.getpid(), signal.SIGKILL)
    await nested(depth + 1)
""",
        "await nested(1)",
    )
    assert scene.told() == [str(level) for level in range(depth, 0, -1)]


def test_a_result_that_cannot_be_kept_holds_up_no_other_hook(scene: Scene) -> None:
    ends(
        scene,
        """
def dies(flow, flow_run, state):
    if not runtime.hook.replayed:
        os.kill(os.getpid(), signal.SIGKILL)
    tell(f"huge: {state.name}")

@flow(on_completion=[dies], persist_result=True)
async def huge():
    return 10**5000

@flow(on_crashed=[hook])
async def around():
    await huge()
""",
        "await around()",
    )
    assert scene.told() == ["huge: Completed", "around: Crashed"]


def test_a_thread_that_a_hook_leaves_behind_holds_up_nobody(scene: Scene) -> None:
    ends(
        scene,
        """
async def leaves_a_thread(flow, flow_run, state):
    threading.Thread(target=time.sleep, args=(3600,), name="left behind").start()
    tell("started a thread")

@flow(on_crashed=[leaves_a_thread, exits, hook])
async def work():
    os.kill(os.getpid(), signal.SIGKILL)
""",
        "await work()",
    )
    assert scene.told()[0] == "started a thread"
    assert scene.told()[-1] == "work: Crashed"


def test_a_thread_that_a_replayed_hook_left_behind_is_named_and_not_waited_for(scene: Scene) -> None:
    ends(
        scene,
        """
async def leaves_a_thread(flow, flow_run, state):
    threading.Thread(target=time.sleep, args=(3600,), name="left behind").start()

@flow(on_crashed=[leaves_a_thread])
async def work():
    os.kill(os.getpid(), signal.SIGKILL)
""",
        "await work()",
    )
    assert "Ends without waiting for what hooks left behind: left behind" in scene.log()


def test_whoever_is_to_be_told_of_a_failed_hook_is_told_though_the_first_telling_was_cut_short(scene: Scene) -> None:
    ends(
        scene,
        """
def fails(flow, flow_run, state):
    raise ValueError("no such channel")

def failed(delivery):
    tell(f"{delivery.hook_name} {delivery.status} in attempt {delivery.attempt}")
    if not os.path.exists("was_cut"):
        open("was_cut", "w").close()
        os.kill(os.getpid(), signal.SIGKILL)

@flow(on_completion=[fails])
async def work(): ...
""",
        "\n    ".join(["async with Runtime(on_hook_failure=failed):", "    await run_flow(work)"]),
    )
    assert scene.told() == ["fails FAILED in attempt 1"] * 2, "and the hook was not run again"
    assert scene.rows("SELECT status, attempt, cuts FROM hook_deliveries") == [("FAILED", 1, 0)]


def test_one_who_dies_of_being_told_each_time_is_not_told_for_ever(scene: Scene) -> None:
    ends(
        scene,
        """
def fails(flow, flow_run, state):
    raise ValueError("no such channel")

def failed(delivery):
    os._exit(9)

@flow(on_completion=[fails])
async def work(): ...
""",
        "\n    ".join(["async with Runtime(on_hook_failure=failed):", "    await run_flow(work)"]),
    )
    ((status, error),) = scene.rows("SELECT status, error FROM hook_deliveries")
    assert status == "FAILED"
    assert error.startswith("ValueError: no such channel (on_hook_failure was not told: its process died each of the 3")
    assert "; 1 in a row changed nothing" not in scene.log(), "each of them is progress"


def test_an_attempt_that_a_death_cut_short_is_not_one_of_the_retries(scene: Scene) -> None:
    ends(
        scene,
        """
from actwright import hook as made_of

def third_time_lucky(flow, flow_run, state):
    tell(f"attempt {runtime.hook.attempt}")
    if runtime.hook.attempt == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    if runtime.hook.attempt == 2:
        raise ConnectionError("not yet")

@flow(on_completion=[made_of(third_time_lucky, retries=1)])
async def work(): ...
""",
        "await work()",
    )
    assert scene.told() == ["attempt 1", "attempt 2", "attempt 3"]
    assert scene.rows("SELECT status FROM hook_deliveries") == [("SUCCEEDED",)]


@pytest.mark.parametrize(
    ("hooks", "killed_at", "told", "rows"),
    [
        (
            "on_completion=[says, says]",
            "COMPLETED",
            ["attempt 2", "attempt 1"],
            [("SUCCEEDED", 2, 1), ("SUCCEEDED", 1, 0)],
        ),
        ("on_completion=[made_of(says, max_attempts=1)]", "COMPLETED", ["attempt 1"], [("SUCCEEDED", 1, 0)]),
        ("on_running=[says]", "RUNNING", [], [("SKIPPED", 0, 0)]),
    ],
    ids=["first and second", "one attempt at most", "before a body"],
)
def test_a_hook_that_was_due_and_not_yet_called_runs_though_its_process_died_and_one_before_a_body_does_not(
    scene: Scene, hooks: str, killed_at: str, told: list[str], rows: list[tuple[str, int, int]]
) -> None:
    """The start of a transition's first hook is committed with it: a death after that counts for one in the hook, but
    where that would make a difference."""
    ends(
        scene,
        f"""
from actwright import hook as made_of
from actwright.journal.sql_journal import SqlJournal

commit = SqlJournal._commit

def die_after(self, batch):
    commit(self, batch)
    if any("{killed_at}" in row for row in batch.transitions):
        os.kill(os.getpid(), signal.SIGKILL)

def says(flow, flow_run, state):
    tell(f"attempt {{runtime.hook.attempt}}")

@flow({hooks})
async def work(): ...

if __name__ == "__main__":
    SqlJournal._commit = die_after
""",
        "await work()",
    )
    assert scene.told() == told
    assert scene.rows("SELECT status, attempt, cuts FROM hook_deliveries ORDER BY position") == rows


@pytest.mark.parametrize("backend", EACH_BACKEND)
def test_a_hook_that_waits_for_its_retry_is_retried_when_that_is_due_though_its_process_died(
    scene: Scene, backend: str
) -> None:
    program = scene.start(
        f"""
from actwright import hook as made_of
from actwright_actors.backends import backend_options

def at_second_try(flow, flow_run, state):
    tell(time.time())
    if runtime.hook.attempt == 1:
        raise ConnectionError("not yet")

@flow(on_completion=[made_of(at_second_try, retries=1, retry_delay_seconds=3)])
async def work(): ...

if __name__ == "__main__":
    name, options = backend_options("{backend}")
    anyio.run(run_flow, work, backend=name, backend_options=options)
"""
    )
    assert within(DEADLINE, lambda: bool(scene.told()))
    assert within(DEADLINE, lambda: scene.rows("SELECT next_at FROM hook_deliveries") != [(None,)])
    program.kill()
    assert program.wait(DEADLINE) == -signal.SIGKILL
    assert scene.settles(), scene.log()
    first, second = map(float, scene.told())
    assert 3 <= second - first < DEADLINE
    assert scene.rows("SELECT status, attempt, cuts, replayed, next_at FROM hook_deliveries") == [
        ("SUCCEEDED", 2, 0, 1, None)
    ]
