"""Node locks: who holds one, who is refused, what frees it, and what must not."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.nodes.elsewhere import HOLDER, another_process_holds, in_a_forked_child, is_free, say

from actwright.nodes.locks import NodeLock, hold, holder, is_held, is_ours
from actwright.nodes.understudy import has_open


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "node.lock"


@pytest.fixture
def lock(path: Path) -> Iterator[NodeLock]:
    lock = hold(path)
    assert lock is not None
    yield lock
    lock.release(unlink=False)


def test_a_lock_that_is_held_is_refused_to_everybody_until_it_is_released(path: Path, lock: NodeLock) -> None:
    attempt = "import sys, pathlib; from actwright.nodes.locks import hold; print(hold(pathlib.Path(sys.argv[1])))"
    assert hold(path) is None
    assert say(attempt, path) == "None"
    lock.release(unlink=False)
    assert say(attempt, path) == f"<NodeLock {path}>"


def test_the_file_is_made_for_its_owner_alone_and_is_closed_by_exec(path: Path, lock: NodeLock) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    listed = say("import os; print([os.readlink(f'/dev/fd/{n}') for n in os.listdir('/dev/fd') if int(n) > 3])")
    assert str(path) not in listed


def test_a_node_is_alive_as_long_as_its_process_holds_the_lock(path: Path) -> None:
    assert not is_held(path)
    with another_process_holds(path) as process:
        assert is_held(path)
        assert holder(path) == process.pid
        assert not is_ours(path)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not is_held(path)
        assert path.exists()
    assert holder(path) is None


def test_asking_for_what_is_ours_does_not_free_it(path: Path, lock: NodeLock, monkeypatch: pytest.MonkeyPatch) -> None:
    relative, link, twin = path.parent / "." / "x" / ".." / path.name, path.with_name("link"), path.with_name("twin")
    (path.parent / "x").mkdir()
    link.symlink_to(path)
    twin.hardlink_to(path)
    monkeypatch.chdir(path.parent)
    for name in (path, relative, link, twin, Path(path.name)):
        assert is_held(name)
        assert is_ours(name)
        assert holder(name) == os.getpid()
        assert hold(name) is None
        assert not is_free(path)


def test_closing_the_file_anywhere_in_the_process_would_free_it(path: Path, lock: NodeLock) -> None:
    """The trap itself, which is why nothing but the registry may open such a file."""
    path.open().close()
    assert is_free(path)


def test_asking_for_the_lock_of_another_process_is_not_in_the_way_of_a_third(path: Path) -> None:
    path.touch()
    done = threading.Event()

    def ask_on_and_on() -> None:
        while not done.is_set():
            is_held(path)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask_on_and_on)
        try:
            for _ in range(10):
                assert is_free(path)
        finally:
            done.set()
        asking.result()


def test_of_many_threads_one_gets_the_lock(path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        got = [lock for lock in pool.map(hold, [path] * 64) if lock]
    assert len(got) == 1
    got[0].release(unlink=True)


def test_a_forked_child_holds_nothing_and_takes_nothing_from_its_parent(path: Path, lock: NodeLock) -> None:
    def child() -> object:
        lock.release(unlink=True)
        return is_ours(path), is_held(path), holder(path) == os.getppid(), hold(path)

    assert in_a_forked_child(child) == "(False, True, True, None)"
    assert is_ours(path)
    assert not is_free(path)


def test_a_child_that_is_forked_while_the_registry_is_busy_can_use_it(path: Path) -> None:
    stop = threading.Event()

    def be_busy() -> None:
        while not stop.is_set():
            is_held(path)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(be_busy)
        try:
            for _ in range(20):
                assert in_a_forked_child(lambda: hold(path)) == f"<NodeLock {path}>"
        finally:
            stop.set()


def test_a_lock_of_a_killed_parent_is_free_while_its_forked_children_live(path: Path) -> None:
    source = """
import os, pathlib, sys, time
from actwright.nodes.locks import hold
assert hold(pathlib.Path(sys.argv[1]))
if child := os.fork():
    print(child, flush=True)
    os.kill(os.getpid(), 9)
os.close(1)
time.sleep(30)
"""
    reading, writing = os.pipe()
    pid = os.posix_spawn(
        sys.executable, [sys.executable, "-c", source, str(path)], os.environ, file_actions=[
            (os.POSIX_SPAWN_DUP2, writing, 1)
        ]
    )  # fmt: skip
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as said:
        child = int(said.readline())
    try:
        assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
        assert not is_held(path)
        os.kill(child, 0)
    finally:
        os.kill(child, signal.SIGKILL)


def test_after_exec_the_lock_is_free_though_the_process_lives(path: Path) -> None:
    source = """
import os, pathlib, sys
from actwright.nodes.locks import hold, is_held
path = pathlib.Path(sys.argv[1])
if sys.argv[2] == "first":
    assert hold(path)
    os.execv(sys.executable, [sys.executable, "-c", sys.orig_argv[2], path, str(os.getpid())])
print(os.getpid() == int(sys.argv[2]), is_held(path))
"""
    source = source.replace("sys.orig_argv[2]", "sys.orig_argv[sys.orig_argv.index('-c') + 1]")
    assert say(source, path, "first") == "True False"


def test_a_file_is_unlinked_under_its_lock(path: Path) -> None:
    lock = hold(path)
    assert lock is not None
    lock.release(unlink=True)
    assert not path.exists()
    assert not is_held(path)
    lock.release(unlink=True)


def test_a_file_that_somebody_put_in_the_place_of_ours_is_not_unlinked(path: Path, lock: NodeLock) -> None:
    path.unlink()
    path.write_text("another's")
    lock.release(unlink=True)
    assert path.read_text() == "another's"


def test_a_file_that_was_unlinked_while_it_was_being_locked_is_made_anew(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[int] = []
    real_open = os.open

    def open_and_lose_it(file: str, flags: int, mode: int = 0o777) -> int:
        descriptor = real_open(file, flags, mode)
        opened.append(descriptor)
        if len(opened) == 1:
            Path(file).unlink()
        return descriptor

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", open_and_lose_it)
        lock = hold(path)
    assert lock is not None
    assert len(opened) == 2
    assert not is_free(path)
    lock.release(unlink=True)


def test_a_folder_that_is_missing_is_an_error_and_leaves_nothing_open(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        hold(tmp_path / "none" / "node.lock")
    assert not is_held(tmp_path / "none" / "node.lock")


def test_a_process_without_standard_streams_keeps_its_lock_off_their_numbers(path: Path) -> None:
    source = """
import os, pathlib, sys
from actwright.nodes.locks import hold
saved = os.dup(1)
os.closerange(0, 3)
assert hold(pathlib.Path(sys.argv[1]))
busy = [n for n in range(3) if os.path.exists(f"/dev/fd/{n}")]
os.dup2(saved, 1)
print(busy)
"""
    assert say(source, path) == "[]"


# Locks that were lost


def test_a_lock_that_the_process_freed_by_mistake_is_taken_again(path: Path, lock: NodeLock) -> None:
    path.open().close()
    assert is_free(path)
    assert lock.keep()
    assert not is_free(path)
    assert lock.keep()
    assert not is_free(path)


def test_a_file_that_was_deleted_by_hand_is_made_anew_and_held(path: Path, lock: NodeLock) -> None:
    path.unlink()
    assert lock.keep()
    assert is_ours(path)
    assert not is_free(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lock.release(unlink=True)
    assert not path.exists()


def test_a_descriptor_that_the_process_closed_is_replaced_and_what_has_its_number_is_left_open(
    path: Path, lock: NodeLock
) -> None:
    number = _descriptor_of(path)
    os.close(number)
    other = os.open(path.parent, os.O_RDONLY)
    assert other == number
    assert lock.keep()
    assert not is_free(path)
    lock.release(unlink=False)
    assert is_free(path)
    os.close(other)


def test_a_descriptor_that_the_process_closed_is_no_error_when_the_lock_is_released(path: Path) -> None:
    lock = hold(path)
    assert lock is not None
    os.close(_descriptor_of(path))
    lock.release(unlink=True)
    assert is_free(path)


def _opened_and_closed(path: Path) -> None:
    path.open().close()


@pytest.mark.parametrize("loss", [_opened_and_closed, Path.unlink])
def test_a_lock_that_another_process_got_meanwhile_is_left_to_it(
    path: Path, lock: NodeLock, loss: Callable[[Path], None]
) -> None:
    loss(path)
    with another_process_holds(path) as process:
        assert not lock.keep()
        assert holder(path) in {process.pid, os.getpid()}
        assert not is_free(path)
    assert lock.keep()


def test_a_lock_that_was_released_is_not_kept(path: Path) -> None:
    lock = hold(path)
    assert lock is not None
    lock.release(unlink=True)
    assert not lock.keep()
    assert not path.exists()


@pytest.mark.parametrize("loss", ["open().close()", "unlink()"])
def test_a_process_that_lost_its_lock_counts_as_its_holder_as_long_as_it_has_the_file_open(
    path: Path, loss: str
) -> None:
    loses = HOLDER.replace("sys.stdin.read()", f"Path(sys.argv[1]).{loss}; print('lost', flush=True); sys.stdin.read()")
    with another_process_holds(path, loses) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "lost\n"
        assert holder(path) is None
        assert holder(path, process.pid) == process.pid
        assert holder(path, os.getppid()) is None
        process.kill()
        process.wait()
        assert holder(path, process.pid) is None


@pytest.mark.parametrize("unless_told", [True, False])
def test_what_the_system_does_not_tell_is_for_the_asker_to_decide(
    path: Path, monkeypatch: pytest.MonkeyPatch, unless_told: bool
) -> None:
    def refuse(_: str) -> list[str]:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "listdir", refuse)
        assert has_open(os.getpid(), str(path), unless_told=unless_told) is unless_told


def test_a_process_that_is_gone_has_nothing_open_whoever_asks(path: Path) -> None:
    process = subprocess.Popen(["/bin/true"])
    process.wait()
    assert not has_open(process.pid, str(path), unless_told=True)


def _descriptor_of(path: Path) -> int:
    links = {each.name: each.readlink() for each in Path("/proc/self/fd").iterdir() if each.is_symlink()}
    (name,) = [name for name, target in links.items() if target == path]
    return int(name)
