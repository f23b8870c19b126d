"""The watch: commands of other processes are seen, carried out and answered, each once."""

from __future__ import annotations

import logging
from typing import Any
from uuid import uuid4

import anyio
import pytest
from tests.client.elsewhere import asked, commands, reached, sees_nothing
from tests.engine.faults import live
from tests.engine.gate import Gate
from tests.engine.watched import open_runtime, until

from actwright import Handle, flow, wait
from actwright.exceptions import JournalUnavailable, RunIsFinal
from actwright.journal import command_watch
from actwright.journal.command_watch import CommandWatch
from actwright.journal.commands import new_commands

pytestmark = [pytest.mark.anyio, pytest.mark.costly]


async def test_what_was_carried_out_is_not_again_because_the_next_one_cannot_be_seen_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    gate, failures = Gate(), [1, 2, 3]
    final_state = CommandWatch._final_state  # pyright: ignore[reportPrivateUsage]
    look = CommandWatch._look  # pyright: ignore[reportPrivateUsage]

    def failing(self: CommandWatch, command: Any) -> str | None:
        if failures:
            failures.pop()
            raise JournalUnavailable("the disk is away")
        return final_state(self, command)

    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        ends: Handle[Any] = runtime.submit(flow(gate.astop_here, name="ends"))
        await gate.reached()
        monkeypatch.setattr(CommandWatch, "_final_state", failing)
        monkeypatch.setattr(CommandWatch, "_look", sees_nothing)
        async with reached(handle) as run, reached(ends) as other, anyio.create_task_group() as group:
            group.start_soon(run.send, "once")
            await until(lambda: len(commands()) == 1)

            async def send() -> None:
                with pytest.raises(RunIsFinal):
                    await other.send("too late")

            group.start_soon(send)
            await until(lambda: len(commands()) == 2)
            live(runtime, ends).host._runs.pop(ends.id)  # pyright: ignore[reportPrivateUsage]
            monkeypatch.setattr(CommandWatch, "_look", look)
            await until(lambda: not failures)
            assert len(live(runtime, handle).inbox) == 1
            gate.open()
            await wait([handle, ends])


async def test_one_that_cannot_be_read_holds_no_other_up(caplog: pytest.LogCaptureFixture) -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        await gate.reached()
        async with reached(handle) as run:
            asked("of another version", handle.id)
            await run.send("hello")
            assert len(live(runtime, handle).inbox) == 1
        gate.open()
        await handle
    assert caplog.text.count("cannot be read, and is passed over") == 1


async def test_one_that_cannot_be_carried_out_is_refused_once_and_holds_no_other_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = Gate()
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        await gate.reached()
        async with reached(handle) as run:
            asked("send", handle.id)
            await run.cancel()
        await wait([handle])
    assert commands() == [
        ("send", '["refused","it could not be carried out: KeyError: \'type\'"]'), ("cancel", '["accepted",""]')
    ]  # fmt: skip
    assert caplog.text.count("could not be carried out") == 1


async def test_what_was_asked_of_other_processes_is_looked_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    gate, looks = Gate(), list[tuple[int, int]]()

    def counted(connection: Any, node_id: str, after: int) -> Any:
        seen, found = new_commands(connection, node_id, after)
        looks.append((after, seen))
        return seen, found

    monkeypatch.setattr(command_watch, "new_commands", counted)
    async with open_runtime() as runtime:
        handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
        await gate.reached()
        asked("cancel", *(uuid4() for _ in range(100)))
        await until(lambda: (100, 100) in looks)
        gate.open()
        await handle


async def test_while_the_journal_cannot_be_read_the_watch_says_so_once_and_goes_on(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gate, failures = Gate(), [1, 2, 3]
    look = CommandWatch._look  # pyright: ignore[reportPrivateUsage]

    def failing(self: Any) -> None:
        if failures:
            failures.pop()
            raise JournalUnavailable("the disk is away")
        look(self)

    monkeypatch.setattr(CommandWatch, "_look", failing)
    with caplog.at_level(logging.WARNING):
        async with open_runtime() as runtime:
            handle: Handle[Any] = runtime.submit(flow(gate.astop_here, name="waits"))
            await gate.reached()
            async with reached(handle) as run:
                await run.cancel()
            gate.open()
            await wait([handle])
    assert caplog.text.count("cannot be seen now: the disk is away") == 1
