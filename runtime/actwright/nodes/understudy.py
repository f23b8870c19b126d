"""The understudy: a process that waits for another one's death, and then sees to it that the hooks of that one run.

A script of the standard library alone, so that waiting costs little memory and no user code can break it. Run as

    python -I -S understudy.py [--recover [--detach | --force]] name=value ... -- REPLAY COMMAND ...

Without `--recover` it stands by for a living process: it detaches itself (whoever started it has no child left to wait
for), tells its process id through the pipe, waits for the death, and recovers. With `--recover` the node is known to be
dead, and recovery starts at once: in the foreground, or with `--detach` by itself. With `--force` it starts although
the node's process holds its lock, which it leaves alone. The names:

    node      the node's id                      log       what it and the replay processes say is appended here
    lock      the node's lock file               cwd       where replay processes start, if it exists
    database  the journal, a SQLite file         fallback  an interpreter, if the command's own is gone
    pipe      its end of a socket to the living process; end of file: the process is gone, or has closed it
    pid       the id of the living process
    pidfd     a pidfd of it (Linux)
    backoff   seconds to wait after a replay process that changed nothing, or before another look at a journal that
              cannot be read; doubled each time, 5 s at most (0.1)

Recovery is the same whoever starts it: take the dead node's lock, and the one beside it (`.replay.lock`) that is for
whoever replays, by force or not (one winner); ask the journal whether a run is open or a hook due; if so start replay
processes, one after another, until one says that nothing is left; unlink the lock files. Who stands by waits for one
that took the node over by force, and does what that one left; all others leave it to whoever is at it.
A replay process gets `--watcher-fd=N`: end of file there says that its watcher died, and that it has to die too. Its
exit codes: 0 nothing is left; 75 there is more; 77 fenced, another one took the node over; all else, it died.

The understudy's own: 0 nothing is left, or another one is at it; 1 given up, or the journal cannot be read: the lock
file stays, and the next Runtime tries again; 3 the lock is held by another process, or was taken away (77).
"""

# ruff: noqa: PTH108, PTH110, PTH112, PTH115, PTH116, PTH119, PTH123, PTH208  # pathlib would cost a waiting process memory
from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import sys
import time

__all__ = [
    "EXIT_FENCED",
    "EXIT_GAVE_UP",
    "EXIT_HELD",
    "EXIT_MORE",
    "EXIT_SETTLED",
    "above_streams",
    "has_open",
    "leads_to",
    "lock_file",
    "lock_owner",
    "main",
    "owner_of",
]

EXIT_SETTLED = 0
EXIT_GAVE_UP = 1
EXIT_HELD = 3
EXIT_MORE = os.EX_TEMPFAIL
EXIT_FENCED = os.EX_NOPERM

_IDLE_LIMIT = 10
"""After so many replay processes in a row that changed nothing, or looks at a journal that cannot be read, it gives
up."""

_LONGEST_BACKOFF = 5.0
_LOCK_TEST_SECONDS = 2.0
"""How often the lock is tested where nothing else tells of the death: a program that was replaced by `exec`, whose
forked children keep the pipe open."""
_FIRST_LOCK_TEST_SECONDS = 0.005
"""And how soon after a sign of the death: a dying process closes its pipe a moment before its lock is free."""

# `struct flock`, which the two systems order differently.
_FLOCK = "qqihh" if sys.platform == "darwin" else "hhqqi0q"

_STANDING = """
SELECT (SELECT count(*) FROM runs WHERE node_id = :node AND ended_at IS NULL),
       count(*), total(attempt), total(cuts), total(untold)
FROM hook_deliveries WHERE node_id = :node AND status IN ('DUE', 'RUNNING')
"""

_FREE_SLOTS = "DELETE FROM slots WHERE node_id = :node"


class _Job:
    """What this understudy is for. By hand: argparse and dataclasses cost memory."""

    def __init__(self, arguments: list[str]) -> None:
        own, self.replay = arguments[: arguments.index("--")], arguments[arguments.index("--") + 1 :]
        given = dict(argument.split("=", 1) for argument in own if not argument.startswith("--"))
        self.recovers, self.detaches, self.forces = (f"--{name}" in own for name in ("recover", "detach", "force"))
        self.node, self.lock = given["node"], given["lock"]
        self.replay_lock = f"{self.lock.removesuffix('.lock')}.replay.lock"
        self.database, self.log = given["database"], given["log"]
        self.cwd = given.get("cwd", "/")
        self.fallback = given.get("fallback")
        self.pid, self.pidfd = int(given.get("pid", 0)), int(given.get("pidfd", -1))
        self.pipe = int(given.get("pipe", -1))
        self.backoff = float(given.get("backoff", 0.1))

    def say(self, text: str) -> None:
        line = f"{time.strftime('%Y-%m-%d %H:%M:%S')} understudy of node {self.node}: {text}\n"
        try:
            os.write(2, line.encode(errors="replace"))
        except OSError:
            pass  # a full disk, or nobody there to read it: hooks matter more than words about them


def main(arguments: list[str]) -> int:
    """Run as a script; its exit code."""
    job = _Job(arguments)
    _receive_signals()
    os.chdir("/")  # it must not keep a file system busy
    _show_name()
    return _recover_dead(job) if job.recovers else _stand_by(job)


def _show_name() -> None:
    """As `ps` and `top` show it; the arguments say the rest."""
    if sys.platform == "linux":
        try:
            with open("/proc/self/comm", "w", encoding="ascii") as name:
                name.write("actwright-under")  # 15 characters, the most that it keeps
        except OSError:
            pass  # a sandbox without /proc: it goes without a name


def _receive_signals() -> None:
    """What it inherits from its process must not decide here: neither what that blocks, nor what that ignores.

    SIGTERM may come to it and its process at once (a service is stopped): it is there for what then becomes of that
    process. It has a handler because what is *ignored* would be ignored in replay processes too, and in what hooks
    start.
    """
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
        signal.signal(number, _go_on)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, the kernel would keep a replay process's exit code
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def _go_on(number: int, frame: object) -> None:
    """What a signal does here: nothing."""


def _stand_by(job: _Job) -> int:
    """Wait for the death of the process at the other end of the pipe, and recover."""
    _speak_to(job.log)
    _detach()
    try:
        os.write(job.pipe, f"{os.getpid()}\n".encode())
    except BrokenPipeError:
        pass  # it died already, which is what we are here for
    lock = _wait_for_death(job)
    if lock is not None:
        lock_file(job.replay_lock, create=True, wait=True)
        return _recover(job)
    if not os.path.exists(job.lock):
        _unlink_empty(job.log)
    return EXIT_SETTLED


def _wait_for_death(job: _Job) -> int | None:
    """The descriptor of the dead node's lock; None when there is nothing to recover, or another one does it.

    Neither sign of a death proves it alone: a pipe may be closed by a process that lives, and so may, for a moment, its
    lock be free.
    """
    signs, seen = select.poll(), set[int]()
    for descriptor in {job.pipe, job.pidfd} - {-1}:
        signs.register(descriptor, select.POLLIN)
    pause = _LOCK_TEST_SECONDS
    while True:
        for descriptor, _ in signs.poll(pause * 1000):
            signs.unregister(descriptor)  # end of file stays readable
            seen.add(descriptor)
            pause = _FIRST_LOCK_TEST_SECONDS
        died = job.pidfd in seen
        try:
            lock = lock_file(job.lock, create=False) if died or _is_dead(job, unless_told=not seen) else None
        except FileNotFoundError:
            if seen:  # it is unlinked under the lock only, when nothing is left
                return None
        else:
            if lock is not None or died:
                return lock
        pause = min(2 * pause, _LOCK_TEST_SECONDS)


def _is_dead(job: _Job, *, unless_told: bool) -> bool:
    """Whether the lock is free for good, as it is after `exec` too. Asking takes nothing: the living take it again."""
    return owner_of(job.lock) is None and not has_open(job.pid, job.lock, unless_told=unless_told)


def _recover_dead(job: _Job) -> int:
    """Recover a node, unless one of its locks is held: then it lives, or another one is at it."""
    wanted = [job.replay_lock] if job.forces else [job.lock, job.replay_lock]
    held = next((path for path in wanted if owner_of(path) is not None), None)
    if held is None and job.detaches:
        _detach()  # a lock would not come along
    if held is None:
        held = next((path for path in wanted if lock_file(path, create=True) is None), None)
    if held is not None:
        owner = owner_of(held)
        who = f"process {owner}" if owner else "another process"
        job.say(f"{who} holds {held}: either the node's own, which lives, or one that recovers it.")
        return EXIT_HELD
    _speak_to(job.log)
    return _recover(job)


def _recover(job: _Job) -> int:
    """Under the node's locks: replay until nothing is left, and unlink their files."""
    if not job.forces:  # else its process lives, and may write until it is taken over
        _free_slots(job)
    outcome = _replay_what_stands(job)
    if outcome == EXIT_SETTLED:
        _unlink_empty(job.log)
        if not job.forces:
            _unlink(job.lock)
    _unlink(job.replay_lock)
    return outcome


def _free_slots(job: _Job) -> None:
    """Let those in who wait for slots that the dead process had. A takeover does so too, and is slower to begin."""
    import sqlite3  # not before there is a death
    from contextlib import closing
    from urllib.parse import quote

    url = f"file:{quote(os.fsencode(job.database))}?mode=rw"
    try:
        with closing(sqlite3.connect(url, uri=True, timeout=5, isolation_level=None)) as journal:
            journal.execute(_FREE_SLOTS, {"node": job.node})
    except sqlite3.Error as error:
        job.say(f"{job.database}: slots of concurrency limits are not freed yet ({error}).")


def _replay_what_stands(job: _Job) -> int:
    import sqlite3

    try:
        return _replay(job) if any(_standing(job)) else EXIT_SETTLED
    except sqlite3.Error as error:
        job.say(f"{job.database} cannot be read ({error}). The next Runtime on that journal tries again.")
        return EXIT_GAVE_UP


def _standing(job: _Job) -> tuple[float, ...]:
    """How the node stands in the journal: all zero when nothing is open or due; else what any progress changes.

    What grows here is bounded: attempts by a hook's own options, cuts and deaths by the limit of deaths. What is wrong
    with the file may pass (a lock, a full disk, too many open files): so it is asked more than once.
    """
    import sqlite3

    for failures in range(1, _IDLE_LIMIT):
        try:
            return _look(job)
        except sqlite3.Error as error:
            if failures == 1:
                job.say(f"{job.database} cannot be read just now ({error}).")
            time.sleep(_pause(job, failures))
    return _look(job)


def _look(job: _Job) -> tuple[float, ...]:
    import sqlite3
    from contextlib import closing
    from urllib.parse import quote

    with closing(sqlite3.connect(f"file:{quote(os.fsencode(job.database))}?mode=ro", uri=True, timeout=60)) as journal:
        found: tuple[float, ...] = journal.execute(_STANDING, {"node": job.node}).fetchone()
        return found


def _replay(job: _Job) -> int:
    """Replay processes, one after another, until one says that nothing is left."""
    stood, idle = _standing(job), 0
    while True:
        code, how = _run_replay_process(job)
        if code == EXIT_SETTLED:
            return EXIT_SETTLED
        if code == EXIT_FENCED:
            return EXIT_HELD
        stands = _standing(job)
        stood, idle = stands, 0 if stands != stood else idle + 1
        if code == EXIT_MORE and not idle:
            continue
        job.say(f"a replay process {how}; {idle} in a row changed nothing.")
        if idle == _IDLE_LIMIT:
            job.say("gave up. The next Runtime on that journal tries again, and so does `actwright recover`.")
            return EXIT_GAVE_UP
        time.sleep(_pause(job, idle))


def _pause(job: _Job, failures: int) -> float:
    return min(job.backoff * 2.0 ** max(failures - 1, 0), _LONGEST_BACKOFF)


def _run_replay_process(job: _Job) -> tuple[int | None, str]:
    """Its exit code, negative for the signal that killed it, None if it could not be started; and the same in words."""
    import subprocess

    reading, writing = os.pipe()
    command = [*job.replay, f"--watcher-fd={reading}"]
    cwd = job.cwd if os.access(job.cwd, os.X_OK) and os.path.isdir(job.cwd) else "/"
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=cwd, pass_fds=[reading])
    except (FileNotFoundError, NotADirectoryError, PermissionError) as error:
        if job.fallback is None:
            return None, f"could not be started: {error}"
        job.say(f"the node's interpreter cannot be used ({error}); {job.fallback} is used in its place.")
        job.replay[0], job.fallback = job.fallback, None
        return _run_replay_process(job)
    except OSError as error:
        return None, f"could not be started: {error}"
    else:
        code = process.wait()
        return code, f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    finally:
        os.close(reading)
        os.close(writing)


def _detach() -> None:
    """Go on as a grandchild: who started this process can wait for it, and has no child then."""
    if os.fork():
        os._exit(0)


def _speak_to(log: str) -> None:
    """Let the standard streams be the log."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    if descriptor > 2:
        os.close(descriptor)


def _unlink_empty(log: str) -> None:
    if leads_to(log, 2) and not os.fstat(2).st_size:
        os.unlink(log)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # by somebody's hand


def lock_file(path: str, *, create: bool, wait: bool = False) -> int | None:
    """Open a file and take its POSIX record lock; without waiting, unless told to.

    Returns its descriptor, which holds the lock until *any* descriptor of that file is closed in this process; None
    when another process holds the lock. A file that was unlinked while it was being locked is not the one meant: once
    more.

    Raises:
        FileNotFoundError: there is no such file, and `create` is false (or there is no folder for it).
        OSError: it cannot be opened or locked.
    """
    flags = os.O_RDWR | (os.O_CREAT if create else 0)
    while True:
        descriptor = above_streams(os.open(path, flags, 0o600))
        try:
            fcntl.lockf(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if leads_to(path, descriptor):
                return descriptor
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES, as the system likes
            os.close(descriptor)
            return None
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def leads_to(path: str, descriptor: int) -> bool:
    """Whether that path still leads to the file that is open here."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def lock_owner(descriptor: int) -> int | None:
    """The id of the *other* process that holds the lock of this open file; None when none does.

    It is 0 for a process that has no id here, as one in another container. Asking takes nothing: a test by locking
    would be in the way of somebody who wants the lock just then.
    """
    fields = {"l_type": fcntl.F_WRLCK, "l_whence": os.SEEK_SET, "l_start": 0, "l_len": 0, "l_pid": 0}
    order = ("l_start", "l_len", "l_pid", "l_type", "l_whence")
    if sys.platform != "darwin":
        order = ("l_type", "l_whence", "l_start", "l_len", "l_pid")
    answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, struct.pack(_FLOCK, *(fields[name] for name in order)))
    found = dict(zip(order, struct.unpack(_FLOCK, answer), strict=True))
    return None if found["l_type"] == fcntl.F_UNLCK else max(found["l_pid"], 0)


def owner_of(path: str) -> int | None:
    """As `lock_owner`, of a file that is not open here; None for one that is not there."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return lock_owner(descriptor)
    finally:
        os.close(descriptor)  # which is harmless as long as the lock is not ours


def has_open(pid: int, path: str, *, unless_told: bool) -> bool:
    """Whether that process still has its node's lock file open: then it lives, even if the lock is free.

    Any close of the file in the process frees the lock, a copy of its folder for example; the process takes it again
    within a second (`nodes.pulse`). Death and `exec` close the file as well. A file that was deleted counts. By name,
    which is unique to the node: a path may look another way from there.

    `unless_told` is the answer where the system does not tell, or not to us. Only Linux does.
    """
    name, folder = os.path.basename(path), f"/proc/{pid}/fd"
    try:
        descriptors = os.listdir(folder)
    except PermissionError:
        return unless_told
    except OSError:
        return unless_told and not os.path.isdir("/proc/self/fd")
    return any(_target(f"{folder}/{each}").removesuffix(" (deleted)") == name for each in descriptors)


def _target(link: str) -> str:
    """The name of what a link leads to; none when it is gone."""
    try:
        return os.path.basename(os.readlink(link))
    except OSError:
        return ""


def above_streams(descriptor: int) -> int:
    """The same file under a number that no standard stream has, in case this process was started without those."""
    if descriptor > 2:
        return descriptor
    try:
        return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
