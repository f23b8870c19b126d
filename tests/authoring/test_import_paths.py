"""Where an object can be imported from."""

from __future__ import annotations

import functools
import importlib.util
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from actwright.authoring.import_paths import at_path, is_importable, names_of

SOURCE = """
import functools

def plain(): ...
def wrapped():
    @functools.wraps(plain)
    def inner(): ...
    return inner

decorated = wrapped()
shout = lambda: None
bound = functools.partial(plain)

class Notifier:
    def __call__(self): ...
    def notify(self): ...
    @classmethod
    def of_class(cls): ...
    @staticmethod
    def static(): ...

notifier = Notifier()
"""


@pytest.fixture
def hooks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """A module of a user's, imported as modules are."""
    (tmp_path / "some_hooks.py").write_text(SOURCE)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    importlib.invalidate_caches()
    yield importlib.import_module("some_hooks")
    del sys.modules["some_hooks"]


def names(item: object) -> list[str]:
    return [f"{module.__name__}:{name}" for module, name in names_of(item)]


@pytest.mark.parametrize(
    "name",
    ["plain", "shout", "bound", "Notifier", "notifier", "notifier.notify", "Notifier.of_class", "Notifier.static"],
)
def test_what_has_a_name_in_a_module_is_found_by_it(hooks: ModuleType, name: str) -> None:
    assert names(at_path(hooks, name)) == [f"some_hooks:{name}"]


def test_a_decorated_function_is_not_found_where_the_one_inside_it_would_be(hooks: ModuleType) -> None:
    assert names(hooks.decorated) == ["some_hooks:decorated"]
    assert names(hooks.decorated.__wrapped__) == ["some_hooks:plain"]


def test_what_has_no_name_is_not_found(hooks: ModuleType) -> None:
    assert names(hooks.Notifier()) == []
    assert names(hooks.Notifier().notify) == []
    assert names(hooks.wrapped()) == []
    assert names(functools.partial(hooks.plain)) == []


def test_what_stands_in_its_place_by_now_is_another_object(hooks: ModuleType) -> None:
    first = hooks.plain
    vars(hooks)["plain"] = lambda: None
    assert names(first) == []


def test_modules_that_an_import_finds_are_importable(hooks: ModuleType) -> None:
    assert is_importable(hooks)
    assert is_importable(json)
    assert is_importable(json.decoder)
    assert is_importable(sys)


def test_main_and_what_is_made_in_memory_are_not() -> None:
    assert not is_importable(sys.modules["__main__"])
    assert not is_importable(ModuleType("made_here"))
    sys.modules["made_here"] = ModuleType("made_here")
    try:
        assert not is_importable(sys.modules["made_here"])
    finally:
        del sys.modules["made_here"]


@pytest.mark.parametrize("name", ["invented", "json", "invented.inside", "json.invented"])
def test_a_file_that_was_loaded_under_a_name_that_leads_elsewhere_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    file = tmp_path / "file.py"
    file.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    assert not is_importable(module)


def test_a_folder_without_an_init_file_is_a_package_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "some_space"
    folder.mkdir()
    (folder / "inside.py").write_text(SOURCE)
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    module = importlib.import_module("some_space.inside")
    try:
        assert is_importable(module)
    finally:
        del sys.modules["some_space"], sys.modules["some_space.inside"]
        shutil.rmtree(folder)


def test_a_rude_object_is_not_found_and_breaks_nothing() -> None:
    class Rude:
        def __getattr__(self, name: str) -> str:
            raise RuntimeError(name)

    assert names(Rude()) == []


@pytest.mark.parametrize("name", ["os", "io", "abc", "sys", "json"])
def test_what_comes_with_python_is_importable_frozen_or_not(name: str) -> None:
    assert is_importable(importlib.import_module(name))
