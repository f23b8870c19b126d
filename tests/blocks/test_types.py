"""Slugs: by which class a block is found, and what happens where two classes have one."""

from __future__ import annotations

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import ClassVar, Generic, TypeVar

import pytest

from actwright import Block
from actwright.blocks import AppriseNotification, Secret, SlackWebhook, Webhook, types
from actwright.blocks.types import class_of, known_types, slug_from
from actwright.exceptions import AuthoringError

T = TypeVar("T")


@pytest.fixture(autouse=True)
def only_those_that_come_along(types_are_those_of_before: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what other tests' modules define."""
    for slug, known in known_types().items():
        if not known.__module__.startswith("actwright."):
            monkeypatch.delitem(types._known, slug)  # pyright: ignore[reportPrivateUsage]


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("SlackWebhook", "slack-webhook"),
        ("Webhook", "webhook"),
        ("S3Bucket", "s3-bucket"),
        ("AWSCredentials", "aws-credentials"),
        ("Slack Webhook", "slack-webhook"),
        ("_Base_Till", "base-till"),
        ("OAuth2Token", "o-auth2-token"),
    ],
)
def test_a_slug_is_the_name_in_kebab_case(name: str, slug: str) -> None:
    assert slug_from(name) == slug


def test_the_blocks_that_come_along_are_known() -> None:
    assert known_types() == {
        "apprise-notification": AppriseNotification, "secret": Secret, "slack-webhook": SlackWebhook,
        "webhook": Webhook,
    }  # fmt: skip


def test_a_class_is_known_once_it_is_defined_and_may_say_its_slug_or_name() -> None:
    class Till(Block):
        pass

    class Other(Block):
        _block_type_slug = "cash-desk"

    class Third(Block):
        _block_type_name: ClassVar[str | None] = "Third Desk"

    assert [class_of(slug) for slug in ("till", "cash-desk", "third-desk")] == [Till, Other, Third]
    assert class_of("other") is None
    Till.register()
    assert class_of("till") is Till


def test_a_class_that_is_made_of_another_one_has_a_slug_of_its_own() -> None:
    class Till(Block):
        _block_type_slug = "cash-desk"

    class Mobile(Till):
        pass

    assert (Till.get_block_type_slug(), Mobile.get_block_type_slug()) == ("cash-desk", "mobile")


def test_two_classes_with_one_slug_are_an_error_that_names_both() -> None:
    class Till(Block):
        pass

    def another() -> type[Block]:
        class Till(Block):
            pass

        return Till

    with pytest.raises(
        AuthoringError, match=r"another\.<locals>\.Till has the slug 'till', and so has .*:test_two_.*Till"
    ):
        another()
    assert class_of("till") is Till
    with pytest.raises(AuthoringError, match=r"and so has actwright\.blocks\.secret:Secret"):
        type("Secret", (Block,), {"__module__": __name__})
    assert class_of("secret") is Secret


def test_a_class_that_is_defined_once_more_takes_its_own_place() -> None:
    def define() -> type[Block]:
        class Till(Block):
            pass

        return Till

    first, second = define(), define()
    assert first is not second
    assert class_of("till") is second


@pytest.mark.parametrize("names", [("till_module", "__main__"), ("__main__", "actwright_replay_1"), ("one", "two")])
def test_a_file_that_is_loaded_by_two_names_defines_one_class(
    names: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "till_module.py"
    file.write_text("from actwright import Block\nclass Till(Block): pass\n")
    for name in names:
        till = loaded(name, file, monkeypatch).Till
        assert class_of("till") is till


def test_two_files_that_define_one_slug_are_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("one", "two"):
        (tmp_path / f"{name}.py").write_text("from actwright import Block\nclass Till(Block): pass\n")
    loaded("one", tmp_path / "one.py", monkeypatch)
    with pytest.raises(AuthoringError, match="two:Till has the slug 'till', and so has one:Till"):
        loaded("two", tmp_path / "two.py", monkeypatch)


def loaded(name: str, file: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", ["Kä", "_", "Café"])
def test_a_class_whose_name_makes_no_slug_is_told_to_say_one(name: str) -> None:
    with pytest.raises(AuthoringError, match="Give the class one: `_block_type_slug"):
        type(name, (Block,), {"__module__": __name__})


def test_a_generic_class_is_one_type_whatever_it_is_filled_with() -> None:
    class Box(Block, Generic[T]):
        inside: T

    filled = Box[int](inside=1)
    assert filled.inside == 1
    assert class_of("box") is Box
