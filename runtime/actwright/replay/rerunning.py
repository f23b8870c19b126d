"""A process that runs a flow or task again, with the parameters of an earlier run, as that run's program would.

`python -c ... DATABASE --request-fd=N`, as `nodes.program` makes it. What is wanted is read from that descriptor, in
one line: parameters may be secret, and arguments of processes are not. Whoever starts it keeps the other end open: when
that is closed, nobody waits for the run, and it is cancelled as by a Ctrl-C. It ends as a script would that calls the
flow, and before there is a run with 1 or 2, and the reason on stderr.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast
from uuid import UUID

import anyio
from sqlalchemy import select

from actwright.authoring.entry import Call, Retry, engine
from actwright.authoring.runnable import Runnable
from actwright.authoring.stored import StoredObject, reference_of
from actwright.exceptions import ActwrightError, ParameterBindError
from actwright.journal.database import Database
from actwright.journal.schema import runs as r
from actwright.journal.schema import stored_objects
from actwright.models.values_at_rest import parameters_from_rest
from actwright.nodes import rows
from actwright.replay.loading import NotLoadable, load, may_load_by_value, preparing
from actwright.replay.takeover import Registrations
from actwright.settings import get_current_settings
from actwright_actors.backends import backend_options

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Connection

    from actwright.nodes.program import Program
    from actwright_actors.backends import BackendName

__all__ = ["main"]

_WENT_WRONG: Final = 1
_ASKED_WRONGLY: Final = 2


@dataclass(frozen=True, slots=True)
class _Earlier:
    """What is known of the run that is tried again.

    Attributes:
        name: of its flow or task.
        by_name, by_value: the ways to that: as it is now, and as it was kept.
        backend: what its async hooks were written for; None leaves that open.
    """

    kind: str
    name: str
    by_name: StoredObject
    by_value: StoredObject
    backend: str | None
    program: Program


def main() -> None:
    """Run what is wanted, and exit as a script would."""
    database, descriptor = _arguments(sys.argv[1:])
    wanted = _wanted(descriptor)
    try:
        earlier = _read(database, wanted["run"])
        with preparing(earlier.program.argv, earlier.program.cwd, earlier.program.sys_path):
            _run(_call(_found(database, earlier), wanted), earlier.backend)
    except ActwrightError as error:
        _fail(str(error), _ASKED_WRONGLY if isinstance(error, ParameterBindError) else _WENT_WRONG)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def _arguments(given: Sequence[str]) -> tuple[Path, int]:
    database, descriptor = given
    return Path(database), int(descriptor.removeprefix("--request-fd="))


def _wanted(descriptor: int) -> dict[str, Any]:
    """What is wanted; and from now on this process is interrupted when whoever wants it is gone."""
    os.set_inheritable(descriptor, False)
    line = b""
    while not line.endswith(b"\n"):
        if not (read := os.read(descriptor, 65_536)):
            sys.exit(_WENT_WRONG)  # it is gone already
        line += read

    def wait() -> None:
        os.read(descriptor, 1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=wait, name="actwright-watcher", daemon=True).start()
    return cast("dict[str, Any]", json.loads(line))


def _fail(why: str, code: int) -> NoReturn:
    _say(why)
    sys.exit(code)


def _say(words: str) -> None:
    sys.stderr.write(f"actwright: {' '.join(words.split())}\n")


@contextmanager
def _reading(database: Path) -> Generator[Connection]:
    with closing(Database.open(database, create=False)) as opened, opened.reading() as connection:
        yield connection


def _read(database: Path, run_id: str) -> _Earlier:
    with _reading(database) as connection:
        run = connection.execute(select(r).where(r.c.id == run_id)).mappings().one_or_none()
        node = None if run is None else rows.read(connection, run["node_id"])
        if run is None or node is None:
            raise ActwrightError(f"Run {run_id} is not in {database} any more.")
        registration = Registrations(connection).get(run["registration"])
    kept = () if registration is None else registration.subject.stored.references
    named = [] if run["entry"] is None else [reference_of(run["entry"])]
    name = run["subject_name"]
    return _Earlier(
        kind=run["kind"],
        name=name,
        by_name=StoredObject(name, tuple(dict.fromkeys([*named, *(way for way in kept if way.way != "value")]))),
        by_value=StoredObject(name, tuple(way for way in kept if way.way == "value")),
        backend=None if registration is None else registration.backend,
        program=node.program,
    )


def _found(database: Path, earlier: _Earlier) -> Runnable[..., Any]:
    """The flow or task: as it is now, since what made it fail may have been mended; else as it was.

    Raises:
        ActwrightError: it is found in no way.
    """
    try:
        found = _loaded(database, earlier.by_name)
    except NotLoadable as error:
        try:
            found = _loaded(database, earlier.by_value)
        except NotLoadable as of_value:
            raise ActwrightError(_not_found(earlier, error, of_value)) from error
        _say(f"{error} It runs as it was kept when the earlier run began.")
    if isinstance(found, Runnable) and found.kind == earlier.kind:
        return cast("Runnable[..., Any]", found)
    where = ", ".join(way.where for way in earlier.by_name.references)
    raise ActwrightError(f"{where} is no {earlier.kind} any more; got {type(cast('object', found)).__name__}.")


def _not_found(earlier: _Earlier, by_name: NotLoadable, by_value: NotLoadable) -> str:
    failures = [*(by_name.failures if earlier.by_name.references else ())]
    failures += by_value.failures if earlier.by_value.references else ()
    why = "; ".join(failures) or "it had no name at the top level of a module or script that leads to it"
    return (
        f"The {earlier.kind} '{earlier.name}' is not found again: {why}. Put it back, at the top level of its module, "
        "or start it from your program."
    )


def _loaded(database: Path, stored: StoredObject) -> Any:
    def payload_of(hash: str) -> bytes:
        query = select(stored_objects.c.payload).where(stored_objects.c.hash == hash)
        with _reading(database) as connection:
            return cast("bytes", connection.execute(query).scalar_one())

    return load(stored, payload_of, may_load_by_value(database, get_current_settings().load_hooks_by_value))


def _call(subject: Runnable[..., Any], wanted: Mapping[str, Any]) -> Call:
    """The call, as its function takes it.

    Raises:
        ParameterBindError: the function takes other parameters by now.
    """
    parameters = {**parameters_from_rest(json.dumps(wanted["kept"])), **wanted["given"]}
    title = f"{subject.kind.capitalize()} '{subject.name}'"
    if unknown := [repr(name) for name in parameters if name not in subject.parameters.names]:
        raise ParameterBindError(
            f"{title} has no parameter {', '.join(unknown)}. It takes {subject.parameters.signature}."
        )
    args, kwargs = subject.parameters.call_args(parameters)
    call = subject.prepare(args, {**kwargs, "return_state": True})
    return replace(call, retry=Retry(of=UUID(wanted["run"]), run_id=UUID(wanted["run_id"])))


def _run(call: Call, backend: str | None) -> None:
    """As a script does: a plain body in the main thread, an async one on a loop there."""
    if not call.subject.isasync:
        engine().call(call)
        return
    name, options = backend_options(cast("BackendName", backend or get_current_settings().background_backend))
    anyio.run(partial(engine().call_async, call), backend=name, backend_options=options)
