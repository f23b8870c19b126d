"""`actwright runs retry`: a new run of the same flow or task, with its parameters, in a process like the old one's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from actwright.control.opening import journal_to_change
from actwright.control.output import Format, Output, fail, json_or_text, say, short, write_json
from actwright.models.ids import new_id

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from actwright.journal.database import Database
    from actwright.journal.queries import FoundRun
    from actwright.nodes.rows import NodeRow

__all__ = ["given_parameters", "retry"]

_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def retry(
    run: Annotated[str, typer.Argument(metavar="RUN", help="The run's id, the beginning of it, or its name.")],
    parameter: Annotated[
        list[str] | None,
        typer.Option(
            "-p", "--parameter", metavar="NAME=VALUE", help="Another value (JSON, else text). Again: of more."
        ),
    ] = None,
    output: Output = Format.TABLE,
) -> None:
    """Run a flow or task that has ended once more, with the parameters that it had, and wait for it.

    It is a new run, whose retry_of is the old one; its id is printed on stdout, and what it logs on stderr. It runs in
    a process that is started as that of the old run was. The exit code is 0 if it ended Completed, and 1 if not.
    """
    given = given_parameters(parameter or ())
    with journal_to_change() as database:
        with database.reading() as connection:
            earlier, kept = _earlier(connection, database, run, given)
        again = _Rerun(database, earlier, kept, given, shows_id=output is Format.TABLE)
        found = again.run()
        if output is Format.JSON:
            _write(database, found)
    again.raise_what_struck()
    if not found.run.state.is_completed():
        raise typer.Exit(1)


def given_parameters(options: list[str] | tuple[()]) -> dict[str, Any]:
    """Names and values, as `-p` has them: `rows=7`, `city=Oslo`, `city="7"`.

    Raises:
        typer.BadParameter: one is nothing like that.
    """
    given: dict[str, Any] = {}
    for option in options:
        name, separator, value = option.partition("=")
        if not (name and separator):
            raise typer.BadParameter(f"{option!r} is no parameter. Write name=value.", param_hint="-p")
        given[name] = json_or_text(value)
    return given


def _earlier(
    connection: Connection, database: Database, run: str, given: Mapping[str, Any]
) -> tuple[FoundRun, dict[str, Any]]:
    """The run that is meant, and what history keeps of its parameters but for those that are given. Ends the command if
    it cannot be tried again."""
    from actwright.control.runs import one_run
    from actwright.journal.queries import parameters_at_rest_of
    from actwright.models.values_at_rest import kept_parameters, why_not_kept

    found = one_run(connection, run)
    if not found.run.state.is_final():
        _refuse_open(connection, database, found)
    kept = kept_parameters(parameters_at_rest_of(connection, str(found.run.id)))
    kept = {name: value for name, value in kept.items() if name not in given}
    missing = {name: why for name, value in kept.items() if (why := why_not_kept(value)) is not None}
    if missing:
        which = ", ".join(f"'{name}' ({why})" for name, why in missing.items())
        fail(
            f"{found.run.title} cannot be tried again with what history keeps of its parameters. Not kept: {which}. "
            f"Give {'it' if len(missing) == 1 else 'them'}: {' '.join(f'-p {name}=...' for name in missing)}"
        )
    return found, kept


def _refuse_open(connection: Connection, database: Database, found: FoundRun) -> None:
    from actwright.nodes import rows
    from actwright.nodes.node import holder_of

    run, node = found.run, rows.read(connection, found.node_id)
    if node is not None and holder_of(node, database) is None:
        fail(
            f"{run.title} is {run.state.name}, and its process is dead: `actwright recover` settles it; then retry it."
        )
    fail(
        f"{run.title} is {run.state.name}: it has not ended. Wait for that (`actwright runs watch {short(run.id)}`), "
        f"or cancel it (`actwright runs cancel {short(run.id)}`); then retry it."
    )


class _Rerun:
    """One process that runs it again.

    Args:
        kept: parameters, as history has them.
        given: other ones.
        shows_id: whether the new run's id is printed, as soon as there is one.
    """

    def __init__(
        self, database: Database, earlier: FoundRun, kept: dict[str, Any], given: dict[str, Any], *, shows_id: bool
    ) -> None:
        self._database = database
        self._run_id = new_id()
        self._node_id = earlier.node_id
        wanted = {"run": str(earlier.run.id), "run_id": str(self._run_id), "kept": kept, "given": given}
        self._request = f"{json.dumps(wanted)}\n".encode()
        self._shows_id = shows_id
        self._process: subprocess.Popen[bytes] | None = None
        self._struck: int | None = None

    def run(self) -> FoundRun:
        """Run it, and wait for it and its hooks. Ends the command if there is no run in the end."""
        with self._passing_signals(), self._started() as process:
            self._wait_for_run(process)
            code = process.wait()
        found = self._found() or self._no_run(code)
        return self._with_hooks_done(found)

    def raise_what_struck(self) -> None:
        """End the command as the signal would have that was passed on, if there was one."""
        if self._struck == signal.SIGINT:
            raise KeyboardInterrupt
        if self._struck is not None:
            raise typer.Exit(128 + self._struck)

    @contextmanager
    def _started(self) -> Generator[subprocess.Popen[bytes]]:
        """The process. It has what is wanted, and hears when this process ends before it does."""
        reading, writing = os.pipe()
        try:
            try:
                process = self._start(reading)
            finally:
                os.close(reading)
            with process:
                self._process = process
                if self._struck is not None:  # while it was being started
                    process.send_signal(self._struck)
                with suppress(BrokenPipeError), open(writing, "wb", closefd=False) as pipe:
                    pipe.write(self._request)
                yield process
        finally:
            os.close(writing)

    def _start(self, request_fd: int) -> subprocess.Popen[bytes]:
        program = self._node().program
        command = program.rerun_command(self._database.path, request_fd)
        cwd = program.cwd if os.access(program.cwd, os.X_OK) and Path(program.cwd).is_dir() else None
        if cwd is None:
            say(f"Its folder {program.cwd} is gone: it runs in this one.")
        try:
            return self._popen(command, cwd, request_fd)
        except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
            say(f"Its interpreter cannot be used ({error}): {sys.executable} is used in its place.")
            return self._popen([sys.executable, *command[1:]], cwd, request_fd)

    @staticmethod
    def _popen(command: list[str], cwd: str | None, request_fd: int) -> subprocess.Popen[bytes]:
        """What it prints goes to stderr, as what it logs does. It is in a process group of its own: else a Ctrl-C would
        reach it from the terminal as well as from here, and a second one ends it at once."""
        stderr = sys.stderr.fileno()
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, cwd=cwd, env=_environment(),
            pass_fds=[request_fd], process_group=0,
        )  # fmt: skip

    def _node(self) -> NodeRow:
        from actwright.nodes import rows

        with self._database.reading() as connection:
            node = rows.read(connection, self._node_id)
        if node is None:
            fail(f"How the program of node {self._node_id} was started is not in {self._database.path} any more.", 1)
        return node

    @contextmanager
    def _passing_signals(self) -> Generator[None]:
        """What would end this command is the process's to answer."""

        def handle(number: int, _: object) -> None:
            self._struck = self._struck or number
            if self._process is not None:
                self._process.send_signal(number)

        heard = [number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]  # as `nohup` has it
        before = {number: signal.signal(number, handle) for number in heard}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _wait_for_run(self, process: subprocess.Popen[bytes]) -> None:
        """Until there is the new run, or the process has ended; and tell its id."""
        from actwright.control.following import LOOK_SECONDS
        from actwright.journal.changes import Changes

        with Changes(self._database) as changes:
            while True:
                has_ended = process.poll() is not None
                if (changes.any() or has_ended) and self._found() is not None:
                    if self._shows_id:
                        print(self._run_id, flush=True)
                    return
                if has_ended:
                    return
                time.sleep(LOOK_SECONDS)

    def _found(self) -> FoundRun | None:
        from actwright.journal.queries import runs_where
        from actwright.journal.schema import runs

        with self._database.reading() as connection:
            return next(iter(runs_where(connection, runs.c.id == str(self._run_id))), None)

    def _no_run(self, code: int) -> FoundRun:
        self.raise_what_struck()
        if code not in (1, 2):
            how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            say(f"actwright: The process that was to run it {how} before it began.")
        raise typer.Exit(code if code in (1, 2) else 1)

    def _with_hooks_done(self, found: FoundRun) -> FoundRun:
        """The run once it is final and its hooks are done: that of a process that died is recovered here."""
        from actwright.control.recovering import Outcome, recover_node
        from actwright.journal.progress import Progress
        from actwright.nodes import rows

        progress = Progress(self._run_id)
        while True:
            with self._database.reading() as connection:
                progress.look(connection)
                node = rows.read(connection, found.node_id)
            if progress.is_over or progress.root is None or node is None:
                return progress.root or found
            recovered = recover_node(self._database, node)
            if recovered.outcome is Outcome.GAVE_UP:
                say(f"Node {node.id} was given up for now: {recovered.log} tells why.")
                return progress.root
            time.sleep(0.1)  # who has it recovers it


def _environment() -> dict[str, str]:
    """History is kept where the old run's is, whatever is set in the folder of its program."""
    from actwright.settings import get_current_settings

    return {**os.environ, "ACTWRIGHT_HOME": str(get_current_settings().home), "ACTWRIGHT_JOURNAL": "sqlite"}


def _write(database: Database, found: FoundRun) -> None:
    from actwright.control.documents import run_document
    from actwright.control.liveness import dead_nodes

    write_json(run_document(found, dead_nodes(database)))
