"""What a program was started with: recorded with its node, so that a replay process can be started as it was."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from typing import Self

__all__ = ["Program"]

_PACKAGES = ("actwright", "actwright_actors")

_FLAGS = {
    "optimize": "O", "dont_write_bytecode": "B", "no_user_site": "s", "no_site": "S", "ignore_environment": "E",
    "isolated": "I", "bytes_warning": "b",
}  # fmt: skip

# The folders stand behind all others: they matter only where the interpreter would not find the packages by itself.
_BOOTSTRAP = """\
import sys; sys.path += [folder for folder in {folders!r} if folder not in sys.path]
from {module} import main; main()"""


@dataclass(frozen=True)
class Program:
    """How a process was started. All paths are absolute.

    Attributes:
        interpreter: `sys.executable`.
        argv: `sys.argv`.
        cwd: its working directory.
        sys_path: where it imports from.
        main_file: the script that runs as `__main__`; None in a notebook, for `-c` and for `python -m`'s zip files.
        main_module: the name that `python -m` was given, as `package.__main__`; else None.
        package_roots: the folders that hold `actwright` and `actwright_actors`.
    """

    interpreter: str
    argv: tuple[str, ...]
    cwd: str
    sys_path: tuple[str, ...]
    main_file: str | None
    main_module: str | None
    package_roots: tuple[str, ...]

    @classmethod
    def of_this_process(cls) -> Self:
        """What this process was started with, as far as it can still tell."""
        main, cwd = sys.modules.get("__main__"), _working_directory()
        file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
        return cls(
            interpreter=sys.executable or "",
            argv=tuple(str(argument) for argument in getattr(sys, "argv", ())),
            cwd=cwd,
            sys_path=tuple(_absolute(str(folder), cwd) for folder in sys.path),
            main_file=None if file is None else _absolute(str(file), cwd),
            main_module=None if spec is None else str(spec.name),
            package_roots=_package_roots(),
        )

    def replay_command(self, database: Path, node_id: str) -> list[str]:
        """What starts a replay process for a node of this program. Its watcher appends `--watcher-fd=N`.

        This process's own packages are the last resort, for when the program's are gone with its environment.
        """
        return [self.interpreter, *self._main_of("actwright.replay.main"), str(database.absolute()), node_id]

    def rerun_command(self, database: Path, request_fd: int) -> list[str]:
        """What starts a process that runs a flow or task of this program again: see `replay.rerunning`."""
        main = self._main_of("actwright.replay.rerunning")
        return [self.interpreter, *main, str(database.absolute()), f"--request-fd={request_fd}"]

    def body_command(self) -> list[str]:
        """What starts a process for one body of this program, as this process was started."""
        return [self.interpreter, *_flags(), *self._main_of("actwright.isolation.main")]

    def _main_of(self, module: str) -> list[str]:
        folders = [*dict.fromkeys((*self.package_roots, *_package_roots()))]
        # -P: the working directory is no place to import our own packages from; the recorded sys.path comes later.
        return ["-P", "-c", _BOOTSTRAP.format(folders=folders, module=module)]

    def to_json(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote, here or in a later version, which may have known more."""
        found: dict[str, Any] = json.loads(text)
        known: dict[str, Any] = {field.name: found[field.name] for field in fields(cls)}
        known.update({name: tuple(known[name]) for name in ("argv", "sys_path", "package_roots")})
        return cls(**known)


def _flags() -> list[str]:
    """The options that this interpreter was started with, and that matter to what it runs."""
    given = [f"-{letter * getattr(sys.flags, name)}" for name, letter in _FLAGS.items() if getattr(sys.flags, name)]
    given += [f"-W{option}" for option in sys.warnoptions]
    known = cast("dict[str, str | bool]", sys._xoptions)  # pyright: ignore[reportPrivateUsage]  # but documented
    return given + [f"-X{name}" if value is True else f"-X{name}={value}" for name, value in known.items()]


def _working_directory() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:  # it was removed under the process
        return "/"


def _absolute(path: str, cwd: str) -> str:
    return os.path.normpath(os.path.join(cwd, path))  # noqa: PTH118  # pathlib does not take ".." away


def _package_roots() -> tuple[str, ...]:
    found = [find_spec(package) for package in _PACKAGES]
    origins = [Path(spec.origin).absolute() for spec in found if spec is not None and spec.origin is not None]
    return tuple(dict.fromkeys(str(origin.parents[1]) for origin in origins))
