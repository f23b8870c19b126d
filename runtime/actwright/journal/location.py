"""Where a journal may be kept: a folder of this machine, which its owner alone can read.

SQLite's locks and shared memory do not work between machines, whatever a network file system says; and a file that
goes with its container, or at the next start of the machine, takes along the hooks that were still due.
"""

from __future__ import annotations

import errno
import os
import re
import stat
import subprocess
import sys
from pathlib import Path

from actwright.exceptions import JournalError, JournalLocation, JournalUnavailable

__all__ = [
    "exposure",
    "file_system_from_mount",
    "file_system_from_mountinfo",
    "prepare_place",
    "vanishing",
    "writable_by_others",
]

_NETWORK = frozenset(
    [
        "9p",
        "afs",
        "afpfs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.ceph",
        "fuse.cephfs",
        "fuse.davfs",
        "fuse.davfs2",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.juicefs",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "fuse.vmhgfs-fuse",
        "glusterfs",
        "gpfs",
        "lustre",
        "macfuse.sshfs",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "orangefs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
        "vboxsf",
        "vmhgfs",
        "webdav",
    ]
)
_VANISHING = {
    "aufs": "goes with its container",
    "overlay": "goes with its container",
    "ramfs": "is gone when the machine starts again",
    "tmpfs": "is gone when the machine starts again",
}


def prepare_place(path: Path, *, create: bool) -> None:
    """See that a journal can be kept at `path`, and with `create` make its folder (0700) and an empty file (0600).

    A folder or file that is there keeps its mode: its owner may share it on purpose. `exposure` tells.

    A file that exists is never opened here. Closing any descriptor of it would free the locks that SQLite holds on it
    for other connections of this process.

    Raises:
        JournalLocation: it cannot be kept there, and why.
        JournalUnavailable: the disk is full.
    """
    try:
        _refuse_network(path)
        if create:
            _make_folder(path.parent)
        _see_that_it_can_be_written(path, create=create)
        if create and not path.exists():
            _make_file(path)
            path.stat()  # a loop of symbolic links is there only for who would make a file in its place
    except OSError as error:
        raise _misplaced(path, error) from error


def vanishing(path: Path) -> str | None:
    """Why what is kept at `path` will not stay, in words for its user; None when it stays."""
    kind = _file_system(path)
    if kind not in _VANISHING:
        return None
    return (
        f"History is kept in {path}, on a file system ({kind}) that {_VANISHING[kind]}, and so do hooks that are "
        "still due then. Set ACTWRIGHT_HOME to a folder that stays, such as a mounted volume."
    )


def exposure(path: Path) -> str | None:
    """Who else can read or change the file at `path`, in words for its owner; None when nobody can."""
    mode = stat.S_IMODE(path.stat().st_mode)
    if not mode & 0o077:
        return None
    what = "change" if mode & 0o022 else "read"
    return f"Others can {what} {path} (mode {mode:04o}); it holds parameters. Keep them out: chmod 600 {path}"


def writable_by_others(path: Path) -> str | None:
    """Why somebody else than this user (and root) could have written the file at `path`; None when nobody could."""
    for place in (path, path.parent):
        status = place.stat()
        if status.st_uid not in (os.geteuid(), 0):
            return f"{place} belongs to another user (uid {status.st_uid})"
        is_shared_folder = place == path.parent and status.st_mode & stat.S_ISVTX  # nobody replaces another's file
        if status.st_mode & 0o022 and not is_shared_folder:
            return f"{place} can be written by others (mode {stat.S_IMODE(status.st_mode):04o})"
    return None


def file_system_from_mountinfo(folder: str, mountinfo: str) -> str | None:
    """The type of the file system that `folder` is on, from Linux's /proc/self/mountinfo; None when it does not tell.

    Of two that are mounted on the same folder, the later one is what one sees.
    """
    found, length = None, 0
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) > 4 and after:
            mounted = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
            if _is_within(folder, mounted) and len(mounted) >= length:
                found, length = after.split(" ")[0], len(mounted)
    return found


def file_system_from_mount(folder: str, output: str) -> str | None:
    """The same from what macOS's `mount` prints: `server:/share on /Volumes/share (nfs, nodev)`."""
    found, length = None, 0
    for _, mounted, kind in re.findall(r"^(.*?) on (/.*) \((\w+)[,)]", output, re.MULTILINE):
        if _is_within(folder, mounted) and len(mounted) >= length:
            found, length = kind, len(mounted)
    return found


def _is_within(folder: str, mounted: str) -> bool:
    return mounted == "/" or f"{folder}/".startswith(f"{mounted}/")


def _file_system(path: Path) -> str | None:
    """The type of the file system that a file at `path` is on, or would be made on."""
    folder = next(folder for folder in path.parents if folder.exists())
    if sys.platform == "darwin":
        return file_system_from_mount(str(folder), subprocess.check_output(["/sbin/mount"], text=True, timeout=10))
    try:
        mountinfo = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:  # no /proc here: nothing is known, and nothing refused
        return None
    return file_system_from_mountinfo(str(folder), mountinfo)


def _refuse_network(path: Path) -> None:
    kind = _file_system(path)
    if kind in _NETWORK:
        raise JournalLocation(
            f"{path} is on a network file system ({kind}), where SQLite's locks do not hold and history would be "
            "damaged. Set ACTWRIGHT_HOME to a folder on a disk of this machine."
        )


def _make_folder(folder: Path) -> None:
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        try:
            one.mkdir(mode=0o700)
        except FileExistsError:  # another process was faster
            continue
        one.chmod(0o700)  # the umask may have taken away from it


def _make_file(path: Path) -> None:
    """An empty file, which is an empty database. SQLite gives its -wal and -shm the same mode."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:  # another process was faster
        return
    try:
        os.fchmod(descriptor, 0o600)  # the umask may have taken away from it
    finally:
        os.close(descriptor)


def _see_that_it_can_be_written(path: Path, *, create: bool) -> None:
    folder = path.parent
    if folder.exists() and not folder.is_dir():
        raise JournalLocation(f"{folder} is a file, not a folder. Set ACTWRIGHT_HOME to a folder.")
    if not path.exists():
        if not create:
            raise JournalLocation(f"There is no journal at {path}: no flow has run with this ACTWRIGHT_HOME.")
    elif not path.is_file():
        raise JournalLocation(f"{path} is {_kind(path)}, not a file. Move it away, or set ACTWRIGHT_HOME elsewhere.")
    elif not os.access(path, os.R_OK | os.W_OK, effective_ids=True):
        raise JournalLocation(f"{path} cannot be written{_as_whom(path)}. Make it writable, or set ACTWRIGHT_HOME.")
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):  # SQLite keeps two more files beside it
        raise JournalLocation(f"{folder} cannot be written{_as_whom(folder)}. Make it writable, or set ACTWRIGHT_HOME.")


def _kind(path: Path) -> str:
    return "a folder" if path.is_dir() else "a device, a pipe or a socket"


def _as_whom(path: Path) -> str:
    status = path.stat()
    return f" by uid {os.geteuid()} (it belongs to uid {status.st_uid}, mode {stat.S_IMODE(status.st_mode):04o})"


def _misplaced(path: Path, error: OSError) -> JournalError:
    why = f"History cannot be kept at {path}: {error.strerror or error}"
    if error.filename and str(error.filename) != str(path):
        why += f" ({error.filename})"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return JournalUnavailable(f"{why}. Free some space.")
    return JournalLocation(f"{why}. Set ACTWRIGHT_HOME to a folder that you can write.")
