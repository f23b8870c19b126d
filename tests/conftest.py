"""What every test gets: three back ends, and a check that it left nothing behind.

An async test is marked `pytest.mark.anyio` and runs once on asyncio, on uvloop and on trio. Async fixtures are
function-scoped: a loop kept open between tests would keep its worker threads too, and the leak check would say so.
"""

from __future__ import annotations

import gc
import itertools
import os
import re
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

import anyio
import hypothesis
import pytest
from tests.histories import tell_how_many

from actwright.settings import get_current_settings

# On a busy machine a deadline measures the machine; the session's watchdog is what ends a test that hangs.
hypothesis.settings.register_profile("actwright", deadline=None, print_blob=True)
hypothesis.settings.load_profile("actwright")

# A shell without job control has what it starts in the background ignore Ctrl-C, and so would each program of a test.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

Backend = tuple[str, dict[str, Any]]

_BACKEND_PARAMETERS = ("anyio_backend", "backend", "background_backend")

BACKENDS: dict[str, Backend] = {
    "asyncio": ("asyncio", {"use_uvloop": False}),
    "uvloop": ("asyncio", {"use_uvloop": True}),
    "trio": ("trio", {}),
}

# Threads of a pool that keeps idle ones by design: daemons, between two jobs (a busy one carries its job's name).
IDLE_THREADS = ("Trio thread ",)

SETTLE_SECONDS = 2.0
"""How long what a test closed may take to be gone: a thread on its last bytecodes, a child not yet reaped."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    tell_how_many(terminalreporter)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Of a test that is costly an ordinary run has one back end, another one for each test, so that together they see
    all three. `make everywhere` has every test on each."""
    if os.environ.get("ACTWRIGHT_TEST_EVERYWHERE"):
        return
    left_out = {item for item in items if item.get_closest_marker("costly") and not _has_its_turn(item)}
    if left_out:
        config.hook.pytest_deselected(items=list(left_out))
        items[:] = [item for item in items if item not in left_out]


def _has_its_turn(item: pytest.Item) -> bool:
    callspec: Any = getattr(item, "callspec", None)
    params: dict[str, Any] = callspec.params if callspec else {}
    backend = next((params[name] for name in _BACKEND_PARAMETERS if name in params), None)
    if backend is None:
        return True
    test = re.sub("|".join((r"asyncio\+uvloop", *BACKENDS)), "", item.nodeid)
    return crc32(test.encode()) % len(BACKENDS) == _place_of(backend)


def _place_of(backend: Any) -> int:
    """Where in `BACKENDS` that is which a test was given: what anyio's plugin takes, or the name of one."""
    if backend in (values := list(BACKENDS.values())):
        return values.index(backend)
    return list(BACKENDS).index(str(backend).removeprefix("asyncio+"))


@pytest.fixture(scope="module", params=BACKENDS.values(), ids=list(BACKENDS))
def anyio_backend(request: pytest.FixtureRequest) -> Backend:
    """The back end that anyio's pytest plugin runs a test on."""
    backend: Backend = request.param
    return backend


@pytest.fixture(scope="session")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of all homes."""
    return tmp_path_factory.mktemp("homes")


@pytest.fixture(autouse=True)
def actwright_home(homes: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where Actwright keeps things, for the test and for each process that it starts: never the user's own home.

    No understudy stands by: a test that is about them says so.
    """
    folder = homes / str(next(_numbers))
    monkeypatch.setenv("ACTWRIGHT_HOME", str(folder))
    monkeypatch.setenv("ACTWRIGHT_UNDERSTUDY", "false")
    get_current_settings.cache_clear()
    yield folder
    get_current_settings.cache_clear()
    shutil.rmtree(folder, ignore_errors=True)


_numbers = itertools.count()


@pytest.fixture(autouse=True)
def journal_is_closed(leaves_nothing_behind: None, actwright_home: Path) -> Iterator[None]:
    """A process keeps its journal open until it ends: here, until its test does."""
    yield
    if journal := sys.modules.get("actwright.nodes.journal"):
        journal.close_journals()


@pytest.fixture(scope="session", autouse=True)
def warm_back_ends() -> None:
    """Open each loop once: what a loop opens for the life of its process (libuv's signal pipe) is no test's leak."""
    for name, options in BACKENDS.values():
        anyio.run(anyio.to_thread.run_sync, time.monotonic, backend=name, backend_options=options)


@pytest.fixture(autouse=True)
def leaves_nothing_behind(warm_back_ends: None) -> Iterator[None]:
    """Fail a test after which a thread, a child process or a file descriptor is there that was not there before."""
    before = _resources()
    yield
    if _resources() <= before:
        return
    gc.collect()  # what only a cycle keeps open is closed here, and its ResourceWarning fails the test
    left = _wait_until_empty(lambda: _resources() - before)
    assert not left, (
        f"the test left behind: {', '.join(sorted(left))}. Close, join or wait for it before the test ends."
    )


def _wait_until_empty(remaining: Callable[[], set[str]]) -> set[str]:
    deadline = time.monotonic() + SETTLE_SECONDS
    while (left := remaining()) and time.monotonic() < deadline:
        time.sleep(0.005)
    return left


def _resources() -> set[str]:
    return _threads() | _child_processes() | _descriptors()


def _threads() -> set[str]:
    return {
        f"thread {thread.name!r} ({thread.ident})"
        for thread in threading.enumerate()
        if not (thread.daemon and thread.name.startswith(IDLE_THREADS))
    }


def _child_processes() -> set[str]:
    """The children of this process, those that ended and were not waited for among them.

    Linux alone tells; elsewhere there is no list to be had without starting a child for it.
    """
    tasks = Path("/proc/self/task").glob("*")
    return {f"child process {pid}" for task in tasks for pid in _children_started_by(task)}


def _children_started_by(task: Path) -> list[str]:
    try:
        return (task / "children").read_text().split()
    except OSError:  # that thread has ended since it was listed; its children are another's now
        return []


def _descriptors() -> set[str]:
    folder = next(folder for folder in (Path("/proc/self/fd"), Path("/dev/fd")) if folder.exists())
    return {f"file descriptor {link.name} ({target})" for link in folder.iterdir() if (target := _target(link))}


def _target(link: Path) -> str | None:
    """What a descriptor leads to; None when it is closed by now, as the one that read the listing is."""
    try:
        status = os.fstat(int(link.name))
    except OSError:
        return None
    try:
        return str(link.readlink())
    except OSError:  # only Linux makes links of them; the inode tells two files apart as well
        return f"device {status.st_dev}, inode {status.st_ino}"


@pytest.fixture
def no_garbage_collection() -> Iterator[None]:
    """What is gone in the test is gone since nobody refers to it."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()
