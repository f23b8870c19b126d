"""What the package says about itself. That it installs and runs, `.ci/packaging` tries in an empty environment."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_both_packages_say_that_they_are_typed() -> None:
    for package in ("actors/actwright_actors", "runtime/actwright"):
        assert (ROOT / package / "py.typed").is_file()
