"""What the package says about itself. That it installs and runs, `.ci/packaging` tries in an empty environment."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parent.parent
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
LOCK_TEXT = (ROOT / "uv.lock").read_text(encoding="utf-8")
LOCK: dict[str, Any] = tomllib.loads(LOCK_TEXT)


def test_both_packages_say_that_they_are_typed() -> None:
    for package in ("actors/actwright_actors", "runtime/actwright"):
        assert (ROOT / package / "py.typed").is_file()


def test_the_lock_takes_everything_from_the_public_index() -> None:
    assert set(re.findall(r"https?://([^/\"]+)", LOCK_TEXT)) == {"pypi.org", "files.pythonhosted.org"}
    local = [package["name"] for package in LOCK["package"] if "registry" not in package["source"]]
    assert local == ["actwright"]


def test_the_lock_was_made_from_the_dependencies_that_the_project_names() -> None:
    ours = next(package for package in LOCK["package"] if package["name"] == "actwright")
    locked = {(entry["name"], SpecifierSet(entry.get("specifier", ""))) for entry in ours["metadata"]["requires-dist"]}
    extras: dict[str, list[str]] = PROJECT["optional-dependencies"]
    lines: list[str] = sum(extras.values(), PROJECT["dependencies"])
    named = {(requirement.name, requirement.specifier) for requirement in map(Requirement, lines)}
    assert locked == named, "run `uv lock`"
