"""Bodies that run in processes of their own. They are imported there too: so this loads what they need, and no more."""

from __future__ import annotations

import asyncio
import contextvars
import ctypes
import logging
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import anyio
import anyio.lowlevel
from pydantic import BaseModel

from actwright import Variable, as_completed, flow, get_run_logger, receive, runtime, tags, task, wait
from actwright.blocks import Secret
from actwright.exceptions import CancelledRun, MissingResult, NotPicklable, RunIsFinal
from actwright_actors.backends import current_backend_name

T = TypeVar("T")

colour: contextvars.ContextVar[Any] = contextvars.ContextVar("colour", default="grey")
shape: contextvars.ContextVar[Any] = contextvars.ContextVar("shape", default="round")


class Mine(Exception):
    """An exception with data of its own."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Awkward(Exception):
    """One that is pickled well, and cannot be unpickled."""

    def __init__(self, code: int, *, reason: str) -> None:
        super().__init__(f"{code}: {reason}")


class Page(BaseModel, Generic[T]):
    """A generic model."""

    items: list[T]


class Unloadable:
    def __reduce__(self) -> Any:
        return sys.exit, (3,)


class Unpicklable:
    """What cannot leave its process."""

    def __init__(self, found: str = "a lock") -> None:
        self.found = found
        self.lock = threading.Lock()


class UnpicklableError(Exception):
    """An exception that cannot leave its process."""

    def __init__(self, said: str) -> None:
        super().__init__(said)
        self.lock = threading.Lock()


# Where it runs


def whereabouts() -> dict[str, Any]:
    return {
        "pid": os.getpid(), "group": os.getpgrp(), "session": os.getsid(0), "backend": current_backend_name(),
        "thread": threading.current_thread() is threading.main_thread(), "argv": list(sys.argv), "path": list(sys.path),
        "cwd": str(Path.cwd()),
    }  # fmt: skip


def open_files() -> set[tuple[int, int]]:
    """Device and inode of each file that is open here."""
    found = set[tuple[int, int]]()
    for link in Path("/dev/fd").iterdir():
        with suppress(OSError):  # the listing itself
            status = os.fstat(int(link.name))
            found.add((status.st_dev, status.st_ino))
    return found


async def awhereabouts() -> dict[str, Any]:
    await anyio.lowlevel.checkpoint()
    return whereabouts()


def engine_modules() -> list[str]:
    return [name for name in sys.modules if name.startswith(("actwright.engine", "actwright.journal", "sqlalchemy"))]


def nothing() -> None: ...


async def anothing() -> None: ...


def echo(value: Any) -> Any:
    return value


async def aecho(value: Any) -> Any:
    return value


# How it ends


def fails(code: int) -> None:
    try:
        _fails_deeper()
    except KeyError as error:
        raise Mine(code) from error


async def afails(code: int) -> None:
    await anyio.lowlevel.checkpoint()
    fails(code)


def _fails_deeper() -> None:
    raise KeyError("deep")


def raises_awkwardly() -> None:
    raise Awkward(7, reason="no such thing")


def raises_unpicklable() -> None:
    raise UnpicklableError("with a lock")


def exits_by_unpicklable() -> None:
    exit = SystemExit(3)
    exit.lock = threading.Lock()  # type: ignore[attr-defined]
    raise exit


def returns_unpicklable() -> Unpicklable:
    return Unpicklable()


def exits(code: int) -> None:
    sys.exit(code)


async def aexits(code: int) -> None:
    sys.exit(code)


async def forges_a_cancellation() -> None:
    raise asyncio.CancelledError


def ends_at_once(code: int) -> None:
    os._exit(code)


def dies_by(number: int) -> None:
    os.kill(os.getpid(), number)
    time.sleep(60)


def terminates_itself() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(60)


def waits_for_word(path: str) -> str:
    _tell(path, str(os.getpid()))
    while not Path(f"{path}.go").exists():
        time.sleep(0.005)
    return "went on"


def takes_memory(joins: str) -> None:
    Path(joins).write_text(str(os.getpid()))
    taken: list[bytes] = []
    while True:
        taken.append(os.urandom(1_000_000))


def reads_address_zero() -> None:
    ctypes.string_at(0)


def dies_at_first(path: str) -> int:
    """In its first attempt."""
    attempt: int = runtime.task_run.run_count or runtime.flow_run.run_count
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")
    if attempt == 1:
        os._exit(9)
    return attempt


def closes_everything() -> None:
    os.closerange(3, 100)
    time.sleep(60)


def leaves_a_thread() -> str:
    threading.Thread(target=time.sleep, args=(60,)).start()
    return "returned"


# What it leaves


def with_grandchild(path: str, then: str = "waits") -> str:
    """Starts one that goes on, and tells of both: as the first line of a file."""
    grandchild = subprocess.Popen(["sleep", "60"])
    _tell(path, f"{os.getpid()} {grandchild.pid}")
    if then == "waits":
        time.sleep(60)
    elif then == "dies":
        os.kill(os.getpid(), signal.SIGKILL)
    grandchild.returncode = 0  # or it would be said that it still runs
    return then


def ignores_sigterm(path: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with_grandchild(path)


def ignores_sigterm_at_first(path: str) -> int:
    if runtime.task_run.run_count == 1:
        ignores_sigterm(path)
    return runtime.task_run.run_count


def catches_everything(path: str) -> None:
    _tell(path, str(os.getpid()))
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass


# Being stopped


def naps(path: str) -> None:
    """Plain code that waits where Python does not look."""
    try:
        _tell(path, "began")
        time.sleep(60)
    except BaseException as error:
        _tell(path, f"{type(error).__name__} {runtime.cancel_requested()}")
        raise


async def anaps(path: str) -> None:
    try:
        _tell(path, "began")
        await anyio.sleep(60)
    except BaseException as error:
        _tell(path, f"{type(error).__name__} {runtime.cancel_requested()}")
        raise


def asks(path: str) -> str:
    """Code that is to be left alone, and asks."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    _tell(path, "began")
    try:
        while True:
            runtime.raise_if_cancelled()
            try:
                time.sleep(0.01)
            except BaseException:
                pass
    except CancelledRun as error:
        _tell(path, str(error))
        raise


def handles_sigterm(path: str) -> None:
    def tidy(number: int, frame: object) -> None:
        _tell(path, "its own handler")

    signal.signal(signal.SIGTERM, tidy)
    _tell(path, "began")
    while not runtime.cancel_requested() or Path(path).read_text() == "began":
        time.sleep(0.005)


def _tell(path: str, line: str) -> None:
    new = Path(f"{path}.new")
    new.write_text(line)
    new.rename(path)


# What it sees


def saves() -> None:
    Secret(value="hunter2").save("main")


def loads() -> Any:
    return Secret.load("main").get()


def sees() -> dict[str, Any]:
    get_run_logger().info("a line of %s", "the run")
    get_run_logger().warning("with a name", extra={"added": "by hand", "lost": threading.Lock()})
    logging.getLogger("of.the.program").warning("another line")
    logging.getLogger("of.the.program").debug("too fine")
    print("printed", 1, 2)
    kind: Any = runtime.task_run if runtime.task_run.id else runtime.flow_run
    Variable.set("counted", Variable.get("counted", 0).value + 1, overwrite=True)
    return {
        "id": kind.id, "name": kind.name, "tags": kind.tags, "parameters": kind.parameters, "count": kind.run_count,
        "flow": runtime.flow.name, "version": runtime.flow_run.flow_version, "root": runtime.flow_run.root_flow_run_id,
        "flow_run": runtime.flow_run.name, "colour": colour.get(), "shape": shape.get(),
        "asked": runtime.cancel_requested(), "task": runtime.task_run.task_name,
    }  # fmt: skip


async def asees() -> dict[str, Any]:
    return sees()


# What it calls


hooked: list[tuple[str, int]] = []


def note(task: Any, task_run: Any, state: Any) -> None:
    hooked.append((task_run.name, os.getpid()))


@task(on_completion=[note], task_run_name="double {number}")
def double(number: int) -> tuple[int, int]:
    return 2 * number, os.getpid()


@task
async def triple(number: int) -> tuple[int, int]:
    await anyio.lowlevel.checkpoint()
    return 3 * number, os.getpid()


@task
def adds(one: tuple[int, int], other: tuple[int, int]) -> int:
    return one[0] + other[0]


@task(isolation="process")
def apart(number: int) -> tuple[int, int]:
    return number, os.getpid()


@task(task_run_name="refuses")
def refuses() -> None:
    raise Mine(5)


@task
def gives_unpicklable() -> Unpicklable:
    return Unpicklable("the original")


@task
def tells_found(thing: Unpicklable) -> str:
    return thing.found


@task
def shows() -> tuple[list[str], str, str]:
    return runtime.task_run.tags, colour.get(), str(runtime.task_run.parent_flow_run_id)


@flow
def subflow(number: int) -> tuple[list[int], str]:
    return [double(number)[0], double(number + 1)[0]], str(runtime.flow_run.parent_flow_run_id)


@flow
async def asubflow(number: int) -> int:
    return (await triple(number))[0]


def calls() -> dict[str, Any]:
    first, second = double.submit(1), double.submit(2)
    mapped = double.map([5, 6, 7])
    done, not_done = wait([first, second])
    with tags("inner"):
        token = colour.set("red")
        shown = shows()
        colour.reset(token)
    return {
        "own": os.getpid(), "id": str(runtime.flow_run.id), "called": double(10),
        "results": [each.result() for each in mapped],
        "futures": [first.result(), second.result()], "sum": adds.submit(first, second).result(),
        "counts": (len(done), len(not_done)), "states": [handle.state.name for handle in mapped],
        "completed": sorted(handle.result()[0] for handle in as_completed(mapped)), "shown": shown,
        "subflow": subflow(3), "apart": apart(1), "state": double(4, return_state=True).name,
        "name": first.name, "id is": first.id == first.run.id,
    }  # fmt: skip


async def acalls() -> dict[str, Any]:
    handle = triple.submit(1)
    done, _ = await wait([handle])
    return {
        "own": os.getpid(), "awaited": await triple(2), "future": await handle, "done": len(done),
        "mapped": await triple.map([3, 4]), "subflow": await asubflow(5), "sync": double(6),
        "completed": sorted([(await each)[0] async for each in as_completed(triple.map([7, 8]))]),
    }  # fmt: skip


def catches_what_a_task_raises() -> tuple[int, str]:
    try:
        refuses()
    except Mine as error:
        return error.code, type(error).__name__
    raise AssertionError("it did not raise")


def lets_it_through() -> None:
    refuses()


def returns_a_future() -> Any:
    return double.submit(21)


def hands_on_what_it_cannot_have() -> tuple[str, str]:
    handle = gives_unpicklable.submit()
    found = tells_found.submit(handle).result()
    try:
        handle.result()
    except MissingResult as error:
        return found, str(error)
    raise AssertionError("it had it")


def gives_what_cannot_be_given() -> str:
    try:
        tells_found(Unpicklable())
    except NotPicklable as error:
        return str(error)
    raise AssertionError("it was given")


def cancels_a_task(path: str) -> str:
    handle = naps_in_a_thread.submit(path)
    while not Path(path).exists():
        time.sleep(0.005)
    handle.cancel("enough")
    wait([handle])
    return f"{handle.state.name}: {handle.state.message}"


@task
def naps_in_a_thread(path: str) -> None:
    _tell(path, "began")
    while not runtime.cancel_requested():
        time.sleep(0.005)


@task
async def sleeps_for_ever(path: str) -> None:
    _tell(path, "began")
    await anyio.sleep_forever()


def waits_for_a_task(path: str, told: str) -> None:
    try:
        sleeps_for_ever.submit(path).result()
    except BaseException as error:
        _tell(told, f"{type(error).__name__}: {error}")
        raise


async def awaits_a_task(path: str, told: str) -> None:
    try:
        await sleeps_for_ever(path)
    except BaseException as error:
        _tell(told, type(error).__name__)
        raise


class Box:
    """Holds something where nobody looks for it."""

    def __init__(self, content: Any) -> None:
        self.content = content


def looks_into(box: Any) -> tuple[str, Any]:
    return box.content.name, box.content.result()


def calls_when_stopped(path: str, told: str) -> None:
    try:
        naps(path)
    except BaseException:
        try:
            double(1)
        except CancelledRun as error:
            _tell(told, str(error))
        raise


def keeps_a_secret() -> tuple[str, bool]:
    Secret(value="swordfish").save("door")
    found = Secret.load("door").get()
    Variable.set("seen", True)
    return found, Variable.get("seen").value


async def akeeps_a_secret() -> tuple[str, bool]:
    await Secret(value="swordfish").asave("door")
    found = (await Secret.aload("door")).get()
    await Variable.aset("seen", True)
    return found, (await Variable.aget("seen")).value


@task(isolation="process")
def nested(depth: int) -> int:
    return 0 if depth == 0 else 1 + nested.submit(depth - 1).result()


def forks() -> tuple[int, bytes]:
    """A forked child of a body calls a flow by itself."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writing, b"%d" % double(1)[1])
        except BaseException as error:
            os.write(writing, repr(error).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    return pid, said


# Messages


@dataclass
class Order:
    number: int


def receives(path: str) -> list[int]:
    Path(path).write_text("began")
    return [receive(Order).number for _ in range(3)]


async def areceives(path: str) -> list[int]:
    await anyio.Path(path).write_text("began")
    return [(await receive(Order)).number for _ in range(3)]


def gives_up() -> str:
    try:
        receive(Order, timeout=60)
    except TimeoutError as error:
        return str(error)
    return "none"


async def agives_up() -> str:
    try:
        await receive(Order, timeout=60)
    except TimeoutError as error:
        return str(error)
    return "none"


def takes_one_and_fails(path: str) -> Any:
    got = receive(Order)
    if not Path(path).exists():
        Path(path).write_text("once")
        raise ValueError(got.number)
    return got.number


def sends_and_follows() -> tuple[Any, list[str]]:
    handle = receiver.submit()
    handle.send(Order(7))
    return handle.result(), [event.state.name for event in handle.events()]


@task
async def receiver() -> int:
    order: Order = await receive(Order)
    return order.number


def holds_off(path: str) -> None:
    done = Path(path).with_name("done")
    with runtime.no_interrupt():
        Path(path).write_text("began")
        while not done.exists():
            time.sleep(0.01)
        time.sleep(0.3)
        done.write_text("whole")
    done.write_text("not raised")


# What a reviewer has broken


async def terminates_a_pool() -> list[int]:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        return pool.map(abs, [-1, -2])


def tells_of_an_exception_in_a_circle() -> None:
    try:
        try:
            raise ValueError("first")
        except ValueError as error:
            raise RuntimeError("second") from error
    except RuntimeError as error:
        first: Any = error.__cause__
        raise first  # noqa: B904 - its context leads back to it


def cancels_what_has_ended() -> str:
    handle = anothing_task.submit()
    handle.wait()
    try:
        handle.cancel()
    except RunIsFinal as error:
        return error.state_name
    return "none"


@task
async def anothing_task() -> None: ...


def adds_a_note_to_what_a_task_raised() -> None:
    try:
        raising_task()
    except Mine as error:
        error.add_note("seen in the body")
        raise


@task
def raising_task() -> None:
    raise Mine(5)


def leaves_no_interrupt_by_an_error(path: str) -> None:
    done = Path(path).with_name("done")
    with suppress(ValueError), runtime.no_interrupt():
        Path(path).write_text("began")
        while not done.exists():
            time.sleep(0.01)
        time.sleep(0.3)
        raise ValueError("leaves the block, in place of the interrupt")
    while True:
        time.sleep(0.01)
