"""Where a journal may be kept, and what is said of a place where it cannot be."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from actwright.exceptions import JournalLocation
from actwright.journal import location
from actwright.journal.database import Database
from actwright.journal.location import (
    exposure,
    file_system_from_mount,
    file_system_from_mountinfo,
    vanishing,
    writable_by_others,
)

MOUNTINFO = r"""
22 28 0:20 / /proc rw,nosuid - proc proc rw
28 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 28 0:26 / /tmp rw,nosuid,nodev shared:5 - tmpfs tmpfs rw,size=1024k
31 28 0:40 / /home rw,relatime - nfs4 server:/home rw
32 31 0:41 / /home/me/a\040folder rw - fuse.sshfs me@server: rw
33 31 0:42 / /home/me/disk rw - autofs systemd-1 rw
34 33 8:1 / /home/me/disk rw - xfs /dev/sda1 rw
"""

MOUNT = """
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
//me@server/share on /Volumes/a share (smbfs, nodev, nosuid, mounted by me)
server:/export on /Volumes/nfs (nfs)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "home" / "actwright.db"


@pytest.mark.parametrize(
    ("folder", "kind"),
    [
        ("/", "ext4"),
        ("/var/lib", "ext4"),
        ("/tmp", "tmpfs"),
        ("/tmp/deep/er", "tmpfs"),
        ("/tmpfolder", "ext4"),
        ("/home/me", "nfs4"),
        ("/home/me/a folder/x", "fuse.sshfs"),
        ("/home/me/disk", "xfs"),
    ],
)
def test_on_linux_the_longest_and_last_mount_point_tells_the_file_system(folder: str, kind: str) -> None:
    assert file_system_from_mountinfo(folder, MOUNTINFO) == kind


@pytest.mark.parametrize(
    ("folder", "kind"),
    [("/Users/me", "apfs"), ("/Volumes/a share/x", "smbfs"), ("/Volumes/nfs", "nfs"), ("/Volumes/nfs2", "apfs")],
)
def test_on_macos_mount_tells_the_file_system(folder: str, kind: str) -> None:
    assert file_system_from_mount(folder, MOUNT) == kind


@pytest.mark.parametrize("output", ["", "nonsense", "1 2 3 - ", " - ext4"])
def test_where_nothing_is_told_nothing_is_known(output: str) -> None:
    assert file_system_from_mountinfo("/home", output) is None
    assert file_system_from_mount("/home", output) is None


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "fuse.sshfs"])
def test_a_network_file_system_is_refused_before_anything_is_made(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    mountinfo = f"28 1 254:0 / / rw - ext4 /dev/vda rw\n31 28 0:40 / {path.parent.parent} rw - {kind} server:/home rw"
    _mounted(monkeypatch, mountinfo)
    with pytest.raises(JournalLocation, match=f"{re.escape(str(path))} is on a network file system \\({kind}\\)"):
        Database.open(path)
    assert not path.parent.exists()


@pytest.mark.parametrize(
    ("kind", "why"), [("overlay", "goes with its container"), ("tmpfs", "the machine starts again")]
)
def test_a_file_system_that_will_vanish_is_used_and_said(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, why: str
) -> None:
    _mounted(monkeypatch, f"28 1 254:0 / / rw - {kind} none rw")
    with closing(Database.open(path)) as database:
        assert database.vanishes is not None
        assert f"({kind})" in database.vanishes
        assert why in database.vanishes


def test_a_disk_stays(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _mounted(monkeypatch, "28 1 254:0 / / rw - ext4 /dev/vda rw")
    assert vanishing(path) is None


def _mounted(monkeypatch: pytest.MonkeyPatch, mountinfo: str) -> None:
    def file_system(path: Path) -> str | None:
        folder = next(folder for folder in path.parents if folder.exists())
        return file_system_from_mountinfo(str(folder), mountinfo)

    monkeypatch.setattr(location, "_file_system", file_system)


def test_a_folder_in_the_files_place_is_refused(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(JournalLocation, match=f"{re.escape(str(path))} is a folder, not a file"):
        Database.open(path)


def test_a_device_in_the_files_place_is_refused() -> None:
    with pytest.raises(JournalLocation, match="/dev/null is a device, a pipe or a socket, not a file"):
        Database.open("/dev/null")


def test_a_file_in_the_folders_place_is_refused(path: Path) -> None:
    path.parent.write_text("")
    with pytest.raises(JournalLocation, match=f"{re.escape(str(path.parent))} is a file, not a folder"):
        Database.open(path)


def test_without_create_nothing_is_made(path: Path) -> None:
    with pytest.raises(JournalLocation, match=f"There is no journal at {re.escape(str(path))}"):
        Database.open(path, create=False)
    assert not path.parent.exists()
    path.parent.mkdir()
    path.touch()
    with pytest.raises(JournalLocation, match="is empty"):
        Database.open(path, create=False)
    assert path.stat().st_size == 0


def test_an_empty_file_that_a_process_left_when_it_died_is_filled(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    Database.open(path).close()
    assert path.stat().st_size > 0


def test_a_symbolic_link_is_followed_once_so_that_two_names_share_one_log(path: Path, tmp_path: Path) -> None:
    path.parent.mkdir()
    (tmp_path / "link.db").symlink_to(path)
    with closing(Database.open(tmp_path / "link.db")) as database:
        assert database.path == path
    (tmp_path / "loop.db").symlink_to(tmp_path / "loop.db")
    with pytest.raises(JournalLocation, match=re.escape(str(tmp_path / "loop.db"))):
        Database.open(tmp_path / "loop.db")


@contextmanager
def ordinary_user() -> Generator[Path]:
    """A folder of somebody whom the system may refuse something; of whoever runs this, unless that is root."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))  # pytest's own folders let nobody else through
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield folder
        finally:
            if is_root:
                os.seteuid(0)
    finally:
        for each in folder.rglob("*"):
            each.chmod(0o700)
        folder.chmod(0o700)
        shutil.rmtree(folder)


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o500])
def test_a_folder_that_cannot_be_written_is_refused(mode: int) -> None:
    with ordinary_user() as folder:
        (folder / "home").mkdir(mode=mode)
        with pytest.raises(JournalLocation, match=re.escape(str(folder / "home"))) as caught:
            Database.open(folder / "home" / "actwright.db")
        assert "ACTWRIGHT_HOME" in str(caught.value)


def test_a_folder_that_cannot_be_made_is_refused() -> None:
    with ordinary_user() as folder:
        (folder / "home").mkdir(mode=0o500)
        with pytest.raises(JournalLocation, match=f"Permission denied .{re.escape(str(folder / 'home' / 'new'))}"):
            Database.open(folder / "home" / "new" / "actwright.db")


def test_a_file_or_folder_that_became_read_only_is_refused_and_not_touched() -> None:
    with ordinary_user() as folder:
        path = folder / "home" / "actwright.db"
        Database.open(path).close()
        path.chmod(0o400)
        with pytest.raises(JournalLocation, match=f"{re.escape(str(path))} cannot be written by uid"):
            Database.open(path)
        path.chmod(0o600)
        path.parent.chmod(0o500)
        with pytest.raises(JournalLocation, match=f"{re.escape(str(path.parent))} cannot be written by uid"):
            Database.open(path)


@pytest.mark.parametrize(
    ("mode", "said"),
    [(0o600, None), (0o640, "Others can read"), (0o604, "Others can read"), (0o660, "Others can change")],
)
def test_who_else_sees_a_file_is_said(tmp_path: Path, mode: int, said: str | None) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(mode)
    assert (exposure(file) or "").startswith(said or "") is True
    assert (exposure(file) is None) == (said is None)


@pytest.mark.parametrize(
    ("file_mode", "folder_mode", "said"),
    [
        (0o600, 0o700, None),
        (0o644, 0o755, None),
        (0o660, 0o700, "file can be written by others (mode 0660)"),
        (0o602, 0o700, "file can be written by others (mode 0602)"),
        (0o600, 0o770, "can be written by others (mode 0770)"),  # they can put another in its place
        (0o600, 0o1777, None),  # where only the owner can
    ],
)
def test_who_else_could_have_written_a_file_is_said(
    tmp_path: Path, file_mode: int, folder_mode: int, said: str | None
) -> None:
    file = tmp_path / "file"
    file.touch()
    file.chmod(file_mode)
    tmp_path.chmod(folder_mode)
    found = writable_by_others(file)
    tmp_path.chmod(0o700)
    assert (found is None) if said is None else (found is not None and found.endswith(said))


def test_another_users_file_could_have_been_written_by_that_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "file"
    file.touch()
    if os.geteuid() == 0:
        os.chown(file, 65534, -1)  # root's own files are nobody else's
    owner = file.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    assert writable_by_others(file) == f"{file} belongs to another user (uid {owner})"
