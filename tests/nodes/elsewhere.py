"""Other processes for the tests of nodes: one that answers a question, one that is forked, one that holds a lock."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from tests.engine.scripts import ended

__all__ = ["HOLDER", "another_process_holds", "in_a_forked_child", "is_free", "say"]

HOLDER = """
import sys
from pathlib import Path
from actwright.nodes.locks import hold
assert hold(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def say(source: str, *args: object) -> str:
    """Run this in a fresh interpreter; what it prints, without the last line's end."""
    command = [sys.executable, "-W", "error", "-c", source, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=30).stdout.rstrip("\n")


@contextmanager
def another_process_holds(path: Path, source: str = HOLDER) -> Generator[subprocess.Popen[str]]:
    """While the block runs, another process has the lock of that file, unless the block ends that process."""
    command = [sys.executable, "-c", source, str(path)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with ended(process):
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def in_a_forked_child(fn: Callable[[], object]) -> str:
    """What `fn` returns in a forked child, as text. An error there is returned as its text."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            answer = str(fn())
        except BaseException as error:
            answer = repr(error)
        os.write(writing, answer.encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as answers:
        os.waitpid(pid, 0)
        return answers.read()


def is_free(path: Path) -> bool:
    """Whether the kernel would give the lock to another process: asked by another process, which then has ended."""
    taking = "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'r+'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
    command = [sys.executable, "-I", "-S", "-c", taking, str(path)]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0
