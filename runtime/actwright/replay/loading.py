"""Finding the hooks and flows of another process again, in a replay process."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Generator, Iterable
from contextlib import contextmanager
from hashlib import sha256
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType
from typing import Any, TypeAlias

from actwright.authoring.import_paths import at_path, imported, run_module
from actwright.authoring.replay_guard import loading_for_replay
from actwright.authoring.stored import Reference, StoredObject
from actwright.exceptions import ActwrightError
from actwright.models.outcomes import described

__all__ = ["NotLoadable", "load", "may_load_by_value", "preparing"]


_PayloadOf: TypeAlias = "Callable[[str], bytes]"


class NotLoadable(ActwrightError):
    """A hook, flow or task of a process that is gone cannot be found again.

    Attributes:
        name: of the object.
        failures: for each way to it, in the order in which they were tried, what failed.
    """

    def __init__(self, name: str, failures: Iterable[str]) -> None:
        self.name = name
        self.failures = tuple(failures)
        super().__init__(f"'{name}' cannot be loaded: {'; '.join(self.failures)}.")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.name, self.failures)


@contextmanager
def preparing(argv: Iterable[str], cwd: str, sys_path: Iterable[str]) -> Generator[None]:
    """While inside, this process looks to what it loads and calls as the one that died did.

    Args:
        argv: what `sys.argv` was.
        cwd: its working directory; one that is gone is left out.
        sys_path: its `sys.path`. What this process has besides comes after that.
    """
    before = sys.argv, sys.path, Path.cwd()
    sys.argv = list(argv)
    sys.path = list(dict.fromkeys([*sys_path, *sys.path]))
    if Path(cwd).is_dir():
        os.chdir(cwd)
    try:
        yield
    finally:
        sys.argv, sys.path, directory = before
        os.chdir(directory)


def may_load_by_value(database: Path, allowed: bool) -> bool | str:
    """Whether to unpickle what a database file holds, which runs code; else why not.

    Args:
        database: the file.
        allowed: the setting `load_hooks_by_value`.
    """
    if not allowed:
        return "the setting load_hooks_by_value forbids it"
    if database.stat().st_mode & 0o022:
        return f"others may write {database}, and loading by value runs what they write (chmod go-w it)"
    return True


def load(stored: StoredObject, payload_of: _PayloadOf, by_value: bool | str = True) -> Any:
    """The object, by the first of its references that leads to one. Meanwhile flows and Runtimes refuse to start.

    Args:
        stored: what was kept of it.
        payload_of: gives the payload of a hash; raises where there is none.
        by_value: False, or the reason, where unpickling is not done.

    Raises:
        NotLoadable: no reference led to something that can be called; it says for each what failed.
    """
    failures: list[str] = []
    for reference in stored.references:
        if reference.way == "value" and by_value is not True:
            failures.append(f"it is not loaded by value: {by_value or 'that is forbidden'}")
            continue
        try:
            with loading_for_replay():
                found = _FIND[reference.way](reference, payload_of)
            if callable(found):
                return found
            failures.append(f"{_described(reference)} is {type(found).__name__}, which cannot be called")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever a user's module raises, SystemExit too
            failures.append(f"{_described(reference)} failed: {described(error)}")
    if stored.why:
        failures.append(stored.why)
    raise NotLoadable(stored.name, failures or ["nothing was kept that leads to it"])


def _by_path(reference: Reference, _payload_of: _PayloadOf) -> object:
    name, _, qualname = reference.where.rpartition(":")
    return _named(imported(name), qualname)


def _by_value(reference: Reference, payload_of: _PayloadOf) -> object:
    from actwright.authoring.by_value import from_value  # only those who need cloudpickle pay for importing it

    payload = payload_of(reference.where)
    if sha256(payload).hexdigest() != reference.where:
        raise ValueError("its payload is not what was stored: the hash differs")
    return from_value(payload)


def _by_file(reference: Reference, _payload_of: _PayloadOf) -> object:
    """From a script, run under a name by which no `if __name__ == "__main__"` fires; once for all it defines."""
    file, _, qualname = reference.where.rpartition(":")
    name = f"actwright_replay_{sha256(file.encode()).hexdigest()[:16]}"
    module = sys.modules.get(name)
    if module is None:
        spec = importlib.util.spec_from_file_location(name, file, loader=SourceFileLoader(name, file))
        assert spec is not None  # there is a loader
        module = run_module(spec)
    return _named(module, qualname)


_FIND = {"path": _by_path, "value": _by_value, "file": _by_file}


def _named(module: ModuleType, qualname: str) -> object:
    found = at_path(module, qualname)
    if found is None:
        raise AttributeError(f"there is no '{qualname}' in it")
    return found


def _described(reference: Reference) -> str:
    match reference.way:
        case "path":
            return f"importing {reference.where}"
        case "value":
            return "loading it by value"
        case "file":
            return f"running {reference.where.rpartition(':')[0]}"
